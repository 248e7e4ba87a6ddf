"""A Keras graph: walked, selected from, copied with other layers, and computed in part. May import layers."""
