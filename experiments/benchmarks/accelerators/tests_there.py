"""Runs the tests of kernels and networks on the accelerator and counts them by file.

What fails is run once more with `JAX_DEFAULT_MATMUL_PRECISION=highest`: GPUs round the factors of
float32 products to 10 bits (TF32) by default, TPUs to 8 (bfloat16). A test that passes then fails
for that reason alone.
"""

import importlib.util
import pathlib
import signal
import sys
from collections.abc import Iterator

from experiments.benchmarks.accelerators import limited

TESTS = ('tests/pano_depth/kernels', 'tests/pano_depth/learning/test_networks.py')
TESTS += ('tests/nas/networks',)
TOY = ('tests/pano_depth/kernels/test_rigid.py',)
PLUGIN = 'experiments.benchmarks.accelerators.on_accelerator'
HIGHEST = {'JAX_DEFAULT_MATMUL_PRECISION': 'highest'}
_FIRST = 0.75  # part of the time for the first run


def run(output: pathlib.Path, seconds: float, *, toy: bool) -> tuple[list[dict], limited.Ended]:
    """Runs the tests.

    Args:
        output: folder; `logs` in it gets outcomes and logs.
        seconds: for both runs.
        toy: whether to run one file of tests only.

    Returns:
        (a row for each file of tests, how the first run ended).
    """
    logs = output / 'logs'
    missing = [name for name in ('pytest', 'beartype') if importlib.util.find_spec(name) is None]
    if missing:
        words = f"{missing[0]} is not installed: pip install -e '.[test]'"
        return [], limited.Ended('failed', 0.0, words)
    ended = _pytest(logs, 'tests', TOY if toy else TESTS, _FIRST * seconds, {})
    found = limited.read_rows(logs / 'tests.jsonl')
    failed = [row['test'] for row in found if row.get('outcome') == 'failed']
    again = []
    if failed:
        _pytest(logs, 'highest', failed, max(1.0, seconds - ended.seconds), HIGHEST)
        again = limited.read_rows(logs / 'highest.jsonl')
    if ended.how == 'failed' and failed:
        # pytest's exit code says only that tests failed, which the rows say better.
        ended = ended._replace(how='done')
    return list(by_file(found, again)), ended


def _pytest(logs, name, tests, seconds, environment):
    outcomes = logs / f'{name}.jsonl'
    outcomes.unlink(missing_ok=True)
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p', PLUGIN]
    command += [f'--outcomes={outcomes.resolve()}', *tests]
    return limited.run(
        command, logs / f'{name}.log', seconds, environment=environment, request=signal.SIGINT
    )


def by_file(found: list[dict], again: list[dict]) -> Iterator[dict]:
    """Counts outcomes by file of tests.

    Args:
        found: rows of the plugin, of the first run.
        again: of the run of the failed ones with exact products.

    Yields:
        dict with file, passed, failed, skipped, seconds, failures ({test: error}), rounding (number
        of failed tests that pass with exact products) and hung (a test that began and did not end).
    """
    facts = {name: value for row in found if 'test' not in row for name, value in row.items()}
    better = {row['test'] for row in again if row.get('outcome') == 'passed'}
    files = {}
    for row in found:
        if 'test' in row:
            file, _, name = row['test'].partition('::')
            files.setdefault(file, {}).setdefault(name, []).append(row)
    for file, tests in files.items():
        # A test whose teardown fails has two outcomes: the last one counts.
        last = {name: rows[-1] for name, rows in tests.items()}
        count = lambda outcome, last=last: sum(row['outcome'] == outcome for row in last.values())
        failures = {name: row['error'] for name, row in last.items() if row['outcome'] == 'failed'}
        yield facts | {
            'file': file,
            **{outcome: count(outcome) for outcome in ('passed', 'failed', 'skipped')},
            'seconds': sum(row.get('seconds', 0) for rows in tests.values() for row in rows),
            'failures': failures,
            'rounding': sum(f'{file}::{name}' in better for name in failures),
            'hung': next((n for n, row in last.items() if row['outcome'] == 'started'), None),
        }
