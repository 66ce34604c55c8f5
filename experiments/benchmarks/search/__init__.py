"""Benchmarks of the search: its cells, its surrogate and latencies, and the paper's tables."""
