"""Progressive search for Pareto-optimal cells: ask and tell, and the loop around them.

The search trains nothing: the caller evaluates cells and tells it the results.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'acquisition',
        'config',
        'evaluations',
        'forecast',
        'found',
        'front_figure',
        'knowledge',
        'loop',
        'pareto',
        'planner',
        'progress',
        'results',
        'rungs',
        'search',
        'space',
    ],
    submod_attrs={
        'config': ['PlannerConfig'],
        'evaluations': ['Constraint', 'Evaluation', 'Failure', 'Outcome'],
        'loop': ['run'],
        'rungs': ['Rungs'],
        'search': ['Search'],
        'space': ['CellSpace', 'Space'],
    },
)
