"""Pure functions on sphere and cube: rays, sampling, padding, rigid motions, view synthesis.

Arrays in, arrays out, under jit, vmap and grad; this room imports no other.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['cube', 'cube_edges', 'remap', 'rigid', 'shapes', 'sphere', 'warp']
)
