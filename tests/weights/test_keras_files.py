"""Keras' own `.weights.h5` files: taken whole or not at all, whatever is in them."""

import os
import signal
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from keras_se.layers import ConcurrentSqueezeExcite
from keras_se.models import SEResNet
from keras_se.weights import NewClassifierWarning
from keras_se.weights.locate import find_source
from keras_se.weights.resolve import load_into
from tests.support.arrays import array, randomise
from tests.support.checkpoints import (
    CLASSES,
    NETWORKS,
    SHAPE,
    Checkpoint,
    assert_values,
    refusal,
    unchanged,
    values,
    write,
)

BASIC = NETWORKS["legacy basic"]


def test_a_file_of_keras(good: Checkpoint, tmp_path: Path) -> None:
    model = BASIC.build(weights=write(tmp_path / "model.safetensors", good.tensors))
    path = tmp_path / "own.weights.h5"
    model.save_weights(path)
    for weights in (path, str(path)):
        assert_values(BASIC.build(weights=weights), good.expected)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"hello",
        lambda content: content[: len(content) // 2],
        lambda content: content[512:],
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "text", "half", "end", "zeros"],
)
def test_a_damaged_file_of_keras(
    damage: Callable[[bytes], bytes], models: Callable[[str], keras.Model], tmp_path: Path
) -> None:
    path = tmp_path / "own.weights.h5"
    models("legacy basic").save_weights(path)
    write(path, damage(path.read_bytes()))
    with unchanged(models("legacy basic")):
        message = refusal(lambda: load_into(models("legacy basic"), find_source(path)))
    assert message.startswith(f"weights must be a .weights.h5 file of 'se_resnet'. Received: {str(path)!r} (")


def test_a_file_of_keras_of_another_network(models: Callable[[str], keras.Model], tmp_path: Path) -> None:
    path = tmp_path / "own.weights.h5"
    models("legacy bottleneck").save_weights(path)
    with unchanged(models("legacy basic")):
        message = refusal(lambda: load_into(models("legacy basic"), find_source(path)))
    assert message.startswith(f"weights must be a .weights.h5 file of 'se_resnet'. Received: {str(path)!r} (")


TALLER = partial(SEResNet, block="basic", filters=(4, 8), r=2, input_shape=SHAPE, classes=CLASSES)
# The network that wrote a file, the one that it is for, and what the message has.
OTHERS: dict[str, tuple[Callable[[], keras.Model], Callable[[], keras.Model], str]] = {
    "SE": (
        BASIC.build,
        partial(BASIC.build, r=None),
        "no layer for stage1_block1_se (2,), (4,), (2, 4), (4, 2), stage2",
    ),
    "no SE": (
        partial(BASIC.build, r=None),
        BASIC.build,
        "no weights for stage1_block1_se (2,), (4,), (2, 4), (4, 2), stage2_block1_se (4,), (8,), (4, 8), (8, 4))",
    ),
    "a block more": (
        partial(TALLER, (1, 2)),
        partial(TALLER, (1, 1)),
        ", stage2_block2_conv1 (3, 3, 8, 8), ",
    ),
    "a block less": (
        partial(TALLER, (1, 1)),
        partial(TALLER, (1, 2)),
        "no weights for stage2_block2_conv1 (3, 3, 8, 8), ",
    ),
    "a block elsewhere": (
        partial(TALLER, (2, 1), filters=(4, 4)),
        partial(TALLER, (1, 2), filters=(4, 4)),
        "another layer: stage1_block2_conv1 (3, 3, 4, 4) for stage2_block1_conv1 (3, 3, 4, 4)",
    ),
    "another ratio": (
        BASIC.build,
        partial(BASIC.build, r=4),
        "another layer: stage1_block1_se (2,), (4,), (2, 4), (4, 2) for stage1_block1_se (1,), (4,), (1, 4), (4, 1), ",
    ),
    "no top": (partial(BASIC.build, include_top=False), BASIC.build, "no weights for predictions (5,), (8, 5))"),
    "scSE": (
        partial(BASIC.build, se=lambda stage: ConcurrentSqueezeExcite(2)),
        partial(BASIC.build, r=None),
        "no layer for stage1_block1_se (1,), (2,), (4,), (2, 4), (4, 1) and 1 more, stage2_block1_se ",
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_of_keras_with_more_or_fewer_layers(other: str, tmp_path: Path) -> None:
    theirs, ours, expected = OTHERS[other]
    path = tmp_path / "own.weights.h5"
    theirs().save_weights(path)
    model = ours()
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(path)))
    assert message.startswith(f"weights must be a .weights.h5 file of 'se_resnet'. Received: {str(path)!r} (")
    assert expected in message


