"""Pixels of panoramas, fast: their gradients on the sphere, and where points appear."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=['gradients', 'sampling'])
