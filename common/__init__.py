"""What both halves of the project need and neither owns: devices, checkpoints, run directories,
logs.
"""
