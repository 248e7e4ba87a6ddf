"""The table of passes, and that their edits are applied in one clone."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite
from keras_se.export import to_tflite
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.passes.freeze_gates import freeze_gates
from keras_se.export.passes.pass_pipeline import optimized, passes_for
from keras_se.graph.rewrite import GraphEdits
from keras_se.layers import ChannelScale
from tests.support.networks import sample

ALWAYS = ["remove_identities", "stride_by_convolution", "fold_batch_norm"]
FOR_DELEGATE = ["spell_out_hard_swish", "relu_before_concatenation", "average_by_convolution"]


@pytest.mark.parametrize(
    ("target", "passes"),
    [
        (("TensorFlow", None, False), []),
        (("LiteRT", None, False), []),
        (("LiteRT", 8, False), FOR_DELEGATE),
        (("LiteRT", 8, True), [*FOR_DELEGATE, "freeze_gates"]),
        (("LiteRT", 16, True), ["spell_out_hard_swish", "freeze_gates"]),
        (("ONNX Runtime", None, False), []),
        (("ONNX Runtime", 8, True), ["spell_out_hard_swish", "freeze_gates"]),
    ],
    ids=str,
)
def test_each_target_has_its_passes_in_order(target, passes):
    steps = passes_for(*target)
    assert [step.edit.__name__ for step in steps] == [*ALWAYS, *passes, "sink_squeeze"]
    assert all(step.because for step in steps)


@pytest.fixture
def cloned(monkeypatch):
    """The names of models that Keras has cloned."""
    names, clone = [], keras.models.clone_model

    def counted(model, *args, **options):
        names.append(model.name)
        return clone(model, *args, **options)

    monkeypatch.setattr(keras.models, "clone_model", counted)
    return names


def test_all_passes_together_clone_each_model_once(cloned):
    network = sample("nested")
    optimized(InferenceModel(network.model), dict(network.feeds), runtime="LiteRT", activation_bits=8)
    assert sorted(cloned) == sorted([network.model.name, network.model.get_layer("backbone").name])


def test_int8_export_clones_the_model_at_most_twice(cloned, tmp_path):
    network = sample("se_resnet")
    to_tflite(network.model, tmp_path / "model.tflite", quantize="int8", calibration_data=network.data)
    assert 1 <= cloned.count(network.model.name) <= 2


def test_a_model_without_edits_is_not_cloned(cloned):
    image = keras.Input((4, 4, 3), name="image")
    inference = InferenceModel(keras.Model(image, layers.Conv2D(2, 1, name="conv")(image)))
    assert optimized(inference, runtime="LiteRT", activation_bits=8)[0].model is inference.model
    assert cloned == []


def test_constant_gates_of_a_concurrent_block_are_frozen():
    block = ConcurrentSqueezeExcite(2, name="both")
    image = keras.Input((5, 4, 8))
    model = keras.Model(image, layers.Conv2D(2, 1, name="conv")(block(image)))
    block.channel.reduce_bias.assign(np.full(4, -100.0))
    block.channel.expand_bias.assign(np.linspace(-2, 2, 8))
    block.spatial.kernel.assign(np.random.default_rng(0).normal(size=block.spatial.kernel.shape))
    x = np.random.default_rng(1).normal(size=(3, 5, 4, 8)).astype("float32")
    frozen = GraphEdits(model, [x]).apply(freeze_gates).result()
    assert isinstance(frozen.get_layer("both").channel, ChannelScale)
    np.testing.assert_allclose(frozen.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_later_passes_see_the_weights_of_earlier_ones():
    """The squeeze moves through a convolution that a batch norm was folded into, past a dropout."""
    image = keras.Input((4, 4, 3), name="image")
    x = layers.Dropout(0.5)(layers.Conv2D(8, 1, use_bias=False, name="conv")(image))
    x = SqueezeExcite(2, name="se")(layers.BatchNormalization(name="bn")(x))
    model = keras.Model(image, layers.ReLU(name="relu")(x))
    rng = np.random.default_rng(0)
    model.get_layer("bn").set_weights([rng.uniform(0.5, 1.5, 8) for _ in range(4)])
    rewritten, _ = optimized(InferenceModel(model), runtime="TensorFlow")
    assert [layer.name for layer in rewritten.model.layers] == ["image", "conv", "se", "relu"]
    x = rng.normal(size=(3, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(rewritten.model.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
