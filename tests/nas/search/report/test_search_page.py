"""The page and the pictures of searches of all shapes; in a browser, if there is one."""

import html
import json
import re

import numpy as np
import pytest

from nas.cells import skeleton
from nas.cells.cell import Cell
from nas.search import results
from nas.search.evaluations import Failure
from nas.search.report import drawing, noise
from nas.search.report.figure import front_figure
from nas.search.search import Search
from nas.search.space import CellSpace
from tests.browser import Browser, find_browser

CELLS = ('bn-conv1x1', 'bn_relu-conv3x3', 'none-gconv1x1', 'bn-conv1x1-bn_relu')
CELLS += ('bn-conv1x1-bn_relu-gconv3x3', 'none-gconv1x1-bn-dwconv3x3')
SIX = ('error', 'latency_ms', 'params', 'flops', 'memory_mb', 'energy_mj')


def told(objectives, values, *, cells=CELLS, **options):
    """A search that was told values by `values(place)`, or a failure."""
    one = Search(CellSpace(skeleton.tiny), objectives, **options)
    found = [one.tell(Cell.parse(cell), values(place)) for place, cell in enumerate(cells)]
    one.settle()
    return one, found


def usual(place):
    values = {'error': 12.0 - 1.5 * place, 'latency_ms': 0.05 + 0.03 * place}
    return Failure('dominated', 'stopped', values) if place == 3 else values


def many(place):
    return usual(4) | {'memory_mb': 1.0 + place, 'energy_mj': 9.0 - place}


def narrow(place):
    return {'error': 16.0901 + place * 1e-5, 'latency_ms': 16090 - place * 1e-2}


SHAPES = {
    'usual': told('error,latency_ms,params', usual, reference={'error': 11.0}),
    'narrow': told('error,latency_ms', narrow),
    'one': told('error,latency_ms,params', usual, cells=CELLS[:1]),
    'nothing': told('error,latency_ms', lambda place: Failure('no')),
    'six': told(SIX, many),
    'single': told('error', usual),
    'maximised': told('-accuracy,latency_ms', lambda p: {'accuracy': p / 9, 'latency_ms': 1.0 + p}),
    'negative': told('loss,latency_ms', lambda p: {'loss': -1.0 - p, 'latency_ms': 1.0 + p}),
}


