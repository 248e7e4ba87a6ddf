"""The scripts that figures come from run to their end, in their smallest setting, and their ratios are ratios."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from _shared import results as results_module
from _shared import timing
from _shared.results import Results
from _shared.timing import Ratio
from click.testing import CliRunner

import keras_se.models
from keras_se import SqueezeExcite
from keras_se.catalog import NETWORKS
from keras_se.export import Benchmark, to_onnx
from keras_se.models import SEResNet
from tests.support.cases import case
from tests.support.paths import BENCHMARKS

FOLDER = BENCHMARKS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results_module, "FOLDER", tmp_path)
    return tmp_path


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


def run(module: ModuleType, *arguments: str) -> str:
    done = CliRunner().invoke(module.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def rows(folder: Path, name: str) -> list[dict]:
    document = json.loads((folder / f"{name}.json").read_text())
    assert document["machine"]
    assert document["versions"]["keras-se"]
    return document["rows"]


def test_ratios_are_medians_over_rounds() -> None:
    """Not of medians: of calls in another round, or in another process, one may be slower for all."""
    ratio = Ratio.of([2, 4, 6, 8, 15], [1, 1, 2, 4, 5])
    assert ratio == (3, 2, 3)
    assert Ratio.shown(ratio.fields()) == "3.000 (2.000 to 3.000)"
    assert Ratio.of([3, 3, 3.1, 6, 6], [1, 1, 2, 2, 2]) == (3, 3, 3)


def test_a_run_that_is_stopped_leaves_its_rows(folder: Path) -> None:
    found = Results("part", "A part", {"value": lambda row: str(row["value"])})
    found.add(value=1)
    found.add(value=2)
    assert [row["value"] for row in rows(folder, "part")] == [1, 2]


def test_rows_without_a_ratio_are_not_drawn(folder: Path) -> None:
    found = Results("none", "None", {"value": lambda row: row["value"]})
    found.add(value="refused", ratio=None)
    found.plot_ratios(lambda row: row["value"], "ratio")
    assert not (folder / "none.png").exists()


def test_every_script_is_run_by_make_bench() -> None:
    own = {path.name for path in FOLDER.glob("*.py") if "\nif __name__" in path.read_text()}
    assert own - set(script("run_all").SCRIPTS) == {"run_all.py"}


@pytest.mark.parametrize("name", ["parity", "peers", "rewrites", "se_overhead", "training_parts"])
def test_networks_that_there_are_not_are_refused(name: str) -> None:
    done = CliRunner().invoke(script(name).main, ("--network", "SEResNet51"))
    assert done.exit_code == 2, done.output
    assert "Invalid value for '--network': 'SEResNet51' is not one of" in done.output


@pytest.mark.slow
def test_se_overhead(folder: Path) -> None:
    arguments = ("--network", "SEMobileNet", "--format", "tflite", "--mode", "float32", "--threads", "1")
    printed = run(script("se_overhead"), *arguments, "--size", "32", "--rounds", "1", "--no-training")
    (row,) = rows(folder, "se_overhead")
    assert row["se_size"] > row["plain_size"]
    assert row["se_memory"] > 0
    assert row["ratio"] == pytest.approx(row["se_ms"] / row["plain_ms"])  # of a single round
    assert "SEMobileNet" in printed
    assert (folder / "se_overhead.png").stat().st_size > 5_000


@pytest.mark.parametrize("mode", [case("float32", slow=True), "int8"])
def test_files_of_modes_with_and_without_calibration(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    module = script("se_overhead")
    small = {"block": "basic", "filters": (8,), "stem": "small", "input_shape": (8, 8, 3), "classes": 3}
    models = [SEResNet((1,), **small, name="se"), SEResNet((1,), **small, name="plain", r=None)]
    monkeypatch.setattr(module, "pair", lambda network, size: models)
    found = Results("small", "Small", module.COLUMNS)
    module.files(found, "small", 8, ("saved_model", "tflite"), (mode,), (1,), 2)
    kinds = [row["what"].rsplit(" ", 1) for row in rows(folder, "small")]
    assert [kind for _, kind in kinds] == [mode] * (2 if mode == "float32" else 1)


@pytest.mark.slow
def test_training_steps(folder: Path) -> None:
    module = script("se_overhead")
    found = Results("training", "Training", module.COLUMNS)
    module.training(found, "SEMobileNetV3Large", jit=False, rounds=2)
    (row,) = rows(folder, "training")
    assert row["what"] == "training step, no XLA"
    assert row["ratio"] > 0.5
    found.show()


def test_rewrites(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"block": "bottleneck", "filters": (64,), "stem": "small", "input_shape": (8, 8, 3), "classes": 3, "r": 4}
    monkeypatch.setattr(keras_se.models, "SEMobileNet", lambda **options: SEResNet((1,), **small | options))
    printed = run(script("rewrites"), "--network", "SEMobileNet", "--size", "8", "--rounds", "2")
    found = {row["file"]: row for row in rows(folder, "rewrites")}
    assert list(found) == ["LiteRT float32", "LiteRT int8", "ONNX Runtime float32", "ONNX Runtime int8"]
    for kind in ("LiteRT float32", "ONNX Runtime float32"):
        row = found[kind]
        # The first projection has 64 inputs, not 256, and 64 outputs.
        assert row["plain_size"] - row["size"] == pytest.approx(4 * 192 * 64, rel=0.1)
        assert 0 < row["difference"] < 1e-5
    assert "optimize=False" in printed


@pytest.mark.slow
def test_training_parts(folder: Path) -> None:
    printed = run(script("training_parts"), "--network", "SEMobileNet", "--size", "32", "--rounds", "1")
    plain, *with_gates = rows(folder, "training_parts")
    assert plain["ratio"] == 1
    assert [row["ratio"] for row in with_gates] == pytest.approx([row["ms"] / plain["ms"] for row in with_gates])
    assert "gates of no gradient" in printed


def test_parts_are_of_networks_with_the_same_gates() -> None:
    """What the row "SE" has is the network's own excitation, with the same arguments."""
    networks = script("training_parts").NETWORKS
    assert "SEResNet50" in networks
    assert {network.builder for network in NETWORKS} - set(networks) == {"SEMobileNetV3Small", "SEMobileNetV3Large"}
    for name in ("SEMobileNet", "SEResNet20", "SEShuffleNet"):
        build = getattr(keras_se.models, name)
        own, given = build(), build(se=script("training_parts").PARTS["SE"])
        configs = [
            [layer.get_config() for layer in model.layers if isinstance(layer, SqueezeExcite)] for model in (own, given)
        ]
        assert configs[0] == configs[1] != []


