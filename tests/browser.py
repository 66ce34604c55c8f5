"""The browser that reports are tested in: a machine without one skips these tests, CI fails."""

import base64
import io
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
MISSING = (
    f'reports are tested in a browser, and PATH has none of {", ".join(NAMES)}: install'
    " Debian's package chromium (apt-get install chromium)"
)

# A script for `Browser.open` that takes WebGL from the page.
NO_WEBGL = (
    'const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = '
    'function(kind, ...more) { return kind === "webgl" ? null : get.call(this, kind, ...more); };'
)


def find_browser() -> str:
    """Path of a browser. Without one the test that asks is skipped, or fails with CI=true."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get('CI') == 'true':
        pytest.fail(MISSING, pytrace=False)
    if found is None:
        pytest.skip(MISSING)
    return found


class Browser:
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
