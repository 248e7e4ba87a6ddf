"""Private names of Keras stay in one file."""

import re
from pathlib import Path

import keras_se
import keras_se.export

FOLDERS = [Path(package.__file__).resolve().parent for package in (keras_se, keras_se.export)]
PRIVATE = re.compile(
    r"(?<!self)\._(?:keras_history|flatten_layers|inbound_nodes|outbound_nodes|functional|run_through_graph|nodes|layers"
    r"|nodes_by_depth|trainable_variables|non_trainable_variables|output_shape|operations|get_operation_for_node)\b"
    r"|keras\.src|\"_(?:layers|run_through_graph)\""
)


def test_only_one_file_uses_private_names_of_keras() -> None:
    users = {
        f"{path}: {name}"
        for folder in FOLDERS
        for path in folder.glob("**/*.py")
        for name in PRIVATE.findall(path.read_text("utf-8"))
    }
    assert users
    assert all("keras_private.py" in user for user in users), users
