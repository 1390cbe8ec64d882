"""The study as a competent user would script it without this project: what `benchmarks/study.py` compares with."""
