"""What several depth benchmarks share: clips, configurations of runs, scores and their rows."""
