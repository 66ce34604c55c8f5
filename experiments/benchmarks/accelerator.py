"""Runs on an accelerator what was only ever run on CPUs, in one command of at most 12 minutes.

    pip install -e '.[cuda,test]'      # or where JAX for the accelerator is installed already
    python experiments/benchmarks/accelerator.py [--minutes=12] [--parts=tests,training,...]
        [--output=runs/accelerator] [--toy]

Parts, in order of worth; `rooms` is last since it takes all the time that the others leave:

- tests: of kernels and networks, on the accelerator;
- training: steps a second and memory of depth training with faces of 32, 64 and 128 pixels;
- geometry: adjustment and sweep of the sample clip at 256x512 and 512x1024, per frame;
- networks, torch: training steps of CondenseNet-86 and Panacea in float32 and bfloat16, ours and
  PyTorch's (where PyTorch is installed);
- input: the share of a step that waits for live rooms, for footage and for JPEGs;
- cpu: a few of the steps of `training` on the CPU;
- rooms: `rooms_gpu.flags` for the rest of the time; the same command goes on from its checkpoint.

Each part runs in processes of its own with a time limit, so that a crash or a hang costs that part
alone; what it does not use, the next ones get. Results are lines of accelerator.jsonl in --output,
most of them as soon as they are known; what the parts print is in logs/. accelerator.md is written
anew after each part, and holds the newest run of each: two shorter commands with other --parts make
one page. --toy takes tiny sizes, for machines without an accelerator.
"""

import datetime
import importlib.metadata
import json
import pathlib
import platform
import sys
import time

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from absl import app, flags

from common.run import atomic_path
from experiments.benchmarks.accelerators import limited, rooms_run, tables, tests_there

# {part: (part of the time, heading)}
PARTS = {
    'tests': (1.75, 'Tests of kernels and networks'),
    'training': (2.0, 'Steps of depth training'),
    'geometry': (1.75, 'Adjustment of the path and sweep of depth, per frame'),
    'networks': (1.5, 'Training steps of image networks'),
    'torch': (0.75, 'The same networks in PyTorch, without augmentation'),
    'input': (1.25, 'Time of a step in which it waits for its input'),
    'cpu': (0.75, 'Steps of depth training on the CPU beside it'),
    'rooms': (3.0, 'Training on rendered rooms'),
}
RESULTS = 'accelerator.jsonl'
WORKER = 'experiments/benchmarks/accelerators/worker.py'
PACKAGES = ('jax', 'jaxlib', 'flax', 'torch')

MINUTES = flags.DEFINE_float('minutes', 12, 'Time for all parts together.', lower_bound=0.1)
CHOSEN = flags.DEFINE_list('parts', list(PARTS), f'What is run, of {", ".join(PARTS)}.')
OUTPUT = flags.DEFINE_string('output', 'runs/accelerator', 'Folder of the results.')
TOY = flags.DEFINE_boolean('toy', False, 'Tiny sizes, to try the program out on any machine.')


def chosen(names: list[str]) -> list[str]:
    """The parts of these names, in the order of `PARTS`.

    Raises:
        ValueError: there is no such part, or none is named.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise ValueError(f'--parts is {",".join(names)!r}; accepted are {", ".join(PARTS)}')
    return [name for name in PARTS if name in names]


def limit(part: str, coming: list[str], left: float) -> float:
    """Seconds for a part, of the seconds that are left for it and for those that come after it."""
    return left * PARTS[part][0] / sum(PARTS[name][0] for name in [part, *coming])


def machine() -> dict[str, str]:
    """What the results depend on beside the device, which the rows name."""
    facts = {'machine': platform.machine(), 'python': platform.python_version()}
    for name in PACKAGES:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = 'is not installed'
    return facts


def run_part(part: str, output: pathlib.Path, seconds: float, stamp: dict) -> limited.Ended:
    """Runs a part, whose rows are added to accelerator.jsonl.

    Args:
        part: one of `PARTS`.
        output: folder of the results.
        seconds: time limit.
        stamp: what all rows hold; with `toy`, whether to take tiny sizes.

    Returns:
        How it ended.
    """
    results, logs = output / RESULTS, output / 'logs'
    logs.mkdir(parents=True, exist_ok=True)
    if part in ('tests', 'rooms'):
        module = tests_there if part == 'tests' else rooms_run
        rows, ended = module.run(output, seconds, toy=stamp['toy'])
        for row in rows:
            limited.add_row(results, stamp | row)
        return ended
    command = [sys.executable, WORKER, part, str(results.resolve()), f'{0.9 * seconds:.1f}']
    command += [json.dumps(stamp)] + ['--toy'] * stamp['toy']
    environment = {'JAX_PLATFORMS': 'cpu'} if part == 'cpu' else None
    return limited.run(command, logs / f'{part}.log', seconds, environment=environment)


def main(arguments: list[str]) -> None:
    """Runs the parts, each within its share of the time, and writes the page after each."""
    if arguments[1:]:
        sys.exit(f'accelerator.py takes flags alone, not {arguments[1]!r}')
    try:
        coming = chosen(CHOSEN.value)
    except ValueError as error:
        sys.exit(str(error))
    output = pathlib.Path(OUTPUT.value)
    results, deadline = output / RESULTS, time.monotonic() + 60 * MINUTES.value
    run = datetime.datetime.now().isoformat(timespec='seconds')
    while coming:
        part = coming.pop(0)
        seconds = limit(part, coming, max(0.0, deadline - time.monotonic()))
        print(f'{part}: at most {seconds:.0f} s', flush=True)
        stamp = {'part': part, 'run': run, 'toy': TOY.value}
        ended = run_part(part, output, seconds, stamp)
        end = {'how': ended.how, 'seconds': ended.seconds, 'limit_seconds': seconds}
        end |= {'words': ended.words, 'date': run[:10], 'machine': machine()}
        limited.add_row(results, stamp | end)
        print(f'{part}: {ended.how} after {ended.seconds:.0f} s', flush=True)
        if ended.how == 'failed':
            print(f'  {ended.words}', flush=True)
        titles = {name: title for name, (_, title) in PARTS.items()}
        with atomic_path(output / 'accelerator.md') as temporary:
            temporary.write_text(tables.page(limited.read_rows(results), titles))
    print((output / 'accelerator.md').read_text())


if __name__ == '__main__':
    app.run(main)
