"""The operations that LiteRT for Microcontrollers supports."""

# Built-in operations by the schema's name.
# Source: tensorflow/lite/micro/micro_mutable_op_resolver.h of github.com/tensorflow/tflite-micro, at commit 90b983c
# (August 2026). Operations with subgraphs or with state between runs (IF, WHILE, CALL_ONCE, VAR_HANDLE, SVDF, LSTMs)
# are left out: their memory is not estimated here.
OPERATIONS = """
    ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CAST CEIL
    CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU
    EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT
    LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU
    QUANTIZE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2
    ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV UNPACK ZEROS_LIKE
"""
# Method names whose capitals the operation's name does not show.
IRREGULAR = {"BATCH_MATMUL": "AddBatchMatMul", "CUMSUM": "AddCumSum", "PADV2": "AddPadV2"}


def _method(operation: str) -> str:
    words = operation.split("_")
    return IRREGULAR.get(operation, "Add" + "".join(word if word[0].isdigit() else word.capitalize() for word in words))


# The method of `tflite::MicroMutableOpResolver` that adds each operation: `CONV_2D` → `AddConv2D`.
METHODS = {operation: _method(operation) for operation in OPERATIONS.split()}
