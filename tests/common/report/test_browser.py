"""The report page in a browser, if there is one: it works, and injected code does not run."""

import re

import numpy as np
import pytest

from tests.browser import NO_WEBGL
from tests.common.report.made_pages import sample

FIGURE = 'document.querySelector("figure[data-kind=cloud]")'


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
