"""The detection example, shortened: the annotations that it reads, how it judges, and what it writes."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se.models import detection_targets, with_detections
from tests.support.paths import EXAMPLES

coco_folder = import_module("_shared.coco_folder").coco_folder
average_precision = import_module("_shared.coco_scores").average_precision
scenes = import_module("_shared.scenes")
EXAMPLE = EXAMPLES / "detection.py"


# Annotations


def test_reads_what_the_generator_writes(tmp_path: Path) -> None:
    drawn = scenes.scenes(10, seed=0, size=32)
    train, held, classes, left_out = coco_folder(scenes.write_coco(drawn, tmp_path), tmp_path / "images", 32)
    assert (classes, left_out) == (list(scenes.CLASSES), 0)
    assert (train.images.shape, held.images.shape, train.images.dtype) == ((8, 32, 32, 3), (2, 32, 32, 3), np.float32)
    found = {
        image.tobytes(): (boxes.tolist(), labels.tolist())
        for part in (train, held)
        for image, boxes, labels in zip(part.images, part.boxes, part.labels, strict=True)
    }
    assert found == {
        image.tobytes(): (boxes.tolist(), labels.tolist())
        for image, boxes, labels in zip(drawn.images, drawn.boxes, drawn.labels, strict=True)
    }


def content(**changes: Any) -> dict[str, Any]:
    """Five images of 40x20 pixels with a box each; the first has a crowd, too."""
    return {
        "images": [{"id": 7 + i, "file_name": f"{i}.png"} for i in range(5)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 90, "name": "dog"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 40, 20], "iscrowd": 1},
            *({"image_id": 7 + i, "category_id": 90, "bbox": [10.0, 5, 40, 10], "iscrowd": 0} for i in range(5)),
        ],
        **changes,
    }


def read(folder: Path, text: str | bytes | dict[str, Any]) -> Any:
    for i in range(5):
        Image.new("RGB", (40, 20), (i, 0, 0)).save(folder / f"{i}.png")
    path = folder / "annotations.json"
    path.write_bytes(text if isinstance(text, bytes) else json.dumps(text).encode())
    return coco_folder(path, folder, 32)


def test_images_become_squares_and_boxes_with_them(tmp_path: Path) -> None:
    """What is outside of its image is cut off."""
    train, held, classes, left_out = read(tmp_path, content())
    assert classes == ["cat", "dog"]
    assert left_out == 1  # the crowd
    assert (len(train.images), len(held.images)) == (4, 1)
    for part in (train, held):
        assert part.images.shape[1:] == (32, 32, 3)
        assert [boxes.tolist() for boxes in part.boxes] == [[[8, 8, 32, 24]]] * len(part.images)
        assert [labels.tolist() for labels in part.labels] == [[1]] * len(part.images)


def changed(name: str, index: int, **values: Any) -> dict[str, Any]:
    result = content()
    result[name][index] = result[name][index] | values
    return result


@pytest.mark.parametrize("bbox", [[1, 2, 3, 0], [1, 2, -3, 4], [40, 0, 9, 9], [0, -9, 9, 9], [32, 2, 1e-7, 9]])
def test_boxes_without_an_area_are_left_out(bbox: list[float], tmp_path: Path) -> None:
    """COCO has some; not everything is to be refused for them."""
    train, held, _, left_out = read(tmp_path, changed("annotations", 1, bbox=bbox))
    assert left_out == 2
    assert sorted(len(one) for part in (train, held) for one in part.boxes) == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"{", r"The annotations must be a JSON file\. Received: .*annotations\.json \("),
        (b"\xff\xfe\xfa", r"The annotations must be a JSON file\."),
        (b"[" * 100_000, r"The annotations must be a JSON file\."),
        ({}, r"The annotations must have the lists images, annotations, categories\. Received: "),
        (content(images={}), r"The annotations must have the lists "),
        (content(images=[3]), r"Each of the images must have id, of type int\. Received: 3$"),
        (changed("images", 1, file_name=3), r"Each of the images must have file_name, of type str\. Received: \{"),
        (changed("images", 1, id="8"), r"Each of the images must have id, of type int\. "),
        (changed("images", 1, id=True), r"Each of the images must have id, of type int\. "),
        (changed("images", 1, id=7), r"Each of the images must have an id of its own\. "),
        (changed("categories", 0, id=90), r"Each of the categories must have an id of its own\. "),
        (changed("images", 1, file_name="none.png"), r"Each file_name must be an image in .*\. Received: 'none\.png'$"),
        (changed("images", 1, file_name="../0.png"), r"Each file_name must be an image in "),
        (changed("images", 1, file_name="/etc/passwd"), r"Each file_name must be an image in "),
        (changed("images", 1, file_name="a\0b"), r"Each file_name must be an image in "),
        (changed("images", 1, file_name="a" * 5000), r"Each file_name must be an image in "),
        (changed("images", 1, file_name="."), r"Each file_name must be an image in "),
        (changed("images", 1, file_name="annotations.json"), r"Images must be files that Pillow can read\. Received: "),
        (changed("annotations", 1, image_id=1), r"An annotation must be of an image and a category that are listed\. "),
        (changed("annotations", 1, category_id=1), r"An annotation must be of an image and a category that are "),
        (changed("annotations", 1, bbox=[1, 2, 3]), r"A bbox must be four numbers: left, top, width and height\. "),
        (changed("annotations", 1, bbox=[1, 2, 3, "4"]), r"A bbox must be four numbers"),
        (changed("annotations", 1, bbox=[1, 2, 3, float("nan")]), r"A bbox must be four numbers"),
        (content(images=content()["images"][:4]), r"There must be 5 images or more, and a category\. Received: 4 "),
        (content(categories=[]), r"There must be 5 images or more, and a category\. Received: 5 images and 0 cat"),
    ],
)
def test_refuses_annotations(wrong: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        read(tmp_path, wrong)
    assert "\n" not in str(caught.value)


# Average precision


def found(boxes: list[Any], scores: list[float], classes: list[int]) -> dict[str, np.ndarray]:
    return {"boxes": np.array([boxes], float), "scores": np.array([scores]), "classes": np.array([classes])}


BOX, OTHER = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 40.0, 40.0)


def test_what_is_right_has_a_precision_of_one() -> None:
    truth = [np.array([BOX, OTHER])], [np.array([0, 1])]
    assert average_precision(*truth, found([OTHER, BOX], [0.9, 0.8], [1, 0])) == pytest.approx((1, 1))
    assert average_precision(*truth, found([OTHER, BOX], [0.9, 0.8], [0, 1])) == pytest.approx((0, 0))


def test_overlaps_of_62_percent_count_up_to_there() -> None:
    """At 0.5, 0.55 and 0.6 of the ten thresholds."""
    near = (0.0, 0.0, 10.0, 6.2)
    assert average_precision([np.array([BOX])], [np.array([0])], found([near], [0.9], [0])) == pytest.approx((1, 0.3))


def test_one_of_two_objects_found() -> None:
    """A precision of 1 up to a recall of a half: at 51 of COCO's 101 points."""
    truth = [np.array([BOX, OTHER])], [np.array([0, 0])]
    assert average_precision(*truth, found([BOX], [0.9], [0])) == pytest.approx((51 / 101, 51 / 101))


