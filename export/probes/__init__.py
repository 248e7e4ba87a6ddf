"""Programs that run in processes of their own. Only `sandbox.py`, which starts them, belongs to the package."""
