"""The parts that families of networks share: the builder, inputs and heads, and blocks. May import layers."""
