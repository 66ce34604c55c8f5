"""Compiling what tests run only a few times."""

import contextlib
import os

import jax


@contextlib.contextmanager
def quickly():
    """Programs compiled in here are not optimised: they give the same, and compiling takes longer
    than running them. Also a decorator.
    """
    before = jax.config.values['jax_disable_most_optimizations']
    jax.config.update('jax_disable_most_optimizations', True)
    try:
        yield
    finally:
        jax.config.update('jax_disable_most_optimizations', before)


def environment():
    """Variables for a process on the CPU that compiles without optimisation what it runs a few
    times, otherwise with the flags of the tests (`tests/conftest.py`).
    """
    flags = f'{os.environ.get("XLA_FLAGS", "")} --xla_backend_optimization_level=0'
    return os.environ | {'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': flags}
