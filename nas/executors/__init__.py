"""Where candidates are evaluated: in this process, in one process each, or on a Ray cluster."""
