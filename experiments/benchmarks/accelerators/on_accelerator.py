"""A pytest plugin: tests run on the platform that JAX prefers, and each outcome is a line of JSON.

    python -m pytest -p experiments.benchmarks.accelerators.on_accelerator --outcomes=FILE TESTS

`tests/conftest.py` asks JAX for the CPU when it is imported. This plugin takes that back before any
test module is imported, so before JAX chooses a device.
"""

import os
import pathlib

import jax
import pytest

from experiments.benchmarks.accelerators.limited import add_row


def pytest_addoption(parser):
    """Adds --outcomes."""
    parser.addoption('--outcomes', required=True, help='file that gets a line for each test')


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """Takes the choice of the CPU back."""
    jax.config.update('jax_platforms', os.environ.get('JAX_PLATFORMS') or None)
    outcomes = pathlib.Path(config.getoption('outcomes'))
    config.pluginmanager.register(_Outcomes(outcomes), 'outcomes of tests')


def pytest_report_header():
    """The device, in pytest's own words at the start."""
    return f'JAX computes on {jax.default_backend()}: {jax.devices()[0].device_kind}'


class _Outcomes:
    """Writes what becomes of each test."""

    def __init__(self, path):
        self._path = path
        facts = {'backend': jax.default_backend(), 'device': jax.devices()[0].device_kind}
        add_row(path, facts)

    def pytest_runtest_logstart(self, nodeid):
        """A test that hangs has this line and no other."""
        add_row(self._path, {'test': nodeid, 'outcome': 'started'})

    def pytest_runtest_logreport(self, report):
        """Its end: of the call, or of a setup or teardown that did not go well."""
        if report.when != 'call' and report.passed:
            return
        row = {'test': report.nodeid, 'outcome': report.outcome, 'seconds': report.duration}
        if report.failed:
            crash = getattr(report.longrepr, 'reprcrash', None)
            words = crash.message if crash is not None else str(report.longrepr)
            row['error'] = ' '.join(words.split())[:300]
        add_row(self._path, row)
