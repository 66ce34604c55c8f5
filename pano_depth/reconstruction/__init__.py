"""From trained networks and footage to depth of every frame and one path, in one unit, with scores.

Arrays that grow with the footage are files that are mapped into memory.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'analysis',
        'bars',
        'bundle',
        'consistency',
        'evaluate',
        'infer',
        'metrics',
        'pixels',
        'scale',
        'stationary',
        'survey',
        'sweep',
        'trajectory',
        'validity',
    ],
    submod_attrs={'pretrained': ['Networks', 'load_networks']},
)
