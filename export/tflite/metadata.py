"""The document in a TFLite file: an entry of the file's metadata, and its buffer."""

import struct
from pathlib import Path
from typing import Any

from keras_se.export.errors import ExportError, require
from keras_se.export.metadata import KEY, LIMIT
from keras_se.export.tflite.graph import FileTensor, read_graph
from keras_se.export.tflite.untrusted import DAMAGE, IDENTIFIER, Reader

ALIGNMENT = 16
# Fields of the table that a file begins with. All but the first are offsets.
FIELDS, BUFFERS, METADATA = 10, 4, 6
# Where the table of a buffer says where its field for a place in the file is.
PLACE = 6


def tensors(path: Path) -> dict[str, Any]:
    """The inputs and outputs of a file."""
    return {end: [end_facts(x) for x in tensors] for end, tensors in read_graph(path.read_bytes()).ends.items()}


def end_facts(tensor: FileTensor) -> dict[str, Any]:
    """An input or output as JSON has it."""
    quantization = {"scale": tensor.scales[0], "zero_point": tensor.zero_points[0]} if tensor.scales else {}
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.type.lower(), **quantization}


def embed(path: Path, document: bytes) -> None:
    path.write_bytes(with_entry(path.read_bytes(), KEY, document))


def embedded(path: Path) -> bytes | None:
    try:
        reader = Reader(path.read_bytes())
        buffers = list(reader.each(reader.model, "Buffers"))
        for entry in reader.each(reader.model, "Metadata"):
            if entry.Name() == KEY.encode():
                buffer = reader.item(buffers, entry.Buffer(), "buffer")
                return reader.data(buffer) if buffer.DataLength() <= LIMIT else None
    except DAMAGE:
        return None
    return None


def with_entry(content: bytes, name: str, data: bytes) -> bytes:
    """A TFLite file with another entry in its metadata.

    The file stays as it is behind a new first table: offsets are relative and point forwards, and it is moved by a
    multiple of what its constants are aligned to. Only places that are counted from the file's beginning change. To
    unpack a large file and to pack it again would take long, and does not keep the alignment.
    """
    flatbuffers: Any = require("flatbuffers", "tflite")
    schema: Any = require("ai_edge_litert.schema_py_generated", "tflite")
    model = schema.Model.GetRootAs(content, 0)
    table = model._tab
    places = [table.Offset(4 + 2 * slot) for slot in range(FIELDS)]
    types = flatbuffers.number_types
    layout = table.Pos - table.Get(types.SOffsetTFlags, table.Pos)
    if table.Get(types.VOffsetTFlags, layout) > 4 + 2 * FIELDS:
        raise ExportError("The TFLite file is of a kind that metadata cannot be added to.")

    room = 4096 + 4 * (model.BuffersLength() + model.MetadataLength())  # a builder that has to grow copies all
    builder = flatbuffers.Builder(len(content) + len(data) + room)
    builder.Prep(ALIGNMENT, len(content))
    start = builder.CreateByteVector(content) - 4  # behind its length, as all offsets counted from the end
    builder.Prep(ALIGNMENT, len(data))
    value = builder.CreateByteVector(data)
    schema.BufferStart(builder)
    schema.BufferAddData(builder, value)
    buffer = schema.BufferEnd(builder)
    title = builder.CreateString(name)
    schema.MetadataStart(builder)
    schema.MetadataAddName(builder, title)
    schema.MetadataAddBuffer(builder, model.BuffersLength())
    entry = schema.MetadataEnd(builder)

    def moved(slot: int) -> int:
        return start - table.Indirect(table.Pos + places[slot])

    def longer(slot: int, count: int, last: int) -> int:
        """A vector of tables with one more."""
        first = table.Vector(places[slot]) if count else 0
        old = [start - table.Indirect(first + 4 * index) for index in range(count)]
        builder.StartVector(4, count + 1, 4)
        for offset in reversed([*old, last]):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    changed = {
        BUFFERS: longer(BUFFERS, model.BuffersLength(), buffer),
        METADATA: longer(METADATA, model.MetadataLength(), entry),
    }
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, model.Version())
    for slot in range(1, FIELDS):
        if slot in changed or places[slot]:
            builder.PrependUOffsetTRelativeSlot(slot, changed.get(slot) or moved(slot), 0)
    builder.Finish(schema.ModelEnd(builder), IDENTIFIER)
    whole = builder.Output()
    _move_constants(model, whole, len(whole) - start)
    return bytes(whole)


def _move_constants(model: Any, whole: bytearray, distance: int) -> None:
    """LiteRT's quantizer puts constants behind the tables, at places that are counted from the file's beginning."""
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if (place := buffer.Offset()) > 1:
            field = buffer._tab.Pos + buffer._tab.Offset(PLACE)
            struct.pack_into("<Q", whole, field + distance, place + distance)
