"""Programs that run in their own processes, and import only each other and a runtime. `sandbox.py` starts them."""
