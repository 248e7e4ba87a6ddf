"""What all families of networks share: the builder's signature, inputs and heads, and blocks. May import layers."""
