"""Replaces SE blocks whose gates do not depend on the calibration data by constants.

    map → SqueezeExcite → scaled map        becomes        map → ChannelScale → scaled map

A narrow excitation can be dead: its hidden units are never positive, so the gates are always those of the bias.
A quantizer would give the hidden layer a range of zero width, which LiteRT's delegate refuses to run. A quantized file
clips to its calibrated ranges, so for it such gates are constants anyway. The gates are computed by the unedited model.
"""

from typing import Any

from keras_se.excitation.constant_gates import constant_gates
from keras_se.graph.copy_layers import remade
from keras_se.graph.rewrite import GraphEdits
from keras_se.layers import ChannelScale, ConcurrentSqueezeExcite

# Gates that vary by less than this over the calibration data are constants: the step of an int8 gate is 1/256.
CONSTANT_GATE = 1e-4


def freeze_gates(graph: GraphEdits) -> None:
    """Replaces SE blocks whose gates are constant over `graph.data`, also in nested models, and notes which."""
    found = {} if graph.data is None else constant_gates(graph.model, graph.data, CONSTANT_GATE)
    for path, (layer, gates) in found.items():
        level = graph.around(path)
        if isinstance(layer, ConcurrentSqueezeExcite):
            level.replace(layer, _with_channel_scale(layer), [*layer.spatial.get_weights(), gates])
        else:
            level.replace(layer, ChannelScale(data_format=layer.data_format, name=layer.name), [gates])
        graph.notes.append(
            f"The gates of {layer.name} are constant over the calibration data. The file stores them as constants."
        )


def _with_channel_scale(layer: Any) -> Any:
    copy = remade(layer, type(layer))
    del copy.channel
    copy.channel = ChannelScale(data_format=layer.channel.data_format, name="channel")
    return copy
