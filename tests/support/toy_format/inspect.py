"""What is in an archive."""

from pathlib import Path

from keras_se.export.inspect.inspection import Inspection, TensorInfo
from keras_se.export.metadata import read_metadata
from tests.support.toy_format.runner import Runner


def inspect(path: Path) -> Inspection:
    runner = Runner(path)
    inputs = tuple(TensorInfo(one.name, (None, *one.shape), one.dtype, io=True) for one in runner.inputs)
    outputs = tuple(TensorInfo(name, None, "float32", io=True) for name in runner.outputs)
    size, document = path.stat().st_size, read_metadata(path)
    mode = (document or {}).get("quantize")
    return Inspection(path, "toy", size, mode, inputs, outputs, (), document=document)
