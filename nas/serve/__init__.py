"""Searches that somebody else evaluates: processes that share a log, or JSON lines on a pipe."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['claims', 'lines', 'serve_job', 'shared'],
    submod_attrs={'serve_job': ['serve_search'], 'shared': ['SharedSearch']},
)
