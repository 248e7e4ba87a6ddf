"""Reads your own images with boxes around objects, in COCO's format: annotations.json and a folder of images."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _shared.own_images import LEAST, opened, two_parts
from PIL import Image

LISTS = ("images", "annotations", "categories")
# The required keys of each entry, and their types.
FIELDS: dict[str, dict[str, Any]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {"image_id": int, "category_id": int, "bbox": list},
    "categories": {"id": int, "name": str},
}

# The limit of a number in a bbox. It also excludes NaN, which is not less than any number.
MOST = 1e9


@dataclass(frozen=True)
class Boxed:
    """Images from 0 to 1, and for each its boxes (left, top, right, bottom, in pixels) and class numbers from 0 on."""

    images: np.ndarray
    boxes: list[np.ndarray]
    labels: list[np.ndarray]

    def part(self, chosen: np.ndarray) -> "Boxed":
        return Boxed(self.images[chosen], [self.boxes[i] for i in chosen], [self.labels[i] for i in chosen])


def coco_folder(annotations: Path, folder: Path, size: int) -> tuple[Boxed, Boxed, list[str], int]:
    """Images to train on, those held out (a fifth), the names of the classes, and the number of omitted boxes.

    Images and boxes are resized to squares of `size` pixels. Boxes around crowds are omitted, and so are boxes without
    an area within their image, of which COCO itself has a few.

    Raises:
        ValueError: for a file that is not in COCO's format, for missing images, and for boxes that are not numbers.
    """
    content = _content(annotations)
    paths = {entry["id"]: _inside(folder, entry["file_name"]) for entry in content["images"]}
    numbers = {entry["id"]: number for number, entry in enumerate(content["categories"])}
    for name, known in (("images", paths), ("categories", numbers)):
        if len(known) != len(content[name]):
            raise ValueError(f"Each of the {name} must have an id of its own. Received: {annotations}")
    if len(paths) < LEAST or not numbers:
        raise ValueError(
            f"There must be {LEAST} images or more, and a category. "
            f"Received: {len(paths)} images and {len(numbers)} categories in {annotations}"
        )
    pictures, shapes = zip(*(_picture(path, size) for path in paths.values()), strict=True)
    places = {image: place for place, image in enumerate(paths)}
    boxes: list[list[tuple[float, ...]]] = [[] for _ in paths]
    labels: list[list[int]] = [[] for _ in paths]
    for entry in content["annotations"]:
        if entry["image_id"] not in places or entry["category_id"] not in numbers:
            raise ValueError(
                f"An annotation must be of an image and a category that are listed. Received: {_cut(entry)}"
            )
        place = places[entry["image_id"]]
        box = _box(entry, shapes[place], size)
        if box and not entry.get("iscrowd"):
            boxes[place].append(box)
            labels[place].append(numbers[entry["category_id"]])
    found = Boxed(
        np.stack(pictures).astype("float32") / 255,
        [np.array(one, "float32").reshape(-1, 4) for one in boxes],
        [np.array(one, int) for one in labels],
    )
    train, held = two_parts(len(pictures), np.random.default_rng(0))
    if not all(any(len(found.labels[i]) for i in part) for part in (train, held)):
        raise ValueError(
            f"There must be more boxes, so that some are in images to train on and some are held out. "
            f"Received: {sum(map(len, labels))} in {annotations}"
        )
    left_out = len(content["annotations"]) - sum(map(len, labels))
    return found.part(train), found.part(held), [entry["name"] for entry in content["categories"]], left_out


def _content(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # text that is not UTF-8 is a ValueError, too
        raise ValueError(f"The annotations must be a JSON file. Received: {path} ({error})") from error
    if not isinstance(content, dict) or any(not isinstance(content.get(name), list) for name in LISTS):
        raise ValueError(f"The annotations must have the lists {', '.join(LISTS)}. Received: {path}")
    for name, fields in FIELDS.items():
        for entry in content[name]:
            wrong = [] if isinstance(entry, dict) else list(fields)
            wrong = wrong or [key for key, kind in fields.items() if type(entry.get(key)) is not kind]
            if wrong:
                raise ValueError(
                    f"Each of the {name} must have {wrong[0]}, of type {fields[wrong[0]].__name__}. "
                    f"Received: {_cut(entry)}"
                )
    return content


def _inside(folder: Path, name: str) -> Path:
    """A file in the folder. A name that leads out of the folder is refused."""
    try:
        path = (folder / name).resolve()
        found = path.is_relative_to(folder.resolve()) and path.is_file()
    except (ValueError, OSError):  # a null character, a name that is too long
        found = False
    if not found:
        raise ValueError(f"Each file_name must be an image in {folder}. Received: {name!r}")
    return path


def _picture(path: Path, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The pixels of an image as a square, and its original width and height."""
    image = opened(path)
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)), image.size


def _box(entry: dict[str, Any], shape: tuple[int, int], size: int) -> tuple[float, ...]:
    """From left, top, width, height in the image to left, top, right, bottom in the square; empty without an area."""
    bbox = entry["bbox"]
    if len(bbox) != 4 or not all(type(value) in (int, float) and abs(value) < MOST for value in bbox):
        raise ValueError(f"A bbox must be four numbers: left, top, width and height. Received: {_cut(entry)}")
    left, top, width, height = bbox
    edges = [
        float(np.float32(min(max(edge, 0), most) * size / most))  # as it is stored: rounding can leave no area
        for edge, most in zip((left, top, left + width, top + height), shape * 2, strict=True)
    ]
    return tuple(edges) if edges[0] < edges[2] and edges[1] < edges[3] else ()


def _cut(entry: Any, most: int = 120) -> str:
    text = json.dumps(entry)
    return text if len(text) <= most else f"{text[:most]}…"
