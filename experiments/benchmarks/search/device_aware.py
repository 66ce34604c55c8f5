"""DPP-Net's check of device-aware search: is the cell chosen for a device the fastest there?

    python experiments/benchmarks/search/device_aware.py --search=WORKDIR --search=WORKDIR
        [--device=...] [--tolerance=POINTS | --trained=WORKDIR ...] --output=FOLDER

Takes finished searches that differ only in the device (and the seed), and measures every cell of
their fronts on each of the devices. On each device, it compares the cells that the search named
with all other cells of equal error. Source: DPP-Net (Dong et al., ECCV 2018) finds a separate cell
for each of three devices, and one that is balanced on all. Errors are those of the searches, on
their held-out images. Writes table.md and table.json. Nothing else should run at the same time.
"""

import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np
from absl import flags as absl_flags

from common import runtime
from common.run import write_json
from experiments import entry
from experiments.benchmarks.search import latency
from experiments.benchmarks.search.searches import Found, check_comparable, read_search
from experiments.benchmarks.search.tables import markdown, write_text
from experiments.benchmarks.search.trainings import read_training
from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.fingerprint import plan_hash
from nas.devices import cache, specs
from nas.search import pareto
from nas.search.results import BALANCED

_FASTEST, _OWN, _OTHER = 'yes', 'no, another cell of its search', 'no, a cell of another search'
_ALONE = 'no other cell of equal error'

FLAGS = absl_flags.FLAGS


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    absl_flags.DEFINE_multi_string(
        'search',
        None,
        'Workdir of a finished search (nas-search --mode=search); repeated, one for each device.',
        required=True,
    )
    absl_flags.DEFINE_multi_string(
        'device', [], 'Further device to measure on, beside those of the searches; may be repeated.'
    )
    absl_flags.DEFINE_float(
        'tolerance',
        None,
        'Percentage points within which errors are equal. Default: '
        'the standard deviation over the seeds of --trained.',
        lower_bound=0,
    )
    absl_flags.DEFINE_multi_string(
        'trained',
        [],
        'Workdir of a finished training of a cell, of which there '
        'are several with different seeds; may be repeated.',
    )
    absl_flags.DEFINE_float(
        'latency_tolerance', 3.0, 'Percent within which latencies are equal.', lower_bound=0
    )
    absl_flags.DEFINE_string(
        'measurement_cache',
        '~/.cache/pano_dppnet/measurements',
        'Directory of what was measured before, which is not measured again; empty for none.',
    )
    absl_flags.DEFINE_string(
        'compilation_cache',
        '~/.cache/pano_dppnet/jax',
        'Directory of compiled programs; empty for none.',
    )
    absl_flags.DEFINE_string('output', None, 'Folder for table.md and table.json.', required=True)


def seed_noise(workdirs: Sequence[str]) -> float:
    """Standard deviation of test errors over seeds, pooled over trainings of the same network.

    Args:
        workdirs: of `nas-search --mode=train`.

    Returns:
        Percentage points.

    Raises:
        ValueError: a train.json is missing or damaged, or no network was trained with several
            seeds.
    """
    groups = {}
    for training in map(read_training, workdirs):
        groups.setdefault((plan_hash(training.plan), training.how, training.data), []).append(
            training.error
        )
    several = [errors for errors in groups.values() if len(errors) > 1]
    if not several:
        raise ValueError(
            'without --tolerance, --trained has to name trainings of one network with several '
            'seeds, from which the noise is computed'
        )
    squares = sum((len(errors) - 1) * statistics.variance(errors) for errors in several)
    return (squares / sum(len(errors) - 1 for errors in several)) ** 0.5


def make_rows(searches: Sequence[Found], figures: Mapping[str, Mapping]) -> list[dict]:
    """Makes the table of cells and devices.

    Args:
        searches: one by device.
        figures: of every cell, by `latency.summarise`.

    Returns:
        One row by cell, most accurate first: the entries of `latency.summarise`, 'error' (the mean
        if searches of several seeds found the cell), 'found_by' and 'roles' ({device of the search:
        [role, ...]}).
    """
    rows = []
    for cell, row in figures.items():
        finders = [search for search in searches if cell in search.errors]
        roles = {
            search.device: [role for role, chosen in search.chosen.items() if chosen == cell]
            for search in finders
        }
        rows.append(
            {
                'cell': cell,
                **{name: row[name] for name in ('params', 'flops', 'latency_ms', 'memory_mb')},
                'error': statistics.fmean(search.errors[cell] for search in finders),
                'found_by': [search.device for search in finders],
                'roles': {device: names for device, names in roles.items() if names},
            }
        )
    return sorted(rows, key=lambda row: (row['error'], row['params']))


