"""Trains what searches of depth networks chose again, beside the network made by hand.

    python experiments/benchmarks/search/depth_networks.py --search=WORKDIR --search=WORKDIR
        [--cell=CELL ...] [--seeds=3] [--rounds=3] --output=FOLDER

Takes finished searches (`nas-search --task=depth`) that differ in the device. All chosen networks
and the network made by hand are trained with the same seeds and steps, and measured on all devices
in one run. Tells whether a network is better than the one made by hand on a device, and whether the
network that was found for a device is the fastest of equals there. Every training is a line of
`trained.jsonl`; a repeated command trains no network again. Writes table.md, table.json and
fronts.png. Nothing else should run at the same time.
"""

import dataclasses
import json
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import matplotlib
from absl import flags as absl_flags

from common import options, runtime
from common.executors.open_executor import open_executor
from common.failure import Failure
from common.patience import Unavailable
from common.run import atomic_path, earlier_run, write_json
from experiments import entry
from experiments.benchmarks.search import latency
from experiments.benchmarks.search.tables import markdown, read_runs, write_text
from experiments.depth_search.cell import HANDMADE, DepthCell, parse
from experiments.depth_search.config import DepthSearchConfig
from experiments.depth_search.task import DepthTask
from nas.devices import specs
from nas.search.evaluations import EVALUATIONS_FILE, append_record, read_records
from nas.search.results import SUMMARY_FILE
from nas.training.search.result import candidate_seed

matplotlib.use('Agg')
from matplotlib import pyplot as plt

MADE = DepthCell((HANDMADE,))
# Latencies within this part are equal: the spread of repeated measurements.
SAME_LATENCY = 0.03

FLAGS = absl_flags.FLAGS


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    absl_flags.DEFINE_multi_string(
        'search', None, 'Workdir of a finished search of depth networks; repeated.', required=True
    )
    absl_flags.DEFINE_multi_string('cell', [], 'Further network to train and measure; repeated.')
    absl_flags.DEFINE_integer('seeds', 3, 'Trainings of each network.', lower_bound=2)
    absl_flags.DEFINE_integer(
        'rounds', 3, 'How often each network is measured on each device.', lower_bound=1
    )
    absl_flags.DEFINE_string('output', None, 'Folder for the results.', required=True)


@dataclasses.dataclass(frozen=True)
class Search:
    """A finished search.

    Attributes:
        name: of its directory.
        config: its options.
        device: what it measured on, as text for `specs.open_device`.
        chosen: cells by role.
        points: (error, latency) of what was trained to the end.
    """

    name: str
    config: DepthSearchConfig
    device: str
    chosen: Mapping[str, DepthCell]
    points: Sequence[tuple[float, float]]


def read_search(workdir) -> Search:
    """Reads a finished search of depth networks that measured latency.

    Raises:
        ValueError: it is none; the message names the directory.
    """
    folder = pathlib.Path(workdir).expanduser()
    text, _ = earlier_run(folder)
    try:
        if '--task=depth' not in (text or '').splitlines():
            raise ValueError('it holds no search with --task=depth')
        config = options.from_flagfile(DepthSearchConfig, text)
        chosen = json.loads((folder / SUMMARY_FILE).read_text())['chosen']
        records = read_records(folder / EVALUATIONS_FILE)[0]
        values = [record['objectives'] for record in records if record['status'] == 'ok']
        points = [(one['error'], one['latency_ms']) for one in values]
        cells = {role: parse(found['cell']) for role, found in chosen.items()}
    except OSError as error:
        raise ValueError(f'--search={workdir} is not finished: {error.strerror}') from error
    except KeyError as error:
        raise ValueError(f'--search={workdir} has no {error}; it has to measure latency') from error
    except ValueError as error:
        raise ValueError(f'--search={workdir}: {error}') from error
    device = (config.measuring.device or ('xla',))[0]
    return Search(folder.name, config, device, cells, points)


