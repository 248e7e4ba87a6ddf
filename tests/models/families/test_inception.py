"""SE-BN-Inception, SE-Inception-v3 and SE-Inception-ResNet-v2: modules, poolings, and where SE sits."""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import SqueezeExcite
from keras_se.models import SEBNInception, SEInceptionResNetV2, SEInceptionV3
from tests.support.arrays import array, error, randomise
from tests.support.cases import case
from tests.support.numpy_networks import check_placements, feeds, graphs_only, readers

pytestmark = graphs_only

# A share that every published width is a multiple of.
BN_ALPHA, ALPHA = 1 / 32, 1 / 16


# Each is built once for every placement.
@cache
def bn_inception(placement: str) -> keras.Model:
    return SEBNInception(alpha=BN_ALPHA, placement=placement, include_top=False)


@cache
def inception_v3(placement: str) -> keras.Model:
    return SEInceptionV3(alpha=ALPHA, placement=placement, include_top=False)


@cache
def inception_resnet(placement: str) -> keras.Model:
    return SEInceptionResNetV2(alpha=ALPHA, placement=placement, include_top=False)


def channels(model: keras.Model, name: str) -> int:
    return model.get_layer(name).output.shape[-1]


# Where SE sits: of each module its name, what its branches begin with, and its channels in the published network

FOUR = ["branch1_conv1", "branch2_conv1", "branch3_conv1", "branch4_pool1"]
REDUCTION = ["branch1_conv1", "branch2_conv1", "branch3_pool1"]
ZEROS = [*FOUR[:3], "branch4_pool1_pad"]
MODULES = {
    "bn_inception": [
        *[("stage1_block1", ZEROS, 256), ("stage1_block2", ZEROS, 320)],
        *[("stage2_block1", REDUCTION, 576), *((f"stage2_block{block}", ZEROS, 576) for block in (2, 3))],
        *[(f"stage2_block{block}", ZEROS, 608) for block in (4, 5)],
        ("stage3_block1", REDUCTION, 1056),
        *[("stage3_block2", ZEROS, 1024), ("stage3_block3", FOUR, 1024)],
    ],
    "inception_v3": [
        *[("stage1_block1", FOUR, 256), ("stage1_block2", FOUR, 288), ("stage1_block3", FOUR, 288)],
        *[("stage2_block1", REDUCTION, 768), *((f"stage2_block{block}", FOUR, 768) for block in (2, 3, 4, 5))],
        *[("stage3_block1", REDUCTION, 1280), ("stage3_block2", FOUR, 2048), ("stage3_block3", FOUR, 2048)],
    ],
}
NETWORKS: dict[str, tuple[Callable[..., keras.Model], float, str]] = {
    "bn_inception": (bn_inception, BN_ALPHA, "stem_pool2"),
    "inception_v3": (inception_v3, ALPHA, "stem_7"),
}


def begins(name: str, branches: list[str]) -> set[str]:
    return {f"{name}_{branch}" for branch in branches}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("placement", ["standard", "pre"])
def test_placements(network: str, placement: str) -> None:
    build, alpha, before = NETWORKS[network]
    modules, width = MODULES[network], 192
    following = [*(begins(name, branches) for name, branches, _ in modules[1:]), set()]
    places = []
    for (name, branches, filters), after in zip(modules, following, strict=True):
        if placement == "standard":
            places.append((name, f"{name}_concat", after, int(filters * alpha)))
        else:
            places.append((name, before, begins(name, branches), int(width * alpha)))
        before, width = f"{name}_concat", filters
    check_placements(build(placement), places)


# BN-Inception


def average_3x3(x: np.ndarray, border: bool) -> np.ndarray:
    """The mean of each value and its neighbours; those outside of the map count as zeros, or do not count."""

    def window(x: np.ndarray, i: int, j: int) -> np.ndarray:
        return x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].sum((1, 2))

    rows, columns = (range(length) for length in x.shape[1:3])
    sums = np.array([[window(x, i, j) for j in columns] for i in rows])
    count = np.array([[window(np.ones_like(x), i, j) for j in columns] for i in rows])
    return np.moveaxis(sums / (9 if border else count), 2, 0)


@pytest.mark.parametrize(
    ("network", "first", "pool", "border"),
    [
        ("bn_inception", "stage1_block2_branch4_pool1_pad", "stage1_block2_branch4_pool1", True),
        ("bn_inception", "stage3_block2_branch4_pool1_pad", "stage3_block2_branch4_pool1", True),
        ("inception_v3", "stage1_block2_branch4_pool1", "stage1_block2_branch4_pool1", False),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (4, 5), (7, 7)])
def test_average_poolings(network: str, first: str, pool: str, border: bool, size: tuple[int, int]) -> None:
    """Those of BN-Inception count the border as zeros, as in Caffe; those of Inception v3 leave it out."""
    network_model = bn_inception("standard") if network == "bn_inception" else inception_v3("standard")
    inputs = keras.Input((None, None, channels(network_model, pool)))
    x = inputs if first == pool else network_model.get_layer(first)(inputs)
    model = keras.Model(inputs, network_model.get_layer(pool)(x))
    images = np.random.default_rng(0).normal(size=(2, *size, inputs.shape[-1])).astype("float32")
    assert error(array(model(images)), average_3x3(images.astype("float64"), border)) < 1e-6


