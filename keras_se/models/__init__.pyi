# Written by tools/write_stub.py (`make stub`) from the builders' signatures: not to be edited.
# fmt: off
# ruff: noqa: RUF022
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import keras

from keras_se.models.detection.decoding import with_detections as with_detections
from keras_se.models.detection.fcos import SEFCOS as SEFCOS
from keras_se.models.detection.loss import FCOSLoss as FCOSLoss
from keras_se.models.detection.targets import detection_targets as detection_targets
from keras_se.models.pyramid import feature_pyramid as feature_pyramid
from keras_se.models.segmentation import LRASPP as LRASPP
from keras_se.models.segmentation import SEUNet as SEUNet

_Weights = str | PathLike[str] | keras.Model | None
_Shape = tuple[int | None, ...] | None
_Activation = str | Callable[..., Any] | None
_Excitation = Callable[[int], keras.layers.Layer | None] | None
BUILDERS: tuple[str, ...]
__all__ = [
    "FCOSLoss", "LRASPP", "SEBNInception", "SEDenseNet", "SEDenseNet121", "SEDenseNet169", "SEDenseNet201",
    "SEDenseNet264", "SEFCOS", "SEInceptionResNetV2", "SEInceptionV3", "SEMobileNet", "SEMobileNetV2", "SEMobileNetV3",
    "SEMobileNetV3Large", "SEMobileNetV3Small", "SENet", "SENet154", "SEPreActResNet", "SEResNeXt101", "SEResNeXt50",
    "SEResNet", "SEResNet101", "SEResNet110", "SEResNet152", "SEResNet164", "SEResNet18", "SEResNet20", "SEResNet32",
    "SEResNet34", "SEResNet44", "SEResNet50", "SEResNet56", "SEShuffleNet", "SEUNet", "SEVGG", "SEVGG16", "SEVGG19",
    "SEWRN16_8", "detection_targets", "feature_pyramid", "with_detections",
]
def SEDenseNet(  # keras_se/models/families/densenet.py
    depths: Sequence[int], include_top: bool = True, weights: _Weights = None, input_tensor: Any = None,
    input_shape: _Shape = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: _Activation = "softmax", name: str | None = "se_densenet", *, growth: int = 32,
    r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """An SE-DenseNet of any depth and growth."""
def SEDenseNet121(  # keras_se/models/families/densenet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_densenet121", *, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-DenseNet-121: dense blocks of 6-12-24-16 layers, growth 32."""
def SEDenseNet169(  # keras_se/models/families/densenet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_densenet169", *, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-DenseNet-169: dense blocks of 6-12-32-32 layers, growth 32."""
def SEDenseNet201(  # keras_se/models/families/densenet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_densenet201", *, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-DenseNet-201: dense blocks of 6-12-48-32 layers, growth 32."""
def SEDenseNet264(  # keras_se/models/families/densenet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_densenet264", *, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-DenseNet-264: dense blocks of 6-12-64-48 layers, growth 32."""
def SEBNInception(  # keras_se/models/families/inception.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_bn_inception", *, alpha: float = 1.0, r: int | None = 16, se: _Excitation = None,
    placement: str = "standard",
) -> keras.Model:
    """SE-BN-Inception (Inception v2): SE after each of the ten modules, those of stride 2 included."""
def SEInceptionV3(  # keras_se/models/families/inception.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_inception_v3", *, alpha: float = 1.0, r: int | None = 16, se: _Excitation = None,
    placement: str = "standard",
) -> keras.Model:
    """SE-Inception-v3: SE after the concatenation of each module, those of stride 2 included."""
def SEInceptionResNetV2(  # keras_se/models/families/inception_resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_inception_resnet_v2", *, alpha: float = 1.0, r: int | None = 16, se: _Excitation = None,
    placement: str = "standard",
) -> keras.Model:
    """SE-Inception-ResNet-v2: SE on the residual branch of each block, before the addition."""
def SEMobileNet(  # keras_se/models/families/mobilenet.py
    input_shape: _Shape = None, alpha: float = 1.0, depth_multiplier: int = 1, dropout: float = 0.001,
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, pooling: str | None = None,
    classes: int = 1000, classifier_activation: _Activation = "softmax", name: str | None = "se_mobilenet", *,
    stem: str = "imagenet", r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-MobileNet: MobileNet with SE after each pointwise convolution's batch norm and activation."""
def SEMobileNetV2(  # keras_se/models/families/mobilenet_v2.py
    input_shape: _Shape = None, alpha: float = 1.0, include_top: bool = True, weights: _Weights = None,
    input_tensor: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: _Activation = "softmax", name: str | None = "se_mobilenet_v2", *, r: int | None = 16,
    se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-MobileNetV2: MobileNetV2 with SE after each depthwise convolution's batch norm and activation."""
def SEMobileNetV3(  # keras_se/models/families/mobilenet_v3.py
    variant: str, input_shape: _Shape = None, alpha: float = 1.0, minimalistic: bool = False, include_top: bool = True,
    weights: _Weights = None, input_tensor: Any = None, classes: int = 1000, pooling: str | None = None,
    dropout_rate: float = 0.2, classifier_activation: _Activation = "softmax", include_preprocessing: bool = True,
    name: str | None = "se_mobilenet_v3", *, everywhere: bool = False, padding: str = "same", epsilon: float = 0.001,
    r: int | None = 4, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """MobileNetV3, small or large, with the published SE: r = 4, ReLU, hard-sigmoid gate, width rounded to 8."""
def SEMobileNetV3Large(  # keras_se/models/families/mobilenet_v3.py
    input_shape: _Shape = None, alpha: float = 1.0, minimalistic: bool = False, include_top: bool = True,
    weights: _Weights = None, input_tensor: Any = None, classes: int = 1000, pooling: str | None = None,
    dropout_rate: float = 0.2, classifier_activation: _Activation = "softmax", include_preprocessing: bool = True,
    name: str | None = "se_mobilenet_v3_large", *, everywhere: bool = False, padding: str = "same",
    epsilon: float = 0.001, r: int | None = 4, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """MobileNetV3-Large with the published SE (r = 4, hard-sigmoid gate)."""
def SEMobileNetV3Small(  # keras_se/models/families/mobilenet_v3.py
    input_shape: _Shape = None, alpha: float = 1.0, minimalistic: bool = False, include_top: bool = True,
    weights: _Weights = None, input_tensor: Any = None, classes: int = 1000, pooling: str | None = None,
    dropout_rate: float = 0.2, classifier_activation: _Activation = "softmax", include_preprocessing: bool = True,
    name: str | None = "se_mobilenet_v3_small", *, everywhere: bool = False, padding: str = "same",
    epsilon: float = 0.001, r: int | None = 4, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """MobileNetV3-Small with the published SE (r = 4, hard-sigmoid gate)."""
def SEPreActResNet(  # keras_se/models/families/preact_resnet.py
    depths: Sequence[int], include_top: bool = True, weights: _Weights = None, input_tensor: Any = None,
    input_shape: _Shape = None, pooling: str | None = None, classes: int = 10,
    classifier_activation: _Activation = "softmax", name: str | None = "se_preact_resnet", *, block: str = "bottleneck",
    filters: Sequence[int] = (16, 32, 64), r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """A pre-activation SE-ResNet of any depth and width, for images of about 32x32."""
def SEResNet164(  # keras_se/models/families/preact_resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 10, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet164", *, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """Pre-activation SE-ResNet-164 for CIFAR: 18 bottlenecks in each stage, of 16, 32 and 64 filters."""
def SEWRN16_8(  # keras_se/models/families/preact_resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 10, classifier_activation: _Activation = "softmax",
    name: str | None = "se_wrn16_8", *, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-WRN-16-8 for CIFAR, a wide residual network: 2 basic blocks in each stage, of 128, 256 and 512 filters."""
def SEResNeXt101(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnext101", *, filters: Sequence[int] = (64, 128, 256, 512), stem: str = "imagenet",
    pool: str = "ceil", shortcut: str = "projection", branch_relu: bool = False, r: int | None = 16,
    se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNeXt-101 (32x4d): bottlenecks with a 3x3 of 32 groups, 3-4-23-3."""
def SEResNeXt50(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnext50", *, filters: Sequence[int] = (64, 128, 256, 512), stem: str = "imagenet",
    pool: str = "ceil", shortcut: str = "projection", branch_relu: bool = False, r: int | None = 16,
    se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNeXt-50 (32x4d): bottlenecks with a 3x3 of 32 groups, 3-4-6-3."""
def SEResNet(  # keras_se/models/families/resnet.py
    depths: Sequence[int], include_top: bool = True, weights: _Weights = None, input_tensor: Any = None,
    input_shape: _Shape = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: _Activation = "softmax", name: str | None = "se_resnet", *, block: str = "bottleneck",
    filters: Sequence[int] = (64, 128, 256, 512), width: int = 1, groups: int = 1, stride_in: str = "1x1",
    stem: str = "imagenet", pool: str = "ceil", shortcut: str = "projection", branch_relu: bool = False,
    r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """An SE-ResNet or SE-ResNeXt of any depth and width; `SEResNet50` and its siblings fix some options."""
def SEResNet101(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet101", *, filters: Sequence[int] = (64, 128, 256, 512), width: int = 1, groups: int = 1,
    stride_in: str = "1x1", stem: str = "imagenet", pool: str = "ceil", shortcut: str = "projection",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-101: bottleneck blocks, 3-4-23-3."""
def SEResNet110(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 10, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet110", *, width: int = 1, groups: int = 1, stride_in: str = "1x1", pool: str = "ceil",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-110 for CIFAR: basic blocks of 16, 32 and 64 filters, 18 each; zero-padded shortcuts."""
def SEResNet152(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet152", *, filters: Sequence[int] = (64, 128, 256, 512), width: int = 1, groups: int = 1,
    stride_in: str = "1x1", stem: str = "imagenet", pool: str = "ceil", shortcut: str = "projection",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-152: bottleneck blocks, 3-8-36-3."""
def SEResNet18(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet18", *, filters: Sequence[int] = (64, 128, 256, 512), width: int = 1, groups: int = 1,
    stride_in: str = "1x1", stem: str = "imagenet", pool: str = "ceil", shortcut: str = "projection",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-18: basic blocks, 2-2-2-2."""
def SEResNet20(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 10, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet20", *, width: int = 1, groups: int = 1, stride_in: str = "1x1", pool: str = "ceil",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-20 for CIFAR: basic blocks of 16, 32 and 64 filters, 3 each; zero-padded shortcuts."""
def SEResNet32(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 10, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet32", *, width: int = 1, groups: int = 1, stride_in: str = "1x1", pool: str = "ceil",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-32 for CIFAR: basic blocks of 16, 32 and 64 filters, 5 each; zero-padded shortcuts."""
def SEResNet34(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet34", *, filters: Sequence[int] = (64, 128, 256, 512), width: int = 1, groups: int = 1,
    stride_in: str = "1x1", stem: str = "imagenet", pool: str = "ceil", shortcut: str = "projection",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-34: basic blocks, 3-4-6-3."""
def SEResNet44(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 10, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet44", *, width: int = 1, groups: int = 1, stride_in: str = "1x1", pool: str = "ceil",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-44 for CIFAR: basic blocks of 16, 32 and 64 filters, 7 each; zero-padded shortcuts."""
def SEResNet50(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet50", *, filters: Sequence[int] = (64, 128, 256, 512), width: int = 1, groups: int = 1,
    stride_in: str = "1x1", stem: str = "imagenet", pool: str = "ceil", shortcut: str = "projection",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-50: bottleneck blocks, 3-4-6-3."""
def SEResNet56(  # keras_se/models/families/resnet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 10, classifier_activation: _Activation = "softmax",
    name: str | None = "se_resnet56", *, width: int = 1, groups: int = 1, stride_in: str = "1x1", pool: str = "ceil",
    branch_relu: bool = False, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ResNet-56 for CIFAR: basic blocks of 16, 32 and 64 filters, 9 each; zero-padded shortcuts."""
def SENet(  # keras_se/models/families/senet.py
    depths: Sequence[int], include_top: bool = True, weights: _Weights = None, input_tensor: Any = None,
    input_shape: _Shape = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: _Activation = "softmax", name: str | None = "senet", *,
    filters: Sequence[int] = (64, 128, 256, 512), groups: int = 64, stem: str = "deep", pool: str = "ceil",
    dropout: float = 0.2, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """A SENet of any depth and width, made of the blocks of SENet-154."""
def SENet154(  # keras_se/models/families/senet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "senet154", *, filters: Sequence[int] = (64, 128, 256, 512), groups: int = 64,
    stem: str = "deep", pool: str = "ceil", dropout: float = 0.2, r: int | None = 16, se: _Excitation = None,
    placement: str = "standard",
) -> keras.Model:
    """SENet-154: 3-8-36-3 blocks."""
def SEShuffleNet(  # keras_se/models/families/shufflenet.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_shufflenet", *, groups: int = 3, alpha: float = 1.0, r: int | None = 16,
    se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-ShuffleNet (v1): SE on the residual branch of each unit, before the addition or concatenation."""
def SEVGG(  # keras_se/models/families/vgg.py
    depths: Sequence[int], include_top: bool = True, weights: _Weights = None, input_tensor: Any = None,
    input_shape: _Shape = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: _Activation = "softmax", name: str | None = "se_vgg", *,
    filters: Sequence[int] = (64, 128, 256, 512, 512), hidden: int = 4096, dropout: float = 0.5, r: int | None = 16,
    se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """An SE-VGG of any depth and width."""
def SEVGG16(  # keras_se/models/families/vgg.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_vgg16", *, filters: Sequence[int] = (64, 128, 256, 512, 512), hidden: int = 4096,
    dropout: float = 0.5, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-VGG-16 with batch norm: 2-2-3-3-3."""
def SEVGG19(  # keras_se/models/families/vgg.py
    include_top: bool = True, weights: _Weights = None, input_tensor: Any = None, input_shape: _Shape = None,
    pooling: str | None = None, classes: int = 1000, classifier_activation: _Activation = "softmax",
    name: str | None = "se_vgg19", *, filters: Sequence[int] = (64, 128, 256, 512, 512), hidden: int = 4096,
    dropout: float = 0.5, r: int | None = 16, se: _Excitation = None, placement: str = "standard",
) -> keras.Model:
    """SE-VGG-19 with batch norm: 2-2-4-4-4."""
