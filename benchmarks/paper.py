"""Our parameters and multiply-accumulates beside the SE paper's figures, counted in networks that are built here.

python benchmarks/paper.py            prints the tables; exit status 1 if a figure differs from the paper's
python benchmarks/paper.py --write    also writes docs/paper.md
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

# The tables can be made and tested without Keras. Functions that require it import it.
DOCUMENT = Path(__file__).parent.parent / "docs" / "paper.md"
SOURCE = "[Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., arXiv 1709.01507 v4"


class Counts(NamedTuple):
    """Trainable parameters and multiply-accumulates, without SE and with it."""

    parameters: int
    macs: int
    se_parameters: int
    se_macs: int


class Figures(NamedTuple):
    """The paper's figures of a network: top-1 / top-5 error in % and GMACs, without SE (re-trained there) and with SE.

    `published` is the cost of the published network without SE, where the paper has another figure.
    """

    name: str
    builder: str
    errors: str
    gmacs: float | None
    se_errors: str
    se_gmacs: float
    tolerance: float = 0.01
    published: float | None = None


PAPER = (
    Figures("ResNet-50", "SEResNet50", "24.80 / 7.48", 3.86, "23.29 / 6.62", 3.87),
    Figures("ResNet-101", "SEResNet101", "23.17 / 6.52", 7.58, "22.38 / 6.07", 7.60),
    Figures("ResNet-152", "SEResNet152", "22.42 / 6.34", 11.30, "21.57 / 5.73", 11.32),
    Figures("ResNeXt-50", "SEResNeXt50", "22.11 / 5.90", 4.24, "21.10 / 5.49", 4.25),
    Figures("ResNeXt-101", "SEResNeXt101", "21.18 / 5.57", 7.99, "20.70 / 5.01", 8.00),
    Figures("VGG-16 (BN)", "SEVGG16", "27.02 / 8.81", 15.47, "25.22 / 7.70", 15.48),
    Figures("BN-Inception", "SEBNInception", "25.38 / 7.89", 2.03, "24.23 / 7.14", 2.04),
    Figures("Inception-ResNet-v2", "SEInceptionResNetV2", "20.37 / 5.21", 11.75, "19.80 / 4.79", 11.76, 0.01, 13.16),
    Figures("MobileNet", "SEMobileNet", "28.4 / 9.4", 0.569, "25.3 / 7.7", 0.572),
    Figures("ShuffleNet", "SEShuffleNet", "32.6 / 12.5", 0.140, "31.0 / 11.1", 0.142, 0.03),
    Figures("SENet-154", "SENet154", "-", None, "18.68 / 4.47", 20.69),
)


class Ablation(NamedTuple):
    """A row of the paper's ablations: SE-ResNet-50 without biases in the excitation."""

    what: str
    top1: str
    millions: float
    r: int = 16
    stages: tuple[int, ...] = (1, 2, 3, 4)
    placement: str = "standard"


# The paper calls our stages 1 to 4 stages 2 to 5, and names the first three of them in its ablation.
ABLATIONS = (
    Ablation("r = 2", "22.29", 45.7, r=2),
    Ablation("r = 4", "22.25", 35.7, r=4),
    Ablation("r = 8", "22.26", 30.7, r=8),
    Ablation("r = 16", "22.28", 28.1),
    Ablation("r = 32", "22.72", 26.9, r=32),
    Ablation("SE in stage 1 only", "23.03", 25.6, stages=(1,)),
    Ablation("SE in stage 2 only", "23.04", 25.7, stages=(2,)),
    Ablation("SE in stage 3 only", "22.68", 26.4, stages=(3,)),
    Ablation("SE after the 3x3", "22.48", 25.8, placement="3x3"),
)
# In millions, by r. With r = 8 the paper has 0.06 more than its own formula gives.
ABLATION_TOLERANCE = {8: 0.061}


def counts(builder: str) -> Counts:
    """Builds a network, plain and with SE, and counts."""
    import keras_se.models
    from keras_se import complexity

    plain, excited = (complexity(getattr(keras_se.models, builder)(r=r)) for r in (None, 16))
    return Counts(plain.parameters, plain.macs, excited.parameters, excited.macs)


