"""complexity() against counts by loops over every product, and what it says of models of all kinds."""

import io
import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops
from rich.console import Console

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite, complexity
from keras_se.models import SEDenseNet, SEMobileNet, SEResNet

KINDS = {
    "conv": ("Conv1D", "Conv2D", "Conv3D"),
    "transposed": ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
}


def sequential(shape: tuple, *parts: keras.layers.Layer) -> keras.Sequential:
    return keras.Sequential([keras.Input(shape), *parts])


def macs(shape: tuple, *parts: keras.layers.Layer) -> int:
    counted = complexity(sequential(shape, *parts))
    assert counted.uncounted == ()
    return counted.macs


def trainable(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


# Single layers: products counted one by one. Zeros of a padding are multiplied, too.


def positions(sizes: tuple, kernel: int, stride: int, dilation: int, padding: str) -> Iterator[tuple]:
    """Where the windows begin."""
    covered = 0 if padding == "same" else dilation * (kernel - 1)
    return itertools.product(*(range(0, size - covered, stride) for size in sizes))


def products(sizes: tuple, kernel: int, where: Iterator[tuple], pairs: int) -> int:
    """One for each position, each value of the kernel's window, and each pair of an input and an output channel."""
    return sum(1 for _ in where for _ in itertools.product(range(kernel), repeat=len(sizes)) for _ in range(pairs))


def pairs_of(inputs: int, outputs: int, groups: int) -> int:
    """The pairs of an input and an output channel in the same group."""
    return sum(
        i * groups // inputs == o * groups // outputs for i, o in itertools.product(range(inputs), range(outputs))
    )


@st.composite
def convolutions(draw: Callable) -> dict[str, Any]:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    stride = draw(st.integers(1, 3))
    return {
        "sizes": tuple(draw(st.lists(st.integers(4, 6), min_size=1, max_size=3))),
        "channels": groups * draw(st.integers(1, 2)),
        "filters": groups * draw(st.integers(1, 2)),
        "kernel": draw(st.integers(1, 2)),
        "stride": stride,
        "dilation": draw(st.sampled_from([1, 2])) if stride == 1 else 1,
        "groups": groups,
        "padding": draw(st.sampled_from(["same", "valid"])),
        "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
        "use_bias": draw(st.booleans()),
    }


def shape_of(sizes: tuple, channels: int, data_format: str) -> tuple:
    return (channels, *sizes) if data_format == "channels_first" else (*sizes, channels)


@settings(max_examples=40, deadline=None)
@given(case=convolutions())
def test_convolutions(case: dict[str, Any]) -> None:
    sizes, kernel = case["sizes"], case["kernel"]
    layer = getattr(layers, KINDS["conv"][len(sizes) - 1])(
        case["filters"],
        kernel,
        strides=case["stride"],
        dilation_rate=case["dilation"],
        **{name: case[name] for name in ("groups", "padding", "data_format", "use_bias")},
    )
    where = list(positions(sizes, kernel, case["stride"], case["dilation"], case["padding"]))
    pairs = pairs_of(case["channels"], case["filters"], case["groups"])
    model = sequential(shape_of(sizes, case["channels"], case["data_format"]), layer)
    counted = complexity(model)
    assert counted.macs == products(sizes, kernel, iter(where), pairs)
    assert counted.parameters == kernel ** len(sizes) * pairs + case["filters"] * case["use_bias"]
    (cost,) = counted.layers
    assert cost.output_shape == model.output_shape[1:]
    assert math.prod(cost.output_shape) == len(where) * case["filters"]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("rank", "sizes"), [(1, (7,)), (2, (5, 6))])
@pytest.mark.parametrize(("multiplier", "stride"), [(1, 1), (3, 2)])
def test_depthwise_and_separable_convolutions(
    rank: int, sizes: tuple, multiplier: int, stride: int, padding: str
) -> None:
    options = {"strides": stride, "padding": padding, "depth_multiplier": multiplier}
    where = list(positions(sizes, 3, stride, 1, padding))
    alone = products(sizes, 3, iter(where), 2 * multiplier)  # a channel of the input makes `multiplier` of the output
    depthwise = getattr(layers, f"DepthwiseConv{rank}D")(3, **options)
    assert macs((*sizes, 2), depthwise) == alone
    separable = getattr(layers, f"SeparableConv{rank}D")(5, 3, **options)
    assert macs((*sizes, 2), separable) == alone + products(sizes, 1, iter(where), 2 * multiplier * 5)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("sizes", [(5,), (3, 4), (2, 3, 2)])
