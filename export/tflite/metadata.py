"""The document in a TFLite file: a ZIP archive behind the FlatBuffer, as TensorFlow documents for associated files."""

import io
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from keras_se.export.metadata import LIMIT
from keras_se.export.tflite.graph import FileGraph, FileTensor, read_graph

NAME = "keras_se.json"
UNIX = 3
# The archive's table, with its longest comment, is looked for in this many bytes at the end of the file.
TAIL = 1 << 20


def tensors(path: Path) -> dict[str, Any]:
    return graph_tensors(read_graph(path.read_bytes()))


def graph_tensors(graph: FileGraph) -> dict[str, Any]:
    """The inputs and outputs of a graph, for JSON."""
    return {
        "inputs": [_described(tensor) for tensor in graph.input_tensors],
        "outputs": [_described(tensor) for tensor in graph.output_tensors],
    }


def _described(tensor: FileTensor) -> dict[str, Any]:
    quantization = {"scale": tensor.scales[0], "zero_point": tensor.zero_points[0]} if tensor.scales else {}
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.type.lower(), **quantization}


def embed(path: Path, document: bytes) -> None:
    """Appends the document; the FlatBuffer does not change."""
    entry = ZipInfo(NAME)  # its date is always 1980-01-01
    entry.create_system = UNIX  # on every system
    with ZipFile(path, "a", ZIP_STORED) as archive:
        archive.writestr(entry, document)


def embedded(path: Path) -> bytes | None:
    """The document, if it is stored without compression and within `LIMIT`: nothing is unpacked."""
    try:
        with path.open("rb") as file:
            file.seek(-min(TAIL, path.stat().st_size), io.SEEK_END)
            with ZipFile(io.BytesIO(file.read())) as archive:
                entry = archive.getinfo(NAME)
            if entry.compress_type != ZIP_STORED or not entry.file_size == entry.compress_size <= LIMIT:
                return None
            # Other tools may have appended files of any size.
            with ZipFile(file) as archive:
                return archive.read(NAME)
    except Exception:  # a file without an archive, or a damaged one, which raises anything
        return None
