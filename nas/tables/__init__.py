"""Tables of cells that have all been trained: spaces on which a search can be judged.

NAS-Bench-201 and NAS-Bench-Macro, from npz files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['columns', 'nb201_encoding', 'public', 'table_space', 'tabular'],
    submod_attrs={
        'tabular': ['BENCHMARKS', 'TableSpace', 'load_nas_bench_201', 'load_nas_bench_macro']
    },
)
