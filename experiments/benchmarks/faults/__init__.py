"""Faults done for real to both command lines, long runs, and one training on several devices."""
