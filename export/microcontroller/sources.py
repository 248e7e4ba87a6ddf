"""The sources around a TFLite file for LiteRT for Microcontrollers: an array, constants, and a program."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_se.export.microcontroller.arena import ALIGNMENT, Arena
from keras_se.export.microcontroller.c_source import array, comment, declaration, define, header, source
from keras_se.export.microcontroller.golden import Golden
from keras_se.export.tflite.graph import FileGraph, FileTensor


@dataclass(frozen=True)
class Program:
    """What the sources are made of.

    Attributes:
        name: What they and everything in them are called.
        content: The TFLite file.
        graph: What is in it.
        methods: Those of the resolver that add its operations.
        arena: The estimate.
        golden: What is compared on the device.
    """

    name: str
    content: bytes
    graph: FileGraph
    methods: Sequence[str]
    arena: Arena
    golden: Golden

    def sources(self) -> dict[str, str]:
        """The text of each file, by its name."""
        return {
            f"{self.name}_model.h": self._model_header(),
            f"{self.name}_model.cc": self._model_source(),
            f"{self.name}_ops.h": self._ops_header(),
            f"{self.name}_settings.h": self._settings_header(),
            f"{self.name}_golden.h": self._golden_header(),
            f"{self.name}_golden.cc": self._golden_source(),
            "main.cc": self._main(),
        }

    @property
    def ends(self) -> list[tuple[str, FileTensor]]:
        """Inputs and outputs with what their constants are called: `INPUT`, or `INPUT_0` and so on for several."""
        return [
            (kind if len(indices) == 1 else f"{kind}_{i}", self.graph.tensors[index])
            for kind, indices in (("INPUT", self.graph.inputs), ("OUTPUT", self.graph.outputs))
            for i, index in enumerate(indices)
        ]

    @property
    def classes(self) -> int | None:
        """The channels of the one output, if it has no position."""
        shape = self.graph.tensors[self.graph.outputs[0]].shape
        return shape[-1] if len(self.graph.outputs) == 1 and len(shape) == 2 else None

    @property
    def _macro(self) -> str:
        return self.name.upper()

    def _model_header(self) -> str:
        length = define(f"{self._macro}_MODEL_SIZE", len(self.content), "bytes")
        note = comment(f"{self.name}.tflite, aligned to {ALIGNMENT} bytes, as the runtime reads it in place.")
        array_of = declaration(f"{self.name}_model", "uint8", f"{self._macro}_MODEL_SIZE")
        return header(f"{self.name}_model.h", ["#include <stdint.h>", length], [f"{note}\n{array_of}"])

    def _model_source(self) -> str:
        align = (
            "#if defined(__cplusplus)\n#define ALIGNED alignas(16)\n"
            "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n#define ALIGNED _Alignas(16)\n"
            "#else\n#define ALIGNED __attribute__((aligned(16)))\n#endif"
        )
        content = np.frombuffer(self.content, "uint8")
        values = array(f"{self.name}_model", content, f"{self._macro}_MODEL_SIZE", "ALIGNED ")
        return source([f'#include "{self.name}_model.h"', align, values])

    def _ops_header(self) -> str:
        resolver = f"tflite::MicroMutableOpResolver<{len(self.methods)}>"
        guard = f"{self._macro}_OPS_H_"
        return _OPS.format(
            guard=guard,
            name=self.name,
            resolver=resolver,
            added="\n".join(f"  TF_LITE_ENSURE_STATUS(resolver.{method}());" for method in self.methods),
        )

    def _settings_header(self) -> str:
        macro, arena = self._macro, self.arena
        total = f"({macro}_ARENA_TENSORS + (sizeof(void *) > 4 ? {arena.persistent[8]} : {arena.persistent[4]}))"
        blocks = [
            "#include <stddef.h>\n#include <stdint.h>",
            comment(
                "The memory that the runtime needs, in bytes. This is an estimate: the tensors that operations pass on "
                "are planned as the runtime plans them; what it keeps besides is an allowance for its reference "
                "kernels. Kernels made for a processor, as CMSIS-NN, can need more. The program in main.cc prints what "
                "was used."
            )
            + "\n"
            + "\n".join([define(f"{macro}_ARENA_TENSORS", arena.tensors), define(f"{macro}_ARENA_SIZE", total)]),
            *(self._end_settings(end, tensor) for end, tensor in self.ends),
        ]
        if self.classes is not None:
            blocks.append(define(f"{macro}_CLASSES", self.classes))
        return header(f"{self.name}_settings.h", blocks)

    def _end_settings(self, end: str, tensor: FileTensor) -> str:
        macro = f"{self._macro}_{end}"
        lines = [
            comment(f'{end.replace("_", " ").capitalize()}, "{tensor.name}". ' + _meaning(tensor)),
            define(f"{macro}_RANK", len(tensor.shape)),
            define(f"{macro}_SHAPE", tensor.shape),
            define(f"{macro}_SIZE", tensor.count, "values"),
            f"typedef {_c_type(tensor)} {self.name}_{end.lower()}_t;",
        ]
        if tensor.scales:
            lines += [
                define(f"{macro}_SCALE", tensor.scales[0]),
                define(f"{macro}_ZERO_POINT", tensor.zero_points[0]),
            ]
        return "\n".join(lines)

    def _golden_columns(self) -> list[tuple[str, np.ndarray, str]]:
        """Name, values and length of each array."""
        values = [*self.golden.inputs, *self.golden.outputs]
        samples = f"{self._macro}_GOLDEN_SAMPLES"
        return [
            (f"{self.name}_golden_{end.lower()}", column, f"{samples} * {self._macro}_{end}_SIZE")
            for (end, _), column in zip(self.ends, values, strict=True)
        ]

    def _golden_header(self) -> str:
        outputs = [end for end, _ in self.ends if end.startswith("OUTPUT")]
        tolerances = [
            define(f"{self._macro}_GOLDEN_{end}_TOLERANCE", int(value) if column.dtype.kind != "f" else value)
            for end, value, column in zip(outputs, self.golden.tolerances, self.golden.outputs, strict=True)
        ]
        note = comment(
            "Samples, and what LiteRT's reference kernels compute of them, one after the other. A kernel that rounds "
            "the other way can be off by the tolerance: of integers, so many steps of the quantization."
        )
        constants = [define(f"{self._macro}_GOLDEN_SAMPLES", self.golden.samples), *tolerances]
        declared = [declaration(name, column.dtype.name, length) for name, column, length in self._golden_columns()]
        includes = f'#include <stdint.h>\n\n#include "{self.name}_settings.h"'
        return header(f"{self.name}_golden.h", [includes, note + "\n" + "\n".join(constants)], ["\n".join(declared)])

    def _golden_source(self) -> str:
        arrays = [array(name, column, length) for name, column, length in self._golden_columns()]
        return source([f'#include "{self.name}_golden.h"', *arrays])

    def _main(self) -> str:
        inputs, outputs = len(self.graph.inputs), len(self.graph.outputs)
        names = [end for end, _ in self.ends]
        calls = {
            end: f"{self.name}_golden_{end.lower()} + sample * {self._macro}_{end}_SIZE, {self._macro}_{end}_SIZE"
            for end in names
        }
        filled = [
            f"    if (!Fill(interpreter.input({i}),\n              {calls[names[i]]})) return 1;" for i in range(inputs)
        ]
        compared = [
            f"    different += Different(interpreter.output({i}),\n"
            f"                           {calls[names[inputs + i]]},\n"
            f"                           {self._macro}_GOLDEN_{names[inputs + i]}_TOLERANCE);"
            for i in range(outputs)
        ]
        return _MAIN.format(
            name=self.name,
            macro=self._macro,
            resolver=f"tflite::MicroMutableOpResolver<{len(self.methods)}>",
            filled="\n".join(filled),
            compared="\n".join(compared),
        )


def _c_type(tensor: FileTensor) -> str:
    return "float" if tensor.type == "FLOAT32" else f"{tensor.type.lower()}_t"


def _meaning(tensor: FileTensor) -> str:
    return "A value q stands for SCALE * (q - ZERO_POINT)." if tensor.scales else "Values are as they are."


_OPS = """\
#ifndef {guard}
#define {guard}

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

