"""Reads small exports of a table: JSON or CSV with a cell a row, and NAS-Bench-Macro's JSON."""

import csv
import json
import pathlib
from collections.abc import Mapping
from typing import Any, TextIO

from nas.tables.public.rows import Rows, number

_ARCHS = ('arch', 'arch_str', 'architecture', 'architecturestring', 'cellstr')
# Names of columns in exports that people share, in lower case; the first that is there is taken.
_ACCURACIES = (
    *('c10_valid200_seeds', 'c10_valid200', 'cifar10-valid', 'cifar10_valid', 'cifar10-val'),
    *('cifar10_val', 'valid-accuracy', 'valid_accuracy', 'val_acc', 'valid_acc', 'test_acc'),
    *('acc_seeds', 'accuracy', 'acc', 'mean_acc'),
)
_PARAMS, _MACS = ('params', 'param', '#params', 'parameters'), ('macs', 'flops', 'flop')


def read_export(path, *, names: Mapping[str, str] | None = None) -> Rows:
    """Reads a JSON or CSV file.

    Args:
        path: .json: a dict by cell, a list of dicts with `arch`, or a dict of lists; .csv: a header
            with `arch`. Accuracies are in percent, one number or a list of one a seed; columns that
            end in a digit (acc0, acc1) are the seeds of one accuracy.
        names: names of the columns 'arch', 'accuracy', 'params' and 'macs', where they are others
            than usual.

    Returns:
        The cells.

    Raises:
        ValueError: the file cannot be read, or a column is missing; the message names both.
    """
    path = pathlib.Path(path)
    names, entries = dict(names or {}), read_entries(path)
    if not entries:
        raise ValueError(f'{path} holds no cell')
    rows = Rows([], [], [], [])
    for place, entry in enumerate(entries):
        try:
            rows.archs.append(arch_of(entry, names.get('arch')))
            rows.accuracies.append(_accuracies(entry, names.get('accuracy')))
            for values, kind, known in (
                (rows.params, 'params', _PARAMS),
                (rows.macs, 'macs', _MACS),
            ):
                name = _name(entry, known, names.get(kind))
                if name is not None:
                    values.append(number(entry[name], name))
        except ValueError as error:
            raise ValueError(f'{path}: entry {place}: {error}') from error
    for kind in ('params', 'macs'):
        values = getattr(rows, kind)
        if values and len(values) != len(entries):
            raise ValueError(f'{path}: only {len(values)} of {len(entries)} cells have {kind}')
        setattr(rows, kind, values or None)
    return rows


def read_entries(path: pathlib.Path) -> list[dict[str, Any]]:
    """The entries of a JSON or CSV file as dicts, each with the cell under `arch`."""
    try:
        if path.suffix == '.csv':
            # Spreadsheets write a mark of the encoding first.
            with open(path, newline='', encoding='utf-8-sig') as file:
                return _csv_entries(file)
        found = json.loads(path.read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror or error}') from error
    except (ValueError, RecursionError, csv.Error) as error:
        kind = 'CSV' if path.suffix == '.csv' else 'JSON'
        raise ValueError(f'{path} is no {kind} that can be read: {error}') from error
    if isinstance(found, list) and all(isinstance(entry, dict) for entry in found):
        return found
    if isinstance(found, dict) and all(isinstance(value, dict) for value in found.values()):
        return [{'arch': arch, **entry} for arch, entry in found.items()]
    if isinstance(found, dict) and all(isinstance(value, list) for value in found.values()):
        if len({len(value) for value in found.values()}) > 1:
            sizes = ', '.join(f'{name} {len(value)}' for name, value in found.items())
            raise ValueError(f'{path} has columns of different lengths: {sizes}')
        return [dict(zip(found, row)) for row in zip(*found.values())]
    raise ValueError(
        f'{path} is neither a dict by cell, nor a list of dicts, nor a dict of columns'
    )


def _csv_entries(file: TextIO) -> list[dict[str, str]]:
    """The rows of a CSV file. Raises ValueError for a row that is longer than the header."""
    reader = csv.DictReader(file)
    entries = list(reader)
    for place, entry in enumerate(entries):
        if None in entry:
            raise ValueError(f'row {place} has more columns than the header')
    return entries


def arch_of(entry: Mapping[str, Any], name: str | None = None) -> str:
    """The string of the cell of an entry. Raises ValueError if there is none."""
    found = _name(entry, _ARCHS, name)
    if found is None:
        raise ValueError(f'it has {", ".join(entry)}, but no arch')
    return str(entry[found])


def _name(entry: Mapping, known: tuple[str, ...], given: str | None) -> str | None:
    """The name of a column of an entry."""
    if given is not None:
        if given not in entry:
            raise ValueError(f'it has {", ".join(entry)}, but no {given}')
        return given
    lower = {str(name).lower(): name for name in entry}
    return next((lower[name] for name in known if name in lower), None)


def _accuracies(entry: Mapping, given: str | None) -> list[float]:
    """The accuracies of an entry, one for each seed."""
    if given is None or given in entry:
        name = _name(entry, _ACCURACIES, given)
        if name is not None:
            value = entry[name]
            return [number(one, name) for one in (value if isinstance(value, list) else [value])]
    stems = (given,) if given is not None else _ACCURACIES
    for stem in stems:
        numbered = [
            name
            for name in entry
            if str(name).lower().rstrip('0123456789').rstrip('_') == stem.lower().rstrip('_')
        ]
        if numbered:
            return [
                number(entry[name], name)
                for name in sorted(numbered)
                if entry[name] not in ('', None)
            ]
    raise ValueError(
        f'it has {", ".join(map(str, entry))}, but no accuracy; name its column, such as '
        '--accuracy_column=val_acc'
    )
