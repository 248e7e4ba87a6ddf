"""The commands of `keras-se`, one per file. `keras_se.cli` collects them."""
