"""Where SE spends the time of a training step: networks with parts of SE, each over the network without SE.

    python benchmarks/training_parts.py
    python benchmarks/training_parts.py --network SEMobileNet --xla

"Gates of no gradient" are computed and applied, but nothing is learned through them. Their cost is reading for the
squeeze, and scaling, forwards and backwards. The remaining cost of SE is the gradient by the gates, which reads the
scaled map and the incoming gradient, and the update of the weights. The networks alternate in one process.
"""

from collections.abc import Callable
from typing import Any

import click
import numpy as np
from _shared.measured_networks import BUILDERS
from _shared.results import Results
from _shared.timing import Ratio, cores
from keras import ops
from se_overhead import BATCH, CLASSES, TRAINING_SIZE, training_step

import keras_se.models
from keras_se import SqueezeExcite
from keras_se.export.probes.timing import turns

# All except MobileNetV3, whose SE is another one than the parts here.
NETWORKS = [builder for builder in BUILDERS if not builder.startswith("SEMobileNetV3")]

COLUMNS: dict[str, Callable[[Any], str]] = {
    "network": lambda row: row["network"],
    "what": lambda row: row["what"],
    "ms": lambda row: f"{row['ms']:.1f}",
    "over the plain network (middle half)": Ratio.shown,
}


class WithoutGradient(SqueezeExcite):
    """Gates that are constants for the gradient."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        gates = ops.stop_gradient(self.excitation(inputs, mask))
        return ops.multiply(inputs, ops.reshape(gates, (-1, 1, 1, inputs.shape[-1])))


PARTS: dict[str, Callable[..., Any] | None] = {
    "without SE": None,
    "gates of no gradient": lambda stage: WithoutGradient(trainable=False),
    "SE": lambda stage: SqueezeExcite(),
}


@click.command()
@click.option("--network", type=click.Choice(NETWORKS), default="SEResNet50", show_default=True)
@click.option("--xla/--no-xla", default=False, show_default=True)
@click.option("--size", type=click.IntRange(32), default=TRAINING_SIZE, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
@click.option("--name", default="training_parts", show_default=True, help="Of the files in benchmarks/results/.")
def main(network: str, xla: bool, size: int, rounds: int, name: str) -> None:
    """Prints medians of the ratios of the rounds, and their middle half."""
    title = f"A training step, {size}x{size}, batch {BATCH}, {cores()} threads, {'XLA' if xla else 'no XLA'}"
    results = Results(name, title, COLUMNS, rounds=rounds)
    steps = []
    for se in PARTS.values():
        options = {"r": None} if se is None else {"se": se}
        model = getattr(keras_se.models, network)(input_shape=(size, size, 3), classes=CLASSES, **options)
        steps.append(training_step(model, xla))
    found = turns(steps, rounds)
    for what, seconds in zip(PARTS, found, strict=True):
        ms = 1e3 * float(np.median(seconds))
        results.add(network=network, what=what, ms=ms, **Ratio.of(seconds, found[0]).fields())
    results.show()
    results.plot_ratios(lambda row: row["what"], "over the plain network")


if __name__ == "__main__":
    main()
