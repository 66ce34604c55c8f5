"""Files of a reconstruction: clouds and pictures that collect frames, and reading them again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['fusion', 'pictures', 'stored', 'stored_images', 'timing'],
    submod_attrs={},
)
