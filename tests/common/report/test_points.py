"""Charts of points, drawings, commands, and the numbers of tables and axes."""

import html
import re

import pytest

from common.report import Axis, Box, Point, Report, Row
from common.report.blocks import Written

FIGURE = 'figure[data-kind=points]'


def chart():
    page = Report('Points')
    axes = [Axis('size', limit=4.0), Axis('gain', sense=-1), Axis('level', whole=True)]
    points = [
        Point([1.0, 2.0, 1], 1, ['<b>a</b>'], front=True, role='small'),
        Point([2.0, 5.0, 2], 2, ['b', 'b of two'], front=True, noise=0.5, path=(0,)),
        Point([3.0, 3.0, 2], 2, ['c']),
        Point([None, 3.0, 2], 2, ['no size']),
        Point([5.0, 1.0, 2], 2, ['d'], faded=True, counts=False),
    ]
    page.points('Sizes', axes, points, start=(0, 1), noise_axis=1, names={'limit': 'up to 4'})
    page.points('None', axes, [], start=(0, 1))
    page.drawing(
        [Row('<row>', [Box('in', '3'), Box('a & b', size=1.0, kind=2)], around='past')], alt='x'
    )
    page.command('Do it:', "run 'my file' <now>")
    return page


def test_a_drawing_escapes_and_joins_its_boxes():
    text = chart().html()
    assert '&lt;row&gt;' in text and 'a &amp; b' in text and text.count('<rect') == 2
    assert text.count('class="arrow"') == 2  # between the boxes, and around
    with pytest.raises(ValueError, match='has no row'):
        Report('x').drawing([], alt='nothing')


def test_points_need_a_value_for_each_axis():
    with pytest.raises(ValueError, match='point 0 of .* has 1 values; accepted: 2'):
        Report('x').points('t', [Axis('a'), Axis('b')], [Point([1.0], 0, ['p'])])
    with pytest.raises(ValueError, match='places of 1 axes'):
        Report('x').points('t', [Axis('a')], [], start=(0, 1))


def test_points_in_a_browser(tmp_path, browser):
    chart().write(tmp_path / 'report.html')
    browser.open(tmp_path / 'report.html')
    assert browser.complaints() == []
    count = lambda what: browser.value(f'document.querySelectorAll("{FIGURE} {what}").length')
    # One of the five has no size; one is faded.
    assert (count('circle.dot'), count('path.faded'), count('circle.chosen')) == (3, 1, 1)
    assert count('line.limit') == 1 and count('line.noise') == 1
    legends = browser.value(
        f'[...document.querySelectorAll("{FIGURE} .legend")].map(l => l.innerText)'
    )
    assert 'up to 4' in legends[0] and 'level' not in legends[0] and legends[1] == ''
    # More gain is better: the front leads up and to the right.
    path = browser.value(f'document.querySelector("{FIGURE} path.best").getAttribute("d")')
    x0, y0, x1, y1 = map(float, re.findall(r'-?[\d.]+', path))
    assert x1 > x0 and y1 < y0
    # A readout shows text as text.
    x, y, _, _ = browser.box(f'{FIGURE} svg')
    browser.mouse('mouseMoved', x + x0, y + y0)
    browser.settle()
    assert browser.value(f'document.querySelector("{FIGURE} .tip").innerText') == '<b>a</b>'
    browser.mouse('mouseMoved', x + x1, y + y1)
    browser.settle()
    trail = f'document.querySelector("{FIGURE} .trail").getAttribute("d")'
    assert browser.value(trail).count('L') == 1
    text = browser.value('document.querySelector("figure[data-kind=command] pre").textContent')
    assert text == "run 'my file' <now>"


@pytest.mark.parametrize(
    'values',
    [
        [16090.1, 16090.2, 16090.3],
        [100.0, 100.0004],
        [1e-8, 3e-8],
        [-0.9001, -0.8999],
        [2e5, 9e5],
        [5.0],
        [1e6, 1e6 + 3],
    ],
)
def test_ticks_of_charts_are_true(tmp_path, browser, values):
    page = Report('Narrow')
    page.curves('c', {'s': (list(range(len(values))), values)})
    page.points(
        'p', [Axis('a'), Axis('b')], [Point([v, v], 0, ['x']) for v in values], start=(0, 1)
    )
    page.write(tmp_path / 'report.html')
    browser.open(tmp_path / 'report.html')
    assert browser.complaints() == []
    for figure in ('curves', 'points'):
        texts, places = browser.value(
            f'(nodes => [nodes.map(t => t.textContent), nodes.map(t => +t.getAttribute("y"))])'
            f'([...document.querySelectorAll("figure[data-kind={figure}] svg text")]'
            '.filter(t => t.getAttribute("text-anchor") === "end"))'
        )
        steps = {'k': 1e3, 'M': 1e6, 'G': 1e9}
        read = [float(text.rstrip('kMG')) * steps.get(text[-1], 1) for text in texts]
        assert len(set(texts)) == len(texts) >= 2
        # Equal steps on the page are equal steps of the labels.
        slopes = [
            (b - a) / (q - p)
            for a, b, p, q in zip(read, read[1:], places, places[1:], strict=False)
        ]
        assert slopes == pytest.approx([slopes[0]] * len(slopes), rel=0.02)
        low, high = min(read), max(read)
        assert low - (high - low) <= values[0] <= high + (high - low)


def test_a_chart_without_numbers_has_no_ticks(tmp_path, browser):
    page = Report('Empty')
    page.curves('c', {'s': ([], [])})
    page.write(tmp_path / 'report.html')
    browser.open(tmp_path / 'report.html')
    texts = browser.value('[...document.querySelectorAll("svg text")].map(t => t.textContent)')
    assert 'no numbers' in texts and not any(re.fullmatch(r'[\d.]+', text) for text in texts)


def test_numbers_of_tables_are_as_people_write_them():
    page = Report('x')
    rows = [['a', 16090.0, Written(0.5, 'half')], ['b', 2_000_000.4, Written(0.25, '<quarter>')]]
    page.table('T', ['name', 'params', 'part'], rows, better=[None, 'lower', 'lower'])
    text = page.html()
    cells = [html.unescape(cell) for cell in re.findall(r'<td[^>]*>(.*?)</td>', text)]
    assert cells == ['16,090', 'half', '2,000,000', '<quarter>']
    assert re.findall(r'<td class="best">(.*?)</td>', text) == ['16,090', '&lt;quarter&gt;']
