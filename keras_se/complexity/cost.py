"""The complexity of a model: the cost of each call of a layer, and their sums."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from keras_se.graph.walk import Shape


@dataclass(frozen=True)
class Cost:
    """The cost of one call of a layer.

    Attributes:
        name: The layer's path: its name, after the names of the models that contain it.
        kind: The layer's class.
        stage: `"stem"`, `"stage1"`, …, `"final"`, or `"head"` for layers with other names; `"all"` in a model without
            such names.
        output_shape: Without the batch.
        parameters: Trainable parameters. A layer that is called several times has them in its first call.
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
    """The result of `complexity`.

    Attributes:
        model: The model's name.
        input_shapes: The shape of each input for which it was counted, without the batch.
        layers: A `Cost` for each call with parameters or multiply-accumulates, in the order of the graph.
        uncounted: Layers with kernels, and products without (`keras.ops.matmul`, `keras.layers.Dot`), whose
            multiply-accumulates are unknown and therefore missing in `macs`.
    """

    model: str
    input_shapes: tuple[Shape, ...]
    layers: tuple[Cost, ...]
    uncounted: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Trainable parameters, including those of frozen layers. Moving statistics are not counted."""
        return sum(cost.parameters for cost in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample, which the SE paper and many others call FLOPs."""
        return sum(cost.macs for cost in self.layers)

    @property
    def se_parameters(self) -> int:
        return sum(cost.parameters for cost in self.layers if cost.is_se)

    @property
    def se_macs(self) -> int:
        return sum(cost.macs for cost in self.layers if cost.is_se)

    @property
    def stages(self) -> dict[str, "Complexity"]:
        """The complexity of each stage, in the order of the graph."""
        names = dict.fromkeys(cost.stage for cost in self.layers)
        costs = {name: tuple(cost for cost in self.layers if cost.stage == name) for name in names}
        return {name: Complexity(self.model, self.input_shapes, costs[name], ()) for name in names}

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
        """For a terminal: a row for each stage, or for each layer, and the total."""
        title = Text(f"{self.model}, input {_sizes(self.input_shapes)}")  # not markup: a name may hold brackets
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
        return {name: getattr(self, name) for name in ("parameters", "se_parameters", "macs", "se_macs")}

    def __str__(self) -> str:
        parameters = f"{self.parameters:,} parameters ({_share(self.se_parameters, self.parameters) or '0 %'} SE)"
        macs = f"{self.macs / 1e9:.3f} GMACs ({_share(self.se_macs, self.macs) or '0 %'} SE)"
        return f"{self.model}: {parameters}, {macs} for {_sizes(self.input_shapes)}"


def _sizes(shapes: Sequence[Shape]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}".replace("%", " %") if part else ""
