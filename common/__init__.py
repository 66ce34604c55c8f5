"""Code that both halves share: devices, checkpoints, run directories, logs, options, reports."""
