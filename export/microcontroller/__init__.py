"""C sources for LiteRT for Microcontrollers. May import what the TFLite format may, and that format."""
