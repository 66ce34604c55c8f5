"""Reads latencies and energies of cells: HW-NAS-Bench's pickle, or lists and tables of one device.

HW-NAS-Bench (Li et al., ICLR 2021) is a pickle of nested dicts: ['nasbench201'][data set], with
`config`, a list of dicts with `arch_str`, and lists such as `raspi4_latency` (milliseconds) and
`edgegpu_energy` (millijoule) in the same order.
"""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from nas.tables.public.exports import arch_of, read_entries
from nas.tables.public.pickles import read_pickle
from nas.tables.public.rows import number

DATA = 'cifar10'
# Ends of the names of metrics: (prefix of the column of the npz file).
_KINDS = {'_latency': 'lat_', '_energy': 'energy_'}


def read_hw_nas_bench(path, *, data: str = DATA) -> dict[str, dict[str, float]]:
    """Reads HW-NAS-Bench.

    Args:
        path: HW-NAS-Bench-v1_0.pickle.
        data: 'cifar10', 'cifar100' or 'ImageNet16-120'.

    Returns:
        Values by column (`lat_raspi4`, `energy_edgegpu` ...), each by the string of the cell.

    Raises:
        ValueError: the file cannot be read or has another layout; the message names it.
    """
    found = read_pickle(path)
    try:
        metrics = found['nasbench201'][data]
        archs = [str(config['arch_str']) for config in _listed(metrics['config'])]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f'{path} has not the layout of HW-NAS-Bench: [nasbench201][{data}][config] is missing '
            f'({error})'
        ) from error
    columns = {}
    for name, values in metrics.items():
        for end, prefix in _KINDS.items():
            if str(name).endswith(end):
                if not isinstance(values, (Mapping, list, tuple, np.ndarray)):
                    raise ValueError(f'{path}: {name} is {values!r}, not a list of numbers')
                numbers = _numbers(path, name, _listed(values), len(archs))
                columns[f'{prefix}{name.removesuffix(end)}'] = dict(zip(archs, numbers))
    if not columns:
        raise ValueError(f'{path} has no latencies in [nasbench201][{data}]')
    return columns


def read_device(path, order: Sequence[str] | None) -> dict[str, float]:
    """Reads the latencies of one device in milliseconds.

    Args:
        path: JSON or CSV by cell; or a list (.json, .npy, or a number a line in .txt) in the order
            of the public numbers of the cells.
        order: that order, or None if the accuracies have none.

    Returns:
        Milliseconds by the string of the cell.

    Raises:
        ValueError: the file cannot be read, or a list has no or another order.
    """
    path = pathlib.Path(path)
    try:
        if path.suffix == '.npy':
            values = np.load(path, allow_pickle=False).ravel().tolist()
        elif path.suffix == '.txt':
            values = list(map(float, path.read_text().split()))
        elif path.suffix in ('.pt', '.pth'):
            raise ValueError(
                "it holds tensors, which need the package torch; np.savetxt('device.txt', "
                "torch.load('FILE')) makes a list of them"
            )
        else:
            values = _by_cell(path)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror or error}') from error
    except (ValueError, EOFError, RecursionError) as error:
        named = str(path) in str(error)
        raise ValueError(str(error) if named else f'{path}: {error}') from error
    if isinstance(values, dict):
        return values
    if order is None:
        raise ValueError(
            f'{path} is a list without the names of cells, and the accuracies do not number them'
        )
    return dict(zip(order, _numbers(path, 'the list', values, len(order))))


def _by_cell(path: pathlib.Path) -> dict[str, float] | list[float]:
    """Numbers by cell, or a list."""
    if path.suffix == '.json':
        found = json.loads(path.read_text())
        if isinstance(found, list) and found and not isinstance(found[0], dict):
            return found
        if isinstance(found, dict) and not any(
            isinstance(value, (dict, list)) for value in found.values()
        ):
            return {arch: _measured(value, arch) for arch, value in found.items()}
    names, values = {'latency_ms', 'latency', 'ms', 'lat'}, {}
    for entry in read_entries(path):
        name = next((name for name in entry if name.lower() in names), None)
        if name is None:
            raise ValueError(f'an entry has {", ".join(entry)}, but no latency_ms')
        values[arch_of(entry)] = _measured(entry[name], name)
    return values


def _listed(values) -> list:
    """A list of values, which a pickle may hold as a dict by number."""
    if isinstance(values, Mapping):
        return [values[key] for key in sorted(values)]
    return list(values)


def _numbers(path, name: str, values: Sequence, count: int) -> list[float]:
    if len(values) != count:
        raise ValueError(f'{path}: {name} has {len(values)} values, but there are {count} cells')
    try:
        return [_measured(value, f'{name} of cell {i}') for i, value in enumerate(values)]
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def _measured(value, name: str) -> float:
    """A number, NaN where nothing was measured. Raises ValueError for anything else."""
    return math.nan if value is None or value == '' else number(value, name)
