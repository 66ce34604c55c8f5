"""Devices that networks are measured on: JAX, ONNX Runtime, a user's board, published figures.

Measurements are kept on disk, so that nothing is measured twice.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'base',
        'cache',
        'command',
        'config',
        'lock',
        'measure',
        'onnx',
        'onnx_worker',
        'profile',
        'program',
        'same_device',
        'specs',
        'timing',
        'words',
        'xla',
    ],
    submod_attrs={
        'base': ['CannotRun', 'Device', 'DeviceError', 'Measurement', 'Model'],
        'cache': ['Cache'],
        'config': ['MeasureConfig'],
        'measure': ['measure_on'],
        'specs': ['open_device'],
    },
)
