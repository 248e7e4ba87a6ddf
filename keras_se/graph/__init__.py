"""Keras graphs: walking, selecting, copying, editing, and computing intermediate tensors. May import layers."""
