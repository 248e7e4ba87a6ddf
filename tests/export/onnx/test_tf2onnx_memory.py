"""The corrections of tf2onnx: less memory, the same file, and tf2onnx left unchanged."""

import resource
from contextlib import nullcontext

import keras
import numpy as np
import onnx
import pytest
import tf2onnx
from tf2onnx.graph import Node

from keras_se.export import ExportError, to_onnx
from keras_se.export.onnx import tf2onnx_frontend
from tests.support.networks import sample


def test_low_memory_writes_the_same_file(tmp_path, monkeypatch):
    model = sample("grouped").model
    low = to_onnx(model, tmp_path / "low.onnx")
    monkeypatch.setattr(tf2onnx_frontend, "low_memory", nullcontext)
    usual = to_onnx(model, tmp_path / "usual.onnx")
    assert low.path.read_bytes() == usual.path.read_bytes()


def test_low_memory_restores_tf2onnx_after_an_error(monkeypatch):
    update = Node.update_proto
    monkeypatch.setenv(tf2onnx_frontend.CATCH_ERRORS, "TRUE")

    def fail():
        with tf2onnx_frontend.low_memory():
            assert Node.update_proto is not update
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert Node.update_proto is update
    assert tf2onnx_frontend.os.environ[tf2onnx_frontend.CATCH_ERRORS] == "TRUE"


def test_updating_a_node_keeps_no_deleted_attributes():
    """50 optimizers replace the kernel of a node: protobuf alone would keep every copy of it."""
    kernel = onnx.numpy_helper.from_array(np.zeros(5_000_000, "float32"), "kernel")
    node = Node.__new__(Node)
    node._op = onnx.helper.make_node("Const", [], ["kernel"], value=kernel)
    node._input, node._output = [], ["kernel"]
    node.get_body_graphs = lambda: None
    node.get_onnx_attrs = lambda storage: {"value": onnx.helper.make_attribute("value", kernel)}
    with tf2onnx_frontend.low_memory():
        before = resident()
        for _ in range(50):
            node.update_proto()
        assert resident() - before < 200e6  # of 1,000 MB
    assert node._op.attribute[0].t.raw_data == kernel.raw_data


def test_every_conversion_starts_numbering_anew(tmp_path, monkeypatch):
    """tf2onnx counts names over the process, and sorts nodes by name: 9990 comes after 10000."""
    utils, starts = tf2onnx.utils, []
    monkeypatch.setattr(utils, "INTERNAL_NAME", 9990)
    monkeypatch.setattr(tf2onnx.convert, "from_function", lambda *_, **__: starts.append(utils.INTERNAL_NAME))
    with pytest.raises(ExportError):
        to_onnx(sample("grouped").model, tmp_path / "model.onnx")
    assert set(starts) == {1}
    assert utils.INTERNAL_NAME == 9990


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_a_failing_optimizer_does_not_fail_the_export(tmp_path, monkeypatch):
    """The second conversion lets tf2onnx copy the graph, and go on without the optimizer."""
    from tf2onnx.optimizer import IdentityOptimizer

    def fail(self, graph):
        raise RuntimeError("the optimizer failed")

    monkeypatch.setattr(IdentityOptimizer, "_optimize", fail)
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(image))
    assert to_onnx(model, tmp_path / "model.onnx").parity.passed
