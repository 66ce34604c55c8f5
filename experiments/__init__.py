"""Command lines of the project: the only place that reads flags."""
