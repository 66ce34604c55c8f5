"""A page about a run: text, tables, curves, pictures, clouds and panoramas in one HTML file.

The file needs nothing else.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['blocks', 'drawing', 'page', 'panorama', 'points', 'run'],
    submod_attrs={'drawing': ['Box', 'Row'], 'page': ['Report'], 'points': ['Axis', 'Point']},
)
