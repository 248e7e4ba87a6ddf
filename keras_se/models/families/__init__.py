"""The families of networks, a file each. May import layers and `models._shared`, and no other family."""
