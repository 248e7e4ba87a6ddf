"""Writes the sources around a TFLite file for LiteRT for Microcontrollers: arrays, constants, a program, a README.

The program and the README come from the files in `templates`. The C++ ones are sources of a network called `network`
with one input, one output and one operation, so that an editor and a compiler understand them: the name is replaced,
and lines between `// each KIND` and `// end` are repeated.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_se.export.microcontroller.arena import ALIGNMENT, Arena
from keras_se.export.microcontroller.c_source import array, comment, declaration, define, header, source
from keras_se.export.microcontroller.golden import Golden
from keras_se.export.tflite.graph import FileGraph, FileTensor

TEMPLATES = Path(__file__).with_name("templates")
ALIGNED = """\
#if defined(__cplusplus)
#define ALIGNED alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define ALIGNED _Alignas(16)
#else
#define ALIGNED __attribute__((aligned(16)))
#endif"""


@dataclass(frozen=True)
class Program:
    """The contents of the sources.

    Attributes:
        name: The prefix of files, arrays and constants.
        content: The TFLite file.
        graph: Its tensors and operations.
        methods: The resolver's methods that add its operations.
        arena: The estimate of the memory that it needs.
        golden: Samples, and the outputs that the device must compute.
        quantize: The mode of the file.
    """

    name: str
    content: bytes
    graph: FileGraph
    methods: Sequence[str]
    arena: Arena
    golden: Golden
    quantize: str | None

    def sources(self) -> dict[str, str]:
        """The text of each file, by file name."""
        return {
            f"{self.name}_model.h": self._model_header(),
            f"{self.name}_model.cc": self._model_source(),
            f"{self.name}_ops.h": self._from_template("ops.h"),
            f"{self.name}_settings.h": self._settings_header(),
            f"{self.name}_golden.h": self._golden_header(),
            f"{self.name}_golden.cc": self._golden_source(),
            "main.cc": self._from_template("main.cc"),
            "README.md": self._readme(),
        }

    @property
    def classes(self) -> int | None:
        """The channels of the output, if it is the only one and has no spatial axes."""
        shape = self.graph.tensors[self.graph.outputs[0]].shape
        return shape[-1] if len(self.graph.outputs) == 1 and len(shape) == 2 else None

    @property
    def _tensors(self) -> list[tuple[str, FileTensor]]:
        """Inputs and outputs with the names of their constants: `INPUT`, or `INPUT_0` and so on for several."""
        return [
            (kind if len(indices) == 1 else f"{kind}_{i}", self.graph.tensors[index])
            for kind, indices in (("INPUT", self.graph.inputs), ("OUTPUT", self.graph.outputs))
            for i, index in enumerate(indices)
        ]

    @property
    def _macro(self) -> str:
        return self.name.upper()

    def _from_template(self, file: str) -> str:
        text = (TEMPLATES / file).read_text(encoding="utf-8")
        for kind, indices in (("input", self.graph.inputs), ("output", self.graph.outputs)):
            several = len(indices) > 1
            words = [
                {"(0)": f"({i})"} | ({f"_{name}": f"_{name}_{i}" for name in (kind, kind.upper())} if several else {})
                for i in range(len(indices))
            ]
            text = _repeated(text, kind, words)
        text = _repeated(text, "operation", [{"AddConv2D": method} for method in self.methods])
        resolver = {"OpResolver<1>": f"OpResolver<{len(self.methods)}>"}
        return _replaced(text, {"network": self.name, "NETWORK": self._macro, **resolver})

    def _readme(self) -> str:
        text = (TEMPLATES / "README.md").read_text(encoding="utf-8")
        filled = text.format(
            name=self.name,
            macro=self._macro,
            size=len(self.content),
            arithmetic=self.quantize or "float32",
            operations=len(self.methods),
            samples=self.golden.samples,
            memory=self.arena.total(),
            tensors=self.arena.tensors,
            persistent=self.arena.persistent[4],
        )
        return source([textwrap.fill(part, 120, break_on_hyphens=False) for part in filled.split("\n\n")])

    def _model_header(self) -> str:
        length = define(f"{self._macro}_MODEL_SIZE", len(self.content), "bytes")
        note = comment(f"{self.name}.tflite, aligned to {ALIGNMENT} bytes because the runtime reads it in place.")
        declared = declaration(f"{self.name}_model", "uint8", f"{self._macro}_MODEL_SIZE")
        return header(f"{self.name}_model.h", ["#include <stdint.h>", length], [f"{note}\n{declared}"])

    def _model_source(self) -> str:
        content = np.frombuffer(self.content, "uint8")
        values = array(f"{self.name}_model", content, f"{self._macro}_MODEL_SIZE", "ALIGNED ")
        return source([f'#include "{self.name}_model.h"', ALIGNED, values])

    def _settings_header(self) -> str:
        macro, arena = self._macro, self.arena
        total = f"({macro}_ARENA_TENSORS + (sizeof(void *) > 4 ? {arena.persistent[8]} : {arena.persistent[4]}))"
        note = comment(
            "The memory that the runtime needs, in bytes. This is an estimate: intermediate tensors are placed as the "
            "runtime places them, and persistent structures are an allowance for its reference kernels. Kernels that "
            "are optimized for a processor, such as CMSIS-NN, can need more. main.cc prints how much was used."
        )
        blocks = [
            "#include <stddef.h>\n#include <stdint.h>",
            "\n".join([note, define(f"{macro}_ARENA_TENSORS", arena.tensors), define(f"{macro}_ARENA_SIZE", total)]),
            *(self._tensor_settings(name, tensor) for name, tensor in self._tensors),
        ]
        if self.classes is not None:
            blocks.append(define(f"{macro}_CLASSES", self.classes))
        return header(f"{self.name}_settings.h", blocks)

    def _tensor_settings(self, name: str, tensor: FileTensor) -> str:
        macro = f"{self._macro}_{name}"
        meaning = "A value q stands for SCALE * (q - ZERO_POINT)." if tensor.scales else "Values are not quantized."
        c_type = "float" if tensor.type == "FLOAT32" else f"{tensor.type.lower()}_t"
        lines = [
            comment(f'{name.replace("_", " ").capitalize()}, "{tensor.name}". {meaning}'),
            define(f"{macro}_RANK", len(tensor.shape)),
            define(f"{macro}_SHAPE", tensor.shape),
            define(f"{macro}_SIZE", tensor.count, "values"),
            f"typedef {c_type} {self.name}_{name.lower()}_t;",
        ]
        if tensor.scales:
            lines.append(define(f"{macro}_SCALE", tensor.scales[0]))
            lines.append(define(f"{macro}_ZERO_POINT", tensor.zero_points[0]))
        return "\n".join(lines)

    def _golden_arrays(self) -> list[tuple[str, np.ndarray, str]]:
        """The name, the values and the length of each array."""
        samples = f"{self._macro}_GOLDEN_SAMPLES"
        return [
            (f"{self.name}_golden_{name.lower()}", values, f"{samples} * {self._macro}_{name}_SIZE")
            for (name, _), values in zip(self._tensors, [*self.golden.inputs, *self.golden.outputs], strict=True)
        ]

    def _golden_header(self) -> str:
        names = [name for name, _ in self._tensors if name.startswith("OUTPUT")]
        tolerances = [
            define(f"{self._macro}_GOLDEN_{name}_TOLERANCE", int(value) if output.dtype.kind != "f" else value)
            for name, value, output in zip(names, self.golden.tolerances, self.golden.outputs, strict=True)
        ]
        note = comment(
            "Samples, and the outputs that LiteRT's reference kernels compute for them, one after the other. A kernel "
            "that rounds the other way can differ by the tolerance: for integers, a number of quantization steps."
        )
        constants = [define(f"{self._macro}_GOLDEN_SAMPLES", self.golden.samples), *tolerances]
        declared = [declaration(name, values.dtype.name, length) for name, values, length in self._golden_arrays()]
        includes = f'#include <stdint.h>\n\n#include "{self.name}_settings.h"'
        return header(f"{self.name}_golden.h", [includes, "\n".join([note, *constants])], ["\n".join(declared)])

    def _golden_source(self) -> str:
        arrays = [array(name, values, length) for name, values, length in self._golden_arrays()]
        return source([f'#include "{self.name}_golden.h"', *arrays])


def _repeated(text: str, kind: str, words: Sequence[Mapping[str, str]]) -> str:
    """Repeats the lines between `// each KIND` and `// end`, with each of the replacements in turn."""
    lines = re.compile(rf"^ *// each {kind}\n(.*?)^ *// end\n", re.MULTILINE | re.DOTALL)
    return lines.sub(lambda match: "".join(_replaced(match[1], each) for each in words), text)


def _replaced(text: str, words: Mapping[str, str]) -> str:
    return re.sub("|".join(map(re.escape, words)), lambda match: words[match[0]], text)
