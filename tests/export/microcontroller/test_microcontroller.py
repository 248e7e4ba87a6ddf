"""Folders for microcontrollers: sources compile, match the file, and compare golden samples."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from keras_se.export import Artifact, ExportError
from keras_se.export.microcontroller import convert
from keras_se.export.microcontroller.arena import Arena
from keras_se.export.microcontroller.c_source import identifier, is_identifier
from keras_se.export.microcontroller.convert import to_microcontroller
from keras_se.export.microcontroller.golden import Golden
from keras_se.export.microcontroller.sources import TEMPLATES, Program
from keras_se.export.targets.tflite_micro_ops import METHODS
from keras_se.export.tflite.graph import FileGraph, FileOperation, FileTensor
from tests.support.arrays import relative_error
from tests.support.microcontrollers import STRICT, STUB, arm, run, runtime
from tests.support.networks import sample
from tests.support.networks.exported import se_resnet

CASES = [
    *[(name, "int8") for name in ("se_resnet", "two_inputs", "sequence")],
    *[("se_resnet", mode) for mode in (None, "int16x8")],
]
FILES = {"main.cc", "README.md", "manifest.json"}
NAMED = ("{}.tflite", "{}_golden.cc", "{}_golden.h", "{}_model.cc", "{}_model.h", "{}_ops.h", "{}_settings.h")


def reference(content):
    loaded = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    loaded.allocate_tensors()
    return loaded


def defined(folder, name, part="settings"):
    """The constants of a header, as text."""
    lines = re.findall(r"^#define (\w+) (.+?)(?: /\*.*)?$", (folder / f"{name}_{part}.h").read_text(), re.MULTILINE)
    return {key.removeprefix(f"{name.upper()}_"): value.strip("()") for key, value in lines}


def arrays(path):
    """The arrays of a C file, by name."""
    text = re.findall(r"const (\w+) (\w+)\[.*?\] = \{(.*?)\};", path.read_text(), re.DOTALL)
    dtypes = {"float": "float32"}
    return {
        name: np.array(
            [int(v, 0) if kind != "float" else float(v.rstrip("f")) for v in body.split(",") if v.strip()]
        ).astype(dtypes.get(kind, kind.removesuffix("_t")))
        for kind, name, body in text
    }


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_folder_is_complete_and_verified(micro, name, mode):
    artifact = micro(name, mode)
    assert {file.name for file in artifact.path.iterdir()} == FILES | {named.format(name) for named in NAMED}
    assert (artifact.format, artifact.quantize) == ("microcontroller", mode)
    assert artifact.parity.passed
    assert artifact.size == sum(file.stat().st_size for file in artifact.path.iterdir())


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_the_artifact_runs_the_file(micro, name, mode):
    outputs = micro(name, mode).predict(sample(name).data)
    outputs = outputs if isinstance(outputs, dict) else {next(iter(sample(name).expected)): outputs}
    for key, expected in sample(name).expected.items():
        assert relative_error(expected, outputs[key]) < (0.1 if mode else 5e-6)


def test_opened_folder_runs(micro):
    artifact, data = micro("se_resnet"), sample("se_resnet").data
    opened = Artifact.open(artifact.path)
    assert (opened.format, opened.quantize) == ("microcontroller", "int8")
    assert np.array_equal(opened.predict(data), artifact.predict(data))


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_array_equals_the_file(micro, name, mode):
    folder = micro(name, mode).path
    content = (folder / f"{name}.tflite").read_bytes()
    assert arrays(folder / f"{name}_model.cc")[f"{name}_model"].tobytes() == content
    assert int(defined(folder, name, "model")["MODEL_SIZE"]) == len(content)


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_settings_match_litert(micro, name, mode):
    folder = micro(name, mode).path
    loaded, settings = reference((folder / f"{name}.tflite").read_bytes()), defined(folder, name)
    for kind, details in (("INPUT", loaded.get_input_details()), ("OUTPUT", loaded.get_output_details())):
        for i, detail in enumerate(details):
            end = kind if len(details) == 1 else f"{kind}_{i}"
            shape = tuple(map(int, settings[f"{end}_SHAPE"].strip("{}").split(",")))
            assert shape == tuple(detail["shape"])
            assert int(settings[f"{end}_SIZE"]) == np.prod(shape)
            assert int(settings[f"{end}_RANK"]) == len(shape)
            c_type = "float" if mode is None else f"{np.dtype(detail['dtype']).name}_t"
            assert f"typedef {c_type} {name}_{end.lower()}_t;" in (folder / f"{name}_settings.h").read_text()
            scale, zero_point = detail["quantization"]
            assert (f"{end}_SCALE" in settings) == bool(mode)
            if mode:
                assert np.float32(settings[f"{end}_SCALE"].rstrip("f")) == np.float32(scale)
                assert int(settings[f"{end}_ZERO_POINT"]) == zero_point
    classes = {"se_resnet": "10"}.get(name)
    assert settings.get("CLASSES") == classes


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_golden_outputs_match_reference_kernels(micro, name, mode):
    folder = micro(name, mode).path
    loaded, golden = reference((folder / f"{name}.tflite").read_bytes()), arrays(folder / f"{name}_golden.cc")
    samples = int(defined(folder, name, "golden")["GOLDEN_SAMPLES"])
    assert samples == 4
    ends = {"input": loaded.get_input_details(), "output": loaded.get_output_details()}
    columns = {
        kind: [
            golden[f"{name}_golden_{kind}" + (f"_{i}" if len(details) > 1 else "")].reshape(samples, *detail["shape"])
            for i, detail in enumerate(details)
        ]
        for kind, details in ends.items()
    }
    for k in range(samples):
        for detail, column in zip(ends["input"], columns["input"], strict=True):
            loaded.set_tensor(detail["index"], column[k])
        loaded.invoke()
        for detail, column in zip(ends["output"], columns["output"], strict=True):
            assert np.array_equal(loaded.get_tensor(detail["index"]), column[k])


def test_golden_inputs_are_the_first_samples(micro, tmp_path):
    folder, data = micro("se_resnet").path, sample("se_resnet").data
    detail = reference((folder / "se_resnet.tflite").read_bytes()).get_input_details()[0]
    scale, zero_point = detail["quantization"]

    def quantized(values):
        return np.clip(np.round(values / scale) + zero_point, -128, 127).astype("int8").ravel()

    assert np.array_equal(arrays(folder / "se_resnet_golden.cc")["se_resnet_golden_input"], quantized(data[:4]))
    other = to_microcontroller(
        sample("se_resnet").model,
        tmp_path / "folder",
        quantize="int8",
        calibration_data=data,
        verification_data=(column for column in (data[5:7], data[7:8])),
        golden=9,
    )
    assert np.array_equal(arrays(other.path / "se_resnet_golden.cc")["se_resnet_golden_input"], quantized(data[5:8]))


@pytest.mark.reference
@pytest.mark.parametrize(("name", "mode"), CASES)
def test_micro_runtime_computes_the_golden_outputs(micro, name, mode):
    folder = micro(name, mode).path
    golden, manifest = arrays(folder / f"{name}_golden.cc"), json.loads((folder / "manifest.json").read_text())
    arena_size = manifest["arena"]["estimate_64_bit"] + 4096  # that of a PC keeps a record besides
    interpreter = runtime().Interpreter.from_file(str(folder / f"{name}.tflite"), arena_size=arena_size)
    columns = {
        kind: [golden[f"{name}_golden_{kind}" + (f"_{i}" if len(ends) > 1 else "")] for i in range(len(ends))]
        for kind, ends in (("input", manifest["inputs"]), ("output", manifest["outputs"]))
    }
    for k in range(4):
        for i, (end, column) in enumerate(zip(manifest["inputs"], columns["input"], strict=True)):
            interpreter.set_input(column.reshape(4, *end["shape"])[k], i)
        interpreter.invoke()
        for i, (end, column) in enumerate(zip(manifest["outputs"], columns["output"], strict=True)):
            difference = interpreter.get_output(i).astype("float64") - column.reshape(4, *end["shape"])[k]
            assert np.abs(difference).max() <= manifest["golden"]["tolerances"][i]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_resolver_has_the_operations_of_the_file(micro, name, mode):
    folder = micro(name, mode).path
    text = (folder / f"{name}_ops.h").read_text()
    loaded = Interpreter(
        model_path=str(folder / f"{name}.tflite"),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    counts = Counter(operation["op_name"] for operation in loaded._get_ops_details())
    assert Counter(re.findall(r"resolver\.(\w+)\(\)", text)) == Counter(METHODS[operation] for operation in counts)
    assert f"MicroMutableOpResolver<{len(counts)}>" in text
    assert json.loads((folder / "manifest.json").read_text())["operations"] == counts


def test_manifest_matches_the_folder(micro):
    folder = micro("se_resnet").path
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"] == {
        file.name: file.stat().st_size for file in folder.iterdir() if file.name != "manifest.json"
    }
    digest = subprocess.run(["sha256sum", folder / "se_resnet.tflite"], capture_output=True, text=True, check=True)
    assert manifest["model"]["sha256"] == digest.stdout.split()[0]
    assert manifest["quantize"] == "int8"
    assert manifest["versions"]["keras"] == keras.__version__
    settings = defined(folder, "se_resnet")
    assert manifest["arena"]["tensors"] == int(settings["ARENA_TENSORS"])
    assert str(manifest["arena"]["persistent_32_bit"]) in settings["ARENA_SIZE"]
    assert manifest["arena"]["estimate_32_bit"] < manifest["arena"]["estimate_64_bit"]


C_PARTS = ("model", "golden")


@pytest.mark.parametrize(("name", "mode"), CASES)
@pytest.mark.parametrize(
    "compiler", [("g++", "-std=c++17"), ("gcc", "-std=c99", "-x", "c"), ("gcc", "-std=c11", "-x", "c")]
)
def test_arrays_compile_as_c_and_cpp(micro, tmp_path, name, mode, compiler):
    for part in C_PARTS:
        source = micro(name, mode).path / f"{name}_{part}.cc"
        run(compiler[0], *compiler[1:], *STRICT, "-pedantic", "-c", source, "-o", tmp_path / f"{part}.o")


def test_templates_compile_unchanged(tmp_path):
    """They are the sources of a network called `network` with one convolution, whose other files are written here."""
    tensor = FileTensor("INT8", (1, 2), False, (0.5,), (0,), "x")
    graph = FileGraph((tensor, tensor), (FileOperation("CONV_2D", (0,), (1,)),), (0,), (1,))
    values = [np.zeros((1, 2), "int8")]
    arena, golden = Arena(64, {4: 64, 8: 64}), Golden(values, values, [1.0])
    sources = Program("network", b"\0", graph, ["AddConv2D"], arena, golden, "int8").sources()
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "main.cc").unlink()
    (tmp_path / "network_ops.h").write_text((TEMPLATES / "ops.h").read_text())
    run("g++", "-std=c++17", *STRICT, f"-I{STUB}", f"-I{tmp_path}", "-fsyntax-only", TEMPLATES / "main.cc")
    marker = re.compile(r"^ *// (each .*|end)\n", re.MULTILINE)
    for name, template in (("main.cc", "main.cc"), ("network_ops.h", "ops.h")):
        assert marker.sub("", (TEMPLATES / template).read_text()) == sources[name]


def test_compiled_array_equals_the_file(micro, tmp_path):
    folder = micro("se_resnet").path
    (tmp_path / "dump.c").write_text(
        '#include <stdio.h>\n#include "se_resnet_model.h"\n#include "se_resnet_settings.h"\n'
        "int main(void) {\n"
        "  if ((uintptr_t)se_resnet_model % 16 != 0) return 1;\n"
        "  return fwrite(se_resnet_model, 1, SE_RESNET_MODEL_SIZE, stdout) != SE_RESNET_MODEL_SIZE;\n}\n"
    )
    program = tmp_path / "dump"
    run(
        "gcc",
        "-std=c99",
        *STRICT,
        f"-I{folder}",
        tmp_path / "dump.c",
        "-x",
        "c",
        folder / "se_resnet_model.cc",
        "-o",
        program,
    )
    dumped = subprocess.run([program], capture_output=True, check=True).stdout
    assert dumped == (folder / "se_resnet.tflite").read_bytes()


@pytest.mark.reference
@pytest.mark.parametrize("compiler", [("g++", "-std=c++17"), ("gcc", "-std=c99", "-x", "c")])
def test_arrays_go_into_flash_on_arm(micro, tmp_path, compiler):
    tool, nm = arm(compiler[0]), arm("nm")
    folder = micro("se_resnet").path
    for part in C_PARTS:
        source, compiled = folder / f"se_resnet_{part}.cc", tmp_path / f"{part}.o"
        board = ("-mcpu=cortex-m4", "-mthumb", "-ffreestanding", "-Os")
        run(tool, *compiler[1:], *board, *STRICT, "-c", source, "-o", compiled)
        symbols = {line.split()[3]: line.split() for line in run(nm, "-S", compiled).splitlines()}
        assert {kind for _, _, kind, _ in symbols.values()} == {"R"}, "constants, not variables"
        if part == "model":
            address, size, *_ = symbols["se_resnet_model"]
            assert (int(address, 16) % 16, int(size, 16)) == (0, (folder / "se_resnet.tflite").stat().st_size)


# An interpreter that answers with the golden outputs, one value off by OFFSET, if it gets the golden inputs, an arena
# of the size in the settings, and the network with its operations.
FAKE = """
#include <cstring>
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "{name}_golden.h"
#include "{name}_model.h"

