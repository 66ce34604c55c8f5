"""The networks and how they learn: losses, objective, sources of frame triplets, training, weights.

A training is a function of its configurations and its seed; sessions put it into run directories.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'augment',
        'checkpoints',
        'footage_source',
        'losses',
        'networks',
        'session',
        'sources',
        'spacing',
    ],
    submod_attrs={
        'checkpoints': ['ModelChoice', 'load_model', 'save_weights'],
        'model': ['ModelConfig'],
        'objective': ['LossConfig'],
        'session': ['LogConfig'],
        'train': ['RecipeConfig'],
    },
)
