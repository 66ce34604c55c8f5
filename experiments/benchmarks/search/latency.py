"""Times published networks on devices, and ranks them by latency and by FLOPs.

    python experiments/benchmarks/search/latency.py
        [--networks=...] [--devices=xla:cpu,onnx:threads=1] [--output=FOLDER]

DPP-Net's point is that a count does not determine a latency: the rank correlation of the two is
below 1, and so is that of the latencies on two devices. Every round measures all networks one after
the other, so that a busy period of the machine does not hit one network alone; a figure is the
median over the rounds. Nothing else should run at the same time.
"""

import os
import pathlib
import platform
import statistics
import sys

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parents[3])
)  # works from a checkout, from any directory

import jax
import numpy as np
from absl import flags as absl_flags
from scipy import stats

from common import run
from experiments import entry
from nas.cells import zoo
from nas.cells.cost import count
from nas.devices import cache, specs
from nas.devices.base import CannotRun, DeviceError, cores, processor

CIFAR = (
    'condensenet-50',
    'condensenet-86',
    'condensenet-122',
    'densenet-bc-100-12',
    'dpp-net-panacea',
    'dpp-net-mobile-a',
    'dpp-net-ws-a',
    'dpp-net-es-a',
    'dpp-net-pnas',
)

FLAGS = absl_flags.FLAGS


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    absl_flags.DEFINE_list('networks', list(CIFAR), 'Networks of the zoo.')
    absl_flags.DEFINE_string(
        'devices', 'xla:cpu,onnx:threads=1', 'Devices, comma-separated, as for nas-search --device.'
    )
    absl_flags.DEFINE_integer(
        'rounds', 1, 'How often every network is measured on every device.', lower_bound=1
    )
    absl_flags.DEFINE_string(
        'measurement_cache',
        '',
        'Directory of what was measured before, which is not '
        'measured again, whatever --rounds says; none by default.',
    )
    absl_flags.DEFINE_string(
        'compilation_cache',
        '~/.cache/pano_dppnet/jax',
        'Directory of compiled programs; empty for none.',
    )
    absl_flags.DEFINE_string(
        'output', None, 'Folder for latency.json and latency.md; none are written without it.'
    )


def measure_all(plans: dict, devices: dict, rounds: int, store: cache.Cache | None, say) -> dict:
    """Measures every network on every device.

    Args:
        plans: layer records by name.
        devices: open devices by name.
        rounds: how often.
        store: where measurements are looked up and stored, or None.
        say: called with a line of progress for each measurement.

    Returns:
        {device: {network: [Measurement, ...]}}; a list is empty where the device failed.
    """
    found = {device: {network: [] for network in plans} for device in devices}
    jobs = [(name, device) for _ in range(rounds) for name in plans for device in devices]
    for i, (name, device) in enumerate(jobs, 1):
        try:
            measured = cache.measure(devices[device], plans[name], cache=store)
        except (CannotRun, DeviceError) as error:
            say(f'[{i}/{len(jobs)}] {name} on {device}: {error}')
            continue
        found[device][name].append(measured)
        say(f'[{i}/{len(jobs)}] {name} on {device}: {measured.latency_ms:.2f} ms')
    return found


def summarise(plans: dict, found: dict) -> list[dict]:
    """One row by network: counts, and by device the median of the rounds, None if it failed."""
    rows = []
    for name, plan in plans.items():
        cost, row = count(plan), {'network': name}
        row |= {'params': cost.params, 'flops': cost.flops, 'latency_ms': {}, 'memory_mb': {}}
        for device, by_network in found.items():
            for field in ('latency_ms', 'memory_mb'):
                values = [getattr(measured, field) for measured in by_network[name]]
                values = [value for value in values if value is not None]
                row[field][device] = statistics.median(values) if values else None
        rows.append(row)
    return rows


