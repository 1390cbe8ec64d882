"""A method whose arms take no time, so that what is left is the engine; for `benchmarks/engine.py`."""
