"""Draws shapes and letters over clutter with a seeded generator, with masks, boxes and COCO annotations.

    python examples/_shared/scenes.py scenes --count 100

The objects are turned, have many sizes, and cover each other by up to half. Most objects have roughly the colour of
their class; one in ten has any colour. So neither colour nor shape alone decides the class. The background has pale
colours, lines, rings and blots. Noise covers everything.
"""

import colorsys
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

CLASSES = ("disc", "square", "triangle", "star", "H", "S")
SIZE = 64
# The most objects of a picture, and their sizes relative to it.
MOST_OBJECTS = 3
LEAST_SCALE, LARGEST_SCALE = 0.4, 0.7
# The share of an object that others may not cover.
LEAST_VISIBLE = 0.5
LEAST_CONTRAST = 110.0
# The share of objects of any colour; the deviation of the others from the colour of their class, per channel.
ANY_COLOUR, OFF_COLOUR = 0.1, 25.0
# The saturation of the background, compared with colours in general.
SATURATION = 0.3
# Masks are drawn larger by this factor and then reduced, for smooth edges.
FINER = 4


@dataclass(frozen=True)
class Scenes:
    """Pictures and their objects.

    Attributes:
        images: Of shape (pictures, size, size, 3), from 0 to 1.
        masks: Of shape (pictures, size, size): 0 for the background, then the classes from 1 on.
        boxes: For each picture, the left, top, right and bottom edges of the visible parts of objects, in pixels.
        labels: For each picture, the classes of the objects, from 0 on.
        instances: For each picture, a mask of the visible part of each object.
    """

    images: np.ndarray
    masks: np.ndarray
    boxes: list[np.ndarray]
    labels: list[np.ndarray]
    instances: list[np.ndarray]


def scenes(count: int, seed: int, size: int = SIZE) -> Scenes:
    """Pictures that depend on the seed alone."""
    rng = np.random.default_rng(seed)
    drawn = [_scene(rng, size) for _ in range(count)]
    images, labels, instances = map(list, zip(*drawn, strict=True))
    masks = np.stack([_labelled(*objects) for objects in zip(instances, labels, strict=True)])
    boxes = [np.array([_box(mask) for mask in masks], "float32") for masks in instances]
    return Scenes(np.stack(images).astype("float32") / 255, masks, boxes, labels, instances)


