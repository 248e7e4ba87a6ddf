"""Compares a file's outputs with the Keras model's. May import the frontend."""
