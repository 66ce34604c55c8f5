"""Poses of the camera that are known: a TUM trajectory or a COLMAP model, matched to frames."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['axes', 'colmap_model', 'colmap_panoramas', 'image_numbers', 'known_poses'],
    submod_attrs={'axes': ['read_path', 'write_path'], 'known_poses': ['KnownPoses', 'read_poses']},
)
