"""Timings beside the libraries that people use for the same task."""