def test_transposed_convolutions(sizes: tuple, data_format: str, padding: str) -> None:
    kind = getattr(layers, KINDS["transposed"][len(sizes) - 1])
    layer = kind(3, 3, strides=2, padding=padding, data_format=data_format)
    # Every value of the input is multiplied with the whole kernel, and strewn over the output.
    expected = products(sizes, 3, itertools.product(*map(range, sizes)), 2 * 3)
    assert macs(shape_of(sizes, 2, data_format), layer) == expected


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_dense_layers(shape: tuple) -> None:
    expected = sum(1 for _ in itertools.product(*map(range, shape)) for _ in range(7))
    counted = complexity(sequential(shape, layers.Dense(7)))
    assert (counted.macs, counted.parameters) == (expected, 4 * 7 + 7)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("sizes", [(5,), (5, 4), (5, 4, 3)])
def test_excitations(sizes: tuple, data_format: str) -> None:
    places = math.prod(sizes)
    channel = 8 * 2 + 2 * 8 + places * 8  # two projections of the descriptor, and the product of the map and its gates
    spatial = places * 8 + places * 8  # a projection at every place, and the product
    for layer, expected, parameters in [
        (SqueezeExcite(4, data_format=data_format), channel, 2 * 8 * 2 + 8 + 2),
        (SqueezeExcite(4, bottleneck=3, use_bias=False, data_format=data_format), 8 * 3 * 2 + places * 8, 8 * 3 * 2),
        (SpatialSqueezeExcite(data_format=data_format), spatial, 8 + 1),
        (ConcurrentSqueezeExcite(4, data_format=data_format), channel + spatial, 2 * 8 * 2 + 8 + 2 + 8 + 1),
    ]:
        counted = complexity(sequential(shape_of(sizes, 8, data_format), layer))
        assert (counted.macs, counted.parameters) == (expected, parameters)
        assert (counted.se_macs, counted.se_parameters) == (expected, parameters)
        assert counted.layers[0].is_se


def test_what_is_not_counted() -> None:
    parts = [
        *[layers.BatchNormalization(), layers.LayerNormalization(axis=(1, 2, 3)), layers.PReLU(), layers.ReLU()],
        *[layers.MaxPooling2D(), layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Rescaling(2.0)],
    ]
    counted = complexity(sequential((4, 4, 3), *parts))
    assert (counted.macs, counted.uncounted) == (0, ())
    assert counted.parameters == 2 * 3 + 2 * 48 + 48
    assert [cost.kind for cost in counted.layers] == ["BatchNormalization", "LayerNormalization", "PReLU"]
    assert complexity(sequential((6,), layers.Embedding(10, 3))).uncounted == ()


# Graphs


def test_a_layer_that_is_called_again() -> None:
    conv, first, second = layers.Conv2D(4, 3, name="conv"), keras.Input((8, 8, 2)), keras.Input((6, 5, 2))
    counted = complexity(keras.Model([first, second], [conv(first), conv(second)]))
    assert counted.parameters == 3 * 3 * 2 * 4 + 4
    assert sorted(cost.macs for cost in counted.layers) == [4 * 3 * 72, 6 * 6 * 72]
    assert [cost.parameters for cost in counted.layers] == [76, 0]
    assert counted.input_shapes == ((8, 8, 2), (6, 5, 2))


def test_models_within_models() -> None:
    inner = sequential((6, 6, 2), layers.Conv2D(3, 1, name="conv"), SqueezeExcite(3, name="se"))
    inner.name = "inner"
    middle_input = keras.Input((6, 6, 2))
    middle = keras.Model(middle_input, layers.Add()([inner(middle_input), inner(2 * middle_input)]), name="middle")
    image = keras.Input((6, 6, 2))
    pooled = layers.GlobalAveragePooling2D()(middle(image))
    counted = complexity(keras.Model(image, layers.Dense(4, name="head")(pooled)))
    se = 3 + 3 + 6 * 6 * 3
    assert counted.macs == 2 * (36 * 6 + se) + 3 * 4
    assert counted.parameters == (6 + 3) + (3 + 1 + 3 + 3) + (12 + 4)
    assert (counted.se_macs, counted.se_parameters) == (2 * se, 10)
    names = [cost.name for cost in counted.layers]
    assert sorted(names) == ["head", *["middle/inner/conv"] * 2, *["middle/inner/se"] * 2]


