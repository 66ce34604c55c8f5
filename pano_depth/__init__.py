"""Self-supervised depth and camera motion from 360-degree video, on cube faces.

Six rooms, each of which imports earlier ones only: kernels, footage, rooms, learning,
reconstruction, results.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['kernels', 'footage', 'rooms', 'learning', 'reconstruction', 'results'],
    submod_attrs={
        'kernels': ['cube', 'remap', 'rigid', 'sphere', 'warp'],
        'learning': ['losses'],
        'reconstruction': ['Networks', 'load_networks', 'metrics'],
        'results': [
            'DepthCostConfig',
            'EvaluateConfig',
            'ExportDepthConfig',
            'ImproveConfig',
            'Reconstruction',
            'ReconstructConfig',
            'TrainConfig',
            'ViewConfig',
            'depth_cost',
            'evaluate',
            'export_depth',
            'improve',
            'reconstruct',
            'train',
            'view',
        ],
    },
)
