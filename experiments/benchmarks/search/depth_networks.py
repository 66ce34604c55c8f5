"""Trains what searches of depth networks chose again, beside the network made by hand.

    python experiments/benchmarks/search/depth_networks.py --search=WORKDIR --search=WORKDIR
        [--cell=CELL ...] [--padding=zero,equirect] [--seeds=3] [--rounds=3] --output=FOLDER

Takes finished searches (`nas-search --task=depth`) that differ in the device. All chosen networks
and the network made by hand are trained with the same seeds and steps, and measured on all devices
in one run. Tells whether a network is better than the one made by hand on a device, and whether the
network that was found for a device is the fastest of equals there. `--padding` trains the balanced
networks and the one made by hand once more with other paddings: what is cube padding worth? Every
training is a line of `trained.jsonl`; a repeated command trains no network again. Writes table.md,
table.json and fronts.png. Nothing else should run at the same time.
"""

import dataclasses
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import matplotlib
from absl import flags as absl_flags

from common import runtime
from common.executors.open_executor import open_executor
from common.failure import Failure
from common.patience import Unavailable
from common.run import atomic_path, write_json
from experiments import entry
from experiments.benchmarks.search import latency
from experiments.benchmarks.search.depth_searches import Search, check_equal, read_search
from experiments.benchmarks.search.tables import markdown, read_runs, write_text
from experiments.depth_search.cell import HANDMADE, DepthCell, model_of, parse
from experiments.depth_search.config import DepthSearchConfig
from experiments.depth_search.model import DepthModel
from experiments.depth_search.task import DepthJob, run_job
from nas.devices import specs
from nas.devices.base import Measurement
from nas.search.evaluations import append_record
from nas.search.report.picks import BALANCED
from pano_depth.learning.cells import build, cost
from pano_depth.learning.cells.cost import Cost
from pano_depth.learning.model import ModelConfig

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib import ticker

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
    absl_flags.DEFINE_list('padding', [], 'Paddings beside cube: zero, equirect.')
    absl_flags.DEFINE_integer('seeds', 3, 'Trainings of each network.', lower_bound=2)
    absl_flags.DEFINE_integer(
        'rounds', 3, 'How often each network is measured on each device.', lower_bound=1
    )
    absl_flags.DEFINE_string('output', None, 'Folder for the results.', required=True)


def models_of(
    cells: Sequence[DepthCell], padded: Sequence[DepthCell], paddings: Sequence[str]
) -> dict[str, ModelConfig]:
    """The networks that are compared, by name: a cell, or a cell and its padding.

    Args:
        cells: with cube padding.
        padded: those of them that come with other paddings, too.
        paddings: these paddings.
    """
    models = {str(cell): model_of(cell) for cell in cells}
    for padding in paddings:
        for cell in padded:
            other = dataclasses.replace(model_of(cell), padding=padding)
            models[f'{cell} {padding}'] = other
    return models


def train_all(
    models: Mapping[str, ModelConfig], config: DepthSearchConfig, seeds: int, folder: pathlib.Path
) -> dict[str, list[float]]:
    """Trains networks with several seeds, and notes each training in `trained.jsonl`.

    Returns:
        AbsRel in percent of each seed, by network.

    Raises:
        ValueError: a training failed.
        Unavailable: the executor is away.
    """
    path = folder / 'trained.jsonl'
    done = read_runs(path, ('network', 'seed'))
    every = [(name, seed) for seed in range(1, seeds + 1) for name in models]
    wanted = [one for one in every if one not in done]
    # Networks with the same seed see the same frames in the same order.
    jobs = [
        DepthJob(models[name], config.rooms, config.recipe, seed, None, {}) for name, seed in wanted
    ]
    for number, result in open_executor(config.execution, folder).map(run_job, jobs):
        name, seed = wanted[number]
        if isinstance(result, Unavailable):
            raise result
        if isinstance(result, Failure):
            raise ValueError(f'{name} with seed {seed} failed: {result.reason}')
        row = {'network': name, 'seed': seed, 'error': result.error, 'seconds': result.seconds}
        append_record(path, row)
        done[name, seed] = row
        print(f'{name} seed {seed}: {result.error:.2f} %', file=sys.stderr, flush=True)
    return {name: [done[name, seed]['error'] for seed in range(1, seeds + 1)] for name in models}


def quickest(device: str, found: Mapping[str, Sequence[Measurement]]) -> dict[str, float]:
    """The least latency of each network, in milliseconds.

    Args:
        device: for the message.
        found: measurements, by network.

    Raises:
        ValueError: the device measured a network in no round.
    """
    lost = [name for name, several in found.items() if not several]
    if lost:
        raise ValueError(f'{lost[0]} could not be measured on {device} in any round')
    return {name: min(one.latency_ms for one in several) for name, several in found.items()}


