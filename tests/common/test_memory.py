"""Freed memory stays with the process: taking it again costs no page faults."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from common.memory import keep_memory
if sys.argv[1] == 'keep':
    assert keep_memory()
faults = []
for _ in range(6):
    np.ones(12_000_000)  # 96 MB
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the C library is not glibc')
def test_memory_that_is_kept_is_not_faulted_in_again():
    run = lambda mode: int(
        subprocess.run(
            [sys.executable, '-c', PROGRAM, mode], capture_output=True, text=True, check=True
        ).stdout
    )
    kept, given_back = run('keep'), run('default')
    # Pages may be small or huge; either way the default takes all of them anew each time.
    assert kept < 50 < given_back
