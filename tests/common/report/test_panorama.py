"""Looking around in the panoramas of a page, in a browser if there is one."""

import numpy as np
import pytest

from tests.browser import NO_WEBGL
from tests.common.report.made_pages import SIDES, panoramas

FIGURE = 'document.querySelector("figure[data-kind=panorama]")'


@pytest.fixture
def page(tmp_path):
    panoramas().write(tmp_path / 'report.html')
    return tmp_path / 'report.html'


def _state(browser):
    return browser.value(f'({{...{FIGURE}.dataset}})')


def _middle(browser):
    """The colour in the middle of the canvas, as (name of the side, whether all there is alike)."""
    picture = browser.picture('canvas').astype(int)
    height, width = picture.shape[:2]
    patch = picture[height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20]
    name = min(SIDES, key=lambda side: np.abs(patch[20, 20] - SIDES[side][1]).sum())
    return name, bool((np.abs(patch - SIDES[name][1]) < 6).all())


def _click(browser, text):
    found = f'[...document.querySelectorAll("button")].find(b => b.textContent == "{text}")'
    browser.value(f'{found}.click()')
    browser.settle()
    return browser.value(f'{found}.getAttribute("aria-pressed")')


def _press(browser, key, times):
    browser.value('document.querySelector("canvas").focus()')
    for _ in range(times):
        browser.call('Input.dispatchKeyEvent', type='keyDown', key=key)
        browser.call('Input.dispatchKeyEvent', type='keyUp', key=key)
    browser.settle()


def test_every_direction_shows_its_side(page, browser):
    """Keys turn by 0.1 rad; the seam of the picture, straight behind, is not seen."""
    browser.open(page)
    assert _state(browser)['renderer'] == 'webgl' and _middle(browser) == ('front', True)
    for key, times, side in [
        ('ArrowRight', 16, 'right'),
        ('ArrowRight', 15, 'back'),
        ('ArrowRight', 16, 'left'),
        ('ArrowUp', 20, 'up'),
        ('ArrowDown', 40, 'down'),
        ('Home', 1, 'front'),
        ('ArrowLeft', 31, 'back'),
    ]:
        _press(browser, key, times)
        assert _middle(browser) == (side, True)
    assert browser.complaints() == []


def test_dragging_takes_the_picture_along(page, browser):
    browser.open(page)
    first = browser.picture('canvas')
    x, y, width, height = browser.box('canvas')
    center = (x + width / 2, y + height / 2)
    browser.drag(center, (center[0] - 200, center[1] + 30))
    turned = _state(browser)
    # To the left and down: what is shown lies farther right and higher.
    assert float(turned['yaw']) > 0.2 and float(turned['pitch']) > 0.02
    assert (browser.picture('canvas') != first).mean() > 0.1
    browser.mouse('mouseWheel', *center, deltaX=0, deltaY=-400)
    browser.settle()
    assert float(_state(browser)['fov']) < 0.7 * float(turned['fov'])
    _click(browser, 'Straight ahead')
    np.testing.assert_array_equal(browser.picture('canvas'), first)
    assert browser.complaints() == []


def test_layers_and_frames_are_chosen(page, browser):
    browser.open(page)
    first = browser.picture('canvas')
    assert _click(browser, 'Depth') == 'true' and _state(browser)['layer'] == 'Depth'
    red = browser.picture('canvas')[30:-60]
    assert (np.abs(red.astype(int) - (200, 30, 40)) < 6).all() and (first != (200, 30, 40)).any()
    browser.value(
        f'(() => {{ const i = {FIGURE}.querySelector("input"); i.value = 1; '
        'i.dispatchEvent(new Event("input")); })()'
    )
    browser.settle()
    assert _state(browser)['frame'] == 'frame 1' and 'frame 1' in browser.value(
        f'{FIGURE}.querySelector("output").textContent'
    )
    assert _click(browser, 'Flat') == 'true'
    shown = f'[...{FIGURE}.querySelectorAll("img, canvas")].filter(e => e.clientWidth > 0)'
    assert browser.value(f'{shown}.map(e => e.alt)') == ['A room. frame 1, Depth.']
    _click(browser, 'Flat')
    _click(browser, 'Colour')
    assert browser.value(f'{shown}.map(e => e.getAttribute("aria-label"))') == [
        'A room. frame 1, Colour. Arrow keys turn, plus and minus zoom.'
    ]
    assert _middle(browser) == ('front', True)


def test_without_webgl_the_picture_is_flat(page, browser):
    browser.open(page, before=NO_WEBGL)
    assert _state(browser)['renderer'] == 'flat'
    whole = browser.picture('figure[data-kind=panorama] img:not([hidden])')
    found = np.abs(whole.reshape(-1, 1, 3).astype(int) - [side[1] for side in SIDES.values()])
    assert set(found.sum(axis=-1).argmin(axis=-1)) == set(range(6))
    _click(browser, 'Depth')
    assert browser.value(f'{FIGURE}.querySelector("img:not([hidden])").alt').endswith('Depth.')
    assert browser.complaints() == []
    browser.open(page)
    browser.value(
        'document.querySelector("canvas").getContext("webgl").getExtension("WEBGL_lose_context")'
        '.loseContext()'
    )
    browser.settle()
    assert _state(browser)['renderer'] == 'flat'
    assert browser.value(f'{FIGURE}.querySelector(".flat").clientHeight') > 100