def check_choices(
    rows: Sequence[Mapping],
    searches: Sequence[Found],
    *,
    tolerance: float,
    latency_tolerance: float,
) -> list[dict]:
    """Compares each named cell, on the device of its search, with all cells of equal error.

    Args:
        rows: by `make_rows`.
        searches: one by device.
        tolerance: percentage points within which errors are equal.
        latency_tolerance: percent within which latencies are equal.

    Returns:
        [{'device', 'role', 'cell', 'error', 'latency_ms', 'equals' (number of cells of equal error,
        itself included), 'fastest' (that cell), 'fastest_error', 'fastest_ms', 'verdict'}].
        Verdicts separate two cases: a faster cell of another search speaks against searching for
        this device; a faster cell of the same search was on its front too. A cell without other
        cells of equal error is not compared. Cells that a device could not measure are left out.
    """
    checks = []
    for search in searches:
        timed = [row for row in rows if row['latency_ms'][search.device] is not None]
        ms = lambda row, device=search.device: row['latency_ms'][device]
        for role, cell in search.chosen.items():
            own = next((row for row in timed if row['cell'] == cell), None)
            if own is None:
                continue
            equals = [row for row in timed if abs(row['error'] - own['error']) <= tolerance]
            limit = 1 + latency_tolerance / 100
            fastest = min(equals, key=ms)
            of_search = min((row for row in equals if search.device in row['found_by']), key=ms)
            if len(equals) == 1:
                verdict = _ALONE
            elif ms(own) <= ms(fastest) * limit:
                verdict = _FASTEST
            else:
                verdict = _OWN if ms(of_search) <= ms(fastest) * limit else _OTHER
            checks.append(
                {
                    'device': search.device,
                    'role': role,
                    'cell': cell,
                    'error': own['error'],
                    'latency_ms': ms(own),
                    'equals': len(equals),
                    'fastest': fastest['cell'],
                    'fastest_error': fastest['error'],
                    'fastest_ms': ms(fastest),
                    'verdict': verdict,
                }
            )
    return checks


def balanced_on_all(rows: Sequence[Mapping], devices: Sequence[str]) -> str | None:
    """The cell that is balanced over error, parameters and the latency on every device.

    The rule is that of a search (`nas.search.results.BALANCE_RULE`), over the cells that every
    device measured.
    """
    timed = [
        row for row in rows if all(row['latency_ms'][device] is not None for device in devices)
    ]
    if not timed:
        return None
    points = np.array(
        [
            [row['error'], row['params'], *(row['latency_ms'][device] for device in devices)]
            for row in timed
        ]
    )
    front = pareto.non_dominated(points)
    spread = np.ptp(points[front], axis=0)
    scaled = (points[front] - points[front].min(axis=0)) / np.where(spread > 0, spread, 1)
    nearest = np.flatnonzero(front)[np.linalg.norm(scaled, axis=1).argmin()]
    return timed[nearest]['cell']


