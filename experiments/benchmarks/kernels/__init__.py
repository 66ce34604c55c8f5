"""Benchmarks of speed: projections, convolutions, and the depth network on cubes, each beside what
people use instead.
"""
