"""Measures files in their runtimes. May import formats and probes."""