def test_a_better_score_for_what_is_nothing() -> None:
    nothing = (50.0, 50.0, 60.0, 60.0)
    truth = [np.array([BOX])], [np.array([0])]
    assert average_precision(*truth, found([nothing, BOX], [0.9, 0.8], [0, 0])) == pytest.approx((0.5, 0.5))


def test_boxes_that_are_no_numbers_are_not_found() -> None:
    truth = ([np.array([BOX])], [np.array([0])])
    assert average_precision(*truth, found([[np.nan] * 4], [0.9], [0])) == (0, 0)


def test_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    average_precision([np.array([BOX])], [np.array([0])], found([BOX], [0.9], [0]))
    assert capsys.readouterr().out == ""


# The example's parts


def test_both_networks() -> None:
    """With SE and without; scenes' objects are on the finest map and on coarser ones."""
    detection = import_module("detection")
    plain, excited = (detection.build(6, se) for se in (False, True))
    assert {layer.name for layer in excited.layers} > {layer.name for layer in plain.layers}
    assert not [layer.name for layer in plain.layers if layer.name.endswith("_se")]
    drawn = scenes.scenes(20, seed=0)
    targets = detection_targets(drawn.boxes, drawn.labels, excited, reach=detection.REACH)
    counts = [int((part[..., 0] >= 0).sum()) for part in np.split(targets, [256, 256 + 64], axis=1)]
    assert counts[1] > counts[0] > 20
    assert counts[2] > 0
    assert with_detections(excited, detection.DETECTIONS).output["boxes"].shape == (None, detection.DETECTIONS, 4)