def test_batch_norms_get_statistics() -> None:
    statistics = script("_shared.measured_networks").with_statistics
    models = [SEResNet((1,), block="basic", filters=(8,), stem="small", input_shape=(8, 8, 3)) for _ in range(3)]
    fresh, one, two = (
        [norm.get_weights() for norm in _norms(model)] for model in (models[0], *map(statistics, models[1:]))
    )
    for before, after, again in zip(fresh, one, two, strict=True):
        for name, old, new, same in zip(("gamma", "beta", "mean", "variance"), before, after, again, strict=True):
            assert np.all(old != new)
            assert np.abs(new - old).max() <= (0.2 if name in ("gamma", "variance") else 0.1)
            np.testing.assert_array_equal(new, same)


def test_batch_norms_without_scales_stay_so() -> None:
    """Inception's have none."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(scale=False)])
    beta, mean, variance = script("_shared.measured_networks").with_statistics(model).layers[0].get_weights()
    assert 0 not in beta
    assert 0 not in mean
    assert 1 not in variance


def _norms(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def test_gates_of_no_gradient_are_the_same_gates() -> None:
    layer = script("training_parts").WithoutGradient(r=4)
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 16)).astype("float32")
    whole = SqueezeExcite(r=4)
    whole(x)
    layer(x)
    layer.set_weights(whole.get_weights())
    np.testing.assert_allclose(layer(x), whole(x), rtol=1e-6)


@pytest.mark.slow
def test_scaling(folder: Path) -> None:
    values = ("--value", "20", "--value", "32")
    printed = run(script("scaling"), "--sweep", "depth", *values, "--format", "onnx", "--rounds", "2")
    small, large = rows(folder, "scaling_depth")
    assert large["parameters"] > small["parameters"]
    assert large["size"] > small["size"]
    assert f"{small['parameters']:,}" in printed
    assert (folder / "scaling_depth.png").stat().st_size > 5_000


@pytest.mark.slow
def test_cold_start(folder: Path) -> None:
    printed = run(script("cold_start"), "--size", "32", "--rounds", "1")
    ours, theirs, *steps = rows(folder, "cold_start")
    assert ours["ratio"] == pytest.approx(ours["seconds"] / theirs["seconds"])
    assert {step["what"].strip() for step in steps} >= {"import TensorFlow", "build", "rewrite", "convert", "verify"}
    assert sum(step["share"] for step in steps) == pytest.approx(1)
    assert "verify" in printed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")  # of tf2onnx, as Keras uses it
def test_exporters_of_a_grouped_convolution(tmp_path: Path) -> None:
    """The row of a file that ONNX Runtime refuses."""
    module = script("exporters")
    model = module.grouped(8)
    model(np.zeros((1, 8, 8, 64), "float32"))
    row = module.row(model, "onnx", tmp_path, threads=1, rounds=2)
    assert row["ours"] == "runs"
    assert row["theirs"].startswith("refused")
    row = module.row(model, "tflite", tmp_path, threads=1, rounds=2)
    assert row["ours"] == row["theirs"] == "1 partitions"
    assert row["ratio"] > 0


def test_files_are_compared_in_both_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a process takes a second more for its call, and the second file ten times as long as the first."""
    calls: list[tuple[list[str], int, bool]] = []

    def measured(files: list[Path], *, threads: int, rounds: int, memory: bool, profile: bool) -> list[Benchmark]:
        calls.append(([path.name for path in files], rounds, memory))
        seconds = {"ours": 1.0, "theirs": 10.0}
        return [
            Benchmark(path, "onnx", 1, threads, {}, (seconds[path.name] + (place == 0),) * rounds)
            for place, path in enumerate(files)
        ]

    monkeypatch.setattr(timing, "benchmark", measured)
    ratio, first, second = timing.compared(Path("ours"), Path("theirs"), threads=1, rounds=10, memory=True)
    assert calls == [
        (["ours", "theirs"], 3, True),
        (["theirs", "ours"], 3, False),
        (["ours", "theirs"], 2, False),
        (["theirs", "ours"], 2, False),
    ]
    assert sorted(first.seconds) == [1] * 5 + [2] * 5
    assert sorted(second.seconds) == [10] * 5 + [11] * 5
    assert ratio == pytest.approx(((2 / 10 + 1 / 11) / 2, 1 / 11, 2 / 10))
    calls.clear()
    timing.compared(Path("ours"), Path("theirs"), threads=1, rounds=1)
    assert [rounds for _, rounds, _ in calls] == [1]


