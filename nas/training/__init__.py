"""Training and scoring on images, and whole jobs: a search, a training, an export.

Each job is one function of a frozen configuration; the command line calls the same functions.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'batches',
        'candidates',
        'config',
        'data',
        'evaluate',
        'export',
        'export_job',
        'final',
        'network_file',
        'objectives',
        'recipe',
        'report',
        'score',
        'search',
        'search_job',
        'session',
        'throughput',
        'train_job',
        'trained',
    ],
    submod_attrs={
        'config': [
            'EvaluationConfig',
            'ExportTrainedConfig',
            'RecipeConfig',
            'SearchConfig',
            'SearchOptions',
            'TrainConfig',
        ],
        'export_job': ['export_trained'],
        'search_job': ['SearchResult', 'run_prepared', 'run_search'],
        'train_job': ['train'],
        'trained': ['Trained', 'load_trained'],
    },
)
