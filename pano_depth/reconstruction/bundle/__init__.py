"""Photometric bundle adjustment on the sphere: `adjust` finds the path that explains the images.

Points of each keyframe, their range and all poses are solved together; the frames between follow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['between', 'equations', 'links', 'points', 'solver', 'terms', 'textures'],
    submod_attrs={'solver': ['Bundle', 'BundleConfig', 'adjust']},
)
