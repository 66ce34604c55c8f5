"""The browser of the tests of this folder."""

import pytest

from tests.browser import Browser, find_browser


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    opened = Browser(find_browser(), tmp_path_factory.mktemp('profile'))
    yield opened
    opened.close()
