"""Measures one part of `accelerator.py`, which starts this in a process of its own.

    python experiments/benchmarks/accelerators/worker.py PART FILE SECONDS STAMP [--toy]

Each row is a line of JSON in FILE as soon as it is known, with what STAMP (JSON) holds.
"""

import importlib
import json
import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from experiments.benchmarks.accelerators.limited import COMPILED, add_row

_HERE = 'experiments.benchmarks.accelerators'
# {part: generators of its rows, as module.function}
MEASURES = {
    'training': ('depth_steps.measure',),
    'cpu': ('depth_steps.measure_few',),
    'geometry': ('geometry.measure',),
    'networks': ('image_networks.measure',),
    'torch': ('image_networks.measure_torch',),
    'input': ('depth_steps.waiting', 'image_networks.waiting'),
}


def measure(part: str, path: pathlib.Path, seconds: float, stamp: dict, *, toy: bool) -> None:
    """Measures a part and writes its rows.

    Args:
        part: one of `MEASURES`.
        path: file of the rows.
        seconds: for all of them, about.
        stamp: what all rows hold.
        toy: whether to take tiny sizes.
    """
    for name in MEASURES[part]:
        module, _, function = name.partition('.')
        make = getattr(importlib.import_module(f'{_HERE}.{module}'), function)
        for row in make(seconds / len(MEASURES[part]), toy=toy):
            add_row(path, stamp | row)
            print(row, flush=True)


def main() -> None:
    """Reads the arguments, keeps freed memory as all programs of the project do, and measures."""
    from common import runtime

    part, path, seconds, stamp, *rest = sys.argv[1:]
    toy, path = '--toy' in rest, pathlib.Path(path)
    # Other parts tell how long they compile.
    cache = str(path.parent / COMPILED) if part == 'input' else ''
    runtime.start(runtime.RuntimeConfig(compilation_cache=cache), join=False)
    measure(part, path, float(seconds), json.loads(stamp), toy=toy)


if __name__ == '__main__':
    main()
