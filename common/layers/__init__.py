"""Layers of networks: fast convolutions, learned groups, and first parameters."""