@pytest.mark.parametrize("family", ["legacy basic", "mobilenetv3"])
def test_a_file_of_keras_without_its_top_or_with_other_classes(family: str, tmp_path: Path) -> None:
    network = NETWORKS[family]
    theirs = network.build()
    randomise(theirs)
    path = tmp_path / "own.weights.h5"
    theirs.save_weights(path)
    expected = values(theirs)
    head = {"predictions", "hidden", "logits"}
    body = {path: value for path, value in expected.items() if path.split("/")[0] not in head}
    assert_values(network.build(weights=path, include_top=False), body)
    classifier = "predictions" if family == "legacy basic" else "logits"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = network.build(weights=path, classes=9)
    (warning,) = (found for found in caught if found.category is NewClassifierWarning)
    assert f"{model.name} has other classes than {path}: left out {classifier} (5,), (" in str(warning.message)
    assert (warning.filename, model.output_shape) == (__file__, (None, 9))
    for name, value in values(model).items():
        if name.split("/")[0] != classifier:
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_file_of_keras_after_training(tmp_path: Path) -> None:
    """The states of optimizers are in it, too, and those of random generators: neither are weights."""
    model = TALLER((1, 1), se=lambda stage: ConcurrentSqueezeExcite(2))
    model.compile("adam", "mse", run_eagerly=True)
    model.train_on_batch(np.ones((1, *SHAPE), "float32"), np.ones((1, CLASSES), "float32"))
    model.save_weights(path := tmp_path / "own.weights.h5")
    again = TALLER((1, 1), se=lambda stage: ConcurrentSqueezeExcite(2), weights=path)
    for one, other in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(array(one), array(other))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_file_of_keras_that_is_not_finite(
    number: float, models: Callable[[str], keras.Model], tmp_path: Path
) -> None:
    path = tmp_path / "own.weights.h5"
    other = BASIC.build()
    bias = other.get_layer("predictions").bias
    bias.assign(bias + number)
    other.save_weights(path)
    with unchanged(models("legacy basic")):
        message = refusal(lambda: load_into(models("legacy basic"), find_source(path)))
    assert message.endswith("(it has NaN or infinity in predictions/bias)")


def _deep(file: h5py.File) -> None:
    group = file["layers"].create_group("deep")
    for _ in range(3000):
        group = group.create_group("a")
    group["0"] = np.zeros(3)


def _around(file: h5py.File) -> None:
    """Groups that are in each other: paths through them have no end."""
    group = file["layers"].create_group("around")
    for name in "abcd":
        group[name] = group
    group["0"] = np.zeros(3)


def _elsewhere(file: h5py.File) -> None:
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars"].create_dataset("0", (3, 3, 3, 4), "f4", external=[("fifo", 0, h5py.h5f.UNLIMITED)])


def _many(file: h5py.File) -> None:
    group = file["layers"].create_group("many")
    for i in range(500):
        group[str(i)] = np.zeros(0)


def _replaced(file: h5py.File, item: Any) -> None:
    del file["layers"]
    file["layers"] = item


HOSTILE: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "a link to a FIFO": (lambda file: file["layers"].update({"conv2d_99": h5py.ExternalLink("fifo", "/x")}), "a link"),
    "layers in a FIFO": (lambda file: _replaced(file, h5py.ExternalLink("fifo", "/x")), "its 'layers' is a link"),
    "a link to itself": (lambda file: file["layers"].update({"x": h5py.SoftLink("/layers/x")}), "its 'x' is a link"),
    "numbers in a FIFO": (_elsewhere, "its '0' is in another file"),
    "layers that are numbers": (lambda file: _replaced(file, np.arange(3)), "its '/layers' is not a group"),
    "a layer that is numbers": (
        lambda file: file["layers"].update({"x": np.arange(3)}),
        "its '/layers/x' is not a group",
    ),
    "deep": (_deep, "groups are nested more than 16 deep"),
    "around": (_around, "no layer for around (3,)"),
    "many": (_many, r"no layer for many (0,), (0,), (0,), (0,), (0,) and 495 more"),
    "two lines": (lambda file: file["layers"].create_group("a\nb").update({"0": np.zeros(3)}), r"for 'a\nb' (3,)"),
    "red": (lambda file: file["layers"].create_group("\x1b[31m").update({"0": np.zeros(3)}), r"for '\x1b[31m' (3,)"),
    "a long name": (lambda file: file["layers"].create_group("a" * 5000).update({"0": np.zeros(3)}), "aaa… (3,)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_of_keras_that_was_made_to_harm(
    name: str, models: Callable[[str], keras.Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harm, expected = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    models("legacy basic").save_weights(path := tmp_path / "own.weights.h5")
    with h5py.File(path, "a") as file:
        harm(file)

    def late(*_: object) -> None:
        os.close(os.open("fifo", os.O_RDWR))  # who waits for it goes on
        raise AssertionError("it was not done after 60 s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        with unchanged(models("legacy basic")):
            message = refusal(lambda: load_into(models("legacy basic"), find_source(path)))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert message.startswith(f"weights must be a .weights.h5 file of 'se_resnet'. Received: {str(path)!r} (")
    assert expected in message
    assert message.isprintable()
    assert len(message) < 1000
