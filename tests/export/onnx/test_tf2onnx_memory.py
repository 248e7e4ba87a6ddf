"""tf2onnx with less memory: the same file."""

import resource

import keras
import numpy as np
import onnx
import pytest
from tf2onnx.graph import Node

from keras_se.export import to_onnx
from keras_se.export.onnx import tf2onnx_frontend as tf2onnx_memory
from tests.support.networks import sample


def test_the_file_is_the_same(tmp_path, monkeypatch):
    model = sample("grouped").model
    lean = to_onnx(model, tmp_path / "lean.onnx")
    monkeypatch.setattr(tf2onnx_memory, "lean", tf2onnx_memory._without_copies)
    usual = to_onnx(model, tmp_path / "usual.onnx")
    assert lean.path.read_bytes() == usual.path.read_bytes()


def test_tf2onnx_is_left_as_it_was(monkeypatch):
    update = Node.update_proto
    monkeypatch.setenv(tf2onnx_memory.CATCH_ERRORS, "TRUE")

    def fail():
        with tf2onnx_memory.lean():
            assert Node.update_proto is not update
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert Node.update_proto is update
    assert tf2onnx_memory.os.environ[tf2onnx_memory.CATCH_ERRORS] == "TRUE"


def test_what_a_pass_deletes_is_not_kept():
    """The bytes of a kernel that 50 passes put into a node anew: without care, the process would keep each."""
    kernel = onnx.numpy_helper.from_array(np.zeros(5_000_000, "float32"), "kernel")
    node = Node.__new__(Node)
    node._op = onnx.helper.make_node("Const", [], ["kernel"], value=kernel)
    node._input, node._output = [], ["kernel"]
    node.get_body_graphs = lambda: None
    node.get_onnx_attrs = lambda storage: {"value": onnx.helper.make_attribute("value", kernel)}
    with tf2onnx_memory.lean():
        before = resident()
        for _ in range(50):
            node.update_proto()
        assert resident() - before < 200e6  # of 1,000 MB
    assert node._op.attribute[0].t.raw_data == kernel.raw_data


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_a_pass_that_fails_does_not_fail_the_export(tmp_path, monkeypatch):
    """tf2onnx goes on without it, if it may copy the graph first."""
    from tf2onnx.optimizer import IdentityOptimizer

    def fail(self, graph):
        raise RuntimeError("a fault of the pass")

    monkeypatch.setattr(IdentityOptimizer, "_optimize", fail)
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(image))
    assert to_onnx(model, tmp_path / "model.onnx").parity.passed
