"""The report page: what it holds, that nothing can break out of it, and that it works in a browser."""

import base64
import html.parser
import io
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from common import report_blocks
from common.report import Report

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
HOSTILE = '</script><script>window.broken = 1</script><img src=x onerror="window.broken = 2">\x00 & \'"'


class _Page(html.parser.HTMLParser):
    """Tags with their attributes, the text of the page and its JSON blocks."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.data, self._inside = [], '', [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = (tag, dict(attrs).get('type'))

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside == ('script', 'application/json'):
            self.data.append(json.loads(data))
        elif self._inside is None or self._inside[0] not in ('script', 'style'):
            self.text += data

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def _png(size=(8, 4), mode='RGB'):
    out = io.BytesIO()
    Image.new(mode, size, (200, 30, 40) if mode == 'RGB' else (200, 30, 40, 255)).save(out, 'PNG')
    return out.getvalue()


def _room(count=20_000, seed=0):
    """Points on the walls of a box of 4 x 3 x 6 with y up, coloured by position."""
    points = np.random.default_rng(seed).uniform(-1, 1, (count, 3))
    side = np.abs(points).argmax(axis=-1)
    points[np.arange(count), side] = np.sign(points[np.arange(count), side])
    colors = (127 + 120 * points).astype(np.uint8)
    return (points * [2, 1.5, 3]).astype(np.float32), colors


def _decoded(cloud):
    steps = np.frombuffer(base64.b64decode(cloud['positions']), '<u2').reshape(-1, 3)
    colors = np.frombuffer(base64.b64decode(cloud['colors']), np.uint8).reshape(-1, 3)
    return steps * np.array(cloud['scale']) + cloud['offset'], colors


class _Browser:
    """A headless browser spoken to over a pipe in the DevTools protocol."""

    def __init__(self, profile):
        there, self._out = os.pipe()
        self._in, back = os.pipe()
        # The protocol lives on descriptors 3 and 4, which only a process of our own can be given.
        launch = ('import fcntl, os, sys; '
                  'r, w = (fcntl.fcntl(int(x), fcntl.F_DUPFD, 10) for x in sys.argv[1:3]); '
                  'os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])')
        self._process = subprocess.Popen(
            [sys.executable, '-c', launch, str(there), str(back), BROWSER, '--headless', '--no-sandbox',
             '--remote-debugging-pipe', f'--user-data-dir={profile}', '--window-size=1000,800',
             '--no-first-run', '--disable-quic', '--disable-background-networking',
             '--disable-component-update', '--disable-sync', '--hide-scrollbars',
             '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
            pass_fds=(there, back), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there)
        os.close(back)
        self._rest, self._count, self._session, self.events = b'', 0, None, []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')

    def open(self, page, *, before=''):
        """Loads a file; `before` is a script that runs before those of the page."""
        self.events.clear()
        script = self.call('Page.addScriptToEvaluateOnNewDocument', source=before)['identifier']
        self.call('Page.navigate', url=pathlib.Path(page).as_uri())
        self._until(lambda message: message.get('method') == 'Page.loadEventFired')
        self.call('Page.removeScriptToEvaluateOnNewDocument', identifier=script)
        self.settle()

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def _until(self, wanted, seconds=60):
        end = time.monotonic() + seconds
        while True:
            while b'\0' not in self._rest:
                if not select.select([self._in], [], [], max(0, end - time.monotonic()))[0]:
                    raise TimeoutError('the browser does not answer')
                part = os.read(self._in, 1 << 20)
                if not part:
                    raise ConnectionError('the browser ended')
                self._rest += part
            line, _, self._rest = self._rest.partition(b'\0')
            message = json.loads(line)
            self.events.append(message)
            if wanted(message):
                return message

    def call(self, method, **parameters):
        self._count += 1
        message = {'id': self._count, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._out, json.dumps(message).encode() + b'\0')
        answer = self._until(lambda message: message.get('id') == self._count)
        assert 'error' not in answer, answer
        return answer['result']

    def value(self, expression):
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def settle(self):
        frame = 'new Promise(done => requestAnimationFrame(() => setTimeout(done, 30)))'
        self.value(f'{frame}.then(() => {frame})')

    def mouse(self, kind, x, y, **options):
        self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, **options)

    def drag(self, start, end, **options):
        self.mouse('mousePressed', *start, button='left', clickCount=1, **options)
        for t in (0.5, 1.0):
            place = (a + t * (b - a) for a, b in zip(start, end, strict=True))
            self.mouse('mouseMoved', *place, button='left', buttons=1, **options)
        self.mouse('mouseReleased', *end, button='left', clickCount=1, **options)
        self.settle()

    def box(self, selector):
        """x, y, width, height of an element, after scrolling to it."""
        return self.value(f'(() => {{ const e = document.querySelector({json.dumps(selector)}); '
                          'e.scrollIntoView({block: "center"}); const b = e.getBoundingClientRect(); '
                          'return [b.x, b.y, b.width, b.height]; })()')

    def picture(self, selector=None):
        """[H, W, 3] uint8 of an element, or of the window."""
        if selector is not None:
            x, y, width, height = self.box(selector)
        image = base64.b64decode(self.call('Page.captureScreenshot', format='png')['data'])
        pixels = np.asarray(Image.open(io.BytesIO(image)).convert('RGB'))
        return pixels if selector is None else pixels[int(y):int(y + height), int(x):int(x + width)]

    def complaints(self):
        """Errors of scripts, console and policy, and requests that left the page."""
        found = []
        for event in self.events:
            method, parameters = event.get('method'), event.get('params', {})
            if method == 'Runtime.exceptionThrown':
                found.append(parameters)
            if method == 'Runtime.consoleAPICalled':
                found.append(parameters)
            if method == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
                found.append(parameters)
            url = parameters.get('request', {}).get('url', 'data:')
            if method == 'Network.requestWillBeSent' and not url.startswith(('data:', 'file:')):
                found.append(url)
        return found


def _sample():
    """A page with a block of every kind; its charts have 2 and 1 series."""
    points, colors = _room()
    turns = np.linspace(0, 4, 30)
    page = Report('A run', subtitle='of today')
    page.section('Numbers')
    page.text('Some words.')
    page.table('Scores', ['model', 'error (m)'], [['ours', 0.25], ['theirs', 0.5]], better=[None, 'lower'])
    page.facts({'device': {'kind': 'cpu', 'count': 1}, 'commit': None})
    page.code('main.py --steps=3', summary='Command')
    page.section('Curves')
    steps = np.arange(100)
    losses = {'loss': (steps, np.exp(-steps / 30)), 'part': (steps, np.exp(-steps / 20))}
    page.curves('Loss', losses, log=True)
    page.curves('Speed', {'speed': (steps, steps % 7)}, y_label='steps/s')
    page.section('Scene')
    page.image(_png(), 'Red.', alt='a red picture')
    circle = np.stack([np.sin(turns), 0 * turns, np.cos(turns)], axis=-1)
    page.point_cloud(points, colors, path=circle, caption='A room.')
    return page


def test_the_page_holds_what_was_put_in():
    page = _Page(_sample().html())
    for text in ('A run', 'of today', 'Some words.', 'error (m)', '0.2500', 'kind: cpu, count: 1',
                 'main.py --steps=3', 'Red.'):
        assert text in page.text
    loss, speed, cloud = page.data
    assert [series['name'] for series in loss['series']] == ['loss', 'part'] and loss['log']
    np.testing.assert_allclose(loss['series'][0]['y'], np.exp(-np.arange(100) / 30), rtol=1e-5)
    assert speed['series'][0]['y'] == list(np.arange(100) % 7) and speed['y_label'] == 'steps/s'
    assert page.attributes('img')[0]['alt'] == 'a red picture'
    links = {a['href'][1:] for a in page.attributes('a')}
    assert len(links) == 3 and links <= {attributes.get('id') for _, attributes in page.tags}


def test_nothing_is_loaded_from_elsewhere():
    text = _sample().html()
    page = _Page(text)
    assert [link['href'] for link in page.attributes('link')] == ['data:,'] and not page.attributes('iframe')
    assert all('src' not in script for script in page.attributes('script'))
    assert all(image['src'].startswith('data:image/') for image in page.attributes('img'))
    assert not re.search(r'@import|url\(|fetch\(|XMLHttpRequest|import\(', text)
    policy = page.attributes('meta')[1]['content']
    assert "default-src 'none'" in policy and 'unsafe-inline' not in policy.partition('script-src')[2]


def test_strings_cannot_break_out():
    plain, cruel = (Report(text, subtitle=text) for text in ('x', HOSTILE))
    for page, text in ((plain, 'x'), (cruel, HOSTILE)):
        page.section(text)
        page.text(text)
        page.code(text, summary=text)
        page.facts({text: {text: [text]}}, summary=text)
        page.table(text, [text, text], [[text, text]], note=text)
        page.curves(text, {text: ([1, 2], [3, 4])}, x_label=text, y_label=text)
        page.image(_png(), text, alt=text)
        page.point_cloud(*_room(10), unit=text, caption=text, alt=text)
    plain, cruel = _Page(plain.html()), _Page(cruel.html())
    # The tags and their attributes' names are those of the harmless page, and the text arrives as it was.
    shape = lambda page: [(tag, list(attributes)) for tag, attributes in page.tags]
    assert shape(cruel) == shape(plain)
    assert cruel.data[0]['series'][0]['name'] == HOSTILE
    assert HOSTILE.replace('\0', '\ufffd') in cruel.text
    assert cruel.attributes('img')[0]['alt'] == HOSTILE.replace('\0', '\ufffd')


def test_table_marks_the_best_and_dashes_the_missing():
    page = Report('t')
    page.table('Rows', ['name', 'error', 'score', 'size'],
               [['a', 0.2, 0.5, 1], ['b', 0.1, 0.9, 1234567], ['c', None, float('nan'), '4 MB']],
               better=[None, 'lower', 'higher', None])
    text = page.html()
    assert re.findall(r'<td class="best">([^<]*)</td>', text) == ['0.1000', '0.9000']
    others = ['0.2000', '0.5000', '1', '1,234,567', '\u2013', '\u2013', '4 MB']
    assert re.findall(r'<td>([^<]*)</td>', text) == others
    with pytest.raises(ValueError, match="row 1 of table 'T' has 1 entries; accepted: 2"):
        page.table('T', ['a', 'b'], [[1, 2], [3]])
    with pytest.raises(ValueError, match='smaller'):
        page.table('T', ['a', 'b'], [], better=[None, 'smaller'])


def test_long_curves_keep_their_peaks():
    x = np.arange(100_000)
    y = np.sin(x / 9000)
    y[[31_234, 77_777]] = 40, -40
    y[50_000:52_000] = np.nan
    page = Report('t')
    page.curves('long', {'y': (x, y)})
    series = _Page(page.html()).data[0]['series'][0]
    assert len(series['x']) == len(series['y']) <= report_blocks.MAX_CURVE_POINTS
    assert dict(zip(series['x'], series['y'], strict=True)).items() >= {(31_234, 40), (77_777, -40)}
    assert series['x'] == sorted(series['x']) and None in series['y']
    known = [(a, b) for a, b in zip(series['x'], series['y'], strict=True) if b is not None]
    np.testing.assert_allclose([b for _, b in known], [y[int(a)] for a, _ in known], rtol=1e-5)
    page.curves('gap', {'y': ([1, 2, 3], [1, None, float('inf')])})
    assert _Page(page.html()).data[1]['series'][0]['y'] == [1, None, None]
    for series, message in [({}, 'at least one'), ({'y': ([1, 2], [1])}, r"'y' has x \(2,\) and y \(1,\)")]:
        with pytest.raises(ValueError, match=message):
            page.curves('bad', series)


def test_cloud_arrives_at_its_places():
    points, colors = _room(5000)
    page = Report('t')
    page.point_cloud(points, colors, path=[[0, 0, 0], [1, 2, 3]])
    cloud = _Page(page.html()).data[0]
    found, shades = _decoded(cloud)
    np.testing.assert_allclose(found, points, atol=6 / 65535)
    np.testing.assert_array_equal(shades, colors)
    assert cloud['path'] == [[0, 0, 0], [1, 2, 3]] and cloud['count'] == 5000
    for bad, message in [((points[:, :2], colors), r'points are \(5000, 2\)'),
                         ((points, colors / 1.0), 'float64'), ((points[:0], colors[:0]), 'none'),
                         ((points * np.nan, colors), 'not finite')]:
        with pytest.raises(ValueError, match=message):
            page.point_cloud(*bad)


def test_large_clouds_are_thinned_alike_and_strays_left_out():
    points, colors = _room(300_000)
    points[7] = (4000, 0, 0)
    pages = [Report('t'), Report('t')]
    for page in pages:
        page.point_cloud(points, colors)
    assert pages[0].html() == pages[1].html() and len(pages[0].html()) < 3.2e6
    found, _ = _decoded(_Page(pages[0].html()).data[0])
    assert len(found) == report_blocks.MAX_CLOUD_POINTS and np.abs(found).max() < 3.001
    # An even choice: every corner of the box keeps about its share.
    for side in (points, found):
        assert abs((side > 0).all(axis=-1).mean() - 1 / 8) < 0.01


def test_pictures(tmp_path):
    big = Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 900, 4), np.uint8), 'RGBA')
    big.save(tmp_path / 'big.png')
    (tmp_path / 'half.png').write_bytes(_png((300, 300))[:-30])
    (tmp_path / 'code.png').write_text('<svg onload="x()"/>')
    page = Report('t')
    page.image(_png(), alt='small')
    page.image(tmp_path / 'big.png', alt='big')
    small, large = _Page(page.html()).attributes('img')
    assert base64.b64decode(small['src'].removeprefix('data:image/png;base64,')) == _png()
    data = base64.b64decode(large['src'].removeprefix('data:image/jpeg;base64,'))
    assert Image.open(io.BytesIO(data)).size == (900, 800) == (int(large['width']), int(large['height']))
    assert len(data) < (tmp_path / 'big.png').stat().st_size / 2
    for name in ('half.png', 'code.png', 'absent.png'):
        with pytest.raises(ValueError, match=f'image .*{name} cannot be read'):
            page.image(tmp_path / name, alt='')


def test_write_is_whole_or_nothing(tmp_path):
    page = Report('lone \udcff surrogate')
    page.write(tmp_path / 'report.html')
    assert (tmp_path / 'report.html').read_text(encoding='utf-8').rstrip().endswith('</html>')
    with pytest.raises(ValueError, match='report .* cannot be written'):
        page.write(tmp_path / 'absent' / 'report.html')
    assert os.listdir(tmp_path) == ['report.html']


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    if BROWSER is None:
        pytest.skip('no chromium, chromium-browser or google-chrome on PATH')
    opened = _Browser(tmp_path_factory.mktemp('profile'))
    yield opened
    opened.close()


FIGURE = 'document.querySelector("figure[data-kind=cloud]")'
NO_WEBGL = ('const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = '
            'function(kind, ...more) { return kind === "webgl" ? null : get.call(this, kind, ...more); };')


@pytest.mark.parametrize('renderer', ['webgl', 'canvas'])
def test_cloud_in_a_browser(tmp_path, browser, renderer):
    page = tmp_path / 'page with space.html'
    _sample().write(page)
    state = lambda: browser.value(f'({{...{FIGURE}.dataset}})')
    browser.open(page, before=NO_WEBGL if renderer == 'canvas' else '')
    assert state()['renderer'] == renderer
    first = browser.picture('canvas')
    # The room's many colours, not only the background and the grid.
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 1000
    x, y, width, height = browser.box('canvas')
    center = (x + width / 2, y + height / 2)
    browser.drag(center, (center[0] + 150, center[1] + 40))
    turned = state()
    assert float(turned['yaw']) < 0 and float(turned['pitch']) > 0.7
    assert (browser.picture('canvas') != first).mean() > 0.1
    browser.mouse('mouseWheel', *center, deltaX=0, deltaY=-300)
    browser.settle()
    zoomed = state()
    assert float(zoomed['distance']) < 0.8 * float(turned['distance'])
    browser.drag(center, (center[0] + 90, center[1]), modifiers=8)  # shift
    moved = state()
    assert moved['target'] != zoomed['target'] and moved['yaw'] == zoomed['yaw']
    browser.value('[...document.querySelectorAll("button")].find(b => b.textContent == "Outside").click()')
    browser.settle()
    np.testing.assert_array_equal(browser.picture('canvas'), first)
    assert browser.complaints() == []


def test_cloud_outlives_the_loss_of_webgl(tmp_path, browser):
    _sample().write(tmp_path / 'report.html')
    browser.open(tmp_path / 'report.html')
    first = browser.picture('canvas').astype(int)
    browser.value('document.querySelector("canvas").getContext("webgl").getExtension("WEBGL_lose_context")'
                  '.loseContext()')
    browser.settle()
    assert browser.value(f'{FIGURE}.dataset.renderer') == 'canvas'
    # Both renderers draw the same scene; single points may round to a neighbouring pixel.
    blurred = [picture[:400, :800].reshape(50, 8, 100, 8, 3).mean(axis=(1, 3))
               for picture in (first, browser.picture('canvas').astype(int))]
    assert np.abs(blurred[0] - blurred[1]).mean() < 4 < blurred[0].std()


def test_charts_in_a_browser(tmp_path, browser):
    _sample().write(tmp_path / 'report.html')
    browser.open(tmp_path / 'report.html')
    count = '[...document.querySelectorAll("svg")].map(s => s.querySelectorAll("path.curve").length)'
    assert browser.value(count) == [2, 1]
    x, y, width, height = browser.box('svg')
    browser.mouse('mouseMoved', x + width - 13, y + height / 2)
    browser.settle()
    # exp(-99 / 30) and exp(-99 / 20) at the last step.
    shown = browser.value('document.querySelector(".tip").innerText').split()
    assert shown == ['step', '99', 'loss', '0.03688', 'part', '0.007083']
    tip = browser.value('(({x, y, right, bottom}) => [x, y, right, bottom])'
                        '(document.querySelector(".tip").getBoundingClientRect())')
    assert x <= tip[0] < tip[2] <= x + width and y <= tip[1] < tip[3] <= y + height

    def heights():
        path = browser.value('document.querySelector("path.curve").getAttribute("d")')
        return [float(pair.split()[1].partition('h')[0]) for pair in re.split('[ML]', path)[1:]]

    logarithmic = heights()
    browser.value('document.querySelector("input[type=checkbox]").click()')
    # An exponential is straight on the log scale only.
    assert np.ptp(np.diff(logarithmic)) < 0.25 < np.ptp(np.diff(heights()))
    assert browser.value('document.documentElement.scrollWidth <= innerWidth')
    assert browser.complaints() == []


def test_injected_scripts_do_not_run(tmp_path, browser):
    """The policy is the second line: even a script that got into the page stays without effect."""
    attack = '<main><script>window.broken = 1</script><img src="x" onerror="window.broken = 2">'
    (tmp_path / 'report.html').write_text(_sample().html().replace('<main>', attack), encoding='utf-8')
    browser.open(tmp_path / 'report.html')
    assert browser.value('window.broken === undefined')
    assert browser.complaints()  # the tests above would have seen it
