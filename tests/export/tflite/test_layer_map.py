"""The layers that operations of a TFLite file belong to: found by name, shown by their kernels."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite
from keras_se.export import to_tflite
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.layer_map import LayerNames
from keras_se.graph.walk import layers_by_path
from tests.support.runtimes import interpreter


class Block(layers.Layer):
    """Layers inside a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Conv2D(4, 1, name="conv")
        self.second = layers.Conv2D(4, 1, name="conv_1")

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)
        self.built = True

    def call(self, inputs):
        return self.second(self.first(inputs))


def confusing(end):
    """Names that are others with a number, as Keras appends and as TensorFlow appends; a layer that is called twice."""
    image = keras.Input((6, 6, 4), name="image")
    x = layers.Conv2D(4, 1, name="conv_1")(image)
    shared = layers.Conv2D(4, 1, name="conv")
    x = shared(layers.ReLU(name="relu")(shared(x)))
    for name in ("conv_2", "conv_1_1", "conv_10", "conv_3_1"):
        x = layers.Conv2D(4, 1, activation="tanh", name=name)(x)
    inner_image = keras.Input((6, 6, 4), name="inner_image")
    inner = keras.Model(inner_image, layers.Conv2D(4, 1, activation="tanh", name="conv")(inner_image), name="conv_3")
    x = Block(name="block")(inner(x))
    x = layers.Conv2D(4, 1, name="end")(ConcurrentSqueezeExcite(2, name="scse")(x))
    return keras.Model(image, end(x), name="conv_1")


def kernels(model):
    return {
        path: layer.kernel.numpy().transpose(3, 0, 1, 2)
        for path, layer in layers_by_path(model)
        if isinstance(layer, layers.Conv2D)
    }


@pytest.mark.parametrize("end", [lambda x: x, layers.ReLU(name="conv_4"), layers.Softmax(name="predictions")])
def test_an_operation_belongs_to_the_layer_whose_kernel_it_has(tmp_path, end):
    model = confusing(end)
    path = to_tflite(model, tmp_path / "a.tflite", optimize=False).path
    graph, loaded = read_graph(path.read_bytes()), interpreter(path, delegate=False)
    owners = LayerNames(InferenceModel(model)).of_operations(graph)
    wanted, found = kernels(model), []
    for operation, paths in zip(graph.operations, owners, strict=True):
        assert paths, f"{operation.name} belongs to no layer"
        if operation.name == "CONV_2D":
            kernel = loaded.get_tensor(operation.inputs[1])
            same = [p for p, values in wanted.items() if values.shape == kernel.shape and (values == kernel).all()]
            if same:
                assert same[0] in paths
                assert not (set(paths) - set(same)) & set(wanted), "and to no other convolution"
                found += same
            else:
                assert paths[0].startswith("scse")
    assert set(found) == set(wanted)
    assert found.count("conv") == 2
    assert owners[-1][0] == {"CONV_2D": model.layers[-1].name, "SOFTMAX": "predictions"}[graph.operations[-1].name]


def test_layers_inside_of_others_have_paths():
    found = dict(layers_by_path(confusing(lambda x: x)))
    assert {"conv", "conv_1", "conv_3/conv", "block/conv", "block/conv_1", "scse", "scse/channel"} <= set(found)
    assert isinstance(found["scse/channel"], SqueezeExcite)
    assert len(found) == len({id(layer) for layer in found.values()})


def test_what_no_layer_computed_belongs_to_none(tmp_path):
    image = keras.Input((4, 4, 3), name="image")
    x = keras.ops.multiply(layers.Conv2D(3, 1, name="conv")(image), image)
    model = keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x), name="net")
    names = LayerNames(InferenceModel(model))
    assert names.find("net_1/multiply_1/Mul") == names.find("net_1/Mul") == names.find("arith.constant") == ()
    assert names.find("net_1/pool_1/Mean;net_1/conv_1/BiasAdd") == ("pool", "conv")
    assert np.isfinite(to_tflite(model, tmp_path / "a.tflite").parity.error)
