"""The rules of each target, as data. Each row names the document or the code that it was taken from."""

from dataclasses import dataclass, field

from keras_se.export.targets.tflite_micro_ops import METHODS

FLOAT = frozenset({"float32"})
INTEGERS = frozenset({"bool", "int32", "int64", "uint32"})  # sizes, indices, biases and conditions
QUANTIZED = frozenset({"int8", "int16"})


@dataclass(frozen=True)
class Operators:
    """The operations that a target supports, and the types of their tensors.

    Attributes:
        kinds: The names of the operations in the file.
        types: The types of their tensors.
        source: The document or the code that says so.
        action: The remedy for an operation that is not supported.
        narrower: The types of operations that support fewer, or other, types.
    """

    kinds: frozenset[str]
    types: frozenset[str]
    source: str
    action: str
    narrower: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Limit:
    """A requirement on the whole file. `kind` is a key of `check.LIMITS`."""

    kind: str
    source: str


@dataclass(frozen=True)
class Target:
    """A target: the format of its files, and its rules."""

    format: str
    rows: tuple[Operators | Limit, ...]


MICRO = "github.com/tensorflow/tflite-micro at 90b983c"
GPU = "github.com/google-ai-edge/LiteRT, tflite/tools/versioning/gpu_compatibility.cc at 007226f"
VELA = "SUPPORTED_OPS.md of ethos-u-vela 5.2.0, Ethos-U55 and Ethos-U65"
XNNPACK = "LiteRT's XNNPACK delegate, as ai-edge-litert runs it here"
ORT = "github.com/microsoft/onnxruntime at 3de3fc0, mobile_package.required_operators.config"
ORT_TYPES = "https://onnxruntime.ai/docs/reference/operators/MobileOps.html"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


GPU_KINDS = _names("""
    ABS ADD ADD_N ATAN2 AVERAGE_POOL_2D BATCH_MATMUL BITCAST CAST CEIL CONCATENATION CONV_2D COS CUMSUM DENSIFY
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP FLOOR FLOOR_DIV
    FLOOR_MOD FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND
    LOGICAL_NOT LOGICAL_OR LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD
    PADV2 POW PRELU QUANTIZE REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RIGHT_SHIFT ROUND RSQRT SELECT SELECT_V2 SIGN SIN SLICE SOFTMAX
    SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TOPK_V2 TRANSPOSE
    TRANSPOSE_CONV
""")

VELA_KINDS = _names("""
    ABS ADD ARG_MAX AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D ELU EXP EXPAND_DIMS
    FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG PACK PAD
    PADV2 PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SLICE SOFTMAX SPLIT SPLIT_V SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB
    SUM TANH TILE TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
""")

ORT_KINDS = _names("""
    Abs Add And ArgMax ArgMin AveragePool Cast Ceil Clip Concat ConstantOfShape Conv ConvTranspose Cos CumSum
    DepthToSpace DequantizeLinear Div DynamicQuantizeLinear Elu Equal Erf Exp Expand Flatten Floor Gather GatherND Gemm
    GlobalAveragePool Greater GreaterOrEqual Identity If InstanceNormalization LRN LayerNormalization LeakyRelu Less
    LessOrEqual Log LogSoftmax Loop MatMul MatMulInteger Max MaxPool Mean Min Mul Neg NonMaxSuppression NonZero Not Or
    PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum Relu Reshape Resize ReverseSequence Round Scan ScatterND Shape Sigmoid Sin Size Slice Softmax SpaceToDepth
    Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile TopK Transpose Unique Unsqueeze Where
""")

GPU_OPERATORS = Operators(
    GPU_KINDS,
    FLOAT | INTEGERS | {"float16", "int8", "uint8"},
    GPU,
    "Replace its layer with one that converts to operations that the delegate supports.",
)
MICRO_OPERATORS = Operators(
    frozenset(METHODS),
    FLOAT | INTEGERS | QUANTIZED,
    f"{MICRO}, micro_mutable_op_resolver.h and kernels/*.cc",
    "Replace its layer, or export with quantize='int8'.",
    {
        **dict.fromkeys(("HARD_SWISH", "RESIZE_BILINEAR", "ELU", "DIV"), FLOAT | INTEGERS | {"int8"}),
        **dict.fromkeys(("QUANTIZE", "DEQUANTIZE"), FLOAT | INTEGERS | QUANTIZED | {"uint8"}),
    },
)
ORT_OPERATORS = Operators(
    ORT_KINDS,
    FLOAT | INTEGERS | {"int8", "uint8"},
    f"{ORT}; {ORT_TYPES}",
    "Use the package onnxruntime-android or onnxruntime-c, which supports all operators.",
)

TARGETS = {
    # LiteRT on a phone's CPU.
    "phone-cpu": Target("tflite", (Limit("runs in LiteRT", XNNPACK), Limit("in the delegate", XNNPACK))),
    # LiteRT's GPU delegate.
    "phone-gpu": Target(
        "tflite",
        (
            GPU_OPERATORS,
            Limit("static shapes", "keras_se: the GPU delegate compiles its shaders for the sizes in the file"),
            Limit("four axes", GPU),
        ),
    ),
    # LiteRT for Microcontrollers.
    "microcontroller": Target(
        "tflite",
        (
            MICRO_OPERATORS,
            Limit("static shapes", f"{MICRO}, tensorflow/lite/micro/docs/porting_reference_ops.md: no dynamic tensors"),
            Limit("batch of one", "keras_se: boards take one sample at a time"),
            Limit("no dynamic quantization", f"{MICRO}, kernels/cmsis_nn/conv.cc: hybrid models are not supported"),
        ),
    ),
    # Arm's Ethos-U55 and U65.
    "ethos-u": Target("tflite", (Limit("all on the NPU", VELA),)),
    # ONNX Runtime's reduced builds for phones.
    "onnxruntime-mobile": Target("onnx", (ORT_OPERATORS,)),
}

# Vela's rules, for machines on which Vela is not installed.
VELA_RULES = (
    Operators(
        VELA_KINDS,
        INTEGERS | QUANTIZED | {"uint8"},
        VELA,
        "Export with quantize='int8' and io_dtype='int8'. If that does not help, replace its layer.",
    ),
    Limit("static shapes", VELA),
    Limit("batch of one", VELA),
)
