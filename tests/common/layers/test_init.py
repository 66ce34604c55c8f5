"""Parameters drawn on the host."""

import jax
import numpy as np

from common.layers import init


def _shapes(**leaves):
    return {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in leaves.items()}


def test_leaves_by_their_names():
    shapes = {
        'conv': _shapes(kernel=(3, 3, 16, 64), bias=(64,)),
        'norm': _shapes(scale=(64,), bias=(64,)),
        'head': _shapes(kernel=(64, 128)),
    }
    drawn = init.he_normal(
        np.random.default_rng(0),
        shapes,
        deviation=lambda names: 1e-3 if names[0] == 'head' else None,
    )
    assert jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), drawn) == shapes
    np.testing.assert_allclose(drawn['conv']['kernel'].std(), np.sqrt(2 / (9 * 16)), rtol=0.03)
    np.testing.assert_allclose(drawn['head']['kernel'].std(), 1e-3, rtol=0.03)
    assert (drawn['norm']['scale'] == 1).all()
    assert not drawn['norm']['bias'].any() and not drawn['conv']['bias'].any()


def test_the_generator_decides():
    shapes = {'a': _shapes(kernel=(4, 4)), 'b': _shapes(kernel=(4, 4))}
    first, again, other = (
        init.he_normal(np.random.default_rng(seed), shapes) for seed in (0, 0, 1)
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert abs(first['a']['kernel'] - other['a']['kernel']).min() > 0
    assert abs(first['a']['kernel'] - first['b']['kernel']).min() > 0
