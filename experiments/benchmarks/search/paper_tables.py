"""The CIFAR-10 and ImageNet tables of DPP-Net: published rows, and beside them our own.

    python experiments/benchmarks/search/paper_tables.py --output=FOLDER [--device=xla:cpu ...]
        [--trained=WORKDIR ...] [--measure=cifar10,imagenet]

Each published row stands above our rows of the same network. Our rows hold our counts, our
measurements and the test errors of our trainings only; '-' stands for what we do not know, and for
what is not printed. A training on a reduced skeleton has its own row. Writes cifar10.md,
cifar10.csv, imagenet.md and imagenet.csv. Nothing else should run while networks are measured.
"""

import csv
import io
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from absl import flags as absl_flags

from common import runtime
from experiments import entry
from experiments.benchmarks.search import latency
from experiments.benchmarks.search.tables import markdown, write_text
from experiments.benchmarks.search.trainings import Training, read_training
from nas.cells import published, zoo
from nas.cells.fingerprint import plan_hash
from nas.cells.plan import Plan
from nas.cells.published import Row
from nas.cells.skeleton import cifar10, imagenet
from nas.devices import cache, specs

UNKNOWN, OURS = '-', 'ours'
# By table: the published rows and the input of its networks.
TABLES = {
    'cifar10': (published.CIFAR10, cifar10.input),
    'imagenet': (published.IMAGENET, imagenet.input),
}
_TITLES = {'cifar10': 'CIFAR-10', 'imagenet': 'ImageNet'}
# Columns that only published rows have, with the fields of `Row`.
_THEIR_DEVICES = {
    'workstation s': 'workstation',
    'embedded s': 'embedded',
    'phone s': 'phone',
    'phone MB': 'phone_memory',
}

