"""Where a training step's time goes that SE takes: whole networks with parts of it, each over the network without.

    python benchmarks/training_parts.py
    python benchmarks/training_parts.py --network SEMobileNet --xla

Gates of no gradient are computed and applied, but nothing is learned by them: what is left is reading for the squeeze
and scaling, forwards and backwards. The rest is the gradient by the gates, which reads what was scaled and the gradient
that comes, and the update of the projections' weights. The networks take turns in one process.
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

# But those whose own SE is another one, which the parts here are none of.
NETWORKS = [builder for builder in BUILDERS if not builder.startswith("SEMobileNetV3")]

COLUMNS: dict[str, Callable[[Any], str]] = {
    "network": lambda row: row["network"],
    "what": lambda row: row["what"],
    "ms": lambda row: f"{row['ms']:.1f}",
    "over the plain network (middle half)": Ratio.shown,
}


class WithoutGradient(SqueezeExcite):
    """Its gates are constants to whatever is before and after."""

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
    """Medians of the rounds' ratios, and between what their middle half lies."""
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
