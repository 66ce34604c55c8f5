"""Multi-view stereo on the sphere: `refine` finds the depth by which frames explain each other.

A plane sweep whose hypotheses are inverse ranges, checked by the depth of other views.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'aggregate',
        'config',
        'confirm',
        'hypotheses',
        'light',
        'planes',
        'search',
        'solver',
        'textures',
        'views',
        'volume',
    ],
    submod_attrs={'config': ['SweepConfig'], 'solver': ['Sweep', 'refine']},
)
