"""Parameters and multiply-accumulates of a model: per layer, per stage, in total, and SE's share."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from typing import Any

import keras
from keras import layers
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from keras_se.graph.keras_private import all_trainable_variables, flattened
from keras_se.graph.walk import Call, Shape, calls
from keras_se.layers import EXCITATIONS, ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite

# What multiplies two results of the network, or one with a constant, and has no weights: layers, and operations of
# `keras.ops`, whose classes have no public names.
PRODUCTS = {
    *("Matmul", "Dot", "Vdot", "Inner", "Outer", "Kron", "Tensordot", "Einsum", "Correlate"),
    *("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "DotProductAttention", "Attention"),
}
# What the layers of this package's networks are called by: `stage3_block2_conv1`, `stem_conv`, `final_conv`.
STAGE = re.compile(r"(stem|stage\d+|transition\d+|final)_")


@dataclass(frozen=True)
class Cost:
    """What a call of a layer costs.

    Attributes:
        name: The layer's, after those of the models that it is nested in.
        kind: The layer's class.
        stage: `"stem"`, `"stage1"`, …, `"final"`, or `"head"` for what has none of these names; `"all"` in a model
            that has no layer of such a name.
        output_shape: Without the batch.
        parameters: Trainable parameters. Those of a layer that is called again are counted at its first call.
        macs: Multiply-accumulates for one sample.
        is_se: Whether it is an excitation layer of this package.
    """

    name: str
    kind: str
    stage: str
    output_shape: Shape
    parameters: int
    macs: int
    is_se: bool


@dataclass(frozen=True)
class Complexity:
    """What `complexity` returns.

    Attributes:
        model: The model's name.
        input_shapes: The shape of each input, without the batch, that it was counted for.
        layers: A `Cost` for each call that has parameters or multiply-accumulates, in the order of the graph.
        uncounted: Layers with kernels, and products without (`keras.ops.matmul`, `keras.layers.Dot`), whose
            multiply-accumulates are not known here, and are missing in `macs`.
    """

    model: str
    input_shapes: tuple[Shape, ...]
    layers: tuple[Cost, ...]
    uncounted: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Trainable parameters. Moving statistics are none; those of a frozen layer are."""
        return sum(cost.parameters for cost in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample: what the SE paper and many others call FLOPs."""
        return sum(cost.macs for cost in self.layers)

    @property
    def se_parameters(self) -> int:
        return sum(cost.parameters for cost in self.layers if cost.is_se)

    @property
    def se_macs(self) -> int:
        return sum(cost.macs for cost in self.layers if cost.is_se)

    @property
    def stages(self) -> dict[str, "Complexity"]:
        """The same for each stage, in the order of the graph."""
        names = dict.fromkeys(cost.stage for cost in self.layers)
        return {
            name: Complexity(
                self.model, self.input_shapes, tuple(cost for cost in self.layers if cost.stage == name), ()
            )
            for name in names
        }

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            **self._sums(),
            "uncounted": list(self.uncounted),
            "stages": {name: stage._sums() for name, stage in self.stages.items()},
            "layers": [asdict(cost) | {"output_shape": list(cost.output_shape)} for cost in self.layers],
        }

    def table(self, by_layer: bool = False) -> Table:
        """For a terminal: a row for each stage, or for each layer, and the sum."""
        title = Text(f"{self.model}, input {_sizes(self.input_shapes)}")  # names are no markup
        table = Table(title=title, box=SIMPLE_HEAD, show_footer=True)
        sums = ("total", "", f"{self.parameters:,}", _share(self.se_parameters, self.parameters))
        footers = (*sums, f"{self.macs / 1e6:,.2f}", _share(self.se_macs, self.macs))
        headers = ("layer" if by_layer else "stage", "output", "parameters", "of SE", "MMACs", "of SE")
        for header, footer in zip(headers, footers, strict=True):
            left = header in ("layer", "stage", "output")
            table.add_column(header, footer, justify="left" if left else "right", overflow="fold")
        rows: list[tuple[str, tuple[Cost, ...]]] = [(name, stage.layers) for name, stage in self.stages.items()]
        if by_layer:
            rows = [(cost.name, (cost,)) for cost in self.layers]
        for name, costs in rows:
            one = Complexity(self.model, self.input_shapes, costs, ())
            table.add_row(
                Text(name),
                _sizes((costs[-1].output_shape,)),
                f"{one.parameters:,}",
                _share(one.se_parameters, one.parameters),
                f"{one.macs / 1e6:,.2f}",
                _share(one.se_macs, one.macs),
            )
        return table

    def _sums(self) -> dict[str, int]:
        return {
            "parameters": self.parameters,
            "se_parameters": self.se_parameters,
            "macs": self.macs,
            "se_macs": self.se_macs,
        }

    def __str__(self) -> str:
        parameters = f"{self.parameters:,} parameters ({_share(self.se_parameters, self.parameters) or '0 %'} SE)"
        macs = f"{self.macs / 1e9:.3f} GMACs ({_share(self.se_macs, self.macs) or '0 %'} SE)"
        return f"{self.model}: {parameters}, {macs} for {_sizes(self.input_shapes)}"


def complexity(model: keras.Model, input_shape: Sequence[Any] | None = None) -> Complexity:
    """Counts parameters and multiply-accumulates from the graph of a model.

    Counted are convolutions (with groups, dilation, strides, depthwise, separable and transposed), dense layers, and of
    SE the two projections and the product of map and gates. Not counted, as in the papers: batch norms (which an export
    folds away), biases, activations, pooling (the squeeze is one) and additions.

    Example:

    >>> from keras_se import complexity
    >>> from keras_se.models import SEResNet50
    >>> print(complexity(SEResNet50()))
    se_resnet50: 28,088,024 parameters (9.0 % SE), 3.866 GMACs (0.2 % SE) for 224x224x3

    Args:
        model: A functional or Sequential model; models within are counted, too.
        input_shape: Without the batch, where the model's own is partly unknown or another is wanted; a sequence of
            shapes for several inputs.

    Returns:
        A `Complexity`.

    Raises:
        ValueError: for a model without a graph, or a shape that is unknown or does not fit.
    """
    shapes = _input_shapes(model, input_shape)
    counted: set[int] = set()
    costs, uncounted = [], []
    for call in calls(model, [(1, *shape) for shape in shapes]):
        _check_fits(call)
        variables = {id(v): v for v in _variables(call.layer) if id(v) not in counted}
        counted |= set(variables)
        count = _counter(call.layer) if all(None not in shape for shape in call.inputs + call.outputs) else None
        product = type(call.layer).__name__ in PRODUCTS or any(len(v.shape) > 1 for v in _variables(call.layer))
        if count is None and product:
            uncounted.append(call.path)
        cost = Cost(
            name=call.path,
            kind=type(call.layer).__name__,
            stage=_stage(call.layer.name),
            output_shape=call.outputs[0][1:] if call.outputs else (),
            parameters=sum(math.prod(variable.shape) for variable in variables.values()),
            macs=0 if count is None else count(call.layer, call),
            is_se=isinstance(call.layer, EXCITATIONS),
        )
        if cost.parameters or cost.macs:
            costs.append(cost)
    if not any(STAGE.match(cost.name.rsplit("/", 1)[-1]) for cost in costs):
        costs = [replace(cost, stage="all") for cost in costs]
    return Complexity(model.name, tuple(shapes), tuple(costs), tuple(uncounted))


def _input_shapes(model: keras.Model, input_shape: Sequence[Any] | None) -> list[Shape]:
    if input_shape is None:
        given = [tuple(x.shape[1:]) for x in getattr(model, "inputs", None) or []]
    else:
        several = isinstance(input_shape, Sequence) and bool(input_shape) and isinstance(input_shape[0], Sequence)
        given = list(input_shape) if several else [input_shape]  # type: ignore[list-item]
    for shape in given:
        if not isinstance(shape, Sequence) or any(not isinstance(size, Integral) or size < 1 for size in shape):
            raise ValueError(f"input_shape must have a known size everywhere. Received: {shape}")
    return [tuple(int(size) for size in shape) for shape in given]


def _check_fits(call: Call) -> None:
    """Refuses what the weights of a layer do not fit, which no layer does when only shapes run through it."""
    specs = keras.tree.flatten(getattr(call.layer, "input_spec", None))
    for shape, spec in zip(call.inputs, specs, strict=False):
        axes = spec.axes if isinstance(spec, keras.InputSpec) else {}
        if any(shape[axis] not in (None, size) for axis, size in axes.items()):
            wanted = ", ".join(f"{size} on axis {axis}" for axis, size in axes.items())
            raise ValueError(
                f"input_shape must fit the weights, and {call.path!r} needs {wanted}. "
                f"Received: a shape that gives it {shape}"
            )


def _variables(layer: Any) -> list[Any]:
    """The trainable variables of a layer, whether or not it is frozen."""
    parts = flattened(layer) if isinstance(layer, keras.layers.Layer) else []
    return [variable for part in parts for variable in all_trainable_variables(part)]


def _stage(name: str) -> str:
    match = STAGE.match(name)
    return match.group(1) if match else "head"


def _positions(shape: Shape, layer: Any) -> int:
    """How many places a map has, its channels left out."""
    # The batch is 1, unless an operation before has moved other axes there.
    return shape[0] * math.prod(shape[2:] if layer.data_format == "channels_first" else shape[1:-1])


def _weights_at(positions: int, *kernels: Any) -> int:
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)


def _of_channel_gates(layer: Any, shape: Shape) -> int:
    return _weights_at(shape[0], layer.reduce_kernel, layer.expand_kernel) + math.prod(shape)


def _of_spatial_gates(layer: Any, shape: Shape) -> int:
    return _weights_at(_positions(shape, layer), layer.kernel) + math.prod(shape)


Counter = Callable[[Any, Call], int]
# The multiply-accumulates of a call, by class.
COUNTERS: dict[tuple[type, ...], Counter] = {
    (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D): (
        lambda layer, call: _weights_at(_positions(call.outputs[0], layer), layer.kernel)
    ),
    (layers.SeparableConv1D, layers.SeparableConv2D): (
        lambda layer, call: _weights_at(
            _positions(call.outputs[0], layer), layer.depthwise_kernel, layer.pointwise_kernel
        )
    ),
    (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose): (
        lambda layer, call: _weights_at(_positions(call.inputs[0], layer), layer.kernel)
    ),
    (layers.Dense,): lambda layer, call: _weights_at(math.prod(call.inputs[0][:-1]), layer.kernel),
    (layers.BatchNormalization, layers.LayerNormalization, layers.PReLU, layers.Embedding): lambda layer, call: 0,
    (SqueezeExcite,): lambda layer, call: _of_channel_gates(layer, call.inputs[0]),
    (SpatialSqueezeExcite,): lambda layer, call: _of_spatial_gates(layer, call.inputs[0]),
    (ConcurrentSqueezeExcite,): (
        lambda layer, call: (
            _of_channel_gates(layer.channel, call.inputs[0]) + _of_spatial_gates(layer.spatial, call.inputs[0])
        )
    ),
}


def _counter(layer: Any) -> Counter | None:
    return next((count for kinds, count in COUNTERS.items() if isinstance(layer, kinds)), None)


def _sizes(shapes: Sequence[Shape]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}".replace("%", " %") if part else ""
