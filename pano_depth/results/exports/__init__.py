"""A reconstruction in the files of other tools: COLMAP, nerfstudio, and a clip folder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'capture',
        'clip',
        'colmap',
        'folders',
        'names',
        'nerfstudio',
        'points',
        'sparse',
        'views',
    ],
    submod_attrs={'config': ['ExportConfig'], 'folders': ['export', 'export_one']},
)
