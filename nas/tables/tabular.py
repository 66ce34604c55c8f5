"""Tabular benchmarks: spaces in which every cell has been trained, so that a search can be judged.

NAS-Bench-201 (Dong & Yang, ICLR 2020): six edges with five operations; latencies of devices from
HELP (Lee et al., NeurIPS 2021). NAS-Bench-Macro (Su et al., CVPR 2021): eight layers with three
blocks. In both, cells grow step by step: the root has operation 0 (`none`, identity) at every
place, and each step replaces one operation 0 by another one.

A table is an npz file with one row for each cell; `experiments/benchmarks/search/convert_table.py`
makes it from the public files. Columns of nas_bench_201, N rows:

    arch                 strings as in `nb201_encoding.parse`
    c10_valid200_seeds   [N] or [N, seeds] accuracy in percent, NaN where a seed is missing
    params               number of parameters
    macs                 optional: multiplications with additions, the objective `flops`
    lat_NAME             optional, for each device: latency in milliseconds (--device=NAME)
    energy_NAME          optional, for each device: energy in millijoule, the objective `energy_mj`

Columns of nas_bench_macro: `arch` (eight digits 0, 1, 2), `acc_seeds` or `acc` (as above),
`params`, `flops`. Other columns are not read.
"""

from collections.abc import Callable

import numpy as np

from common.report.drawing import Box, Row
from nas.tables import nb201_encoding
from nas.tables.columns import Columns
from nas.tables.table_space import TableSpace

MACRO_LAYERS, MACRO_BLOCKS = 8, 3
_MACRO_NAMES = ('identity', 'MB3, 3x3', 'MB6, 5x5')


def load_nas_bench_201(
    path, *, device: str | None = None, worst_error: float | None = None
) -> TableSpace:
    """Reads a table of NAS-Bench-201; the head of this file describes its columns.

    Args:
        path: npz file.
        device: NAME of the columns `lat_NAME` and `energy_NAME`; None leaves both out.
        worst_error: see `TableSpace`.

    Returns:
        The space with objectives `error` (100 - mean over the seeds), `latency_ms`, `energy_mj`,
        `params`, `flops` (the MACs), as far as the table has them.

    Raises:
        ValueError: if the file or a column is missing or not as described, or the device is
            unknown; the message then lists the known devices.
    """
    table = Columns(path)
    ops = np.array([_named(table, nb201_encoding.parse, arch) for arch in table.archs])
    errors, noise = table.errors('c10_valid200_seeds')
    values = {'error': errors}
    if device is not None:
        devices = table.named('lat_')
        if device not in devices:
            raise ValueError(
                f'unknown device {device!r}; table {path} has {", ".join(devices) or "none"}'
            )
        values['latency_ms'] = table.numbers(f'lat_{device}')
        if f'energy_{device}' in table:
            values['energy_mj'] = table.numbers(f'energy_{device}')
    values['params'] = table.numbers('params')
    if 'macs' in table:
        values['flops'] = table.numbers('macs')
    costs = np.stack(
        [np.log1p(values[name]) for name in values if name in ('latency_ms', 'params')], axis=1
    )
    features = np.concatenate([nb201_encoding.features_batch(ops), costs], axis=1)
    return TableSpace(
        table.archs,
        ops,
        values,
        choices=len(nb201_encoding.OPS),
        features=features,
        tokens=nb201_encoding.encode_batch(ops),
        vocabulary_size=len(nb201_encoding.TOKENS),
        worst_error=worst_error,
        error_noise=noise,
        draw=nb201_encoding.rows_of,
    )


def load_nas_bench_macro(
    path, *, device: str | None = None, worst_error: float | None = None
) -> TableSpace:
    """Reads a table of NAS-Bench-Macro; the head of this file describes its columns.

    Args:
        path: npz file.
        device: must be None: the table has no latencies.
        worst_error: see `TableSpace`.

    Returns:
        The space with objectives `error` (100 - mean accuracy), `flops`, `params`.

    Raises:
        ValueError: if the file or a column is missing or not as described, or a device is asked
            for.
    """
    if device is not None:
        raise ValueError(f'unknown device {device!r}; NAS-Bench-Macro has no latencies')
    table = Columns(path)
    ops = np.array([_named(table, _macro_ops, arch) for arch in table.archs])
    errors, noise = table.errors('acc_seeds' if 'acc_seeds' in table else 'acc')
    values = {'error': errors}
    values |= {name: table.numbers(name) for name in ('flops', 'params')}
    counts = np.stack([(ops == op).sum(axis=1) for op in range(MACRO_BLOCKS)], axis=1)
    features = np.concatenate(
        [ops == 1, ops == 2, counts, np.log1p(values['flops'])[:, None]], axis=1
    )
    tokens = np.arange(MACRO_LAYERS) * MACRO_BLOCKS + ops + 1
    return TableSpace(
        table.archs,
        ops,
        values,
        choices=MACRO_BLOCKS,
        tokens=tokens,
        features=features,
        vocabulary_size=MACRO_LAYERS * MACRO_BLOCKS,
        worst_error=worst_error,
        error_noise=noise,
        draw=_macro_rows,
    )


def _named(table: Columns, parse: Callable[[str], tuple[int, ...]], arch: str) -> tuple[int, ...]:
    """The operations of a cell. Raises ValueError that names the table."""
    try:
        return parse(arch)
    except ValueError as error:
        raise ValueError(f'table {table.path}: {error}') from None


def _macro_rows(arch: str) -> list[Row]:
    """The drawing of a cell of NAS-Bench-Macro."""
    blocks = [
        Box(_MACRO_NAMES[op], f'layer {i + 1}', kind=op) for i, op in enumerate(_macro_ops(arch))
    ]
    return [Row('the searched layers', blocks)]


def _macro_ops(arch: str) -> tuple[int, ...]:
    if len(arch) != MACRO_LAYERS or set(arch) - set('012'):
        raise ValueError(f'arch {arch!r} is not understood; the form is eight digits 0, 1 or 2')
    return tuple(map(int, arch))


BENCHMARKS: dict[str, Callable[..., TableSpace]] = {
    'nas_bench_201': load_nas_bench_201,
    'nas_bench_macro': load_nas_bench_macro,
}
# Default objectives of each table: three where latencies are known.
OBJECTIVES = {
    'nas_bench_201': ('error', 'latency_ms', 'params'),
    'nas_bench_macro': ('error', 'flops'),
}
