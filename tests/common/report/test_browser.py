"""The report page in a browser, if there is one: it works, and injected code does not run."""

import base64
import io
import json
import os
import pathlib
import re
import select
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.browser import find_browser
from tests.common.report.made_pages import sample


class _Browser:
    """A headless browser spoken to over a pipe in the DevTools protocol."""

    def __init__(self, program, profile):
        there, self._out = os.pipe()
        self._in, back = os.pipe()
        # The protocol lives on descriptors 3 and 4, which only a process of our own can be given.
        launch = (
            'import fcntl, os, sys; '
            'r, w = (fcntl.fcntl(int(x), fcntl.F_DUPFD, 10) for x in sys.argv[1:3]); '
            'os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])'
        )
        self._process = subprocess.Popen(
            [
                sys.executable,
                '-c',
                launch,
                str(there),
                str(back),
                program,
                '--headless',
                '--no-sandbox',
                '--remote-debugging-pipe',
                f'--user-data-dir={profile}',
                '--window-size=1000,800',
                '--no-first-run',
                '--disable-quic',
                '--disable-background-networking',
                '--disable-component-update',
                '--disable-sync',
                '--hide-scrollbars',
                '--use-angle=swiftshader',
                '--enable-unsafe-swiftshader',
            ],
            pass_fds=(there, back),
            env=os.environ | {'TMPDIR': str(profile)},  # what it leaves goes with the profile
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        os.close(back)
        self._rest, self._count, self._session, self.events = b'', 0, None, []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)[
            'sessionId'
        ]
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
        result = self.call(
            'Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True
        )
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
        return self.value(
            f'(() => {{ const e = document.querySelector({json.dumps(selector)}); '
            'e.scrollIntoView({block: "center"}); const b = e.getBoundingClientRect(); '
            'return [b.x, b.y, b.width, b.height]; })()'
        )

    def picture(self, selector=None):
        """[H, W, 3] uint8 of an element, or of the window."""
        if selector is not None:
            x, y, width, height = self.box(selector)
        image = base64.b64decode(self.call('Page.captureScreenshot', format='png')['data'])
        pixels = np.asarray(Image.open(io.BytesIO(image)).convert('RGB'))
        return (
            pixels
            if selector is None
            else pixels[int(y) : int(y + height), int(x) : int(x + width)]
        )

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


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    opened = _Browser(find_browser(), tmp_path_factory.mktemp('profile'))
    yield opened
    opened.close()


FIGURE = 'document.querySelector("figure[data-kind=cloud]")'
NO_WEBGL = (
    'const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = '
    'function(kind, ...more) { return kind === "webgl" ? null : get.call(this, kind, ...more); };'
)


@pytest.mark.parametrize('renderer', ['webgl', 'canvas'])
def test_cloud_in_a_browser(tmp_path, browser, renderer):
    page = tmp_path / 'page with space.html'
    sample().write(page)
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
    browser.value(
        '[...document.querySelectorAll("button")].find(b => b.textContent == "Outside").click()'
    )
    browser.settle()
    np.testing.assert_array_equal(browser.picture('canvas'), first)
    assert browser.complaints() == []


def test_cloud_outlives_the_loss_of_webgl(tmp_path, browser):
    sample().write(tmp_path / 'report.html')
    browser.open(tmp_path / 'report.html')
    first = browser.picture('canvas').astype(int)
    browser.value(
        'document.querySelector("canvas").getContext("webgl").getExtension("WEBGL_lose_context")'
        '.loseContext()'
    )
    browser.settle()
    assert browser.value(f'{FIGURE}.dataset.renderer') == 'canvas'
    # Both renderers draw the same scene; single points may round to a neighbouring pixel.
    blurred = [
        picture[:400, :800].reshape(50, 8, 100, 8, 3).mean(axis=(1, 3))
        for picture in (first, browser.picture('canvas').astype(int))
    ]
    assert np.abs(blurred[0] - blurred[1]).mean() < 4 < blurred[0].std()


def test_charts_in_a_browser(tmp_path, browser):
    sample().write(tmp_path / 'report.html')
    browser.open(tmp_path / 'report.html')
    count = (
        '[...document.querySelectorAll("svg")].map(s => s.querySelectorAll("path.curve").length)'
    )
    assert browser.value(count) == [2, 1]
    x, y, width, height = browser.box('svg')
    browser.mouse('mouseMoved', x + width - 13, y + height / 2)
    browser.settle()
    # exp(-99 / 30) and exp(-99 / 20) at the last step.
    shown = browser.value('document.querySelector(".tip").innerText').split()
    assert shown == ['step', '99', 'loss', '0.03688', 'part', '0.007083']
    tip = browser.value(
        '(({x, y, right, bottom}) => [x, y, right, bottom])'
        '(document.querySelector(".tip").getBoundingClientRect())'
    )
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
    (tmp_path / 'report.html').write_text(
        sample().html().replace('<main>', attack), encoding='utf-8'
    )
    browser.open(tmp_path / 'report.html')
    assert browser.value('window.broken === undefined')
    assert browser.complaints()  # the tests above would have seen it