def test_a_model_within_is_counted_for_the_size_that_it_is_called_with() -> None:
    inner_input = keras.Input((None, None, 2))
    inner = keras.Model(inner_input, layers.Conv2D(3, 3, padding="same")(inner_input))
    image = keras.Input((8, 6, 2))
    model = keras.Model(image, [inner(image), inner(layers.MaxPooling2D()(image))])
    assert complexity(model).macs == (8 * 6 + 4 * 3) * 9 * 2 * 3


def test_operations_of_keras() -> None:
    image = keras.Input((8, 8, 2))
    x = ops.relu(layers.Conv2D(4, 3, padding="same")(image)) * 2.0 + 1.0
    x = ops.mean(ops.concatenate([x, image], axis=-1), axis=(1, 2))
    model = keras.Model(image, layers.Dense(5)(x))
    assert complexity(model).macs == 64 * 9 * 2 * 4 + 6 * 5
    assert complexity(model).parameters == trainable(model)


def test_positions_that_an_operation_puts_into_the_batch() -> None:
    image = keras.Input((4, 6, 8))
    rows = ops.reshape(image, (-1, 8))
    strips = ops.reshape(image, (-1, 3, 8))
    for x, layer, expected in [
        (rows, layers.Dense(3), 24 * 8 * 3),
        (strips, layers.Conv1D(5, 2), 8 * 2 * 2 * 8 * 5),
        (strips, SqueezeExcite(4), 8 * (2 * 8 * 2) + 24 * 8),
        (strips, SpatialSqueezeExcite(), 24 * 8 + 24 * 8),
    ]:
        assert complexity(keras.Model(image, layer(x))).macs == expected


def test_several_inputs() -> None:
    first, second = keras.Input((None, None, 2)), keras.Input((None, 3))
    model = keras.Model([first, second], [layers.Conv2D(4, 1)(first), layers.Dense(5)(second)])
    counted = complexity(model, [(4, 5, 2), (6, 3)])
    assert counted.macs == 4 * 5 * 2 * 4 + 6 * 3 * 5
    assert counted.input_shapes == ((4, 5, 2), (6, 3))
    for shapes in [(4, 5, 2), [(4, 5, 2)], [(4, 5, 2), (6, 3), (6, 3)]]:
        with pytest.raises(ValueError, match=r"^There must be a shape for each of the 2 inputs\. Received: "):
            complexity(model, shapes)


def test_inputs_by_name() -> None:
    inputs = {"b": keras.Input((4, 2), name="b"), "a": keras.Input((3,), name="a")}
    model = keras.Model(inputs, [layers.Dense(5)(inputs["b"]), layers.Dense(7)(inputs["a"])])
    assert complexity(model).macs == 4 * 2 * 5 + 3 * 7


# Sizes


def test_unknown_sizes() -> None:
    model = sequential((None, None, 3), layers.Conv2D(4, 3), SqueezeExcite(2))
    with pytest.raises(ValueError, match=r"^input_shape must have known sizes\. Received: \(None, None, 3\)$"):
        complexity(model)
    assert complexity(model, (10, 8, 3)).macs == 8 * 6 * 9 * 3 * 4 + (4 * 2 * 2 + 8 * 6 * 4)
    assert complexity(model, [10, np.int64(8), 3]) == complexity(model, (10, 8, 3))
    assert json.dumps(complexity(model, [10, np.int64(8), 3]).to_dict())
    assert model.input_shape == (None, None, None, 3)


