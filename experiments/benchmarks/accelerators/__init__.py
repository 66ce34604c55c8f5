"""The parts of `accelerator.py`: what each measures, in a process of its own."""
