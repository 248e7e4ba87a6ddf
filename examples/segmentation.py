"""Train a U-Net with SE on drawn scenes, compare it with the same one without SE, export it, and measure each file.

    python examples/segmentation.py --output segmentation_output
    python examples/segmentation.py --data FOLDER

`_shared/scenes.py` draws the scenes: shapes and letters of six classes over clutter. `--data` takes your own folder
with images/ and masks/ of the same names (`_shared/mask_folder.py`). The comparison is reported whichever network is
better. The files are those of the first seed.
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import keras
import matplotlib.pyplot as plt
import numpy as np
from _shared import demo
from _shared.command_line import output_option, refusals
from _shared.mask_folder import mask_folder
from _shared.scenes import CLASSES, scenes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from keras_se.export import Artifact
from keras_se.models import SEResNet, SEUNet

# Small, because the number of steps matters most.
BATCH = 16
RATE = 2.5e-3
# The share of training images whose colours are changed, so that the network also learns shapes.
RECOLOURED = 0.2
CALIBRATION = 200
SCORE = "mean IoU"
# Loss of mean IoU by mode. A wrong file loses more.
LARGEST_LOSS = {"float32": 0.001, "int8": 0.02}
SHOWN = 4  # scenes in the picture
BACKGROUND = "background"
TOO_LITTLE = "Images must be of 32x32 pixels or more. Received: {}x{}"


@dataclass(frozen=True)
class Setting:
    """The amount of data and training.

    Attributes:
        images, held_out: Scenes to train on and to measure on.
        epochs, seeds: Of each network.
        least: The mean IoU that the network with SE must reach.
    """

    images: int
    held_out: int
    epochs: int
    seeds: int
    least: float


SETTINGS = {"small": Setting(4000, 500, 4, 3, 0.85), "tests": Setting(256, 64, 3, 1, 0.1)}


@dataclass(frozen=True)
class Data:
    """Images from 0 to 1, masks of class numbers, and the classes' names."""

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray
    classes: list[str]

    def mean_iou(self, outputs: np.ndarray, masks: np.ndarray) -> float:
        """The mean over classes of intersection over union."""
        metric = keras.metrics.MeanIoU(len(self.classes), sparse_y_pred=False)
        metric.update_state(masks, outputs)
        return float(metric.result())


def drawn(setting: Setting) -> Data:
    train, held = scenes(setting.images, seed=0), scenes(setting.held_out, seed=1)
    return Data(train.images, train.masks, held.images, held.masks, [BACKGROUND, *CLASSES])


def of_folder(folder: Path) -> Data:
    (x, y), (held_x, held_y), classes = mask_folder(folder)
    if min(x.shape[1:3]) < 32:
        raise ValueError(TOO_LITTLE.format(*x.shape[1:3]))
    return Data(x, y, held_x, held_y, classes)


def build(data: Data, se: bool) -> keras.Model:
    """A U-Net on a narrow residual network, both with SE or both without."""
    backbone = SEResNet(
        depths=(1, 1, 1),
        block="basic",
        filters=(24, 48, 96),
        r=8 if se else None,
        input_shape=data.x.shape[1:],
        include_top=False,
    )
    decoder = {"filters": (48, 32, 24), "stride": 2, "se": "scse" if se else None}
    return SEUNet(backbone, len(data.classes), **decoder, name="segmentation")


def in_other_colours(images: np.ndarray, rng: np.random.Generator, share: float = RECOLOURED) -> np.ndarray:
    """The same scenes, some of them with permuted, or permuted and inverted, colours. Nothing moves."""
    result = images.copy()
    for i in np.flatnonzero(rng.random(len(images)) < share):
        image = images[i][..., rng.permutation(3)]
        result[i] = 1 - image if rng.random() < 0.5 else image
    return result


def loss(masks: Any, found: Any) -> Any:
    """Cross-entropy plus the Dice loss, in which small objects count as much as the background."""
    wanted = keras.ops.one_hot(keras.ops.cast(masks, "int32"), found.shape[-1], dtype=found.dtype)
    overlap = keras.losses.dice(wanted, found, axis=(0, 1, 2))
    return keras.losses.categorical_crossentropy(wanted, found) + keras.ops.mean(overlap)


