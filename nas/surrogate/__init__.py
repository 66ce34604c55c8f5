"""Predicts an objective of cells not evaluated yet: LSTMs, a Gaussian process, boosted trees.

A prediction is a mean and a standard deviation.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['gaussian_process', 'lstm', 'surrogate', 'trees', 'value_scale'],
    submod_attrs={},
)