def test_another_size_than_the_models_own() -> None:
    model = sequential((8, 8, 3), layers.Conv2D(4, 3, padding="same"), layers.GlobalAveragePooling2D(), layers.Dense(2))
    assert complexity(model).macs == 64 * 108 + 8
    assert complexity(model, (5, 7, 3)).macs == 35 * 108 + 8
    assert complexity(model, (5, 7, 3)).input_shapes == ((5, 7, 3),)
    assert model.output_shape == (None, 2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 8), r"^The input must have the shape \(8, 8, 3\)\. Received: \(8, 8\)$"),
        ((), r"^The input must have the shape \(8, 8, 3\)\. Received: \(\)$"),
        ((8, None, 3), r"^input_shape must have known sizes\. Received: \(8, None, 3\)$"),
        ((8, 0, 3), r"^input_shape must have known sizes\. Received: \(8, 0, 3\)$"),
        ((8, 8.0, 3), r"^input_shape must have known sizes\. Received: \(8, 8.0, 3\)$"),
        (8, r"^input_shape must have known sizes\. Received: 8$"),
        ([(8, 8, 3), 8], r"^input_shape must have known sizes\. Received: 8$"),
        ((8, 8, 1), r"^input_shape must fit .* 'conv' requires 3 on axis -1\. Received: .* \(1, 8, 8, 1\)$"),
        ((9, 9, 3), r"^input_shape must fit .* 'dense' requires 144 on axis -1\. Received: .* \(1, 196\)$"),
    ],
)
def test_refuses_shapes(shape: Any, message: str) -> None:
    model = sequential((8, 8, 3), layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(2, name="dense"))
    with pytest.raises(ValueError, match=message):
        complexity(model, shape)


# Kinds of models


def subclassed() -> keras.Model:
    class Mine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    return Mine()


def built(model: keras.Model) -> keras.Model:
    model(np.zeros((1, 4), "float32"))
    return model


class Shapeless(keras.layers.Layer):
    """Keras cannot make a graph of a Sequential model with this."""

    def call(self, x: Any) -> Any:
        return x

    def compute_output_spec(self, x: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    "make",
    [
        subclassed,
        lambda: built(subclassed()),
        lambda: keras.Sequential([layers.Dense(2)]),
        lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2), Shapeless()]),
    ],
)
@pytest.mark.parametrize("shape", [None, (4,)])
def test_refuses_models_without_a_graph(make: Callable[[], keras.Model], shape: tuple | None) -> None:
    model = make()
    with pytest.raises(ValueError, match=r"^The model must be functional, .* Received: '.*', a \w+$") as caught:
        complexity(model, shape)
    assert str(caught.value).endswith(f"Received: {model.name!r}, a {type(model).__name__}")


@pytest.mark.parametrize("model", ["x", None, 3])
def test_refuses_what_is_no_model(model: Any) -> None:
    with pytest.raises(ValueError, match=r"^The model must be functional, .* Received: .*, a \w+$"):
        complexity(model)


def test_a_sequential_model_that_was_built_by_a_call() -> None:
    assert complexity(built(keras.Sequential([layers.Dense(2)]))).macs == 8


@pytest.mark.parametrize("when", ["before", "after"])
def test_frozen_layers_are_counted(when: str) -> None:
    frozen = layers.Conv2D(4, 3, trainable=when != "before")
    model = sequential((8, 8, 2), frozen, SqueezeExcite(2), layers.Dense(3))
    if when == "after":
        model.trainable = False
        assert model.trainable_weights == []
    counted = complexity(model)
    assert counted.parameters == 76 + (2 * 4 * 2 + 2 + 4) + 15
    assert counted.macs == 36 * 72 + (16 + 36 * 4) + 36 * 12


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_costs_the_same(policy: str) -> None:
    expected = complexity(SEResNet((1,), filters=(4,), classes=3))
    keras.config.set_dtype_policy(policy)
    assert complexity(SEResNet((1,), filters=(4,), classes=3)) == expected


def test_what_it_cannot_count_is_named() -> None:
    text = keras.Input((6, 8))
    x = layers.MultiHeadAttention(2, 4, name="attention")(text, text)
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), name="einsum")(x)
    x = layers.TimeDistributed(layers.Dense(8), name="each")(x)
    x = layers.LSTM(3, name="lstm")(x)
    inner_input = keras.Input((3,))
    inner = keras.Model(inner_input, subclassed()(inner_input), name="inner")
    model = keras.Model(text, layers.Dense(2)(inner(x)))
    counted = complexity(model)
    *named, within = counted.uncounted
    assert named == ["attention", "einsum", "each", "lstm"]
    assert within.startswith("inner/mine")
    assert counted.macs == 2 * 2  # the last one alone
    assert counted.parameters == trainable(model)
    assert counted.to_dict()["uncounted"] == list(counted.uncounted)


