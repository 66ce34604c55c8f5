"""The public files of table benchmarks, and their conversion into the npz files that are searched.

`pickles` opens them without running what they hold, `nas_bench` reads NAS-Bench-201 and NATS-Bench,
`devices` latencies and energies, `exports` small JSON and CSV files, `convert` writes the npz file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['convert', 'devices', 'exports', 'nas_bench', 'pickles', 'rows']
)
