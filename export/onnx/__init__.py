"""The ONNX format. May import the frontend, passes, data and verification."""
