"""Where candidates are trained: in this process, in one process each, on Ray or on Slurm.

If a candidate crashes or takes too long, only that candidate fails.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'base',
        'config',
        'isolated',
        'open_executor',
        'process',
        'ray',
        'serial',
        'slurm',
        'worker',
    ],
    submod_attrs={
        'base': ['Executor'],
        'config': ['ExecutorConfig'],
        'process': ['ProcessExecutor'],
        'serial': ['SerialExecutor'],
    },
)
