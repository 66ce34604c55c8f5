"""The browser that reports are tested in: a machine without one skips these tests, CI fails."""

import os
import shutil

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
MISSING = (
    f'reports are tested in a browser, and PATH has none of {", ".join(NAMES)}: install'
    " Debian's package chromium (apt-get install chromium)"
)


def find_browser() -> str:
    """Path of a browser. Without one the test that asks is skipped, or fails with CI=true."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get('CI') == 'true':
        pytest.fail(MISSING, pytrace=False)
    if found is None:
        pytest.skip(MISSING)
    return found
