"""A result in the browser, in 3D: path, panoramas and points, by viser (extra `view`)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['config', 'marks', 'points', 'scene', 'server', 'sources'],
    submod_attrs={'config': ['ViewConfig'], 'server': ['Viewer', 'view']},
)