def make_rows(
    searches: Sequence[Search],
    errors: Mapping[str, Sequence[float]],
    latencies: Mapping[str, Mapping[str, float]],
    counts: Mapping[str, Cost],
) -> list[dict]:
    """One row by network, the most accurate first.

    Args:
        searches: what chose the networks.
        errors: AbsRel in percent, of each seed.
        latencies: milliseconds, by device and network.
        counts: exact costs.
    """
    rows = []
    for name, values in errors.items():
        roles = [
            f'{role} ({search.device})'
            for search in searches
            for role, chosen in search.chosen.items()
            if str(chosen) == name
        ]
        rows.append(
            {
                'network': name,
                'roles': roles,
                'error': statistics.fmean(values),
                'deviation': statistics.stdev(values),
                'params': counts[name].params,
                'macs': counts[name].macs,
                'latency_ms': {device: found[name] for device, found in latencies.items()},
            }
        )
    return sorted(rows, key=lambda row: row['error'])


def noise_of(rows: Sequence[Mapping], seeds: int) -> float:
    """Two standard errors of the difference between two means, pooled over the networks."""
    variance = statistics.fmean(row['deviation'] ** 2 for row in rows)
    return 2 * (2 * variance / seeds) ** 0.5


def verdicts(searches: Sequence[Search], rows: Sequence[Mapping], noise: float) -> list[str]:
    """What the table says of each device, as sentences."""
    rows = [row for row in rows if ' ' not in row['network']]  # with cube padding
    made, lines = next(row for row in rows if row['network'] == str(MADE)), []
    for device in made['latency_ms']:
        took = made['latency_ms'][device]
        as_fast = [row for row in rows if row['latency_ms'][device] <= took * (1 + SAME_LATENCY)]
        best = min(as_fast, key=lambda row: row['error'])
        as_good = [row for row in rows if row['error'] <= made['error'] + noise]
        fast = min(as_good, key=lambda row: row['latency_ms'][device])
        lines.append(
            f'{device}: of those at most as slow as the network made by hand, {best["network"]} has'
            f' {best["error"] / made["error"]:.2f} times its AbsRel; of those as accurate,'
            f' {fast["network"]} takes {fast["latency_ms"][device] / took:.2f} of its time.'
        )
    for search in searches:
        mine = {str(cell) for cell in search.chosen.values()}
        for row in rows:
            if row['network'] not in mine:
                continue
            device = search.device
            quicker = [
                other['network']
                for other in rows
                if other['network'] not in mine
                and other['error'] <= row['error'] + noise
                and other['latency_ms'][device] < row['latency_ms'][device] * (1 - SAME_LATENCY)
            ]
            told = f'no: {", ".join(quicker)}' if quicker else 'yes'
            lines.append(f'{device}: {row["network"]} is the fastest of equals there: {told}.')
    return lines


def as_markdown(rows: Sequence[Mapping], lines: Sequence[str], noise: float) -> str:
    """The table, and what it says."""
    devices = list(rows[0]['latency_ms'])
    table = [['network', 'chosen as', 'AbsRel %', 'parameters', 'MMACs', *devices]]
    for row in rows:
        table.append(
            [
                row['network'],
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
            made, own = row['network'] == str(MADE), row['network'] in mine
            if ' ' in row['network']:
                continue  # with another padding
            axis.errorbar(
                row['latency_ms'][search.device],
                row['error'],
                row['deviation'],
                fmt='s' if made else 'o',
                color='black' if made else 'C0' if own else 'C1',
                label='made by hand' if made else 'found here' if own else 'found elsewhere',
            )
        axis.set(xlabel=f'ms a panorama on {search.device}', ylabel='AbsRel, %', xscale='log')
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:g}'))
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.grid(alpha=0.3)
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
    balanced = [search.chosen[BALANCED] for search in searches if BALANCED in search.chosen]
    models = models_of(cells, list(dict.fromkeys([MADE, *balanced])), FLAGS.padding)
    folder = pathlib.Path(FLAGS.output).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    runtime.start(runtime.RuntimeConfig(config.execution.compilation_cache), join=False)
    errors = train_all(models, config, FLAGS.seeds, folder)
    devices = {search.device: specs.open_device(search.device) for search in searches}
    height = config.rooms.panorama_height
    networks = {name: DepthModel(model, height) for name, model in models.items()}
    say = lambda text: print(text, file=sys.stderr, flush=True)
    found = latency.measure_all(networks, devices, FLAGS.rounds, None, say)
    latencies = {device: quickest(device, by) for device, by in found.items()}
    counts = {name: cost.count(build.build(model)) for name, model in models.items()}
    rows = make_rows(searches, errors, latencies, counts)
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