def ablated(row: Ablation) -> int:
    """All parameters of an ablation, with the moving statistics of batch norms, as in the paper."""
    from keras_se import SqueezeExcite
    from keras_se.models import SEResNet50

    def se(stage: int) -> SqueezeExcite | None:
        return SqueezeExcite(row.r, use_bias=False) if stage in row.stages else None

    return SEResNet50(se=se, placement=row.placement).count_params()


def is_close(ours: int, papers: float | None, tolerance: float) -> bool:
    """Whether our multiply-accumulates are close to the paper's billions."""
    return papers is None or abs(ours / 1e9 - papers) <= tolerance * papers


def agrees(figures: Figures, ours: Counts) -> bool:
    if figures.published is not None:
        return is_close(ours.macs, figures.published, 0.001)
    tolerance = figures.tolerance
    return is_close(ours.macs, figures.gmacs, tolerance) and is_close(ours.se_macs, figures.se_gmacs, tolerance)


def ablation_agrees(row: Ablation, parameters: int) -> bool:
    return abs(parameters / 1e6 - row.millions) <= ABLATION_TOLERANCE.get(row.r, 0.05)


def table(headers: list[str], rows: list[list[str]], left: int = 1) -> str:
    """A Markdown table. The first columns are aligned left, the others right."""
    rule = ["---" if i < left else "---:" for i in range(len(headers))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [headers, rule, *rows])


def networks_table(count: Callable[[str], Counts]) -> str:
    headers = ["network", "top-1 / top-5 error", "paper's GMACs", "ours", "parameters"]
    headers += ["with SE: error", "paper's GMACs", "ours", "parameters"]
    rows = []
    for figures in PAPER:
        ours = count(figures.builder)
        plain = [
            "-" if figures.gmacs is None else _billions(figures.gmacs),
            f"{ours.macs / 1e9:.3f}",
            f"{ours.parameters:,}",
        ]
        excited = [_billions(figures.se_gmacs), f"{ours.se_macs / 1e9:.3f}", f"{ours.se_parameters:,}"]
        rows.append([figures.name, figures.errors, *plain, figures.se_errors, *excited])
    return table(headers, rows)


def _billions(gmacs: float) -> str:
    return f"{gmacs:.2f}" if gmacs >= 1 else f"{gmacs:.3f}"


def ablations_table(count: Callable[[Ablation], int]) -> str:
    rows = [[row.what, row.top1, f"{row.millions} M", f"{count(row) / 1e6:.2f} M"] for row in ABLATIONS]
    return table(["SE-ResNet-50", "top-1 error", "paper's parameters", "ours"], rows)


def document(networks: str, ablations: str) -> str:
    return f"""# The paper's figures and ours

**The errors are the paper's**, on ImageNet, with its authors' weights:
{SOURCE}.
None was measured here. **Parameters and multiply-accumulates are ours**, counted in the networks that
`keras_se.models` builds. `python benchmarks/paper.py` prints both.

## ImageNet, single crop

{networks}

Images have 224x224 pixels, those of Inception-ResNet-v2 299x299. Parameters are trainable ones. The published
Inception-ResNet-v2, with TensorFlow and in `keras.applications`, costs 13.16 GMACs; the paper's figure is for another
variant. Ours is the published one, to the last parameter. In the paper, SENet-154 at 320x320 has 17.28 / 3.79.

## Ablations

{ablations}

The paper's figures result when excitations have no bias and the moving statistics of batch norms (53,120) are counted.
For r = 8 the paper has 0.06 M more than its own formula gives. The paper's stages 2, 3 and 4 are 1, 2 and 3 here.
"""


@click.command()
@click.option("--write", is_flag=True, help="Write docs/paper.md, too.")
def main(write: bool) -> None:
    counted = {figures.builder: counts(figures.builder) for figures in PAPER}
    parameters = {row: ablated(row) for row in ABLATIONS}
    text = document(networks_table(counted.__getitem__), ablations_table(parameters.__getitem__))
    print(text)
    if write:
        DOCUMENT.write_text(text)
    wrong = [figures.name for figures in PAPER if not agrees(figures, counted[figures.builder])]
    wrong += [row.what for row in ABLATIONS if not ablation_agrees(row, parameters[row])]
    if wrong:
        sys.exit(f"These differ from the paper: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
