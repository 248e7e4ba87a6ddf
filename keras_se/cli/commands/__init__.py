"""The commands of `keras-se`, one a file. `keras_se.cli` puts them together."""