# The comparing part of peers.py: their environments are not made in tests.


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = SEResNet((1,), block="basic", filters=(8,), stem="small", input_shape=(8, 8, 1), classes=3, name="small")
    return to_onnx(model, tmp_path_factory.mktemp("peers") / "ours.onnx").path


def test_peers_are_compared(folder: Path, onnx_file: Path) -> None:
    peers = script("peers")
    found = Results("peers", "Peers", peers.COLUMNS)
    peers.compare(found, onnx_file, onnx_file, 1, 8, network="small", exporter="itself")
    bad = folder / "theirs.onnx"
    bad.write_bytes(b"no network")
    peers.compare(found, onnx_file, bad, 1, 2, network="small", exporter="another")
    found.show()
    same, refused = rows(folder, "peers")
    assert 0.3 < same["ratio"] < 3
    assert same["ours_size"] == same["theirs_size"]
    assert refused["ratio"] is None
    assert refused["problem"].startswith("refused")


def test_a_file_of_ours_that_does_not_run_is_no_row(folder: Path, onnx_file: Path) -> None:
    peers = script("peers")
    bad = folder / "ours.onnx"
    bad.write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"ours\.onnx"):
        peers.compare(Results("peers", "Peers", peers.COLUMNS), bad, onnx_file, 1, 2, network="small", exporter="x")


def test_networks_have_the_exporters_of_their_side() -> None:
    peers = script("peers")
    assert list(peers.ways_of("seresnet50", peers.WAYS)) == ["torchscript", "dynamo", "litert-torch"]
    assert list(peers.ways_of(peers.KERAS_NETWORK, peers.WAYS)) == ["onnx", "litert"]
    for network in peers.NETWORKS:
        assert peers.ours(network, 64).count_params() > 5e6


def test_a_peer_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = script("peers")
    monkeypatch.setattr(peers, "environment", lambda name: sys.executable)  # which has no timm
    assert "timm" in peers.write_theirs("seresnet50", "dynamo", 64, tmp_path / "theirs.onnx")
