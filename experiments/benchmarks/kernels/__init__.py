"""Benchmarks of speed: projections, convolutions, the depth network; each beside alternatives."""