def trained(se: bool, seed: int, data: Data, epochs: int, bar: demo.Progress) -> keras.Model:
    keras.utils.set_random_seed(seed)  # the same images in the same order, whatever the network
    model = build(data, se)
    varied = partial(in_other_colours, rng=np.random.default_rng(seed))
    what = f"seed {seed}, {'with' if se else 'without'} SE"
    options = {"what": what, "loss": loss, "rate": RATE, "batch": BATCH}
    demo.train(model, data.x, data.y, epochs, bar, varied=varied, **options)
    return keras.Model(model.input, model.output, name=model.name)  # without the loss, which the file does not require


def plot(data: Data, artifacts: dict[str, Artifact]) -> Any:
    """Plots some held-out images, their masks, and those of files."""
    images = data.held_x[:SHOWN]
    colours = ListedColormap(["#20222a", *plt.get_cmap("tab10").colors, *plt.get_cmap("tab20b").colors])
    masks = {name: artifact.predict(images).argmax(-1) for name, artifact in artifacts.items()}
    columns = {"image": images, "truth": data.held_y[:SHOWN], **masks}
    figure, axes = plt.subplots(
        *(len(images), len(columns)),
        figsize=(1.9 * len(columns), 1.9 * len(images) + 0.7),
        layout="constrained",
        squeeze=False,
    )
    for column, (name, pictures) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(name, fontsize=10)
        for panel, picture in zip(column, pictures, strict=True):
            panel.imshow(picture, cmap=colours, vmin=-0.5, vmax=colours.N - 0.5, interpolation="nearest")
            panel.axis("off")
    patches = [Patch(color=colours(i), label=name) for i, name in enumerate(data.classes)]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=9)
    return figure


DATA_HELP = "images/ and masks/ with files of the same names; a mask is a PNG of class numbers."


@click.command()
@click.option("--setting", type=click.Choice(list(SETTINGS)), default="small", show_default=True)
@click.option("--data", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), help=DATA_HELP)
@output_option("segmentation_output")
def main(setting: str, folder: Path | None, output: Path) -> None:
    """Train, compare, export, and measure. Exit status 1 if something falls short, 2 for a folder that does not fit."""
    console, chosen = demo.console(), SETTINGS[setting]
    with refusals():
        data = of_folder(folder) if folder else drawn(chosen)
        output.mkdir(parents=True, exist_ok=True)
    console.print(demo.introduction(len(data.x), len(data.classes), len(data.held_x)))
    with demo.progress(console) as bar:
        model, table, verdict = demo.compared(
            partial(trained, data=data, epochs=chosen.epochs, bar=bar),
            lambda model: {SCORE: data.mean_iou(model.predict(data.held_x, verbose=0), data.held_y)},
            *(chosen.seeds, f"On the {len(data.held_x):,} held-out images"),
        )
        model.save(output / "segmentation.keras")
        artifacts = demo.exported(
            *(model, output, data.x[:CALIBRATION], data.held_x[:CALIBRATION], bar),
            formats=("tflite", "onnx"),
            modes=(None, "int8"),
        )
    console.print(table)
    console.print(verdict)
    iou, rows = demo.measured(model, artifacts, data.held_x, data.held_y, data.mean_iou)
    console.print(f"The network with SE that is exported: {iou:.2%} {SCORE} in Keras.")
    console.print(demo.table(rows, len(data.held_x), SCORE))
    files = {f"TFLite, {file.quantize or 'float32'}": file for file in artifacts if file.format == "tflite"}
    demo.picture(plot(data, files), output / "segmentation.png")
    console.print(f"Picture: {output / 'segmentation.png'} (held-out images, their masks, and those of the files).")
    least = 0.0 if folder else chosen.least
    for sentence in (found := demo.shortfalls(iou, rows, least, LARGEST_LOSS, SCORE)):
        console.print(f"[red]{sentence}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