def _scene(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, the classes of its objects, and the mask of the visible part of each."""
    canvas = _clutter(rng, size)
    wanted = int(rng.integers(1, MOST_OBJECTS + 1))
    labels: list[int] = []
    whole: list[int] = []
    seen = np.zeros((0, size, size), bool)
    while len(labels) < wanted:
        label = int(rng.integers(len(CLASSES)))
        alpha = _object(label, rng, size)
        mask = np.asarray(alpha) >= 128
        left = seen & ~mask  # of the others
        visible = mask.any() and np.all(left.sum((1, 2)) >= LEAST_VISIBLE * np.array(whole))
        if visible and (colour := _colour_of(label, np.asarray(canvas)[mask].mean(0), rng)):
            canvas.paste(Image.new("RGB", (size, size), colour), mask=alpha)
            seen = np.concatenate([left, mask[None]])
            labels.append(label)
            whole.append(int(mask.sum()))
    noisy = np.asarray(canvas) + rng.normal(0, rng.uniform(0, 10), (size, size, 3))
    return np.clip(np.rint(noisy), 0, 255).astype("uint8"), np.array(labels), seen


def _clutter(rng: np.random.Generator, size: int) -> Image.Image:
    """The background: two blended colours, with lines, rings and blots."""
    first, second = (np.array(_pale(rng), float) for _ in range(2))
    angle = rng.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    share = np.clip(0.5 + rows * math.sin(angle) + columns * math.cos(angle), 0, 1)[..., None]
    canvas = Image.fromarray(np.rint(first * share + second * (1 - share)).astype("uint8"))
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(2, 6)):
        draw.line([float(value) for value in rng.uniform(0, size, 4)], fill=_pale(rng), width=int(rng.integers(1, 3)))
    for _ in range(rng.integers(1, 5)):
        (x, y), radius = rng.uniform(0, size, 2), rng.uniform(0.02, 0.1) * size
        corners = (x - radius, y - radius, x + radius, y + radius)
        if rng.random() < 0.5:
            draw.ellipse(corners, outline=_pale(rng))
        else:
            draw.ellipse((*corners[:2], x + radius / 3, y + radius / 3), fill=_pale(rng))
    return canvas


def _object(label: int, rng: np.random.Generator, size: int) -> Image.Image:
    """The coverage of each pixel by the object, from 0 to 255. The object is wholly inside the picture."""
    fine = size * FINER
    extent = rng.uniform(LEAST_SCALE, LARGEST_SCALE) * fine
    centre = rng.uniform(0.5 * extent, fine - 0.5 * extent, 2)
    turn = rng.uniform(-math.pi, math.pi) if label < 4 else rng.uniform(-0.5, 0.5)  # letters stand nearly upright
    mask = Image.new("L", (fine, fine))
    if CLASSES[label] in "HS":
        _letter(mask, CLASSES[label], extent, centre, turn)
    else:
        points = centre + 0.5 * extent * _outline(CLASSES[label], turn)
        ImageDraw.Draw(mask).polygon([tuple(point) for point in points], fill=255)
    return mask.resize((size, size), Image.Resampling.BOX)


def _outline(shape: str, turn: float) -> np.ndarray:
    """Corners on and in the unit circle."""
    corners = {"disc": 48, "square": 4, "triangle": 3, "star": 10}[shape]
    angles = turn + np.arange(corners) * 2 * math.pi / corners
    radii = np.where(np.arange(corners) % 2, 0.45, 1.0) if shape == "star" else np.ones(corners)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _letter(mask: Image.Image, letter: str, extent: float, centre: np.ndarray, turn: float) -> None:
    draw = ImageDraw.Draw(mask)
    draw.text(tuple(centre), letter, fill=255, font=_font(round(extent)), anchor="mm")
    mask.paste(mask.rotate(math.degrees(turn), Image.Resampling.BILINEAR, center=tuple(centre)))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf"), size)


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))


def _pale(rng: np.random.Generator) -> tuple[int, ...]:
    grey, colour = rng.uniform(0, 255), np.array(_colour(rng))
    return tuple(int(value) for value in np.rint(grey + SATURATION * (colour - grey)))


def _colour_of(label: int, background: np.ndarray, rng: np.random.Generator) -> tuple[int, ...] | None:
    """A colour, mostly near that of the class, or `None` if it is too close to the background."""
    centre = np.array(colorsys.hsv_to_rgb(label / len(CLASSES), 0.8, 0.9)) * 255
    colour = _colour(rng) if rng.random() < ANY_COLOUR else np.clip(rng.normal(centre, OFF_COLOUR), 0, 255)
    return tuple(int(value) for value in colour) if math.dist(colour, background) >= LEAST_CONTRAST else None


def _labelled(instances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (instances * (labels + 1)[:, None, None]).sum(0).astype("uint8")  # they do not overlap


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def write_coco(drawn: Scenes, folder: Path) -> Path:
    """Writes images/, masks/ (class numbers) and annotations.json in COCO's format. Returns the path of the last."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    count, size = drawn.masks.shape[:2]
    names = [f"{index:06}.png" for index in range(count)]
    for name, image, mask in zip(names, drawn.images, drawn.masks, strict=True):
        Image.fromarray(np.rint(image * 255).astype("uint8")).save(folder / "images" / name)
        Image.fromarray(mask).save(folder / "masks" / name)
    annotations = [{"id": number, **found} for number, found in enumerate(_annotations(drawn), start=1)]
    content = {
        "images": [{"id": i, "file_name": name, "width": size, "height": size} for i, name in enumerate(names)],
        "categories": [{"id": label, "name": name} for label, name in enumerate(CLASSES, start=1)],
        "annotations": annotations,
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path


def _annotations(drawn: Scenes) -> Iterator[dict]:
    for image, (boxes, labels, instances) in enumerate(zip(drawn.boxes, drawn.labels, drawn.instances, strict=True)):
        for (x0, y0, x1, y1), label, mask in zip(boxes.tolist(), labels.tolist(), instances, strict=True):
            yield {
                "image_id": image,
                "category_id": label + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": int(mask.sum()),
                "iscrowd": 0,
                "segmentation": {"size": list(mask.shape), "counts": _runs(mask)},
            }


def _runs(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths, column by column, starting with pixels outside."""
    pixels = mask.T.ravel()
    ends = np.flatnonzero(np.diff(pixels)) + 1
    lengths = np.diff(np.concatenate([[0], ends, [pixels.size]])).tolist()
    return [0, *lengths] if pixels[0] else lengths


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--count", type=click.IntRange(1), default=100, show_default=True)
@click.option("--size", type=click.IntRange(16), default=SIZE, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def main(folder: Path, count: int, size: int, seed: int) -> None:
    """Draw pictures into a folder."""
    click.echo(write_coco(scenes(count, seed, size), folder))


if __name__ == "__main__":
    main()
