"""Measures what files cost where they run. May import formats and probes."""
