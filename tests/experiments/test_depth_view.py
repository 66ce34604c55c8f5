"""`pano-depth --mode=view` as a user runs it: an address, a page, and nothing is written."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.request

from tests.pano_depth.results.made_runs import make_run

MAIN = pathlib.Path(__file__).parents[2] / 'experiments' / 'depth_main.py'
# No device is there to be taken: a job may be running on it.
ENVIRONMENT = {**os.environ, 'JAX_PLATFORMS': 'no_such_device'}


def _state(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob('*')}


def test_the_page_is_there_until_ctrl_c(tmp_path):
    folder = make_run(tmp_path / 'my run')
    before = _state(tmp_path)
    command = [sys.executable, str(MAIN), '--mode=view', f'--workdir={folder}', '--port=18090']
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            address = re.search(r'http://127\.0\.0\.1:\d+', line)
            assert address and line.rstrip().endswith('until Ctrl-C'), process.stderr.read()
            with urllib.request.urlopen(address[0]) as page:
                assert page.status == 200
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, '', '')
    assert _state(tmp_path) == before
