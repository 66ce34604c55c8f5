"""Pure functions on sphere and cube: rays, sampling, padding, rigid motions, view synthesis.

They take and return arrays and work under jit, vmap and grad. This room imports no other room.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['cube', 'cube_edges', 'remap', 'rigid', 'shapes', 'sphere', 'warp']
)
