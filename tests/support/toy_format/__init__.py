"""A toy format: a ZIP archive with the Keras model, which Keras runs. With a row it is all that a format needs."""

from pathlib import Path

from keras_se.export.interfaces import Format

FOLDER = Path(__file__).parent

FORMAT = Format(
    name="toy",
    package=__name__,
    suffix=".toy",
    runtime="Keras",
    runtime_module="keras",
    extra="tensorflow",
    used_for="tests",
    recognises=lambda path: path.suffix == ".toy" and path.is_file(),
    packages=("keras",),
    call_program=FOLDER / "call.py",
    colours=("#123456", "#654321"),
    marker="v",
)
