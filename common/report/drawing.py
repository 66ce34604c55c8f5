"""Rows of boxes joined by arrows as an inline SVG, such as the layers of a network."""

import dataclasses
from collections.abc import Sequence

from common.report.blocks import escape

_LETTER, _PAD, _GAP, _LOW, _HIGH = 6.6, 9, 20, 34, 64  # pixels
_KINDS = 6  # colours of the page


@dataclasses.dataclass(frozen=True)
class Box:
    """A box.

    Attributes:
        title: its first line.
        note: its second line.
        size: from 0 to 1, how high it is drawn.
        kind: number of its colour, or None for a plain one.
    """

    title: str
    note: str = ''
    size: float = 0.0
    kind: int | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of boxes, from left to right.

    Attributes:
        label: the line above it.
        boxes: at least one.
        around: text of a line that leads from the first box past all others to the last, or ''.
    """

    label: str
    boxes: Sequence[Box]
    around: str = ''


def drawing_block(rows: Sequence[Row], caption: str, alt: str) -> str:
    """The drawing; see `common.report.page.Report.drawing`."""
    if not rows or not all(row.boxes for row in rows):
        raise ValueError(f'the drawing {alt!r} has no row, or a row without boxes')
    parts, width, top = [], 0.0, 0.0
    for row in rows:
        drawn, right, height = _row(row, top)
        parts.append(drawn)
        width, top = max(width, right), top + height
    return (
        '<figure class="drawing"><div class="scroll">'
        f'<svg role="img" aria-label="{escape(alt)}" width="{width:.0f}" height="{top:.0f}" '
        f'viewBox="0 0 {width:.0f} {top:.0f}">{"".join(parts)}</svg></div>'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def _row(row: Row, top: float) -> tuple[str, float, float]:
    """(SVG, right end, height) of a row that begins at `top`."""
    over = 18 if row.around else 0
    middle = top + 20 + over + _HIGH / 2
    parts = [f'<text x="0" y="{top + 13:.1f}">{escape(row.label)}</text>']
    x, centers = 0.5, []
    for place, box in enumerate(row.boxes):
        if place:
            parts.append(
                f'<path class="arrow" d="M{x:.1f} {middle:.1f}h{_GAP - 5}m-4 -3.5l4 3.5l-4 3.5"/>'
            )
            x += _GAP
        width = max(len(box.title), len(box.note)) * _LETTER + 2 * _PAD
        height = _LOW + (_HIGH - _LOW) * min(max(box.size, 0.0), 1.0)
        fill = 'none' if box.kind is None else f'var(--s{box.kind % _KINDS})'
        parts.append(
            f'<rect x="{x:.1f}" y="{middle - height / 2:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="4" style="fill:{fill}"/>'
            f'<text class="box" x="{x + width / 2:.1f}" y="{middle - (3 if box.note else -4):.1f}">'
            f'{escape(box.title)}</text>'
        )
        if box.note:
            parts.append(
                f'<text class="note" x="{x + width / 2:.1f}" y="{middle + 12:.1f}">'
                f'{escape(box.note)}</text>'
            )
        centers.append((x + width / 2, middle - height / 2))
        x += width
    if row.around:
        (a, start), (b, end) = centers[0], centers[-1]
        high = top + 32
        parts.append(
            f'<path class="arrow" d="M{a:.1f} {start:.1f}V{high:.1f}H{b:.1f}V{end - 1:.1f}'
            f'm-3.5 -4l3.5 4l3.5 -4"/>'
            f'<text class="note" x="{(a + b) / 2:.1f}" y="{high - 4:.1f}">'
            f'{escape(row.around)}</text>'
        )
    return ''.join(parts), x + 1, 20 + over + _HIGH + 8
