"""The report of a run directory: one page of what it holds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['page', 'panorama', 'rounds', 'scene', 'scores'],
    submod_attrs={'page': ['REPORT_FILE', 'depth_report']},
)
