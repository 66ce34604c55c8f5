"""Every test runs on the CPU with four faked devices, so that data parallelism is tested on any
machine, and checks the shapes that signatures state.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import jax
import jaxtyping
import pytest

import tests.signatures  # noqa: F401  the hook below looks it up by name

# Every call of these rooms in this process is held against the signature of what is called. The
# rule: a function speaks first, its signature second. Wrong arguments that a function refuses raise
# the sentence that users get, which tests expect as they expect it without the check; wrong
# arguments that it takes all the same, and wrong results, raise `jaxtyping.TypeCheckError`. So a
# signature states what is true, and need not be widened for the sake of an error message.
# It works for what is imported from here on, in the workers of pytest-xdist too; processes that
# tests start have no check.
jaxtyping.install_import_hook(
    ('pano_depth.kernels', 'pano_depth.learning', 'pano_depth.reconstruction'),
    'tests.signatures.checked_after_the_call',
)

jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 4)

_CACHE = 'JAX_COMPILATION_CACHE_DIR'
# A cache pays off from a tenth of a second on: several tests, workers and processes that tests
# start compile the same programs.
_LEAST = 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.1'
# Compiling takes most of the time of the tests; fewer passes of LLVM need less. (XLA's older
# emitters would need half, but round otherwise than what users run.) Flags that somebody has set
# stay, so `XLA_FLAGS= pytest` compiles as users do.
_QUICK = '--xla_backend_optimization_level=1'
# The files that take longest. They come first, so that at the end no worker waits for another one.
_LONG = (
    'experiments/test_depth_main.py',
    'experiments/notebooks/test_reconstruction_tour.py',
    'pano_depth/results/test_train_on_footage.py',
    'experiments/notebooks/test_search_tour.py',
    'pano_depth/results/test_reconstruct_job.py',
    'experiments/depth_search/test_job.py',
    'pano_depth/results/steps/test_hidden.py',
    'pano_depth/learning/test_train.py',
    'experiments/notebooks/test_projection_tour.py',
)


def _known(flags):
    # XLA ends a process that has flags which it does not know: another one tries them.
    code = 'from jaxlib import xla_client; xla_client.CompileOptions()'
    environment = os.environ | {'XLA_FLAGS': flags}
    done = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True)
    return done.returncode == 0


def pytest_configure(config):
    """Lets the processes of this session share what they compile, and nothing that was compiled
    before it, and compile quickly.

    A program cached by an earlier session would hide that a change no longer compiles.
    """
    if hasattr(config.option, 'loadscopereorder'):
        config.option.loadscopereorder = False  # by number of tests
    if not hasattr(config, 'workerinput'):
        # Workers and processes that tests start inherit them.
        if 'XLA_FLAGS' not in os.environ and _known(_QUICK):
            os.environ['XLA_FLAGS'] = _QUICK
        os.environ[_CACHE] = config.compiled = tempfile.mkdtemp(prefix='pano_dppnet_tests_')
        os.environ[_LEAST[0]] = _LEAST[1]
    jax.config.update('jax_compilation_cache_dir', os.environ[_CACHE])
    jax.config.update('jax_persistent_cache_min_compile_time_secs', float(_LEAST[1]))


def pytest_collection_modifyitems(items):
    """Puts files that take long first."""
    root = pathlib.Path(__file__).parent
    place = {root / name: number for number, name in enumerate(_LONG)}
    gone = [str(path) for path in place if not path.exists()]
    if gone:
        raise pytest.UsageError(f'{gone[0]} is gone; _LONG in tests/conftest.py names it')
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_unconfigure(config):
    """Clears up."""
    if hasattr(config, 'compiled'):
        shutil.rmtree(config.compiled, ignore_errors=True)
        del os.environ[_CACHE], os.environ[_LEAST[0]]
