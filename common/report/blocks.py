"""The blocks of a report page: functions from values to HTML in which every string is escaped."""

import base64
import html
import io
import json
import numbers
import pathlib

import numpy as np
from PIL import Image

MAX_CURVE_POINTS = 500
MAX_CLOUD_POINTS = 200_000
# Pictures of more bytes are stored as JPEG, so that the page can still be mailed.
MAX_PICTURE_BYTES = 1_500_000
_DASH = '\u2013'
_ARROWS = {
    None: '',
    'lower': ' <span title="lower is better">\u2193</span>',
    'higher': ' <span title="higher is better">\u2191</span>',
}


class Written(float):
    """A number of a table that is shown as a text of its own."""

    def __new__(cls, value, text):
        """Makes the number `value` that is shown as `text`."""
        made = super().__new__(cls, value)
        made.text = str(text)
        return made


def escape(text):
    """Text as HTML, for elements and for quoted attributes.

    HTML allows no control characters except white space; others become U+FFFD.
    """
    return html.escape(
        ''.join(c if c >= ' ' or c in '\n\t' else '\ufffd' for c in str(text)), quote=True
    )


def code(text, summary=None):
    """Text in fixed width, unchanged; with `summary` it is folded away under that line."""
    return _folded(f'<pre>{escape(text)}</pre>', summary)


def command(title, text):
    """A command with a button that copies it; see `common.report.page.Report.command`."""
    return (
        f'<figure data-kind="command"><figcaption>{escape(title)}</figcaption>'
        f'<pre>{escape(text)}</pre></figure>'
    )


def facts(values, summary=None):
    """Names and values of a dict; with `summary` they are folded away under that line."""
    rows = ''.join(
        f'<dt>{escape(name)}</dt><dd>{escape(_fact(value))}</dd>' for name, value in values.items()
    )
    return _folded(f'<dl>{rows}</dl>', summary)


def table(title, columns, rows, note, better):
    """A table; see `common.report.page.Report.table`."""
    columns, rows = list(columns), [list(row) for row in rows]
    better = [None] * len(columns) if better is None else list(better)
    for name, entries in [('better', better)] + [(f'row {i}', row) for i, row in enumerate(rows)]:
        if len(entries) != len(columns) or not entries:
            raise ValueError(
                f'{name} of table {title!r} has {len(entries)} entries; accepted: '
                f'{len(columns)}, one for each column'
            )
    if set(better) - set(_ARROWS):
        raise ValueError(
            f"better of table {title!r} is {better}; accepted entries: 'lower', 'higher', None"
        )
    best = [_best([row[i] for row in rows], sense) for i, sense in enumerate(better)]
    head = ''.join(
        f'<th scope="col">{escape(name)}{_ARROWS[sense]}</th>'
        for name, sense in zip(columns, better, strict=True)
    )
    lines = []
    for row in rows:
        cells = [f'<th scope="row">{escape(_cell(row[0]))}</th>']
        for value, top in zip(row[1:], best[1:], strict=True):
            mark = ' class="best"' if top is not None and _is_number(value) and value == top else ''
            cells.append(f'<td{mark}>{escape(_cell(value))}</td>')
        lines.append(f'<tr>{"".join(cells)}</tr>')
    note = f' <span>{escape(note)}</span>' if note else ''
    body = '\n'.join(lines)
    return (
        f'<div class="scroll"><table><caption>{escape(title)}{note}</caption>\n'
        f'<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def curves(title, series, x_label, y_label, log):
    """A chart's data for `curves.js`; see `common.report.page.Report.curves`."""
    if not series:
        raise ValueError(f'series of curves {title!r} is empty; accepted: at least one')
    lines = []
    for name, (x, y) in series.items():
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)  # None becomes NaN
        if x.ndim != 1 or x.shape != y.shape or not np.isfinite(x).all():
            raise ValueError(
                f'series {name!r} has x {x.shape} and y {y.shape}; accepted: [N] and [N], with '
                'finite x'
            )
        x, y = _thinned(x, y)
        lines.append({'name': str(name), 'x': _numbers(x), 'y': _numbers(y)})
    data = {
        'title': str(title),
        'x_label': str(x_label),
        'y_label': str(y_label),
        'log': bool(log),
        'series': lines,
    }
    return f'<figure data-kind="curves">{data_block(data)}</figure>'


