"""Evaluates batches of cells, and again after a pause if something was away."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['cell_by_cell', 'failed', 'lost', 'rounds'],
    submod_attrs={
        'cell_by_cell': ['CellByCell'],
        'failed': ['set_failed_aside'],
        'lost': ['map_again'],
    },
)
