"""Names and numbers as people write them: 'latency, ms', '0.081 ms', '16,090', '20.5 %'."""

import math

import numpy as np

# Names of objectives that do not end in their unit: (what it is called, its unit).
_KNOWN = {
    'error': ('error', '%'),
    'top5_error': ('top-5 error', '%'),
    'flops': ('FLOPs', ''),
    'macs': ('MACs', ''),
}
# Ends of names that tell a unit: energy_mj, peak_w.
_UNITS = {
    **{'s': 's', 'ms': 'ms', 'us': '\u00b5s', 'kb': 'kB', 'mb': 'MB', 'gb': 'GB'},
    **{'j': 'J', 'mj': 'mJ', 'uj': '\u00b5J', 'w': 'W', 'mw': 'mW', 'hz': 'Hz', 'fps': 'fps'},
    **{'pct': '%', 'percent': '%'},
}
_COUNTS = ('params', 'flops', 'macs')
_LARGE = ((1e12, 'T'), (1e9, 'G'), (1e6, 'M'))


def bare(objective: str) -> str:
    """The name under which values of an objective are recorded: of '-accuracy' accuracy."""
    return objective.removeprefix('-')


def sense(objective: str) -> int:
    """1 for an objective that is minimised, -1 for one that is maximised (`-accuracy`)."""
    return -1 if objective.startswith('-') else 1


def title(objective: str) -> str:
    """What an objective is called, without its unit: 'latency', 'FLOPs'."""
    return _split(bare(objective))[0]


def unit(objective: str) -> str:
    """The unit of an objective, '' where its name tells none."""
    return _split(bare(objective))[1]


def heading(objective: str) -> str:
    """An objective as the head of a column or the label of an axis: 'latency, ms'."""
    name, unit = _split(bare(objective))
    return f'{name}, {unit}' if unit else name


def number(value, name: str = '') -> str:
    """A value without its unit: three or four digits, thousands with commas, millions as 1.32 M.

    Args:
        value: a number, a text, which stays, or None, which is a dash.
        name: of the objective; counts, such as params, have no decimals.
    """
    if value is None:
        return '-'
    if not _is_number(value):
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    for step, letter in _LARGE:
        if size >= step:
            return f'{_digits(value / step)} {letter}'
    if bare(name) in _COUNTS or value.is_integer() or size >= 1000:
        return f'{value:,.0f}'
    return f'{value:.2g}' if size < 1e-4 else _digits(value)


def quantity(value, name: str) -> str:
    """A value with its unit: '0.081 ms'; '1,322' where there is none."""
    text, unit = number(value, name), _split(bare(name))[1]
    return f'{text} {unit}' if unit and text != '-' else text


def column(values, name: str = '') -> list[str]:
    """The texts of a table's column: all with the same number of decimals, so that they line up.

    Args:
        values: numbers, texts, and None for a dash.
        name: of the objective.
    """
    known = np.array([v for v in values if _is_number(v) and math.isfinite(v)], np.float64)
    sizes = np.abs(known[known != 0])
    if not len(sizes) or (known == np.round(known)).all() or sizes.min() < 1e-4:
        return [number(value, name) for value in values]
    decimals = min(max(2 - math.floor(math.log10(sizes.min())), 0), 4)
    if sizes.max() >= 1000:
        decimals = 0
    if spread := np.ptp(known):
        # Values that hardly differ need more.
        decimals = min(max(decimals, 1 - math.floor(math.log10(spread))), 6)
    elif sizes.max() >= 1e6:
        return [number(value, name) for value in values]
    return [
        f'{value:,.{decimals}f}' if _is_number(value) and math.isfinite(value) else number(value)
        for value in values
    ]


def doubt(value: float) -> str:
    """Half the width of an interval, to two digits: '0.94'."""
    return f'{value:.0f}' if value >= 100 else f'{value:#.2g}'.rstrip('.')


def ticks(values) -> list[str]:
    """Labels of the ticks of an axis: as many digits as tell neighbours apart.

    Args:
        values: positions of the ticks, in any order.

    Returns:
        One text for each. Where the largest is from 10,000 up and few digits are enough, with k, M,
        G or T.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return []
    if np.abs(values).max() >= 1e4:
        texts = [_short(value) for value in values]
        if _tell(texts, [_read(text) for text in texts], values):
            return texts
    for digits in range(3, 17):
        texts = [_plain(value, digits) for value in values]
        if _tell(texts, list(map(float, texts)), values):
            break
    return texts


def _tell(texts: list[str], read: list[float], values: np.ndarray) -> bool:
    """Whether labels tell their ticks apart and where they are."""
    within = 1e-6 * (np.ptp(values) or np.abs(values).max())
    near = np.abs(np.array(read) - values) <= within
    return bool(near.all()) and len(set(texts)) == len(set(values.tolist()))


def _short(value: float) -> str:
    """Three digits with k, M, G or T."""
    for step, letter in (*_LARGE, (1e3, 'k')):
        if abs(value) >= step:
            return f'{_plain(value / step, 3)}{letter}'
    return _plain(value, 3)


def _read(text: str) -> float:
    """The value of `_short`."""
    steps = dict((letter, step) for step, letter in (*_LARGE, (1e3, 'k')))
    return float(text.rstrip('kMGT')) * steps.get(text[-1], 1.0)


def _is_number(value) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def _split(name: str) -> tuple[str, str]:
    if name in _KNOWN:
        return _KNOWN[name]
    stem, _, end = name.rpartition('_')
    if stem and end.lower() in _UNITS:
        return stem.replace('_', ' '), _UNITS[end.lower()]
    return name, ''


def _digits(value: float) -> str:
    """Three digits, four from 10 up (12.96), without an exponent."""
    size = abs(value)
    if size >= 1000:
        return f'{value:,.0f}'
    if size < 1:
        return f'{value:.3g}'
    return f'{value:.{1 if size >= 100 else 2}f}'.rstrip('0').rstrip('.')


def _plain(value: float, digits: int) -> str:
    """A number to some digits, without an exponent unless it is very small."""
    text = f'{value:.{digits}g}'
    return np.format_float_positional(float(text), trim='-') if abs(value) >= 1e-6 else text
