"""Readers of corpora as they are distributed: from label files and recordings to the Parquet form of `corpus.load`."""