def image(source, caption, alt):
    """A picture as a data URI; see `common.report.page.Report.image`."""
    uri, width, height = data_uri(source)
    return (
        f'<figure><div class="picture"><img src="{uri}" '
        f'width="{width}" height="{height}" alt="{escape(alt)}"></div>'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def data_uri(source):
    """(data URI, width, height) of a PNG or JPEG, which is a path or bytes.

    Raises:
        ValueError: it cannot be read as a PNG or JPEG.
    """
    name = 'image' if isinstance(source, bytes) else f'image {source}'
    try:
        data = source if isinstance(source, bytes) else pathlib.Path(source).read_bytes()
        with Image.open(io.BytesIO(data), formats=['PNG', 'JPEG']) as picture:
            picture.load()
            kind, (width, height) = picture.format.lower(), picture.size
            if len(data) > MAX_PICTURE_BYTES:
                data, kind = _jpeg(picture), 'jpeg'
    # Pillow raises any of these for a damaged file.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f'{name} cannot be read as PNG or JPEG: {error}') from error
    return f'data:image/{kind};base64,{_base64(data)}', width, height


def point_cloud(points, colors, path, unit, caption, alt):
    """A cloud's data for `cloud.js`; see `common.report.page.Report.point_cloud`."""
    points, colors = np.asarray(points, np.float32), np.asarray(colors)
    path = np.zeros((0, 3)) if path is None else np.asarray(path, np.float64)
    if (
        points.ndim != 2
        or points.shape[1] != 3
        or colors.shape != points.shape
        or colors.dtype != np.uint8
    ):
        raise ValueError(
            f'points are {points.shape}, colors {colors.dtype} {colors.shape}; accepted: [N, 3] '
            'and uint8 [N, 3]'
        )
    if path.ndim != 2 or path.shape[1] != 3:
        raise ValueError(f'path is {path.shape}; accepted: [M, 3]')
    if len(points) == 0 or not np.isfinite(points).all() or not np.isfinite(path).all():
        raise ValueError('there are no points, or points or path hold values that are not finite')
    data = _packed(points, colors, path) | {'unit': str(unit), 'alt': str(alt)}
    hint = (
        'Drag turns; shift or the right button and drag, or two fingers, move; the wheel or a pinch'
        ' zooms; arrow keys turn, plus and minus zoom.'
    )
    return (
        f'<figure data-kind="cloud">{data_block(data)}'
        f'<figcaption>{escape(caption)} {hint}</figcaption></figure>'
    )


def data_block(value):
    """A JSON block; its content cannot end the block early."""
    text = json.dumps(value, allow_nan=False, separators=(',', ':')).replace('<', '\\u003c')
    return f'<script type="application/json">{text}</script>'


def _folded(block, summary):
    if summary is None:
        return block
    return f'<details><summary>{escape(summary)}</summary>{block}</details>'


def _base64(data):
    return base64.b64encode(data).decode()


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _fact(value):
    if isinstance(value, dict):
        parts = [f'{name}: {_fact(item)}' for name, item in value.items()]
        # Each whole sentence gets its own line.
        return ('\n' if any(len(part) > 60 for part in parts) else ', ').join(parts) or _DASH
    if isinstance(value, (list, tuple)):
        more = [f'and {len(value) - 20} more'] if len(value) > 20 else []
        return ', '.join([*(_fact(item) for item in value[:20]), *more]) or _DASH
    if value is None:
        return _DASH
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return f'{value:.6g}' if isinstance(value, float) else str(value)


def _cell(value):
    if isinstance(value, Written):
        return value.text
    if value is None or (_is_number(value) and not np.isfinite(value)):
        return _DASH
    if not _is_number(value):
        return str(value)
    if isinstance(value, numbers.Integral):
        return f'{value:,}'
    size = abs(value)
    if 1000 <= size < 1e9:
        return f'{value:,.0f}'
    # Numbers below 1 have the same number of decimals, so that a column lines up.
    return f'{value:.4f}' if 1e-3 <= size < 1 else f'{value:.4g}'


def _best(values, sense):
    """The best of a column's numbers; None without a sense or with fewer than two numbers."""
    found = [value for value in values if _is_number(value) and np.isfinite(value)]
    return None if sense is None or len(found) < 2 else (min if sense == 'lower' else max)(found)


def _thinned(x, y):
    """At most `MAX_CURVE_POINTS` of a series: the extremes of each stretch, in order."""
    if len(x) <= MAX_CURVE_POINTS:
        return x, y
    kept = []
    for stretch in np.array_split(np.arange(len(x)), MAX_CURVE_POINTS // 2):
        known = stretch[np.isfinite(y[stretch])]
        # A stretch without a number keeps one entry: the gap.
        kept += (
            sorted({known[y[known].argmin()], known[y[known].argmax()]})
            if len(known)
            else [stretch[0]]
        )
    return x[kept], y[kept]


def _numbers(values):
    """Six digits of each number; None where it is not finite."""
    return [float(f'{value:.6g}') if np.isfinite(value) else None for value in values.tolist()]


def _jpeg(picture):
    """A picture as JPEG, on a white background."""
    canvas = Image.new('RGB', picture.size, 'white')
    rgba = picture.convert('RGBA')
    canvas.paste(rgba, mask=rgba.getchannel('A'))
    out = io.BytesIO()
    canvas.save(out, 'JPEG', quality=90)
    return out.getvalue()


def _packed(points, colors, path):
    """The data that the viewer reads: quantised points and the geometry of its first view."""
    center = np.median(points, axis=0)
    distance = np.linalg.norm(points - center, axis=-1)
    near = np.flatnonzero(distance <= 4 * np.percentile(distance, 99))
    if len(near) > MAX_CLOUD_POINTS:
        near = np.sort(np.random.default_rng(0).choice(near, MAX_CLOUD_POINTS, replace=False))
    points, colors = points[near].astype(np.float64), colors[near]
    low = points.min(axis=0)
    scale = np.maximum(points.max(axis=0) - low, 1e-9) / 65535
    steps = np.rint((points - low) / scale).astype('<u2')
    radius = max(float(np.percentile(distance[near], 90)), 1e-6)
    bottom, top = (float(value) for value in np.percentile(points[:, 1], [1, 99.5]))
    # Points above the path, such as the ceiling of a room, would hide the rest from outside.
    cut = top if len(path) == 0 else min(top, float(path[:, 1].max()) + 0.1 * (top - bottom))
    top = max(top, bottom + 1e-6)
    return {
        'count': len(points),
        'positions': _base64(steps.tobytes()),
        'colors': _base64(colors.tobytes()),
        'scale': scale.tolist(),
        'offset': low.tolist(),
        'path': np.round(path, 6).tolist(),
        'center': center.tolist(),
        'radius': radius,
        'bottom': bottom,
        'top': top,
        'cut': min(max(cut, bottom), top),
    }
