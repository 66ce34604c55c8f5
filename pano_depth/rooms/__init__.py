"""PanoRooms: procedural indoor scenes, drawn with NumPy and rendered in JAX, as clips with truth.

The networks of the package learn from these scenes; the sample clip shows one of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['camera_path', 'pano_rooms', 'render', 'rooms', 'scene', 'streams']
)
