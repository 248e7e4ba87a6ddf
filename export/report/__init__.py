"""The HTML page about exported files. May import everything of the export but `export.py`."""
