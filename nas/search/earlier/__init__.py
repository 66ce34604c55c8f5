"""Earlier searches: their cells, what their values were made with, and what a new one learns."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['comparison', 'found', 'prior', 'provenance', 'warm_start'],
    submod_attrs={'found': ['found_cell'], 'prior': ['Informed'], 'provenance': ['Provenance']},
)
