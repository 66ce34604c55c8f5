"""Parts of the files of a reconstruction that collect frames one by one: clouds and pictures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['fusion', 'pictures'], submod_attrs={}
)
