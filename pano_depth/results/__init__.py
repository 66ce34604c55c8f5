"""Whole jobs and their files: reconstruct, evaluate, train, export; report, cloud and video.

Each job is one function of a frozen configuration; the command line calls the same functions.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'cloud',
        'deployment',
        'export',
        'onnx_depth',
        'panels',
        'ply',
        'predict',
        'report',
        'steps',
    ],
    submod_attrs={
        'deployment': ['DepthCostConfig', 'depth_cost'],
        'evaluate_job': ['EvaluateConfig', 'evaluate'],
        'export_job': ['ExportDepthConfig', 'export_depth'],
        'reconstruct_job': ['ReconstructConfig', 'reconstruct'],
        'reconstruction': ['Reconstruction'],
        'self_training': ['ImproveConfig', 'improve'],
        'train_job': ['TrainConfig', 'train'],
        'viewer': ['ViewConfig', 'view'],
    },
)
