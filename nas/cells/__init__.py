"""Cells, skeletons and published networks as plans of layers, and their costs.

Nothing here loads JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'architecture',
        'cell',
        'choice',
        'cost',
        'cost_job',
        'fingerprint',
        'own_ops',
        'plan',
        'published',
        'registering',
        'skeleton',
        'zoo',
    ],
    submod_attrs={
        'architecture': ['Architecture'],
        'cell': ['Cell'],
        'choice': ['Sizes', 'choose'],
        'cost': ['Cost', 'count'],
        'cost_job': ['CostConfig', 'architecture_of', 'cost_of', 'cost_table'],
        'plan': ['Layer', 'Plan', 'build', 'register_op'],
        'skeleton': ['SKELETONS', 'Skeleton'],
        'zoo': ['CELLS', 'NETWORKS'],
    },
)
