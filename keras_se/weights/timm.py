"""The SE networks of timm: their names, the builder of each, and the names of their tensors.

`legacy_*` are the authors' own weights, converted from Caffe. The others put a bottleneck's stride into the 3x3, pad
the stem's pooling, and round the excitation's width up to a multiple of 8.
"""

import re
from functools import partial
from typing import Any

import keras

from keras_se.graph.keras_private import producer
from keras_se.layers import SqueezeExcite
from keras_se.weights.mapping import Family, Rule
from keras_se.weights.requirements import find_layer, missing_options, missing_se_options

# The blocks of all ResNets.
BLOCKS = (
    Rule("layer{stage}.{block}.conv{i}", "stage{stage}_block{block}_conv{i}", "conv"),
    Rule("layer{stage}.{block}.bn{i}", "stage{stage}_block{block}_conv{i}_bn", "norm"),
)
SHORTCUT = (
    Rule("layer{stage}.{block}.downsample.0", "stage{stage}_block{block}_shortcut", "conv"),
    Rule("layer{stage}.{block}.downsample.1", "stage{stage}_block{block}_shortcut_bn", "norm"),
)
AVERAGED_SHORTCUT = (
    Rule("layer{stage}.{block}.downsample.1", "stage{stage}_block{block}_shortcut", "conv"),
    Rule("layer{stage}.{block}.downsample.2", "stage{stage}_block{block}_shortcut_bn", "norm"),
)
SE_MODULE = (
    Rule("layer{stage}.{block}.se_module.fc1", "stage{stage}_block{block}_se", "reduce"),
    Rule("layer{stage}.{block}.se_module.fc2", "stage{stage}_block{block}_se", "expand"),
)
SE = (
    Rule("layer{stage}.{block}.se.fc1", "stage{stage}_block{block}_se", "reduce"),
    Rule("layer{stage}.{block}.se.fc2", "stage{stage}_block{block}_se", "expand"),
)
LEGACY_STEM = (
    Rule("layer0.conv{i}", "stem_conv{i}", "conv"),
    Rule("layer0.bn{i}", "stem_conv{i}_bn", "norm"),
    Rule("layer0.conv1", "stem_conv", "conv"),
    Rule("layer0.bn1", "stem_conv_bn", "norm"),
)
STEM = (
    Rule("conv1", "stem_conv", "conv"),
    Rule("bn1", "stem_conv_bn", "norm"),
    Rule("conv1.0", "stem_conv1", "conv"),
    Rule("conv1.1", "stem_conv1_bn", "norm"),
    Rule("conv1.3", "stem_conv2", "conv"),
    Rule("conv1.4", "stem_conv2_bn", "norm"),
    Rule("conv1.6", "stem_conv3", "conv"),
    Rule("bn1", "stem_conv3_bn", "norm"),
)
MOBILENET_V3_RULES = (
    Rule("conv_stem", "stem_conv", "conv"),
    Rule("bn1", "stem_conv_bn", "norm"),
    # The first block does not expand: its second convolution is the projection.
    Rule("blocks.0.0.conv_dw", "stage1_block1_depthwise", "depthwise"),
    Rule("blocks.0.0.bn1", "stage1_block1_depthwise_bn", "norm"),
    Rule("blocks.0.0.conv_pw", "stage1_block1_project", "conv"),
    Rule("blocks.0.0.bn2", "stage1_block1_project_bn", "norm"),
    Rule("blocks.{stage}.{block}.conv_pw", "stage{stage}_block{block}_expand", "conv"),
    Rule("blocks.{stage}.{block}.bn1", "stage{stage}_block{block}_expand_bn", "norm"),
    Rule("blocks.{stage}.{block}.conv_dw", "stage{stage}_block{block}_depthwise", "depthwise"),
    Rule("blocks.{stage}.{block}.bn2", "stage{stage}_block{block}_depthwise_bn", "norm"),
    Rule("blocks.{stage}.{block}.conv_pwl", "stage{stage}_block{block}_project", "conv"),
    Rule("blocks.{stage}.{block}.bn3", "stage{stage}_block{block}_project_bn", "norm"),
    Rule("blocks.{stage}.{block}.se.conv_reduce", "stage{stage}_block{block}_se", "reduce"),
    Rule("blocks.{stage}.{block}.se.conv_expand", "stage{stage}_block{block}_se", "expand"),
    Rule("blocks.{i}.0.conv", "final_conv", "conv"),
    Rule("blocks.{i}.0.bn1", "final_conv_bn", "norm"),
    Rule("conv_head", "hidden", "conv"),
    Rule("classifier", "logits", "pointwise"),
)


def _strides(model: keras.Model) -> tuple[int, int] | None:
    """The strides of the first 1x1 convolution in a bottleneck that halves the image; `None` without bottlenecks."""
    bottleneck = find_layer(model, "stage2_block1_conv3")
    return None if bottleneck is None else find_layer(model, "stage2_block1_conv1").strides


def _ends_in_relu(model: keras.Model) -> bool:
    """Whether the branches of basic blocks end in a ReLU."""
    return find_layer(model, "stage1_block1_conv2_relu") is not None


def _se_in_branch(model: keras.Model) -> list[str]:
    """The options that the network lacks at the end of its residual branches: their last ReLU, and SE."""
    ends_in_relu = find_layer(model, "stage1_block1_conv3_relu") is not None
    # On the shortcut or before the branch, SE reads another layer.
    sources = [producer(layer.input).name for layer in model.layers if isinstance(layer, SqueezeExcite)]
    after = all(re.fullmatch(r"stage\d+_block\d+_conv\d_(bn|relu)", name) for name in sources)
    missing = missing_options((not ends_in_relu, "branch_relu=False"), (after, 'placement="standard"'))
    return list(dict.fromkeys(missing + missing_se_options(model, "add", keras.activations.sigmoid)))


