"""Predicts the errors of cells that were not evaluated yet, by LSTMs and a Gaussian process.

A prediction is a mean and a standard deviation of the error.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['error_scale', 'gaussian_process', 'lstm', 'surrogate'], submod_attrs={}
)
