"""Benchmarks of reliability: real faults in both command lines, long runs, several devices."""
