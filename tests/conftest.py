"""Every test runs on the CPU with four faked devices, so that data parallelism is tested on any
machine.
"""

import os
import shutil
import tempfile

import jax

jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 4)

_CACHE = 'JAX_COMPILATION_CACHE_DIR'


def pytest_configure(config):
    """Lets the processes of this session share what they compile, and nothing that was compiled
    before it.

    A program cached by an earlier session would hide that a change no longer compiles.
    """
    if not hasattr(config, 'workerinput'):
        os.environ[_CACHE] = config.compiled = tempfile.mkdtemp(prefix='pano_dppnet_tests_')
    jax.config.update('jax_compilation_cache_dir', os.environ[_CACHE])
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


def pytest_unconfigure(config):
    """Clears up."""
    if hasattr(config, 'compiled'):
        shutil.rmtree(config.compiled, ignore_errors=True)
        del os.environ[_CACHE]
