"""What a search expects of cells that it has not evaluated: an LSTM and a Gaussian process.

Each gives a mean and a standard deviation of the error.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['error_scale', 'gaussian_process', 'lstm', 'surrogate'], submod_attrs={}
)