def points_of(page):
    """The data of the chart of points of a page."""
    text = re.search(r'data-kind="points"><script[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text)


@pytest.fixture(scope='module')
def pages(tmp_path_factory):
    """The folder of each search."""
    folders = {}
    for name, (one, evaluations) in SHAPES.items():
        folders[name] = tmp_path_factory.mktemp(name)
        (folders[name] / 'run.json').write_text(
            json.dumps({'command': 'nas-search --x', 'versions': {'jax': '1.2'}, 'data': {'n': 3}})
        )
        (folders[name] / 'flags.txt').write_text('--seed=5\n')
        steps = lambda role: [('Train it:', f'nas-search --from_search=here:{role}')]
        results.write_results(
            folders[name],
            one,
            evaluations,
            budget=9,
            seconds=3,
            title=name,
            extra={'seed': 5},
            noise=noise.of_images(360),
            next_steps=steps,
        )
    return folders


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    opened = Browser(find_browser(), tmp_path_factory.mktemp('profile'))
    yield opened
    opened.close()


def test_every_evaluation_is_a_point_that_says_what_it_is(pages):
    data = points_of((pages['usual'] / 'report.html').read_text())
    assert [axis['label'] for axis in data['axes']] == ['error, %', 'latency, ms', 'params']
    assert [axis['limit'] for axis in data['axes']] == [11.0, None, None]
    points = {point['lines'][0]: point for point in data['points']}
    assert set(points) == set(CELLS)
    stopped = points['bn-conv1x1-bn_relu']
    assert stopped['faded'] and 'stopped early: dominated' in stopped['lines']
    best = points['none-gconv1x1-bn-dwconv3x3']
    assert best['values'][:2] == [4.5, 0.2] and best['front'] and 'most accurate' in best['role']
    # 16 of 360 images and one more each way: sqrt(0.0476 * 0.9524 / 362).
    assert best['noise'] == pytest.approx(1.12, abs=0.02)
    assert any(re.match(r'error 4.5 % \u00b1 1\.1', line) for line in best['lines'])
    grown = points['bn-conv1x1-bn_relu-gconv3x3']['path']
    names = [data['points'][place]['lines'][0] for place in grown]
    assert names == ['bn-conv1x1', 'bn-conv1x1-bn_relu']
    beyond = points['bn-conv1x1']['lines']
    assert 'on the front, but not with an error below 11 %' in beyond


def test_the_page_tells_how_the_search_was_run_and_what_comes_next(pages):
    text = html.unescape((pages['usual'] / 'report.html').read_text())
    for part in ('nas-search --x', 'jax: 1.2', '--seed=5', 'fastest with an error below 11 %'):
        assert part in text
    assert '<dt>seed</dt><dd>5</dd>' in text and '<dt>time</dt>' in text
    assert 'nas-search --from_search=here:most accurate' in text
    assert 'e+0' not in re.sub(r'<script.*?</script>|<style.*?</style>', '', text, flags=re.DOTALL)
    facts = json.loads((pages['usual'] / 'search.json').read_text())
    assert facts['limits'] == {'error': 11.0} and facts['beyond_limits'] == ['bn-conv1x1']
    assert facts['chosen_by']['fastest'] == 'fastest with an error below 11 %'


def test_a_search_without_a_front_says_so(pages):
    text = (pages['nothing'] / 'report.html').read_text()
    assert 'No evaluation is on the front' in text and points_of(text)['points'] == []
    figure = front_figure(SHAPES['nothing'][0])
    figure.draw_without_rendering()
    assert figure.legends == []  # nothing was drawn that it could explain
    for axis in figure.axes:
        assert list(axis.get_xticks()) == [] == list(axis.get_yticks())
        assert [text.get_text() for text in axis.texts] == ['no evaluation has values']


@pytest.mark.parametrize('name', ['narrow', 'usual', 'six', 'maximised', 'negative', 'one'])
def test_ticks_of_the_picture_are_true(name):
    figure = front_figure(SHAPES[name][0])
    figure.draw_without_rendering()
    steps = {'k': 1e3, 'M': 1e6}
    plots = [plot for plot in figure.axes if plot.get_subplotspec() is not None]
    axes = [plot.xaxis for plot in plots]
    # The plots of a row share the axis of the first one.
    axes += [plot.yaxis for plot in plots if plot.get_subplotspec().is_first_col()]
    for axis in axes:
        texts = [t.get_text() for t in axis.get_ticklabels()]
        pairs = [(t, v) for t, v in zip(texts, axis.get_ticklocs()) if t]
        low, high = sorted(axis.get_view_interval())
        shown = [(t, v) for t, v in pairs if low <= v <= high]
        assert len({t for t, _ in shown}) == len(shown) > 0
        for text, value in shown:
            read = float(text.replace('\u2212', '-').rstrip('kM')) * steps.get(text[-1], 1)
            assert read == pytest.approx(value, abs=1e-3 * (high - low))


def test_the_legend_explains_what_is_drawn_and_nothing_else():
    figure = front_figure(SHAPES['usual'][0], noise=noise.of_images(360))
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {'Pareto front', 'stopped early', 'one standard error'} <= texts
    assert 'chosen are cells with an error below 11 %' in texts
    plain = front_figure(SHAPES['narrow'][0])
    texts = {text.get_text() for text in plain.legends[0].get_texts()}
    assert 'stopped early' not in texts and not any('standard error' in t for t in texts)


def test_the_legend_lies_within_the_picture_and_given_cells_are_marked():
    one, _ = told('error,latency_ms', usual, reference={'error': 11.0}, include=CELLS[1:2])
    figure = front_figure(one, noise=noise.of_images(360))
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.x1
    (given,) = (line for line in figure.axes[0].lines if line.get_label() == 'given (--include)')
    assert given.get_xydata().tolist() == [[usual(1)['latency_ms'], usual(1)['error']]]
    without = front_figure(SHAPES['narrow'][0])
    assert 'given (--include)' not in {line.get_label() for line in without.axes[0].lines}


def test_six_objectives_fit_on_a_picture():
    figure = front_figure(SHAPES['six'][0])
    assert sum(bool(axis.get_xlabel()) for axis in figure.axes) == 5
    assert figure.get_size_inches()[0] < 16


def test_a_cell_is_drawn_with_its_ops_and_widths():
    space = CellSpace(skeleton.tiny)
    rows = drawing.rows_of(space, Cell.parse('bn_relu-lgconv1x1-bn-gconv3x3'))
    whole, first, second = rows
    assert [box.note for box in whole.boxes][0] == '3 \u2192 8'
    assert [(box.title, box.note) for box in first.boxes] == [
        *(('cell in', '8'), ('bn_relu', '8'), ('lgconv1x1', '8 \u2192 16'), ('bn', '16')),
        *(('gconv3x3', '16 \u2192 4'), ('concat', '12')),
    ]
    assert second.boxes[0].note == '12' and '4 \u00d7 4 pixels' in second.label
    assert drawing.rows_of(object(), 'x') == []


def test_noise_of_errors_shrinks_with_the_images():
    one, evaluations = SHAPES['usual']
    few, many = (noise.of_images(count)(evaluations[0]) for count in (100, 10_000))
    assert many == pytest.approx(100 * np.sqrt(0.12 * 0.88 / 10_000), rel=0.01) and few > 9 * many
    assert noise.of_images(0)(evaluations[0]) is None


@pytest.mark.parametrize('name', SHAPES)
def test_pages_of_all_shapes_in_a_browser(name, pages, browser):
    browser.open(pages[name] / 'report.html')
    assert browser.complaints() == []
    figure = 'figure[data-kind=points]'
    shown = points_of((pages[name] / 'report.html').read_text())['points']
    dots = browser.value(f'document.querySelectorAll("{figure} circle.dot").length')
    assert dots == sum(not point['faded'] for point in shown)
    legend = browser.value(f'document.querySelector("{figure} .legend").innerText')
    assert ('one standard error' in legend) == any(point['noise'] for point in shown)
    assert ('on the front' in legend) == any(point['front'] for point in shown)
    texts = browser.value(
        f'[...document.querySelectorAll("{figure} svg text:not(.role)")].map(t => t.textContent)'
    )
    numbers = [text for text in texts if re.fullmatch(r'-?[\d.]+(e-?\d+)?[kMG]?', text)]
    if shown:
        assert len(numbers) >= 2
    else:
        assert numbers == [] and 'no evaluation has values' in texts
    wide = browser.value('document.documentElement.scrollWidth <= document.body.clientWidth + 60')
    assert wide  # long rows scroll in themselves


def test_pointing_at_a_cell_tells_it_and_commands_can_be_copied(pages, browser):
    browser.open(pages['usual'] / 'report.html')
    figure = 'figure[data-kind=points]'
    x, y, _, _ = browser.box(f'{figure} svg')
    place = browser.value(
        f'(c => [+c.getAttribute("cx"), +c.getAttribute("cy")])'
        f'([...document.querySelectorAll("{figure} circle.dot")].reduce('
        '(a, b) => +a.getAttribute("cy") > +b.getAttribute("cy") ? a : b))'
    )
    browser.mouse('mouseMoved', x + place[0] + 1, y + place[1] + 1)
    browser.settle()
    tip = browser.value(f'document.querySelector("{figure} .tip").innerText')
    assert tip.startswith('none-gconv1x1-bn-dwconv3x3') and 'error 4.5 %' in tip
    browser.value(
        f'(s => {{ s.value = 2; s.dispatchEvent(new Event("change")); }})'
        f'(document.querySelectorAll("{figure} select")[0])'
    )
    browser.settle()
    assert 'params' in browser.value(f'document.querySelector("{figure} svg").innerHTML')
    browser.value('document.querySelector("figure[data-kind=command] button").click()')
    browser.settle()
    assert browser.value('getSelection().toString()').startswith('nas-search --from_search=')
    assert browser.complaints() == []
