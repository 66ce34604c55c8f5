"""Reads footage (videos, images, folders, depth, spherical metadata) and writes trajectories.

Footage is read frame by frame, so that memory does not grow with its length.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'clip_folder',
        'depth_files',
        'eyes',
        'frame_files',
        'geometry',
        'masks',
        'media',
        'mp4',
        'panosuncg',
        'photos',
        'poses',
        'rgbd',
        'spherical',
        'video',
    ],
    submod_attrs={
        'clip': ['Clip'],
        'footage': ['Footage', 'Frame', 'from_clip'],
        'config': ['FootageConfig'],
    },
)
