"""Compiling what tests run only a few times."""

import contextlib

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