def _missing_in_legacy(model: keras.Model) -> list[str]:
    strides = _strides(model)
    grouped = strides is not None and find_layer(model, "stage2_block1_conv2").groups > 1
    return missing_options(
        (not _is_pooled(model) or not _is_padded(model), 'pool="ceil"'),
        (strides in (None, (2, 2)) or grouped, 'stride_in="1x1"'),
        (strides in (None, (1, 1)) or not grouped, 'stride_in="3x3"'),
        (not _is_averaged(model), 'shortcut="projection"'),
        (strides is not None or _ends_in_relu(model), "branch_relu=True"),
    ) + _se_in_branch(model)


def _missing_in_resnet(model: keras.Model, averaged: bool = False) -> list[str]:
    strides = _strides(model)
    shortcut = "average" if averaged else "projection"
    return missing_options(
        (not _is_pooled(model) or _is_padded(model), 'pool="padded"'),
        (strides in (None, (1, 1)), 'stride_in="3x3"'),
        (_is_averaged(model) == averaged, f'shortcut="{shortcut}"'),
        (strides is not None or not _ends_in_relu(model), "branch_relu=False"),
    ) + _se_in_branch(model)


def _missing_in_mobilenet_v3(model: keras.Model) -> list[str]:
    return missing_options(
        (find_layer(model, "stem_conv_pad") is not None, 'padding="symmetric"'),
        (find_layer(model, "stem_conv_bn").epsilon == 1e-5, "epsilon=1e-5"),
        (find_layer(model, "preprocessing") is None, "include_preprocessing=False"),
    ) + missing_se_options(model, "project", keras.activations.hard_sigmoid)


def _is_averaged(model: keras.Model) -> bool:
    """Whether the shortcuts that halve the image begin with a pooling."""
    return any(layer.name.endswith("_shortcut_pool") for layer in model.layers)


def _is_pooled(model: keras.Model) -> bool:
    return find_layer(model, "stem_pool") is not None


def _is_padded(model: keras.Model) -> bool:
    # In ceil mode, some sizes are padded on one side.
    pad = find_layer(model, "stem_pool_pad")
    return pad is not None and pad.padding == ((1, 1), (1, 1))


FAMILIES = (
    Family(
        "timm's legacy SE networks",
        "layer0.conv1.weight",
        (*LEGACY_STEM, *BLOCKS, *SHORTCUT, *SE_MODULE, Rule("last_linear", "predictions", "dense")),
        _missing_in_legacy,
    ),
    Family(
        "timm's ResNet-D",
        "layer2.0.downsample.2.weight",
        (*STEM, *BLOCKS, *AVERAGED_SHORTCUT, *SE, Rule("fc", "predictions", "dense")),
        partial(_missing_in_resnet, averaged=True),
    ),
    Family(
        "timm's ResNets",
        "layer1.0.conv1.weight",
        (*STEM, *BLOCKS, *SHORTCUT, *SE, Rule("fc", "predictions", "dense")),
        _missing_in_resnet,
    ),
    Family(
        "timm's MobileNetV3",
        "conv_stem.weight",
        MOBILENET_V3_RULES,
        _missing_in_mobilenet_v3,
        classifier="logits",
        head=("hidden", "logits"),
        offsets={"stage": 1, "block": 1},
    ),
)


def _rounded(stage: int) -> SqueezeExcite:
    return SqueezeExcite(16, divisor=8)


Options = dict[str, Any]
LEGACY_BASIC: Options = {"branch_relu": True}
RESNEXT_26: Options = {"depths": (2, 2, 2, 2), "width": 2, "groups": 32, "stride_in": "3x3", "name": "se_resnext26"}
V15: Options = {"stride_in": "3x3", "pool": "padded", "se": _rounded}
RESNEXT: Options = {"pool": "padded", "se": _rounded}
V15_D: Options = {**V15, "stem": "deep", "shortcut": "average"}
V3: Options = {"include_preprocessing": False, "padding": "symmetric", "epsilon": 1e-5}

# timm's name → the builder here and its options.
ARCHITECTURES: dict[str, tuple[str, Options]] = {
    "legacy_seresnet18": ("SEResNet18", LEGACY_BASIC),
    "legacy_seresnet34": ("SEResNet34", LEGACY_BASIC),
    "legacy_seresnet50": ("SEResNet50", {}),
    "legacy_seresnet101": ("SEResNet101", {}),
    "legacy_seresnet152": ("SEResNet152", {}),
    "legacy_seresnext26_32x4d": ("SEResNet", RESNEXT_26),
    "legacy_seresnext50_32x4d": ("SEResNeXt50", {}),
    "legacy_seresnext101_32x4d": ("SEResNeXt101", {}),
    "legacy_senet154": ("SENet154", {}),
    "seresnet18": ("SEResNet18", V15),
    "seresnet34": ("SEResNet34", V15),
    "seresnet50": ("SEResNet50", V15),
    "seresnet101": ("SEResNet101", V15),
    "seresnet152": ("SEResNet152", V15),
    "seresnet152d": ("SEResNet152", V15_D),
    "seresnext50_32x4d": ("SEResNeXt50", RESNEXT),
    "seresnext101_32x4d": ("SEResNeXt101", RESNEXT),
    "senet154": ("SENet154", RESNEXT),
    "mobilenetv3_small_100": ("SEMobileNetV3Small", V3),
    "mobilenetv3_large_100": ("SEMobileNetV3Large", V3),
}
