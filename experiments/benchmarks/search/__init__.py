"""Benchmarks of the search: how good its cells, its surrogate and its latencies are, the paper's
tables with our rows.
"""
