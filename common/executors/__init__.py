"""Where independent jobs run: in this process, in one process each, on Ray or on Slurm.

Jobs are the candidates of a search, or clips to reconstruct. If one crashes or takes too long, only
that one fails.
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
