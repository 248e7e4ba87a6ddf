"""Inserts squeeze-and-excitation into an existing network."""

from collections.abc import Callable
from typing import Any

import keras

from keras_se.complexity import complexity
from keras_se.graph.copy_layers import check_owners, freeze_like, uncompiled
from keras_se.graph.rewrite import GraphEdits
from keras_se.graph.walk import operations_by_path
from keras_se.insert.placement import Place, Where, places
from keras_se.insert.plan import Insertion, InsertionPlan
from keras_se.layers import SqueezeExcite, twice_sigmoid
from keras_se.layers.base import check_layer_function

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
    """A copy of a model with squeeze-and-excitation, which computes the same at first and can be trained on.

    With `identity` each block is `SqueezeExcite(r, gate=twice_sigmoid)` whose second projection is zero. Its gates are
    2 · sigmoid(0), exactly 1. The slope of the gate there is 1/2, so the second projection has gradients from the first
    step on, and the first projection as soon as the second is not zero. A hidden unit that the ReLU turns off for all
    data has no gradient at first.

    `where="auto"` detects the places in the graph. The first of these rules that finds anything decides:

    1. Residual blocks: at the end of the branch, before the addition. The shortcut has one convolution or none, and the
       branch has more. Dropout and LayerScale stay behind SE. In an inverted residual (a depthwise convolution, an
       activation, and a 1x1 convolution without one) SE goes behind that activation, with or without an addition.
    2. Inception modules and NASNet's cells: after a concatenation of branches of one tensor, of which two or more have
       convolutions, one of them a spatial one. Dense blocks: after the last of concatenations that each add the
       channels of a convolution, and after the pooling of the transition that follows.
    3. MobileNet: after a 1x1 convolution, its norm and activation, that follow a depthwise convolution.
    4. Stages of VGG: after the last activation before the map changes its size.

    Example:

    >>> import keras
    >>> from keras_se import insert_se
    >>> model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), alpha=0.35)
    >>> excited = insert_se(model, r=4)
    >>> excited.count_params() - model.count_params()
    286780

    Args:
        model: A functional model, or a Sequential one that is built, with any number of inputs and outputs, shared
            layers and nested models, which get SE, too. It is not changed.
        where: `"auto"`; or the layers whose outputs SE scales: a regular expression for whole names, a list of names,
            or a function from a layer to a bool. A layer of a nested model is `"backbone/conv1"` or `"conv1"`.
        r: Positive integer, the reduction ratio.
        se: A function from the path of a layer to a new layer, or to `None` for none, for any other excitation. `r` and
            `identity` are ignored then: the new layer may change the outputs.
        identity: `False` for the plain `SqueezeExcite(r)`, with random weights and gates of about 1/2.
        force: Whether a model that has SE already gets more.

    Returns:
        A functional `keras.Model` that is not compiled, with copies of all layers and weights. SE is called
        `<layer>_se`, has the layer's dtype policy and data format, and is trainable; frozen layers stay frozen. A layer
        with weights gets one SE layer for all its calls. A layer without weights, such as a ReLU that is used again and
        again, gets one for each selected call.

    Raises:
        ValueError: for a model without a graph, with layers that cannot be copied, or with SE already; for a `where`
            that matches nothing, or layers without channels.
    """
    chosen = _chosen(model, where, r, se, identity, force)
    check_owners(model)
    graph = GraphEdits(uncompiled(model))
    for place, layer in chosen:
        graph.around(place.path).add_behind(place.path.rpartition("/")[2], place.index, layer)
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
    """The SE layers that `insert_se` would insert with the same arguments, and their cost. No model is built.

    Example:

    >>> import keras
    >>> from keras_se.insert import insertion_plan
    >>> model = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    >>> plan = insertion_plan(model)
    >>> [row.layer for row in plan.rows]
    ['block1_conv2', 'block2_conv2', 'block3_conv3', 'block4_conv3', 'block5_conv3']
    >>> plan.parameters
    77852

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
    """The places that get SE, and the new layers, with their names."""
    SqueezeExcite(r)  # refuses an invalid r also if `se` is given
    check_layer_function(se, "a layer's path", "path")
    chosen: list[tuple[Place, keras.layers.Layer]] = []
    gate: Any = twice_sigmoid if identity else "sigmoid"
    found = places(model, where, force)
    taken = {path for path, _ in operations_by_path(model)}
    for place in found:
        options = {"gate": gate, "data_format": place.data_format, "dtype": place.dtype}
        layer = SqueezeExcite(r, **options) if se is None else se(place.path)
        if layer is None:
            continue
        if not isinstance(layer, keras.layers.Layer) or layer.built or any(layer is other for _, other in chosen):
            raise ValueError(
                "se must return a new keras.layers.Layer, or None, for each path. "
                f"Received: {layer!r} for {place.path!r}"
            )
        layer.name = _free_name(f"{place.path}_se", taken)
        chosen.append((place, layer))
    if not chosen:
        raise ValueError(f"se must return a layer for at least one place. Received: None for every place of {where!r}")
    return chosen


def _free_name(path: str, taken: set[str]) -> str:
    """The name of a path that is not taken, or of the first free one with a number."""
    free = next(name for name in (path, *(f"{path}_{i}" for i in range(1, len(taken) + 2))) if name not in taken)
    taken.add(free)
    return free.rpartition("/")[2]
