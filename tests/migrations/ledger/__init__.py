"""An app whose migrations take their time; `conftest.py` puts it into a copy of the example."""