def check_equal(searches: Sequence[Search]) -> None:
    """Raises ValueError if two searches train differently, so that errors cannot be compared."""
    for other in searches[1:]:
        for part in ('rooms', 'recipe'):
            mine, theirs = (vars(getattr(s.config, part)) for s in (searches[0], other))
            for name in mine:
                if name != 'data_dir' and mine[name] != theirs[name]:
                    raise ValueError(
                        f'--search={other.name} has --{name}={theirs[name]}, but'
                        f' {searches[0].name} has {mine[name]}; equal trainings are compared'
                    )


def train_all(cells: Sequence[DepthCell], config: DepthSearchConfig, seeds: int, folder) -> dict:
    """Trains networks with several seeds, and notes each training in `trained.jsonl`.

    Returns:
        {cell: AbsRel in percent, of each seed}.

    Raises:
        ValueError: a training failed.
        Unavailable: the executor is away.
    """
    path, task = folder / 'trained.jsonl', DepthTask(config.rooms, config.recipe, folder)
    done = read_runs(path, ('cell', 'seed'))
    every = [(cell, seed) for seed in range(1, seeds + 1) for cell in cells]
    wanted = [(cell, seed) for cell, seed in every if (str(cell), seed) not in done]
    jobs = [
        task.job(cell, seed=candidate_seed(seed, cell), rungs=None, costs={}, measured={})
        for cell, seed in wanted
    ]
    for number, result in open_executor(config.execution, folder).map(task.run, jobs):
        cell, seed = wanted[number]
        if isinstance(result, Unavailable):
            raise result
        if isinstance(result, Failure):
            raise ValueError(f'{cell} with seed {seed} failed: {result.reason}')
        row = {'cell': str(cell), 'seed': seed, 'error': result.error, 'seconds': result.seconds}
        append_record(path, row)
        done[str(cell), seed] = row
        print(f'{cell} seed {seed}: {result.error:.2f} %', file=sys.stderr, flush=True)
    return {
        cell: [done[str(cell), seed]['error'] for seed in range(1, seeds + 1)] for cell in cells
    }


def make_rows(
    searches: Sequence[Search],
    errors: Mapping[DepthCell, Sequence[float]],
    latencies: Mapping[str, Mapping[DepthCell, float]],
    counts: Mapping[DepthCell, Mapping[str, float]],
) -> list[dict]:
    """One row by network, the most accurate first.

    Args:
        searches: what chose the networks.
        errors: AbsRel in percent, of each seed.
        latencies: milliseconds, by device.
        counts: exact costs.
    """
    rows = []
    for cell, values in errors.items():
        roles = [
            f'{role} ({search.device})'
            for search in searches
            for role, chosen in search.chosen.items()
            if chosen == cell
        ]
        rows.append(
            {
                'cell': str(cell),
                'roles': roles,
                'error': statistics.fmean(values),
                'deviation': statistics.stdev(values),
                'params': counts[cell]['params'],
                'macs': counts[cell]['macs'],
                'latency_ms': {device: found[cell] for device, found in latencies.items()},
            }
        )
    return sorted(rows, key=lambda row: row['error'])


def noise_of(rows: Sequence[Mapping], seeds: int) -> float:
    """Two standard errors of the difference between two means, pooled over the networks."""
    variance = statistics.fmean(row['deviation'] ** 2 for row in rows)
    return 2 * (2 * variance / seeds) ** 0.5


def verdicts(searches: Sequence[Search], rows: Sequence[Mapping], noise: float) -> list[str]:
    """What the table says of each device, as sentences."""
    made, lines = next(row for row in rows if row['cell'] == str(MADE)), []
    for device in made['latency_ms']:
        took = made['latency_ms'][device]
        as_fast = [row for row in rows if row['latency_ms'][device] <= took * (1 + SAME_LATENCY)]
        best = min(as_fast, key=lambda row: row['error'])
        as_good = [row for row in rows if row['error'] <= made['error'] + noise]
        fast = min(as_good, key=lambda row: row['latency_ms'][device])
        lines.append(
            f'{device}: of those at most as slow as the network made by hand, {best["cell"]} has'
            f' {best["error"] / made["error"]:.2f} times its AbsRel; of those as accurate,'
            f' {fast["cell"]} takes {fast["latency_ms"][device] / took:.2f} of its time.'
        )
    for search in searches:
        mine = {str(cell) for cell in search.chosen.values()}
        for row in rows:
            if row['cell'] not in mine:
                continue
            device = search.device
            quicker = [
                other['cell']
                for other in rows
                if other['cell'] not in mine
                and other['error'] <= row['error'] + noise
                and other['latency_ms'][device] < row['latency_ms'][device] * (1 - SAME_LATENCY)
            ]
            told = f'no: {", ".join(quicker)}' if quicker else 'yes'
            lines.append(f'{device}: {row["cell"]} is the fastest of equals there: {told}.')
    return lines