namespace {{
{buffers}
size_t sample = 0;
}}

namespace stub {{
TfLiteTensor *input(size_t index) {{ return &inputs[index]; }}
TfLiteTensor *output(size_t index) {{ return &outputs[index]; }}
TfLiteStatus allocate(const uint8_t *model, size_t operations, size_t arena_size) {{
  const bool right = model == {name}_model && operations == {operations} && arena_size == {macro}_ARENA_SIZE;
  return right && !FAIL ? kTfLiteOk : kTfLiteError;
}}
TfLiteStatus invoke() {{
{checked}
{answered}
  ++sample;
  return kTfLiteOk;
}}
}}
"""


def fake(name, inputs, outputs, operations):
    macro, kinds = name.upper(), {"input": inputs, "output": outputs}
    ends = {kind: [kind if n == 1 else f"{kind}_{i}" for i in range(n)] for kind, n in kinds.items()}
    every = [end for found in ends.values() for end in found]
    buffers = [f"{name}_{end}_t {end}_values[{macro}_{end.upper()}_SIZE];" for end in every]
    for kind, found in ends.items():
        rows = ", ".join(f"{{{{reinterpret_cast<char *>({end}_values)}}, sizeof({end}_values)}}" for end in found)
        buffers.append(f"TfLiteTensor {kind}s[] = {{{rows}}};")
    checked = [
        f"  if (std::memcmp({end}_values, {name}_golden_{end} + sample * {macro}_{end.upper()}_SIZE, "
        f"sizeof({end}_values)) != 0) return kTfLiteError;"
        for end in ends["input"]
    ]
    answered = [
        f"  for (size_t i = 0; i < {macro}_{end.upper()}_SIZE; ++i) {end}_values[i] = static_cast<{name}_{end}_t>("
        f"{name}_golden_{end}[sample * {macro}_{end.upper()}_SIZE + i] + (i == 1 && sample == 2 ? OFFSET : 0));"
        for end in ends["output"]
    ]
    texts = {"buffers": buffers, "checked": checked, "answered": answered}
    return FAKE.format(
        name=name, macro=macro, operations=operations, **{key: "\n".join(lines) for key, lines in texts.items()}
    )


def program(folder, name, build, *, offset="0", fail="0"):
    """`main.cc` compiled with the interpreter above."""
    manifest = json.loads((folder / "manifest.json").read_text())
    build.mkdir(exist_ok=True)
    text = fake(name, len(manifest["inputs"]), len(manifest["outputs"]), len(manifest["operations"]))
    (build / "fake.cc").write_text(text)
    sources = [folder / "main.cc", folder / f"{name}_model.cc", folder / f"{name}_golden.cc", build / "fake.cc"]
    flags = ("-std=c++17", *STRICT, f"-I{STUB}", f"-I{folder}", f"-DOFFSET={offset}", f"-DFAIL={fail}")
    run("g++", *flags, *sources, "-o", build / "program")
    return subprocess.run([build / "program"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_program_accepts_golden_outputs(micro, tmp_path, name, mode):
    done = program(micro(name, mode).path, name, tmp_path / "build")
    assert done.returncode == 0, done.stdout
    assert f"{name}: 4 samples, 0 values differ" in done.stdout


@pytest.mark.parametrize(
    ("mode", "offset", "passes"),
    [
        ("int8", "1", True),
        ("int8", "2", False),
        ("int16x8", "16", True),
        ("int16x8", "17", False),
        (None, "1e-6f", True),
        (None, "0.01f", False),
        (None, "-0.01f", False),
        (None, "0.0f / 0.0f", False),
    ],
)
def test_program_counts_values_beyond_the_tolerance(micro, tmp_path, mode, offset, passes):
    done = program(micro("se_resnet", mode).path, "se_resnet", tmp_path / "build", offset=offset)
    assert (done.returncode == 0) == passes
    assert f"4 samples, {0 if passes else 1} values differ" in done.stdout


def test_program_reports_a_small_arena(micro, tmp_path):
    done = program(micro("se_resnet").path, "se_resnet", tmp_path / "build", fail="1")
    assert done.returncode == 1
    assert re.search(r"arena may be too small: it has \d+ bytes", done.stdout)


def contents(folder):
    return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def test_the_same_export_has_the_same_bytes(micro, tmp_path):
    data = sample("se_resnet").data
    again = to_microcontroller(
        sample("se_resnet").model, tmp_path / "again", quantize="int8", calibration_data=data, name="se_resnet"
    )
    assert contents(again.path) == contents(micro("se_resnet").path)


@pytest.mark.parametrize("io_dtype", ["float32", "uint8"])
def test_io_dtypes_of_int8_folders(tmp_path, io_dtype):
    network = sample("se_resnet")
    artifact = to_microcontroller(
        network.model,
        tmp_path / "folder",
        quantize="int8",
        calibration_data=network.data,
        io_dtype=io_dtype,
        golden=2,
    )
    manifest = json.loads((artifact.path / "manifest.json").read_text())
    assert [end["dtype"] for end in (*manifest["inputs"], *manifest["outputs"])] == [io_dtype, io_dtype]
    assert ("QUANTIZE" in manifest["operations"]) == ("AddQuantize" in (artifact.path / "se_resnet_ops.h").read_text())
    # One step of the softmax is 1/256, in integers or in floats.
    step = 1.0 if io_dtype == "uint8" else 1.01 / 256
    assert manifest["golden"]["tolerances"] == pytest.approx([step])
    golden = arrays(artifact.path / "se_resnet_golden.cc")
    assert golden["se_resnet_golden_output"].dtype == io_dtype
    run("g++", *STRICT, "-c", artifact.path / "se_resnet_golden.cc", "-o", tmp_path / "golden.o")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "float16"}, r"quantize must be one of None, 'int8', 'int16x8' for microcontroller\..*'float16'"),
        ({"quantize": "dynamic"}, r"quantize must be one of .*'dynamic'"),
        ({"batch_size": 2}, r"batch_size must be 1 for microcontrollers.*2"),
        ({"calibration_data": None}, "calibration_data must be given"),
        ({"io_dtype": "int16"}, "io_dtype must be one of .* with quantize='int8'"),
        ({"name": "se-resnet"}, r"name must be a C identifier.*'se-resnet'"),
        ({"name": "2d"}, "name must be a C identifier"),
        ({"name": "a__b"}, "name must be a C identifier"),
        ({"name": "../up"}, "name must be a C identifier"),
        ({"name": 3}, "name must be a C identifier"),
        ({"golden": 0}, "golden must be a positive integer"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_wrong_options_are_refused_before_conversion(tmp_path, monkeypatch, options, message):
    monkeypatch.setattr(convert.tflite, "write", lambda *_, **__: pytest.fail("it was converted"))
    with pytest.raises(ValueError, match=message):
        to_microcontroller(
            se_resnet(),
            tmp_path / "folder",
            **{"quantize": "int8", "calibration_data": sample("se_resnet").data, **options},
        )
    assert not list(tmp_path.iterdir())


def test_unknown_sizes_are_refused(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image)), name="unsized")
    with pytest.raises(ValueError, match="input_shape must give every size of the input 'image'"):
        to_microcontroller(model, tmp_path / "folder")
    artifact = to_microcontroller(model, tmp_path / "folder", input_shape=(8, 8, 3))
    assert defined(artifact.path, "unsized")["INPUT_SHAPE"] == "{1, 8, 8, 3}"


def test_unsupported_operation_is_refused(tmp_path):
    network = sample("segmentation")  # Keras enlarges images by TILE
    with pytest.raises(
        ExportError, match=r"Microcontrollers does not support TILE, which the converted network contains"
    ):
        to_microcontroller(network.model, tmp_path / "folder", quantize="int8", calibration_data=network.data)
    assert not list(tmp_path.iterdir())


def test_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        assert list(tmp_path.rglob("*.tflite")), "it has begun"
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "golden_vectors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        to_microcontroller(se_resnet(), tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def test_only_untouched_folders_are_overwritten(tmp_path):
    model, folder = se_resnet(), tmp_path / "folder"
    to_microcontroller(model, folder)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_microcontroller(model, folder)
    to_microcontroller(model, folder, overwrite=True, name="again")
    assert (folder / "again.tflite").is_file()
    assert not (folder / "se_resnet.tflite").exists()
    (folder / "main.cc").write_text("int main() { return 42; }")
    with pytest.raises(
        FileExistsError, match="is a folder that was changed since it was exported, and is never replaced"
    ):
        to_microcontroller(model, folder, overwrite=True)
    assert (folder / "main.cc").read_text() == "int main() { return 42; }"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("se_resnet", "se_resnet"),
        ("SE-ResNet 50 (v2)", "SE_ResNet_50_v2"),
        ("3D net", "model_3D_net"),
        ("__a__", "a"),
        ("größe", "gr_e"),
        ("網", "model"),
    ],
)
def test_model_names_become_identifiers(name, made):
    assert identifier(name) == made
    assert is_identifier(made)
