"""Train a detector with SE on drawn scenes, compare it with the same one without SE, export it, and measure each file.

    python examples/detection.py --output detection_output
    python examples/detection.py --data annotations.json --images FOLDER

`_shared/scenes.py` draws the scenes: shapes and letters of six classes over clutter. `--data` takes your own
annotations in COCO's format (`_shared/coco_folder.py`). The comparison is reported whichever network is better. The
files are those of the first seed. Average precision is COCO's, computed from the outputs of the exported files.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import keras
import matplotlib.pyplot as plt
import numpy as np
from _shared import demo
from _shared.coco_folder import Boxed, coco_folder
from _shared.coco_scores import average_precision, cocotools
from _shared.command_line import output_option, refusals
from _shared.scenes import CLASSES, SIZE, scenes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from rich.table import Table

from keras_se.export import Artifact
from keras_se.models import SEFCOS, FCOSLoss, SEResNet, detection_targets, with_detections

STRIDES = (4, 8, 16)
# The distance to the sides of an object, in locations of its map. Most objects belong to the middle map.
REACH = 4.0
DETECTIONS = 20
# Small, because the number of steps matters most.
BATCH = 16
RATE = 2e-3
CALIBRATION = 200
# The first score has limits: the least of the network, and the largest loss of a file.
SCORES = ("AP50", "AP")
# Loss of AP50 by mode. A wrong file loses more.
LARGEST_LOSS = {"float32": 0.001, "int8": 0.02}
SHOWN = 5  # images in the picture
LEAST_SHOWN = 0.3  # score of a detection in it


@dataclass(frozen=True)
class Setting:
    """The amount of data and training.

    Attributes:
        images, held_out: Scenes to train on and to measure on.
        epochs, seeds: Of each network.
        least: The AP50 that the network with SE must reach.
    """

    images: int
    held_out: int
    epochs: int
    seeds: int
    least: float


SETTINGS = {"small": Setting(4000, 500, 4, 3, 0.75), "tests": Setting(256, 48, 2, 1, 0.0)}


def drawn(setting: Setting) -> tuple[Boxed, Boxed, list[str], int]:
    parts = (scenes(setting.images, seed=0), scenes(setting.held_out, seed=1))
    train, held = (Boxed(part.images, part.boxes, part.labels) for part in parts)
    return train, held, list(CLASSES), 0


def build(classes: int, se: bool) -> keras.Model:
    """A detector on a narrow residual network, both with SE or both without."""
    r = 8 if se else None
    backbone = SEResNet(
        depths=(1, 1, 1),
        block="basic",
        filters=(24, 48, 96),
        r=r,
        input_shape=(SIZE, SIZE, 3),
        include_top=False,
    )
    return SEFCOS(backbone, classes, filters=32, strides=STRIDES, depth=1, r=r)


def trained(se: bool, seed: int, train: Boxed, classes: int, epochs: int, bar: demo.Progress) -> keras.Model:
    keras.utils.set_random_seed(seed)  # the same images in the same order, whatever the network
    model = build(classes, se)
    targets = detection_targets(train.boxes, train.labels, model, reach=REACH)
    what = f"seed {seed}, {'with' if se else 'without'} SE"
    demo.train(model, train.images, targets, epochs, bar, what=what, loss=FCOSLoss(), rate=RATE, batch=BATCH)
    return with_detections(model, DETECTIONS, name="detection")


def scored(held: Boxed, found: Mapping[str, np.ndarray]) -> dict[str, float]:
    return dict(zip(SCORES, average_precision(held.boxes, held.labels, found), strict=True))


def measured(held: Boxed, artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    """A row for each file: the precision of its detections in held-out images, in its own runtime."""
    rows = []
    for artifact in artifacts:
        scores = scored(held, artifact.predict(held.images))
        own = {"score": scores[SCORES[0]], "latency": demo.milliseconds(artifact)}
        rows.append({**demo.about(artifact), **scores, **own})
    return rows


def table(rows: Sequence[dict[str, Any]], held_out: int) -> Table:
    columns = {**{score: (score, ".2%") for score in SCORES}, "ms / image": ("latency", ".2f")}
    return demo.file_table(f"Each file on the {held_out:,} held-out images, in its own runtime", rows, columns)


def plot(held: Boxed, classes: Sequence[str], artifacts: dict[str, Artifact]) -> Any:
    """Plots some held-out images with their objects, and with the detections of files."""
    images, count = held.images[:SHOWN], min(SHOWN, len(held.images))
    colours = plt.get_cmap("tab10").colors
    truth = [
        [(box, label, classes[label]) for box, label in zip(*objects, strict=True)]
        for objects in zip(held.boxes[:count], held.labels[:count], strict=True)
    ]
    columns = {"truth": truth} | {
        name: _shown(artifact.predict(images), classes) for name, artifact in artifacts.items()
    }
    figure, axes = plt.subplots(
        *(len(columns), count), figsize=(2.3 * count, 2.4 * len(columns)), layout="constrained", squeeze=False
    )
    for row, (name, found) in zip(axes, columns.items(), strict=True):
        for panel, image, objects in zip(row, images, found, strict=True):
            panel.imshow(image, extent=(0, image.shape[1], image.shape[0], 0))
            panel.set(xticks=[], yticks=[])
            for (left, top, right, bottom), label, text in objects:
                colour = colours[label % len(colours)]
                frame = Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, lw=1.8)
                frame.set_path_effects([withStroke(linewidth=3.4, foreground="white")])  # objects may have its colour
                panel.add_patch(frame)
                panel.text(
                    *(left, max(top, 5), text),
                    fontsize=8,
                    color="white",
                    va="bottom",
                    bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
                )
        row[0].set_ylabel(name, fontsize=11)
    return figure


def _shown(found: dict[str, np.ndarray], classes: Sequence[str]) -> list[list[tuple[np.ndarray, int, str]]]:
    """The boxes of each image whose scores are high enough, with their captions."""
    return [
        [
            (box, int(label), f"{classes[int(label)]} {score:.2f}")
            for box, label, score in zip(boxes, labels, scores, strict=True)
            if score >= LEAST_SHOWN
        ]
        for boxes, labels, scores in zip(found["boxes"], found["classes"], found["scores"], strict=True)
    ]


@click.command()
@click.option("--setting", type=click.Choice(list(SETTINGS)), default="small", show_default=True)
@click.option("--data", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="In COCO's format.")
@click.option("--images", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Their images.")
@output_option("detection_output")
def main(setting: str, data: Path | None, images: Path | None, output: Path) -> None:
    """Train, compare, export, and measure. Exit status 1 if something falls short, 2 for data that do not fit."""
    console, chosen = demo.console(), SETTINGS[setting]
    with refusals():
        cocotools()  # an error before training if they are missing
        if (data is None) != (images is None):
            raise ValueError("--data and --images must be given together. Received: one of them")
        train, held, classes, left_out = coco_folder(data, images, SIZE) if data and images else drawn(chosen)
        output.mkdir(parents=True, exist_ok=True)
    console.print(demo.introduction(len(train.images), len(classes), len(held.images)))
    if left_out:
        console.print(f"Boxes left out, around crowds or without an area within their image: {left_out:,}.")
    with demo.progress(console) as bar:
        model, comparison, verdict = demo.compared(
            partial(trained, train=train, classes=len(classes), epochs=chosen.epochs, bar=bar),
            lambda model: scored(held, model.predict(held.images, verbose=0)),
            *(chosen.seeds, f"On the {len(held.images):,} held-out images"),
        )
        model.save(output / "detection.keras")
        artifacts = demo.exported(
            *(model, output, train.images[:CALIBRATION], held.images, bar),
            formats=("tflite", "onnx"),
            modes=(None, "int8"),
        )
    console.print(comparison)
    console.print(verdict)
    in_keras = scored(held, model.predict(held.images, verbose=0))[SCORES[0]]
    console.print(f"The network with SE that is exported: {in_keras:.2%} {SCORES[0]} in Keras.")
    rows = measured(held, artifacts)
    console.print(table(rows, len(held.images)))
    files = {f"TFLite, {file.quantize or 'float32'}": file for file in artifacts if file.format == "tflite"}
    demo.picture(plot(held, classes, files), output / "detection.png")
    shown = f"detections of the files with scores of {LEAST_SHOWN} or more"
    console.print(f"Picture: {output / 'detection.png'} (held-out images, and {shown}).")
    least = 0.0 if data else chosen.least
    for sentence in (found := demo.shortfalls(in_keras, rows, least, LARGEST_LOSS, SCORES[0])):
        console.print(f"[red]{sentence}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
