"""The steps of a reconstruction: read, survey, adapt, predict, path, depth, unit, write, score."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['geometry', 'job', 'known', 'looks', 'scores', 'unit'],
    submod_attrs={'geometry': ['rows_that_fit'], 'job': ['Steps']},
)
