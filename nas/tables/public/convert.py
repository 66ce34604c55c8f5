"""Converts public files of a benchmark into one npz file that a search reads."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from common.run import atomic_path
from nas.tables import tabular
from nas.tables.public.devices import read_device, read_hw_nas_bench
from nas.tables.public.exports import read_export
from nas.tables.public.nas_bench import EPOCHS, read_benchmark
from nas.tables.public.rows import Rows, checked_arch

MACRO = 'nas_bench_macro'


@dataclasses.dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        path: the npz file.
        benchmark: its name for --benchmark.
        cells: number of its rows.
        columns: names of its columns.
        without: by column, number of cells left out since they have no number there.
    """

    path: pathlib.Path
    benchmark: str
    cells: int
    columns: tuple[str, ...]
    without: dict[str, int]


def convert(
    accuracies,
    output,
    *,
    latencies: Sequence[str] = (),
    epochs: str = EPOCHS,
    names: Mapping[str, str] | None = None,
) -> Converted:
    """Reads public files and writes the npz file, which is then read back as a search would.

    Args:
        accuracies: NAS-Bench-201 (.pth), NATS-Bench (.pickle.pbz2 or its folder), NASLib's pickle,
            or a JSON or CSV export, also of NAS-Bench-Macro.
        output: the npz file.
        latencies: HW-NAS-Bench's pickle, or NAME=FILE with the milliseconds of one device.
        epochs: of the training, '200' or '12'.
        names: names of columns of an export, see `read_export`.

    Returns:
        What was written.

    Raises:
        ValueError: a file cannot be read or does not fit; the message names it. Nothing is written.
    """
    source, output = pathlib.Path(accuracies).expanduser(), pathlib.Path(output).expanduser()
    if output.suffix != '.npz':
        raise ValueError(f'output {output} has to end in .npz')
    if source.suffix in ('.json', '.csv'):
        rows = read_export(source, names=names)
    else:
        rows = read_benchmark(source, epochs=epochs)
    benchmark = MACRO if len(rows.archs[0]) == tabular.MACRO_LAYERS else 'nas_bench_201'
    if rows.params is None:
        raise ValueError(f'{source} has no numbers of parameters, which a search compares')
    if benchmark == MACRO:
        columns, without = _macro(source, rows), {}
        if latencies:
            raise ValueError(f'{source} is {MACRO}, which has no latencies')
    else:
        for arch in rows.archs:
            checked_arch(source, arch)
        columns, without = _with_latencies(rows, latencies)
    try:
        with atomic_path(output) as temporary:
            with open(temporary, 'wb') as file:
                np.savez_compressed(file, **columns)
            _check(benchmark, temporary, source, columns)
    except OSError as error:
        raise ValueError(f'output {output} cannot be written: {error.strerror or error}') from error
    return Converted(output, benchmark, len(columns['arch']), tuple(columns), without)


def _check(benchmark: str, path, source, columns) -> None:
    """Reads the file as a search does. Raises ValueError that names the source."""
    devices = [name.removeprefix('lat_') for name in columns if name.startswith('lat_')]
    try:
        for device in devices or [None]:
            tabular.BENCHMARKS[benchmark](path, device=device)
    except ValueError as error:
        raise ValueError(f'{source}: {error}'.replace(f'table {path}: ', '')) from error


def _macro(source, rows: Rows) -> dict[str, np.ndarray]:
    """The columns of NAS-Bench-Macro."""
    if rows.macs is None:
        raise ValueError(f'{source} has no flops, which a search of {MACRO} compares')
    columns = rows.columns()
    columns['acc_seeds'] = columns.pop('c10_valid200_seeds')
    columns['flops'] = columns.pop('macs')
    return columns


def _with_latencies(
    rows: Rows, latencies: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """All columns; cells that lack a number in one of them are left out and counted."""
    measured = {}
    for text in latencies:
        name, equals, file = text.partition('=')
        if equals:
            measured[f'lat_{name}'] = read_device(pathlib.Path(file).expanduser(), rows.order)
        else:
            measured |= read_hw_nas_bench(pathlib.Path(text).expanduser())
    columns = rows.columns()
    kept, without = np.ones(len(rows.archs), bool), {}
    for name, by_cell in measured.items():
        column = np.array([by_cell.get(arch, np.nan) for arch in rows.archs], np.float64)
        known = np.isfinite(column)
        if not known.any():
            raise ValueError(f'{name} has numbers of none of the {len(rows.archs)} cells')
        if not known.all():
            without[name] = int((~known).sum())
        kept &= known
        if not kept.any():
            raise ValueError(f'no cell has numbers of all of {", ".join(measured)}')
        columns[name] = column.astype(np.float32)
    return {name: column[kept] for name, column in columns.items()}, without
