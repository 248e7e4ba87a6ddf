"""Squeeze-and-excitation, put into an existing network."""

from collections.abc import Callable

import keras

from keras_se.complexity import complexity
from keras_se.graph.copy_layers import check_owners, freeze_like, uncompiled
from keras_se.graph.rewrite import GraphEdits
from keras_se.graph.walk import operations_by_path
from keras_se.insert.placement import Place, Where, places
from keras_se.insert.plan import Insertion, InsertionPlan
from keras_se.layers import SqueezeExcite, twice_sigmoid

Make = Callable[[str], keras.layers.Layer | None]


def insert_se(
    model: keras.Model,
    where: Where = "auto",
    r: int = 16,
    se: Make | None = None,
    identity: bool = True,
    *,
    force: bool = False,
) -> keras.Model:
    """A copy of a model with squeeze-and-excitation in it, which computes what the model computes, and learns on.

    With `identity` each block is `SqueezeExcite(r, gate=twice_sigmoid)` whose second projection is zero. Its gates are
    2 · sigmoid(0), exactly 1, and the slope of the gate there is 1/2: the second projection has gradients from the
    first step on, and once it is not zero any more, so has the first. Its
    biases have gradients always, its kernel from hidden units that are on: a unit that the ReLU leaves off for all
    data, as a share of them starts, has no gradient at first.

    `where="auto"` reads the places off the graph. The first of these rules that finds anything decides:

    1. Before an addition, at the end of the residual branch: ways from the same tensor meet there, one of them, the
       shortcut, with one convolution or none, and the branch has more. Dropout and LayerScale stay behind SE. Where a
       depthwise convolution is followed by an activation and a 1x1 convolution without one, an inverted residual with
       or without addition, SE goes behind that activation instead.
    2. After a concatenation of several ways from a fork, of which two or more have convolutions, one of them a
       spatial one: an Inception module, a cell of NASNet. After the last of concatenations that each add a
       convolution's channels to all before, and after the pooling of the transition that follows: a dense block.
    3. After a 1x1 convolution, its norm and activation, that follow a depthwise one: MobileNet.
    4. After the last activation before the map changes its size: a stage of VGG.

    Example:

    >>> import keras
    >>> from keras_se import insert_se
    >>> model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), alpha=0.35)
    >>> excited = insert_se(model, r=4)
    >>> excited.count_params() - model.count_params()
    286780

    Args:
        model: A functional model, or a Sequential one that is built, with any number of inputs and outputs, shared
            layers and models inside it, which are looked into. It is not changed.
        where: `"auto"`; or the layers whose outputs SE rescales: a regular expression for whole names, a list of
            names, or a function from a layer to a bool. A layer inside a model within is named `"backbone/conv1"`,
            or `"conv1"`.
        r: Positive integer, the reduction ratio.
        se: A callable, path of a layer → a new layer or `None` for none, for any other excitation. It wins over `r`.
            Whether it changes nothing at first is its own business, then.
        identity: `False` for the plain `SqueezeExcite(r)`, with random weights and gates of about 1/2.
        force: Whether a model that has SE already gets more.

    Returns:
        A functional `keras.Model` that is not compiled, with copies of all layers and weights. SE is called
        `<layer>_se`, has the layer's dtype policy and data format, and is trainable; what was frozen stays frozen. A
        layer with weights that is called several times, or in a model that is, gets one SE layer for all its calls;
        one without, such as a ReLU that is used again and again, gets one for each call that is meant.

    Raises:
        ValueError: for a model without a graph, or with layers that cannot be copied; a `where` that matches nothing,
            or what has no channels; a model that has SE.
    """
    chosen = _chosen(model, where, r, se, identity, force)
    check_owners(model)
    graph = GraphEdits(uncompiled(model))
    levels = {level.prefix: level for level in graph.levels()}
    for place, layer in chosen:
        prefix, slash, name = place.path.rpartition("/")
        levels[prefix + slash].add_behind(name, place.index, layer)
    result = graph.clone()
    for _, layer in chosen if se is None and identity else []:
        layer.expand_kernel.assign(keras.ops.zeros(layer.expand_kernel.shape))
    freeze_like(model, result, frozen=not model.trainable)
    if hasattr(model, "preprocessing"):  # of published weights: how images are prepared
        result.preprocessing = model.preprocessing
    return result


def insertion_plan(
    model: keras.Model,
    where: Where = "auto",
    r: int = 16,
    se: Make | None = None,
    identity: bool = True,
    *,
    force: bool = False,
) -> InsertionPlan:
    """What `insert_se` would do with the same arguments, and what it would add; no model is built.

    Example:

    >>> import keras
    >>> from keras_se.insert import insertion_plan
    >>> model = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    >>> plan = insertion_plan(model)
    >>> [row.layer for row in plan.rows]
    ['block1_conv2', 'block2_conv2', 'block3_conv3', 'block4_conv3', 'block5_conv3']
    >>> plan.parameters
    77852

    Returns:
        An `InsertionPlan`.

    Raises:
        ValueError: as `insert_se`.
    """
    rows = []
    for place, layer in _chosen(model, where, r, se, identity, force):
        shape = place.shape[1:]
        alone = keras.Sequential([keras.Input([size or 1 for size in shape]), layer])
        counted = complexity(alone)
        macs = None if None in shape else counted.macs
        rows.append(Insertion(place.path, layer.name, place.channels, shape, counted.parameters, macs))
    return InsertionPlan(model.name, tuple(rows))


def _chosen(
    model: keras.Model, where: Where, r: int, se: Make | None, identity: bool, force: bool
) -> list[tuple[Place, keras.layers.Layer]]:
    """The places that get SE, and the layers, with their names."""
    SqueezeExcite(r)  # a wrong r is refused also where `se` wins
    if se is not None and (not callable(se) or isinstance(se, keras.layers.Layer | type)):
        raise ValueError(
            "se must be a function from a layer's path to a new layer or None, such as lambda path: SqueezeExcite(8). "
            f"Received: se={se!r}"
        )
    chosen: list[tuple[Place, keras.layers.Layer]] = []
    found = places(model, where, force)
    taken = {path for path, _ in operations_by_path(model)}
    for place in found:
        layer = se(place.path) if se is not None else _excitation(place, r, identity)
        if layer is None:
            continue
        if not isinstance(layer, keras.layers.Layer) or layer.built or any(layer is other for _, other in chosen):
            raise ValueError(
                "se must return a new keras.layers.Layer, or None, each time it is called with a path. "
                f"Received: {layer!r} for {place.path!r}"
            )
        layer.name = _free_name(f"{place.path}_se", taken)
        chosen.append((place, layer))
    if not chosen:
        raise ValueError(f"se must return a layer for a place at least. Received: None for every place of {where!r}")
    return chosen


def _excitation(place: Place, r: int, identity: bool) -> keras.layers.Layer:
    gate = twice_sigmoid if identity else "sigmoid"
    return SqueezeExcite(r, gate=gate, data_format=place.data_format, dtype=place.dtype)


def _free_name(path: str, taken: set[str]) -> str:
    """The last part of a path that nothing has yet."""
    free = next(name for name in (path, *(f"{path}_{i}" for i in range(1, len(taken) + 2))) if name not in taken)
    taken.add(free)
    return free.rpartition("/")[2]