def test_which_poolings_take_the_maximum() -> None:
    pools = {x.name: x for x in bn_inception("standard").layers if "pool" in x.name and not x.name.endswith("_pad")}
    largest = {name for name, pool in pools.items() if isinstance(pool, keras.layers.MaxPooling2D)}
    assert largest == {
        *["stem_pool1", "stem_pool2", "stage2_block1_branch3_pool1", "stage3_block1_branch3_pool1"],
        "stage3_block3_branch4_pool1",
    }
    assert pools["stage3_block3_branch4_pool1"].strides == (1, 1)
    assert len(pools) == 2 + 10


@pytest.mark.parametrize(("size", "sizes"), [((33, 75), ((4, 2, 1), (9, 5, 3)))])
def test_bn_inception_at_odd_sizes(size: tuple[int, int], sizes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    asked = []

    def se(stage: int) -> SqueezeExcite:
        asked.append(stage)
        return SqueezeExcite(16)

    unknown = bn_inception("standard")
    known = SEBNInception(alpha=BN_ALPHA, se=se, include_top=False, input_shape=(*size, 3))
    assert asked == [1] * 2 + [2] * 5 + [3] * 3
    shapes = [known.get_layer(f"stage{stage}_block2_concat").output.shape[1:3] for stage in (1, 2, 3)]
    assert tuple(zip(*shapes, strict=True)) == sizes
    randomise(known)
    unknown.set_weights(known.get_weights())
    x = np.random.default_rng(0).normal(size=(1, *size, 3)).astype("float32")
    expected = array(known(x))
    assert expected.shape[1:] == (sizes[0][-1], sizes[1][-1], 32)
    assert np.isfinite(expected).all()
    assert error(array(unknown(x)), expected) < 1e-5


def test_the_names_of_bn_inception() -> None:
    model = bn_inception("standard")
    conv = ["", "_bn", "_relu"]
    names = {layer.name for layer in model.layers}
    module = [
        *(f"branch{branch}_conv{i}{end}" for branch, count in ((1, 1), (2, 2), (3, 3)) for i in range(1, count + 1)
          for end in conv),
        *["branch4_pool1_pad", "branch4_pool1", *(f"branch4_conv2{end}" for end in conv), "concat", "se"],
    ]  # fmt: skip
    assert {name for name in names if name.startswith("stage1_block1_")} == begins("stage1_block1", module)
    stem = ["stem_conv1_pad", "stem_pool1_pad", "stem_pool1", "stem_pool2_pad", "stem_pool2"]
    stem += [f"stem_conv{i}{end}" for i in (1, 2, 3) for end in conv]
    assert {name for name in names if not name.startswith("stage")} == {"image", *stem}
    assert feeds(model, "stage2_block2_concat") == [
        *(f"stage2_block2_branch{branch}_conv{i}_relu" for branch, i in ((1, 1), (2, 2), (3, 3), (4, 2)))
    ]


# Inception v3


@pytest.mark.parametrize(("size", "sizes"), [(75, (7, 3, 1)), (96, (9, 4, 1)), (299, (35, 17, 8)), (150, (16, 7, 3))])
def test_sizes_of_inception_v3(size: int, sizes: tuple[int, ...]) -> None:
    # A network of unknown size tells them of every size.
    model = inception_v3("standard")
    ends = keras.Model(
        model.inputs, [model.get_layer(f"stage{s}_block{b}_concat").output for s, b in ((1, 3), (2, 5), (3, 3))]
    )
    assert tuple(shape[1] for shape in ends.compute_output_shape((1, size, size, 3))) == sizes


def test_the_kernels_of_inception_v3() -> None:
    model = inception_v3("standard")

    def kernels(module: str) -> list[tuple[int, int]]:
        convolutions = [x for x in model.layers if x.name.startswith(f"{module}_") and hasattr(x, "kernel_size")]
        return sorted(x.kernel_size for x in convolutions)

    assert kernels("stage1_block1") == sorted([(1, 1)] * 4 + [(5, 5)] + [(3, 3)] * 2)
    assert kernels("stage2_block2") == sorted([(1, 1)] * 4 + [(1, 7)] * 3 + [(7, 1)] * 3)
    assert kernels("stage3_block2") == sorted([(1, 1)] * 4 + [(1, 3)] * 2 + [(3, 1)] * 2 + [(3, 3)])
    # The 7x7 of four modules grow wider.
    widths = [channels(model, f"stage2_block{block}_branch2_conv2") for block in (2, 3, 4, 5)]
    assert widths == [int(width * ALPHA) for width in (128, 160, 160, 192)]


def test_branches_within_a_branch() -> None:
    model = inception_v3("standard")
    for branch, conv in [(2, 2), (3, 3)]:
        name = f"stage3_block2_branch{branch}_conv{conv}"
        assert feeds(model, f"{name}_concat") == [f"{name}_1_relu", f"{name}_2_relu"]
        before = f"stage3_block2_branch{branch}_conv{conv - 1}_relu"
        assert readers(model, before) == {f"{name}_1", f"{name}_2"}
        assert [model.get_layer(f"{name}_{i}").kernel_size for i in (1, 2)] == [(1, 3), (3, 1)]


def test_no_scale_in_the_batch_norms_of_inception_v3() -> None:
    for model, scale in [(inception_v3("standard"), False), (bn_inception("standard"), True)]:
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert {norm.scale for norm in norms} == {scale}
        assert not any(x.use_bias for x in model.layers if isinstance(x, keras.layers.Conv2D))


# Inception-ResNet v2

RESIDUAL = {1: (10, 320, 0.17, 3), 2: (20, 1088, 0.1, 2), 3: (10, 2080, 0.2, 2)}  # blocks, channels, scale, branches
OPENING = {1: FOUR, 2: REDUCTION, 3: ["branch1_conv1", "branch2_conv1", "branch3_conv1", "branch4_pool1"]}
LAST = "stage3_block11"
RESIDUALS = [f"stage{stage}_block{block}" for stage, (depth, *_) in RESIDUAL.items() for block in range(2, depth + 2)]


def residual_places(placement: str) -> list[tuple[str, str, set[str], int]]:
    places = []
    for name in RESIDUALS:
        stage, block = int(name[5]), int(name.partition("block")[2])
        depth, width, _, branches = RESIDUAL[stage]
        before = f"stage{stage}_block1_concat" if block == 2 else f"stage{stage}_block{block - 1}_relu"
        inner = {f"{name}_branch{i}_conv1" for i in range(1, branches + 1)}
        after = {f"stage{stage}_block{block + 1}_{end}" for end in ("add", *OPENING[1][:branches])}
        if block == depth + 1:
            after = begins(f"stage{stage + 1}_block1", OPENING[stage + 1]) if name != LAST else {"final_conv"}
        places.append(
            {
                "standard": (name, f"{name}_conv", {f"{name}_add" if name == LAST else f"{name}_scale"}, width),
                "pre": (name, before, inner, width),
                "post": (name, f"{name}_add" if name == LAST else f"{name}_relu", after, width),
                "identity": (name, before, {f"{name}_add"}, width),
            }[placement]
        )
    return [(name, before, after, int(width * ALPHA)) for name, before, after, width in places]


@pytest.mark.parametrize("placement", ["standard", *(case(p, slow=True) for p in ("pre", "post", "identity"))])
def test_placements_in_residual_blocks(placement: str) -> None:
    check_placements(inception_resnet(placement), residual_places(placement))


def test_the_residual_blocks() -> None:
    model = inception_resnet("standard")
    for name in RESIDUALS:
        _, width, scale, branches = RESIDUAL[int(name[5])]
        projection = model.get_layer(f"{name}_conv")
        assert (projection.filters, projection.kernel_size, projection.use_bias) == (int(width * ALPHA), (1, 1), True)
        assert feeds(model, f"{name}_conv") == [f"{name}_concat"]
        assert len(feeds(model, f"{name}_concat")) == branches
        if name != LAST:
            assert model.get_layer(f"{name}_scale").scale == scale
            assert f"{name}_scale" in feeds(model, f"{name}_add")
            assert readers(model, f"{name}_add") == {f"{name}_relu"}
    names = {layer.name for layer in model.layers}
    assert not {f"{LAST}_scale", f"{LAST}_relu"} & names
    assert readers(model, f"{LAST}_add") == {"final_conv"}
    assert channels(model, "final_conv") == 1536 * ALPHA


# What is refused


@pytest.mark.parametrize(
    ("builder", "options", "message"),
    [
        *[
            (builder, {"alpha": alpha}, rf"^alpha must be a finite number greater than 0\. Received: alpha={alpha}$")
            for builder in (SEBNInception, SEInceptionV3, SEInceptionResNetV2)
            for alpha in (0, -1.0, float("inf"), True, None)
        ],
        *[
            (
                builder,
                {"placement": p},
                rf"^placement must be one of 'standard', 'pre' in .* Received: placement='{p}'$",
            )
            for builder in (SEBNInception, SEInceptionV3)
            for p in ("post", "identity", "3x3")
        ],
        (SEInceptionResNetV2, {"placement": "3x3"}, r"^placement must be one of .* Received: placement='3x3'$"),
        (SEBNInception, {"input_shape": (31, 32, 3)}, r"^input_shape must .* 32x32 pixels .* shape \(31, 32, 3\)$"),
        (SEInceptionV3, {"input_shape": (75, 74, 3)}, r"^input_shape must .* 75x75 pixels .* shape \(75, 74, 3\)$"),
        (SEInceptionResNetV2, {"input_shape": (74, 75, 3)}, r"^input_shape must .* 75x75 .* shape \(74, 75, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(builder: Callable, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        builder(**options)