def correlations(rows: list[dict], devices: list[str]) -> list[dict]:
    """Rank correlations of latency with FLOPs and parameters by device, and between devices.

    Returns:
        [{'between': (a, b), 'networks', 'spearman', 'kendall'}], with None for fewer than three
        networks.
    """
    columns = {device: [row['latency_ms'][device] for row in rows] for device in devices}
    columns |= {'flops': [row['flops'] for row in rows], 'params': [row['params'] for row in rows]}
    pairs = [(count, device) for device in devices for count in ('flops', 'params')]
    pairs += [(a, b) for i, a in enumerate(devices) for b in devices[i + 1 :]]
    results = []
    for a, b in pairs:
        both = np.array([(x, y) for x, y in zip(columns[a], columns[b]) if None not in (x, y)])
        enough = len(both) >= 3
        results.append(
            {
                'between': (a, b),
                'networks': len(both),
                'spearman': float(stats.spearmanr(*both.T).statistic) if enough else None,
                'kendall': float(stats.kendalltau(*both.T).statistic) if enough else None,
            }
        )
    return results


def as_markdown(rows: list[dict], ranks: list[dict], devices: list[str]) -> str:
    """The two tables."""
    text = lambda value, digits: '-' if value is None else f'{value:.{digits}f}'
    header = ['network', 'params', 'MFLOPs']
    header += [f'{device} {unit}' for unit in ('ms', 'MB') for device in devices]
    lines = [header, ['---', *['---:'] * (len(header) - 1)]]
    for row in rows:
        figures = [
            text(row[field][device], digits)
            for field, digits in (('latency_ms', 2), ('memory_mb', 1))
            for device in devices
        ]
        lines.append([row['network'], f'{row["params"]:,}', f'{row["flops"] / 1e6:.1f}', *figures])
    lines += [
        [],
        ['rank correlation', 'networks', 'Spearman', 'Kendall'],
        ['---', '---:', '---:', '---:'],
    ]
    for rank in ranks:
        figures = [text(rank[kind], 2) for kind in ('spearman', 'kendall')]
        lines.append([' / '.join(rank['between']), str(rank['networks']), *figures])
    return '\n'.join(f'| {" | ".join(cells)} |' if cells else '' for cells in lines)


def write(
    folder: pathlib.Path, table: str, rows: list[dict], ranks: list[dict], found: dict
) -> None:
    """Writes latency.md and latency.json, the latter with every single measurement."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = {'processor': processor(), 'cores': cores(), 'python': platform.python_version()}
    measurements = {
        device: {
            name: [measured.as_dict() for measured in several]
            for name, several in by_network.items()
        }
        for device, by_network in found.items()
    }
    run.write_json(
        folder / 'latency.json',
        {'machine': machine, 'rows': rows, 'correlations': ranks, 'measurements': measurements},
    )
    with run.atomic_path(folder / 'latency.md') as temporary:
        temporary.write_text(table + '\n')


def main() -> int:
    """Measures, prints and writes what the flags ask for; 1 if a device failed for some network."""
    unknown = [name for name in FLAGS.networks if name not in zoo.NETWORKS]
    if unknown:
        raise ValueError(f'--networks has {unknown[0]}; accepted: {", ".join(zoo.NETWORKS)}')
    if FLAGS.compilation_cache:
        jax.config.update('jax_compilation_cache_dir', os.path.expanduser(FLAGS.compilation_cache))
    plans = {name: zoo.NETWORKS[name].plan() for name in FLAGS.networks}
    devices = {spec: specs.open_device(spec) for spec in specs.split_specs(FLAGS.devices)}
    store = cache.Cache(FLAGS.measurement_cache) if FLAGS.measurement_cache else None
    say = lambda line: print(line, file=sys.stderr, flush=True)
    found = measure_all(plans, devices, FLAGS.rounds, store, say)
    rows = summarise(plans, found)
    ranks = correlations(rows, list(devices))
    table = as_markdown(rows, ranks, list(devices))
    print(table)
    if FLAGS.output:
        write(pathlib.Path(FLAGS.output), table, rows, ranks, found)
    return int(any(not several for by_network in found.values() for several in by_network.values()))


if __name__ == '__main__':
    define_flags()
    entry.run(main)