def test_the_comparison_of_seeds() -> None:
    """Networks take turns with the same seeds; the first score is what is told of each seed."""
    demo = import_module("_shared.demo")
    order: list[tuple[bool, int]] = []

    def trained(se: bool, seed: int) -> keras.Model:
        order.append((se, seed))
        units = 2 if se else 1
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)], name=f"seed{seed}_{units}")

    shares = {"seed0_1": 0.5, "seed0_2": 0.6, "seed1_1": 0.7, "seed1_2": 0.68}

    def scored(model: keras.Model) -> dict[str, float]:
        return {"AP50": shares[model.name], "AP": 0.25, "error": shares[model.name] / 10}

    model, table, verdict = demo.compared(trained, scored, 2, "On the images", forms={"error": ".4f"})
    assert order == [(False, 0), (True, 0), (False, 1), (True, 1)]
    assert model.name == "seed0_2"
    assert table.title == "On the images, 2 seeds"
    assert {str(column.header): list(column.cells) for column in table.columns} == {
        "network": ["without SE", "with SE"],
        "parameters": ["4", "8"],
        "AP50": ["60.00% ± 14.14", "64.00% ± 5.66"],
        "AP": ["25.00% ± 0.00", "25.00% ± 0.00"],
        "error": ["0.0600 ± 0.0141", "0.0640 ± 0.0057"],
        "AP50 of each seed": ["50.00%, 70.00%", "60.00%, 68.00%"],
    }
    assert verdict == "SE changed the AP50 by +4.00 ± 8.49 points; it was higher with SE for 1 of 2 seeds."
    *_, verdict = demo.compared(trained, scored, 1, "On the images", "share of hits")
    assert verdict == "SE changed the share of hits by +10.00 points; it was higher with SE for 1 of 1 seed."


# The whole


def run(*options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    done = run("--setting", "tests", "--output", tmp_path)
    assert done.returncode in (0, 1), done.stderr  # so little training tells nothing of files in 8 bits
    assert "Traceback" not in done.stderr, done.stderr
    assert (done.returncode == 1) == ("less than" in done.stdout or "loses" in done.stdout), done.stdout
    for text in ("256 images of 6 classes", "SE changed the AP50 by", "AP50 in Keras", "detection_int8.tflite"):
        assert text in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        *("detection.keras", "detection.png", "detection.tflite", "detection_int8.tflite"),
        *("detection.onnx", "detection_int8.onnx"),
    }


@pytest.mark.slow
def test_a_short_run_on_annotations(tmp_path: Path) -> None:
    annotations = scenes.write_coco(scenes.scenes(80, seed=0, size=48), tmp_path)
    done = run(
        *("--setting", "tests", "--data", annotations, "--images", tmp_path / "images", "--output", tmp_path / "out")
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "64 images of 6 classes to train on, 16 held out" in done.stdout
    assert (tmp_path / "out" / "detection.png").exists()


@pytest.mark.slow
def test_data_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text("[]")
    done = run("--data", tmp_path / "annotations.json", "--images", tmp_path)
    assert done.returncode == 2
    assert "\nError: The annotations must have the lists" in f"\n{done.stderr}"
    assert run("--data", tmp_path / "annotations.json").returncode == 2
