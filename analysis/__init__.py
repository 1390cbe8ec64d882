"""Reads the tables of a run and says what they show: numbers, comparisons, figures, tables, one page.

Needs neither Ray nor torch nor the corpus: a run folder copied off a cluster is enough.
"""
