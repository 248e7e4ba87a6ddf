"""An `Inspection` for people: tables and sentences, without characters that could disturb a terminal.

`Inspection` imports this module, which therefore does not import it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from keras_se._text import counted, listed, printable, shortened

# The longest sentence, in characters, about a document in a file.
SENTENCE = 600


def tables(inspection: Any) -> list[Table]:
    """A table of the inputs and outputs, and one of the operations."""
    return [_io_table(inspection), _operation_table(inspection)]


def _io_table(inspection: Any) -> Table:
    mode = inspection.quantize or "no quantization"
    title = f"{inspection.path.name}: {inspection.format}, {mode}, {decimal(inspection.size)}"
    table = Table(title=shown(title), box=SIMPLE_HEAD, pad_edge=False)
    for header in ("", "name", "shape", "type", "scale", "zero point"):
        table.add_column(header, justify="right" if header in ("scale", "zero point") else "left", overflow="fold")
    for role, tensors in (("input", inspection.inputs), ("output", inspection.outputs)):
        for tensor in tensors:
            scale = "" if tensor.scale is None else f"{tensor.scale:.6g}"
            zero_point = "" if tensor.zero_point is None else str(tensor.zero_point)
            table.add_row(role, shown(tensor.name), sizes(tensor.shape), _type(tensor), scale, zero_point)
    return table


def _operation_table(inspection: Any) -> Table:
    with_delegate = inspection.partitions is not None
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("operation", "total")
    table.add_column("count", str(len(inspection.operations)), justify="right")
    table.add_column("MMACs", f"{inspection.macs / 1e6:,.2f}", justify="right")
    if with_delegate:
        table.add_column("outside the delegate", str(len(inspection.outside)), justify="right")
    for row in inspection.rows:
        outside = [str(row.outside or "")] if with_delegate else []
        table.add_row(shown(row.kind), str(row.count), f"{row.macs / 1e6:,.2f}" if row.macs else "", *outside)
    return table


def notes(inspection: Any) -> list[str]:
    """Sentences about the file."""
    found = []
    if inspection.macs:
        shares = (f"{count / inspection.macs:.1%} in {kind}" for kind, count in inspection.macs_by_arithmetic.items())
        found.append(f"Multiply-accumulates: {', '.join(shares)}.")
    if inspection.problem:
        found.append(f"The runtime does not load the file: {inspection.problem}")
    if inspection.partitions is not None:
        found.append(f"LiteRT's delegate runs it in {counted(inspection.partitions, 'partition')}.")
    lists = (
        ("Outside the delegate", [f"{one.name} ({one.kind})" for one in inspection.outside]),
        ("Intermediate float tensors", inspection.floats),
        ("Custom operations", [f"{one.name} ({one.kind})" for one in inspection.custom]),
        ("Dynamic shapes", inspection.dynamic),
        ("Not counted (unknown shapes)", inspection.uncounted),
    )
    found += [f"{title}: {listed(names)}." for title, names in lists if names]
    found += [f"Operator set {domain or 'ai.onnx'}: {version}." for domain, version in inspection.opsets.items()]
    found += [f"{key}: {value}" for key, value in inspection.metadata.items()]
    found += _document_notes(inspection.document) if inspection.document else []
    return [printable(sentence) for sentence in found]


def _document_notes(document: Mapping[str, Any]) -> list[str]:
    """Sentences about the document in a file, whose values can be any JSON."""
    source = str(document.get("source_sha256"))[:12]
    found = [f"Made by {document['made_by']} {document.get('version')} of {document.get('model_name')} ({source})."]
    if isinstance(labels := document.get("labels"), list):
        found.append(f"Labels: {listed([str(label) for label in labels])}.")
    if isinstance(prepared := document.get("preprocessing"), dict):
        where = "in the file" if prepared.get("in_file") is True else "not in the file"
        values = ", ".join(f"{key} {value}" for key, value in prepared.items() if key != "in_file")
        found.append(f"Preprocessing, {where}: {values}.")
    if isinstance(signatures := document.get("signatures"), dict) and signatures:
        found.append(f"Further signatures: {listed(list(signatures))}.")
    for key, title in (("calibration", "Calibration"), ("parity", "Verified")):
        if isinstance(facts := document.get(key), dict):
            found.append(f"{title}: {', '.join(f'{name} {value}' for name, value in facts.items())}.")
    return [shortened(sentence, SENTENCE) for sentence in found]


def as_text(inspection: Any) -> str:
    """The report for people, without colours."""
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        for table in tables(inspection):
            console.print(table)
        for note in notes(inspection):
            console.print(note, markup=False, highlight=False)
    return capture.get()


def shown(text: str) -> Text:
    """A cell that is printed literally: brackets are not markup."""
    return Text(printable(text))


def _type(tensor: Any) -> str:
    return f"{tensor.dtype} (as {tensor.quantized_dtype})" if tensor.quantized_dtype else tensor.dtype


def sizes(shape: Sequence[int | None] | None, times: str = "x") -> str:
    """A shape for people: `?x224x224x3`."""
    if shape is None:
        return "unknown"
    return times.join("?" if size is None else str(size) for size in shape) or "scalar"
