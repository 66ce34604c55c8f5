"""Plans as Flax networks: ops, learned groups and their condensation, conversion, ONNX files.

A network is trained with masks. It can be deployed once its learned groups are converted.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'condense',
        'convert',
        'network',
        'onnx_export',
        'onnx_own',
        'ops',
        'own_ops',
        'plan_model',
    ],
    submod_attrs={},
)
