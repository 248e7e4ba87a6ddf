"""What layers were adapted to and have in no weight: vocabularies, the boundaries of bins, and constants of weights."""

import tempfile
from typing import Any

import keras


def copy_adapted(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Gives a copy of a layer or model what the layers in its source were adapted to. Its weights must be set.

    Raises:
        ValueError: for a copy with other layers inside.
    """
    for layer, new in zip(_adapted(source), _adapted(copy), strict=True):
        if isinstance(layer, keras.layers.Discretization):
            # Its file has the boundaries in the configuration, of which `finalize_state` would not make them again.
            new.bin_boundaries, new.summary = layer.bin_boundaries, layer.summary
        elif hasattr(layer, "save_assets"):
            store: dict[str, Any] = {}  # in the order of a .keras file
            layer.save_own_variables(store)
            new.load_own_variables(store)
            with tempfile.TemporaryDirectory() as folder:
                layer.save_assets(folder)
                new.load_assets(folder)
        else:
            new.finalize_state()  # Normalization keeps constants made of its weights


def _adapted(layer: keras.layers.Layer) -> list[Any]:
    # Keras has no public way to ask for all layers within; a vectorization's own lookup goes with it.
    found = [
        inner for inner in layer._flatten_layers() if hasattr(inner, "finalize_state") or hasattr(inner, "save_assets")
    ]
    within = {id(part) for outer in found for part in outer._flatten_layers(include_self=False)}
    return [inner for inner in found if id(inner) not in within]