FLAGS = absl_flags.FLAGS


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    absl_flags.DEFINE_string('output', None, 'Folder for the tables.', required=True)
    absl_flags.DEFINE_multi_string(
        'device',
        ['xla:cpu', 'onnx:threads=1'],
        'Device to measure on, as for nas-search --device; may be repeated.',
    )
    absl_flags.DEFINE_multi_string(
        'trained',
        [],
        'Workdir of a finished training (nas-search --mode=train); '
        'may be repeated, seeds of one training make one row.',
    )
    absl_flags.DEFINE_list(
        'measure',
        ['cifar10'],
        f'Tables whose networks are measured: {", ".join(TABLES)}; empty for none.',
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


def networks_of(table: str, trainings: Sequence[Training]) -> dict[str, Plan]:
    """Plans of our rows by label: the published networks in the paper's order, then other ones.

    Raises:
        ValueError: two trainings are of different networks with the same label.
    """
    rows, size = TABLES[table]
    first = [row.network for row in rows if row.network is not None]
    others = [
        name
        for name, network in zoo.NETWORKS.items()
        if network.input == size and name not in first
    ]
    plans = {name: zoo.NETWORKS[name].plan() for name in first + others}
    for training in trainings:
        if training.table == table:
            plan = plans.setdefault(training.label, training.plan)
            if plan_hash(plan) != plan_hash(training.plan):
                raise ValueError(
                    f'--trained names two different networks that are called {training.label!r}'
                )
    return plans


def errors_by_training(
    label: str, table: str, trainings: Sequence[Training]
) -> list[dict[str, str]]:
    """Error columns of a network's rows: one row for each way of training, or one without any.

    Returns:
        [{'error', 'top5_error', 'training'}] as texts; several seeds are mean ± sample standard
        deviation.
    """
    mine = [
        training for training in trainings if (training.label, training.table) == (label, table)
    ]
    found = []
    for how, note in dict.fromkeys((training.how, training.note) for training in mine):
        same = [training for training in mine if (training.how, training.note) == (how, note)]
        several = f', {len(same)} seeds' if len(same) > 1 else ''
        found.append(
            {
                'error': mean_text([training.error for training in same]),
                'top5_error': mean_text([training.top5_error for training in same]),
                'training': how + several + (f' ({note})' if note else ''),
            }
        )
    return found or [{'error': UNKNOWN, 'top5_error': UNKNOWN, 'training': UNKNOWN}]


def mean_text(values: Sequence[float]) -> str:
    """Mean with two digits; for several values with their sample standard deviation."""
    spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
    return f'{statistics.fmean(values):.2f}{spread}'


def columns_of(table: str, devices: Sequence[str]) -> list[str]:
    """Names of the columns of a table."""
    errors = ['error %', 'top-5 error %'] if table == 'imagenet' else ['error %']
    theirs = [] if table == 'imagenet' else list(_THEIR_DEVICES)
    return [
        'network',
        'figures',
        *errors,
        'params',
        'FLOPs',
        *theirs,
        *(f'{device} {unit}' for unit in ('ms', 'MB') for device in devices),
        'training',
    ]


def published_row(row: Row, columns: Sequence[str]) -> list[str]:
    """A published row under the columns of a table."""
    known = {
        'network': row.model,
        'figures': f'published, {published.SOURCE}',
        'error %': row.error,
        'top-5 error %': row.top5_error,
        'params': row.params,
        'FLOPs': row.flops,
        **{column: getattr(row, field) for column, field in _THEIR_DEVICES.items()},
    }
    return [known.get(column) or UNKNOWN for column in columns]


def our_row(figures: Mapping, errors: Mapping[str, str], columns: Sequence[str]) -> list[str]:
    """A row of ours under the columns of a table.

    Args:
        figures: of one network, by `latency.summarise`.
        errors: by `errors_by_training`.
        columns: of the table.
    """
    known = {
        'network': figures['network'],
        'figures': OURS,
        'error %': errors['error'],
        'top-5 error %': errors['top5_error'],
        'training': errors['training'],
        'params': f'{figures["params"]:,}',
        'FLOPs': f'{figures["flops"]:,}',
    }
    for field, unit, digits in (('latency_ms', 'ms', 2), ('memory_mb', 'MB', 1)):
        known |= {
            f'{device} {unit}': f'{value:.{digits}f}'
            for device, value in figures[field].items()
            if value is not None
        }
    return [known.get(column, UNKNOWN) for column in columns]


def make_table(
    table: str, figures: Sequence[Mapping], trainings: Sequence[Training], devices: Sequence[str]
) -> list[list[str]]:
    """The table as texts, its header first.

    Args:
        table: a key of `TABLES`.
        figures: of our networks, by `latency.summarise`, in the order of `networks_of`.
        trainings: of any table.
        devices: those of the columns.

    Returns:
        Rows of equally many texts; each published row is followed by ours of the same network.
    """
    columns, rows = columns_of(table, devices), []
    ours = {
        figure['network']: [
            our_row(figure, errors, columns)
            for errors in errors_by_training(figure['network'], table, trainings)
        ]
        for figure in figures
    }
    for row in TABLES[table][0]:
        rows += [published_row(row, columns), *ours.pop(row.network, [])]
    return [columns, *rows, *(row for several in ours.values() for row in several)]


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """The same table as comma-separated values, without thousands separators."""
    file = io.StringIO()
    exact = [rows[0].index(name) for name in ('params', 'FLOPs')]
    csv.writer(file, lineterminator='\n').writerows(
        [cell.replace(',', '') if i in exact else cell for i, cell in enumerate(row)]
        for row in rows
    )
    return file.getvalue()


def as_page(
    title: str, rows: Sequence[Sequence[str]], found: Mapping[str, Mapping[str, list]]
) -> str:
    """A table in Markdown, with what has to be known of each device below.

    Args:
        title: of the page.
        rows: the header first.
        found: measurements by device and network, by `latency.measure_all`.
    """
    notes = []
    for device, by_network in found.items():
        measured = next((several[0] for several in by_network.values() if several), None)
        if measured is not None:
            notes.append(
                f'- {device}: {"estimated, " if measured.estimated else ""}{measured.device}; '
                f'{measured.note}'
            )
    table = markdown(rows, texts=('network', 'figures', 'training'))
    return '\n'.join([f'## {title}', '', table, *[''] * bool(notes), *notes, ''])


def main() -> int:
    """Measures, prints and writes what the flags ask for; 1 if a device failed for some network."""
    unknown = [name for name in FLAGS.measure if name not in TABLES]
    if unknown:
        raise ValueError(f'--measure has {unknown[0]!r}; accepted: {", ".join(TABLES)}')
    trainings = [read_training(workdir) for workdir in FLAGS.trained]
    for workdir, training in zip(FLAGS.trained, trainings):
        if training.table is None:
            raise ValueError(
                f'--trained={workdir} was trained on {training.data!r}; accepted: CIFAR-10 '
                f'(cifar10, cifar10:PATH), or a folder of {imagenet.classes} classes at '
                f'{imagenet.size} pixels'
            )
    runtime.start(runtime.RuntimeConfig(FLAGS.compilation_cache or ''), join=False)
    names = (
        [spec for text in FLAGS.device for spec in specs.split_specs(text)] if FLAGS.measure else []
    )
    devices = {name: specs.open_device(name) for name in names}
    store = cache.Cache(FLAGS.measurement_cache) if FLAGS.measurement_cache else None
    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    say = lambda line: print(line, file=sys.stderr, flush=True)
    failed = False
    for table in TABLES:
        measured = devices if table in FLAGS.measure else {}
        plans = networks_of(table, trainings)
        found = latency.measure_all(plans, measured, 1, store, say)
        failed |= any(
            not several for by_network in found.values() for several in by_network.values()
        )
        rows = make_table(table, latency.summarise(plans, found), trainings, list(measured))
        text = as_page(_TITLES[table], rows, found)
        print(text)
        write_text(folder / f'{table}.md', text)
        write_text(folder / f'{table}.csv', as_csv(rows))
    return int(failed)


if __name__ == '__main__':
    define_flags()
    entry.run(main)