def as_markdown(result: Mapping) -> str:
    """The two tables and the sentences below them.

    Args:
        result: what table.json holds, see `main`.
    """
    devices = list(result['devices'])
    text = lambda value, digits: '-' if value is None else f'{value:.{digits}f}'
    rows = [
        [
            'cell',
            'error %',
            'params',
            'MFLOPs',
            *(f'{device} ms' for device in devices),
            'found for',
            'chosen as',
        ]
    ]
    for row in result['cells']:
        roles = '; '.join(f'{device}: {", ".join(names)}' for device, names in row['roles'].items())
        rows.append(
            [
                row['cell'],
                text(row['error'], 2),
                f'{row["params"]:,}',
                text(row['flops'] / 1e6, 2),
                *(text(row['latency_ms'][device], 2) for device in devices),
                ', '.join(row['found_by']),
                roles,
            ]
        )
    checks = [
        [
            'device',
            'chosen as',
            'cell',
            'error %',
            'ms there',
            'cells of equal error',
            'fastest of them',
            'its error %',
            'its ms',
            'is the chosen one the fastest',
        ]
    ]
    for check in result['checks']:
        checks.append(
            [
                check['device'],
                check['role'],
                check['cell'],
                text(check['error'], 2),
                text(check['latency_ms'], 2),
                str(check['equals']),
                check['fastest'],
                text(check['fastest_error'], 2),
                text(check['fastest_ms'], 2),
                check['verdict'],
            ]
        )
    left = ('cell', 'found for', 'chosen as', 'device', 'fastest of them', checks[0][-1])
    return '\n'.join(
        [markdown(rows, texts=left), '', markdown(checks, texts=left), '', *sentences(result), '']
    )


def sentences(result: Mapping) -> list[str]:
    """Sentences about the tables, as Markdown list items."""
    lines = [
        f'- Errors within {result["tolerance"]:.2f} percentage points and latencies within '
        f'{result["latency_tolerance"]:g} % are equal.'
    ]
    for search in result['searches']:
        checks = [check for check in result['checks'] if check['device'] == search['device']]
        found = [check['verdict'] for check in checks]
        count = lambda *verdicts, found=found: sum(verdict in verdicts for verdict in found)
        compared = len(checks) - count(_ALONE)
        lines.append(
            f'- {search["device"]}: of {compared} chosen cells with others of equal error '
            f'{count(_FASTEST)} are the fastest there, {count(_FASTEST, _OWN)} if their search may '
            f'choose again from its front; balanced: {search["chosen"].get(BALANCED, "-")}.'
        )
    lines.append(
        f'- Balanced over error, parameters and the latency on all devices: {result["balanced"]}.'
    )
    return lines + [f'- {name}: {full}' for name, full in result['devices'].items()]


def main() -> int:
    """Measures, prints and writes what the flags ask for; 1 if a device failed for some cell."""
    searches = [read_search(workdir) for workdir in FLAGS.search]
    check_comparable(searches)
    tolerance = seed_noise(FLAGS.trained) if FLAGS.tolerance is None else FLAGS.tolerance
    runtime.start(runtime.RuntimeConfig(FLAGS.compilation_cache or ''), join=False)
    extra = [spec for text in FLAGS.device for spec in specs.split_specs(text)]
    devices = {
        name: specs.open_device(name)
        for name in dict.fromkeys([*(search.device for search in searches), *extra])
    }
    say = lambda line: print(line, file=sys.stderr, flush=True)
    for search in searches:
        if devices[search.device].name != search.device_name:
            say(
                f'{search.folder} measured on {search.device_name}, which is now '
                f'{devices[search.device].name}'
            )
    cells = list(dict.fromkeys(cell for search in searches for cell in search.errors))
    plans = {cell: plan_lib.build(Cell.parse(cell), searches[0].skeleton) for cell in cells}
    store = cache.Cache(FLAGS.measurement_cache) if FLAGS.measurement_cache else None
    found = latency.measure_all(plans, devices, 1, store, say)
    figures = {row['network']: row for row in latency.summarise(plans, found)}
    rows = make_rows(searches, figures)
    result = {
        'cells': rows,
        'tolerance': tolerance,
        'latency_tolerance': FLAGS.latency_tolerance,
        'checks': check_choices(
            rows, searches, tolerance=tolerance, latency_tolerance=FLAGS.latency_tolerance
        ),
        'balanced': balanced_on_all(rows, list(devices)),
        'devices': {name: device.name for name, device in devices.items()},
        'searches': [
            {
                'workdir': search.folder,
                'device': search.device,
                'measured_on': search.device_name,
                'chosen': search.chosen,
            }
            for search in searches
        ],
    }
    text, folder = as_markdown(result), pathlib.Path(FLAGS.output)
    print(text, end='')
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / 'table.json', result)
    write_text(folder / 'table.md', text)
    return int(any(not several for by_network in found.values() for several in by_network.values()))


if __name__ == '__main__':
    define_flags()
    entry.run(main)