PRODUCTS: dict[str, Callable[[Any, Any], Any]] = {
    "matmul": ops.matmul,
    "@": lambda a, b: a @ b,
    "dot": lambda a, b: ops.dot(a, np.ones((4, 2), "float32")),
    "tensordot": lambda a, b: ops.tensordot(a, np.ones((4, 2), "float32"), 1),
    "einsum": lambda a, b: ops.einsum("bij,bjk->bik", a, b),
    "conv": lambda a, b: ops.conv(a, np.ones((1, 4, 3), "float32")),
    "Dot": lambda a, b: layers.Dot((2, 1))([a, b]),
    "Attention": lambda a, b: layers.Attention()([a, a]),
}


@pytest.mark.parametrize("product", PRODUCTS)
def test_products_without_weights_are_named(product: str) -> None:
    one, other = keras.Input((6, 4)), keras.Input((4, 5))
    result = PRODUCTS[product](one, other)
    counted = complexity(keras.Model([one, other], [result, other]))
    assert (counted.uncounted, counted.macs) == ((result._keras_history.operation.name,), 0)


def test_products_of_single_values_are_not_named() -> None:
    one = keras.Input((6, 4))
    assert complexity(keras.Model(one, layers.Multiply()([one, ops.multiply(one, 2.0)]))).uncounted == ()


def test_sizes_that_only_the_data_tell_are_not_counted() -> None:
    text = keras.Input((6, 8))
    found = layers.Lambda(lambda x: x, output_shape=(None, 8))(text)
    model = keras.Model(text, layers.Dense(3, name="dense")(found))
    counted = complexity(model)
    assert counted.uncounted == ("dense",)
    assert (counted.macs, counted.parameters) == (0, 27)


def graph_of(model: keras.Model) -> list[tuple]:
    return [(layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model._flatten_layers()]


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3)),
        lambda: keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), alpha=0.35),
    ],
)
def test_networks_of_keras_applications(make: Callable[[], keras.Model]) -> None:
    model = make()
    graph, config = graph_of(model), json.dumps(model.get_config())
    counted = complexity(model)
    complexity(model, (96, 80, 3))
    assert counted.parameters == trainable(model)
    assert counted.uncounted == ()
    expected = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            expected += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    assert counted.macs == expected
    assert counted.se_macs == 0
    assert list(counted.stages) == ["all"]
    # Nothing was changed.
    assert graph_of(model) == graph
    assert json.dumps(model.get_config()) == config


def test_a_model_with_models_within_is_not_changed() -> None:
    inner = SEResNet((1,), filters=(2,), include_top=False)
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, [inner(image), inner(1 - image)])
    graph = graph_of(model), graph_of(inner)
    complexity(model)
    assert (graph_of(model), graph_of(inner)) == graph


# What is told


@pytest.fixture(scope="module")
def resnet() -> keras.Model:
    return SEResNet((1, 2), filters=(4, 8), input_shape=(32, 32, 3), classes=5)


def test_stages(resnet: keras.Model) -> None:
    counted = complexity(resnet)
    assert list(counted.stages) == ["stem", "stage1", "stage2", "head"]
    for name in ("parameters", "macs", "se_parameters", "se_macs"):
        assert sum(getattr(stage, name) for stage in counted.stages.values()) == getattr(counted, name)
    assert sum((stage.layers for stage in counted.stages.values()), ()) == counted.layers
    assert counted.stages["stem"].macs == 16 * 16 * 49 * 3 * 4
    assert counted.stages["head"].macs == 32 * 5
    assert counted.stages["head"].parameters == 32 * 5 + 5
    # Of 16 channels and one hidden unit at 8x8 pixels, and twice of 32 channels and two hidden units at 4x4.
    assert counted.stages["stage1"].se_macs == 16 + 16 + 64 * 16
    assert counted.stages["stage2"].se_macs == 2 * (64 + 64 + 16 * 32)
    assert counted.se_parameters == sum(trainable(x) for x in resnet.layers if isinstance(x, SqueezeExcite))


