"""Benchmarks of depth: what each loss contributes, and predictions beside vertical stereo."""
