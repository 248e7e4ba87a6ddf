"""The families of networks, a file each. A family may import layers and `models._shared`, but no other family."""
