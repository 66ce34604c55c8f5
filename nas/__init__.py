"""Device-aware progressive search for Pareto-optimal cells (DPP-Net), training and export.

Ten rooms on five floors, each of which imports lower floors only: cells, datasets, surrogate;
networks, search; devices, tables; training; serve.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'cells',
        'datasets',
        'surrogate',
        'networks',
        'search',
        'devices',
        'tables',
        'training',
        'serve',
    ],
    submod_attrs={
        'serve': ['serve_search'],
        'training': [
            'ExportTrainedConfig',
            'RecipeConfig',
            'SearchConfig',
            'SearchResult',
            'TrainConfig',
            'Trained',
            'export_trained',
            'load_trained',
            'run_search',
            'train',
        ],
    },
)
