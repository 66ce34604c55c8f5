"""Rooms that prepare for real captures: other places, light, standpoints, and a camera's faults."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['look', 'outdoors', 'passages', 'shots', 'walks']
)
