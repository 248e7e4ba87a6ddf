"""What an export that fails says: the reason, in a sentence."""

from pathlib import Path

import keras
import pytest
from keras import layers

from keras_se.export import DEFAULT_FORMATS, FORMATS, ExportError


class Refusing(layers.Layer):
    """Fails where it is traced, and not before."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        if not isinstance(x, keras.KerasTensor):
            raise RuntimeError("the moon is full")
        return x

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(x.shape, x.dtype)


@pytest.mark.parametrize("format", DEFAULT_FORMATS)
@pytest.mark.parametrize("inside", [False, True])
def test_a_layer_that_fails_is_named_with_its_reason(format: str, inside: bool, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), Refusing(name="refusing")], name="model")
    if inside:
        x = keras.Input((4,))
        model = keras.Model(x, layers.Dense(2)(model(x)), name="outer")
    with pytest.raises(ExportError) as raised:
        FORMATS[format].convert(model, tmp_path / f"m{FORMATS[format].suffix}")
    assert str(raised.value) == f"Exporting {model.name} to {format} failed: Refusing.call(): the moon is full"
    assert not list(tmp_path.iterdir())