def test_other_stages() -> None:
    dense = complexity(SEDenseNet((1, 1), growth=2, input_shape=(32, 32, 3)))
    assert list(dense.stages) == ["stem", "stage1", "transition1", "stage2", "final", "head"]
    mobilenet = complexity(SEMobileNet(alpha=0.1, input_shape=(32, 32, 3)))
    assert list(mobilenet.stages) == ["stem", *(f"stage{stage}" for stage in range(1, 6)), "head"]


def test_a_model_of_other_names_is_one_stage() -> None:
    counted = complexity(sequential((8, 8, 3), layers.Conv2D(4, 3), layers.Dense(2)))
    assert list(counted.stages) == ["all"]
    assert counted.stages["all"].macs == counted.macs


def test_layers_in_the_order_of_the_graph(resnet: keras.Model) -> None:
    names = [cost.name for cost in complexity(resnet).layers]
    assert names[0] == "stem_conv"
    assert names[-1] == "predictions"
    assert set(names) == {layer.name for layer in resnet.layers if layer.trainable_weights}


def test_as_json(resnet: keras.Model) -> None:
    counted = complexity(resnet)
    document = json.loads(json.dumps(counted.to_dict()))
    assert document == counted.to_dict()
    assert (document["model"], document["input_shapes"]) == ("se_resnet", [[32, 32, 3]])
    sums = {name: getattr(counted, name) for name in ("parameters", "se_parameters", "macs", "se_macs")}
    assert {name: document[name] for name in sums} == sums
    assert [layer["name"] for layer in document["layers"]] == [cost.name for cost in counted.layers]
    first = document["layers"][0]
    assert (first["kind"], first["stage"], first["output_shape"], first["is_se"]) == (
        "Conv2D",
        "stem",
        [16, 16, 4],
        False,
    )
    assert list(document["stages"]) == list(counted.stages)
    assert document["stages"]["stage2"]["macs"] == counted.stages["stage2"].macs


def rendered(table: Any) -> list[list[str]]:
    """The words of each line."""
    output = io.StringIO()
    Console(file=output, width=140).print(table)
    return [line.split() for line in output.getvalue().splitlines() if line.strip()]


def test_as_a_table(resnet: keras.Model) -> None:
    counted = complexity(resnet)
    by_stage, by_layer = rendered(counted.table()), rendered(counted.table(by_layer=True))
    total = ["total", f"{counted.parameters:,}"]
    for lines in (by_stage, by_layer):
        assert lines[0] == ["se_resnet,", "input", "32x32x3"]
        assert lines[-1][:2] == total
        assert f"{counted.macs / 1e6:,.2f}" in lines[-1]
    stage = counted.stages["stage1"]
    share = f"{100 * stage.se_parameters / stage.parameters:.1f}"
    row = next(line for line in by_stage if line[0] == "stage1")
    assert row[:5] == ["stage1", "8x8x16", f"{stage.parameters:,}", share, "%"]
    assert row[5] == f"{stage.macs / 1e6:,.2f}"
    assert [line[0] for line in by_stage if line[0] in counted.stages] == list(counted.stages)
    names = [cost.name for cost in counted.layers]
    assert [line[0] for line in by_layer if line[0] in names] == names
    row = next(line for line in by_layer if line[0] == "stage1_block1_se")
    assert row[:5] == ["stage1_block1_se", "8x8x16", "49", "100.0", "%"]
    # A layer that has nothing to do with SE has no share.
    assert next(line for line in by_layer if line[0] == "stem_conv") == ["stem_conv", "16x16x4", "588", "0.15"]


def test_as_a_line() -> None:
    model = SEResNet((1,), filters=(4,), input_shape=(64, 64, 3), classes=5, name="mine")
    counted = complexity(model)
    of_parameters, of_macs = (
        f"{100 * part / whole:.1f} % SE"
        for part, whole in ((counted.se_parameters, counted.parameters), (counted.se_macs, counted.macs))
    )
    assert str(counted) == (
        f"mine: {counted.parameters:,} parameters ({of_parameters}), "
        f"{counted.macs / 1e9:.3f} GMACs ({of_macs}) for 64x64x3"
    )
    assert "(0 % SE)" in str(complexity(sequential((4,), layers.Dense(2))))