/* Adds the operations of {name}.tflite, and no others, to a resolver that has room for them alone. */
inline TfLiteStatus {name}_add_ops({resolver} &resolver) {{
{added}
  return kTfLiteOk;
}}

#endif /* {guard} */
"""

_MAIN = """\
/* Runs {name} on its golden inputs, and compares what it computes. Returns 0 if all is as it should be. */
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

#include "{name}_golden.h"
#include "{name}_model.h"
#include "{name}_ops.h"
#include "{name}_settings.h"

namespace {{

alignas(16) uint8_t arena[{macro}_ARENA_SIZE];

/* Copies a sample into an input. */
template <typename Value>
bool Fill(TfLiteTensor *input, const Value *values, size_t count) {{
  if (input == nullptr || input->bytes != count * sizeof(Value)) {{
    MicroPrintf("An input has another size than the golden one.");
    return false;
  }}
  std::memcpy(input->data.raw, values, input->bytes);
  return true;
}}

/* How many values of an output are too far from the golden ones; those that are no numbers are. */
template <typename Value>
int Different(const TfLiteTensor *output, const Value *golden, size_t count, double tolerance) {{
  if (output == nullptr || output->bytes != count * sizeof(Value)) {{
    MicroPrintf("An output has another size than the golden one.");
    return 1;
  }}
  const Value *values = reinterpret_cast<const Value *>(output->data.raw);
  int different = 0;
  for (size_t i = 0; i < count; ++i) {{
    const double difference = static_cast<double>(values[i]) - static_cast<double>(golden[i]);
    if (!(difference <= tolerance && -difference <= tolerance)) ++different;
  }}
  return different;
}}

}}  // namespace

int main() {{
  tflite::InitializeTarget();
  const tflite::Model *model = tflite::GetModel({name}_model);
  if (model->version() != TFLITE_SCHEMA_VERSION) {{
    MicroPrintf("The runtime reads another version of the file format.");
    return 1;
  }}
  static {resolver} resolver;
  if ({name}_add_ops(resolver) != kTfLiteOk) return 1;
  static tflite::MicroInterpreter interpreter(model, resolver, arena, sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) {{
    MicroPrintf("The arena may be too small: it has %d bytes.", static_cast<int>(sizeof(arena)));
    return 1;
  }}
  MicroPrintf("arena: %d of %d bytes", static_cast<int>(interpreter.arena_used_bytes()),
              static_cast<int>(sizeof(arena)));

  int different = 0;
  for (size_t sample = 0; sample < {macro}_GOLDEN_SAMPLES; ++sample) {{
{filled}
    if (interpreter.Invoke() != kTfLiteOk) return 1;
{compared}
  }}
  MicroPrintf("{name}: %d samples, %d values differ", {macro}_GOLDEN_SAMPLES, different);
  return different == 0 ? 0 : 1;
}}
"""
