"""One self-contained HTML page about a run: text, tables, charts, pictures, clouds, panoramas.

The page works offline: pictures, numbers and scripts are inside it, and its content security policy
forbids the browser to load or run anything else. The page is built from blocks in reading order; it
does not know what they mean.
"""

import base64
import hashlib
import itertools
import pathlib
from collections.abc import Sequence

from common.report import blocks
from common.report.blocks import escape
from common.report.drawing import Row, drawing_block
from common.report.panorama import panorama
from common.report.points import Axis, Point, points_block
from common.run import atomic_path

_ASSETS = pathlib.Path(__file__).parent / 'assets'
_SCRIPTS = (
    *('axes.js', 'curves.js', 'points.js', 'copy.js'),
    *('gestures.js', 'webgl.js', 'renderers.js', 'cloud.js', 'panorama.js'),
)


class Report:
    """A page under construction; `write` or `html` ends it. All strings are plain text and escaped.

    Attributes:
        title: the page's title.
    """

    def __init__(self, title, *, subtitle=''):
        """Starts an empty page.

        Args:
            title: the heading.
            subtitle: a line below it.
        """
        self.title = str(title)
        self._subtitle = str(subtitle)
        self._blocks = []  # (kind, HTML)

    def section(self, heading):
        """Starts a section; the page lists them at its top."""
        self._blocks.append(('section', escape(heading)))

    def heading(self, text):
        """Starts a part of a section."""
        self._blocks.append(('heading', f'<h3>{escape(text)}</h3>'))

    def text(self, text, *, note=False):
        """A paragraph; with `note` it is marked as important."""
        self._blocks.append(('text', f'<p{" class=note" if note else ""}>{escape(text)}</p>'))

    def code(self, text, *, summary=None):
        """Text in fixed width, unchanged; with `summary` it is folded away under that line."""
        self._blocks.append(('code', blocks.code(text, summary)))

    def facts(self, facts, *, summary=None):
        """A list of names and values.

        Args:
            facts: dict; inner dicts become one line of names and values, None a dash.
            summary: line under which the list is folded away, or None to show it.
        """
        self._blocks.append(('facts', blocks.facts(facts, summary)))

    def table(self, title, columns, rows, *, note='', better=None):
        """A table whose first column names the rows.

        Args:
            title: caption.
            columns: C >= 1 headings, units included.
            rows: rows of C cells: strings as they are, numbers to four digits (from 1,000 up in
                whole ones), None and numbers
                that are not finite as a dash.
            note: added to the caption.
            better: None, or per column 'lower', 'higher' or None: the heading says so and the best
                cells are bold.

        Raises:
            ValueError: rows or `better` are not of C entries, or `better` holds another word.
        """
        self._blocks.append(('table', blocks.table(title, columns, rows, note, better)))

    def curves(self, title, series, *, x_label='step', y_label='', log=False):
        """A chart of lines over one axis, with values under the pointer and a log-scale switch.

        Args:
            title: what is drawn.
            series: dict of names to (x, y), each [N] numbers, in increasing x; y may hold None or
                NaN, which leave gaps. A series of more than `blocks.MAX_CURVE_POINTS` is thinned to
                the least and the greatest value of each stretch, so that peaks stay.
            x_label, y_label: axis labels with units.
            log: whether the chart starts with a log scale.

        Raises:
            ValueError: there is no series, x and y differ in length, or x is not finite.
        """
        self._blocks.append(('curves', blocks.curves(title, series, x_label, y_label, log)))

    def points(
        self,
        title: str,
        axes: Sequence[Axis],
        points: Sequence[Point],
        *,
        start: tuple[int, int] = (0, 0),
        noise_axis: int | None = None,
        names: dict[str, str] | None = None,
    ) -> None:
        """A chart of points over two axes to choose, with a readout at every point.

        Args:
            title: what is drawn.
            axes: the values that every point has, at least one.
            points: the points; none of them draws empty axes without ticks.
            start: places of the axes shown at first: (across, up).
            noise_axis: place of the axis on which `Point.noise` counts, or None.
            names: words of the legend: 'group', 'limit', 'noise', 'faded', and 'empty' without
                points.

        Raises:
            ValueError: a point has not one value for each axis, or there is no axis.
        """
        block = points_block(
            title, axes, points, start=start, noise_axis=noise_axis, names=names or {}
        )
        self._blocks.append(('points', block))

    def drawing(self, rows: Sequence[Row], caption: str = '', *, alt: str) -> None:
        """Rows of boxes joined by arrows, such as the layers of a network.

        Args:
            rows: from the top, see `common.report.drawing.Row`.
            caption: the line below it.
            alt: what it shows, for those who do not see it.

        Raises:
            ValueError: there is no row, or a row has no box.
        """
        self._blocks.append(('drawing', drawing_block(rows, caption, alt)))

    def command(self, title: str, command: str) -> None:
        """A command to copy: a click on it, or on its button, takes all of it."""
        self._blocks.append(('command', blocks.command(title, command)))

    def image(self, image, caption='', *, alt):
        """A picture; a click shows it in its full size.

        Args:
            image: path of a PNG or JPEG file, or its bytes; above `blocks.MAX_PICTURE_BYTES` it is
                stored as JPEG.
            caption: the line below it.
            alt: what the picture shows, for those who do not see it.

        Raises:
            ValueError: the file cannot be read as a PNG or JPEG.
        """
        self._blocks.append(('image', blocks.image(image, caption, alt)))

    def point_cloud(
        self, points, colors, *, path=None, unit='m', caption='', alt='A coloured point cloud.'
    ):
        """A point cloud to turn, move and zoom with mouse, touch or keys, with a path drawn in it.

        At most `blocks.MAX_CLOUD_POINTS` points are kept, by a fixed random choice. Points farther
        from the median than four times the 99th percentile of that distance are left out. Positions
        keep 16 bits of their extent along each axis.

        Args:
            points: [N, 3] in a right-handed frame with y up.
            colors: [N, 3] uint8 RGB.
            path: [M, 3] positions in the same frame, joined by a line, or None.
            unit: what lengths are counted in, for labels.
            caption: the line below it.
            alt: what it shows, for those who do not see it.

        Raises:
            ValueError: wrong shapes or types, no point, or values that are not finite.
        """
        self._blocks.append(('cloud', blocks.point_cloud(points, colors, path, unit, caption, alt)))

    def panorama(self, frames, *, caption='', alt='A panorama.'):
        """Panoramas to look around in with mouse, touch or keys; without WebGL flat pictures.

        Args:
            frames: sequence of (label, layers), at least one: layers is a dict of names, such as
                'Colour' and 'Depth', to equirectangular pictures, PNG or JPEG as paths or bytes,
                twice as wide as high. All frames have the same layers; each label differs.
            caption: the line below it.
            alt: what it shows, for those who do not see it.

        Raises:
            ValueError: no frame, labels that repeat, layers that differ, or a picture that cannot
                be read or is not 2:1.
        """
        self._blocks.append(('panorama', panorama(frames, caption, alt)))

    def add(self, other):
        """Appends the blocks of another report."""
        self._blocks += other._blocks

    def html(self):
        """The whole page as a string."""
        scripts = [(_ASSETS / name).read_text(encoding='utf-8') for name in _SCRIPTS]
        style = (_ASSETS / 'report.css').read_text(encoding='utf-8')
        headings = [text for kind, text in self._blocks if kind == 'section']
        links = ''.join(f'<a href="#s{i}">{heading}</a>' for i, heading in enumerate(headings))
        return '\n'.join(
            [
                '<!DOCTYPE html>',
                '<html lang="en">',
                '<head>',
                '<meta charset="utf-8">',
                f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                # Without this icon the browser would ask the server of the page for one.
                '<link rel="icon" href="data:,">',
                f'<title>{escape(self.title)}</title>',
                f'<style>{style}</style>',
                '</head>',
                '<body>',
                f'<h1>{escape(self.title)}</h1>',
                f'<p class="subtitle">{escape(self._subtitle)}</p>',
                (
                    '<noscript><p class="note">Charts and point clouds are drawn by a script, which'
                    ' is switched off here.</p></noscript>'
                ),
                f'<nav aria-label="Sections">{links}</nav>',
                '<main>',
                *self._body(),
                '</main>',
                *(f'<script>{text}</script>' for text in scripts),
                '</body>',
                '</html>',
                '',
            ]
        )

    def _body(self):
        number = itertools.count()
        # Neighbouring charts share one grid.
        for kind, group in itertools.groupby(self._blocks, key=lambda block: block[0]):
            if kind == 'section':
                yield from (f'<h2 id="s{next(number)}">{text}</h2>' for _, text in group)
            else:
                content = '\n'.join(text for _, text in group)
                yield f'<div class="charts">{content}</div>' if kind == 'curves' else content

    def write(self, path):
        """Writes the page, atomically.

        Args:
            path: the file; its folder exists.

        Raises:
            ValueError: the file cannot be written.
        """
        content = self.html().encode('utf-8', errors='replace')
        try:
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise ValueError(
                f'report {path} cannot be written: {error.strerror or error}'
            ) from error


def _policy(scripts):
    """The content security policy that allows these scripts and nothing else."""
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts
    ]
    allowed = ' '.join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
