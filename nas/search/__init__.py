"""Progressive search for Pareto-optimal cells: ask and tell, and the loop around them.

The search trains nothing: the caller evaluates cells and tells it the results.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'acquisition',
        'batches',
        'config',
        'earlier',
        'evaluations',
        'forecast',
        'free_space',
        'knowledge',
        'loop',
        'pareto',
        'planner',
        'progress',
        'report',
        'results',
        'rungs',
        'search',
        'space',
        'spaces',
        'told',
        'wishes',
    ],
    submod_attrs={
        'config': ['PlannerConfig'],
        'evaluations': ['Constraint', 'Evaluation', 'Failure', 'Outcome'],
        'loop': ['Patience', 'Unavailable', 'run'],
        'rungs': ['Rungs'],
        'search': ['Search'],
        'space': ['CellSpace', 'Space'],
        'spaces.restricted': ['NothingFeasible', 'restrict'],
    },
)