def as_markdown(rows: Sequence[Mapping], lines: Sequence[str], noise: float) -> str:
    """The table, and what it says."""
    devices = list(rows[0]['latency_ms'])
    table = [['network', 'chosen as', 'AbsRel %', 'parameters', 'MMACs', *devices]]
    for row in rows:
        table.append(
            [
                row['cell'],
                ', '.join(row['roles']),
                f'{row["error"]:.2f} ± {row["deviation"]:.2f}',
                f'{row["params"]:,}',
                f'{row["macs"] / 1e6:.1f}',
                *(f'{row["latency_ms"][device]:.2f} ms' for device in devices),
            ]
        )
    notes = [f'- Means that differ by less than {noise:.2f} points are equal.']
    notes += [f'- {line}' for line in lines]
    return '\n'.join([markdown(table, texts=('network', 'chosen as')), '', *notes, ''])


def draw(path: pathlib.Path, searches: Sequence[Search], rows: Sequence[Mapping]) -> None:
    """The evaluations of each search by latency, with the networks that were trained again."""
    figure, axes = plt.subplots(
        1, len(searches), figsize=(5.4 * len(searches), 4.2), squeeze=False, sharey=True
    )
    for axis, search in zip(axes[0], searches):
        errors, times = zip(*search.points)
        axis.scatter(times, errors, s=14, color='0.7', label='evaluated by the search')
        mine = {str(cell) for cell in search.chosen.values()}
        for row in rows:
            made, own = row['cell'] == str(MADE), row['cell'] in mine
            axis.errorbar(
                row['latency_ms'][search.device],
                row['error'],
                row['deviation'],
                fmt='s' if made else 'o',
                color='black' if made else 'C0' if own else 'C1',
                label='made by hand' if made else 'found here' if own else 'found elsewhere',
            )
        axis.set(xlabel=f'ms a panorama on {search.device}', ylabel='AbsRel, %', xscale='log')
        axis.grid(alpha=0.3, which='both')
        known = dict(zip(*axis.get_legend_handles_labels()[::-1]))
        axis.legend(known.values(), known.keys())
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)


def main() -> None:
    """Trains and measures what is missing, then writes the results."""
    searches = [read_search(workdir) for workdir in FLAGS.search]
    check_equal(searches)
    config = searches[0].config
    chosen = [cell for search in searches for cell in search.chosen.values()]
    cells = list(dict.fromkeys([MADE, *chosen, *map(parse, FLAGS.cell)]))
    folder = pathlib.Path(FLAGS.output).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    runtime.start(runtime.RuntimeConfig(config.execution.compilation_cache), join=False)
    errors = train_all(cells, config, FLAGS.seeds, folder)
    task = DepthTask(config.rooms, config.recipe, folder)
    devices = {search.device: specs.open_device(search.device) for search in searches}
    networks = {cell: task.network(cell) for cell in cells}
    say = lambda text: print(text, file=sys.stderr, flush=True)
    found = latency.measure_all(networks, devices, FLAGS.rounds, None, say)
    latencies = {
        device: {cell: min(one.latency_ms for one in several) for cell, several in by.items()}
        for device, by in found.items()
    }
    rows = make_rows(searches, errors, latencies, {cell: task.counts(cell) for cell in cells})
    noise = noise_of(rows, FLAGS.seeds)
    lines = verdicts(searches, rows, noise)
    text = as_markdown(rows, lines, noise)
    print(text, end='')
    write_text(folder / 'table.md', text)
    write_json(folder / 'table.json', {'rows': rows, 'noise': noise, 'verdicts': lines})
    draw(folder / 'fronts.png', searches, rows)


if __name__ == '__main__':
    define_flags()
    entry.run(main)
