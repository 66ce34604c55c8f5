"""Random networks of the space, exported: ONNX Runtime gives what JAX gives."""

import jax
import numpy as np
import pytest

from experiments.depth_search.cell import model_of
from experiments.depth_search.space import DepthSpace
from pano_depth.learning.cells import build, condense, cost
from pano_depth.results import export

pytestmark = pytest.mark.slow
HEIGHT = 64


def _random_networks(count):
    space, random, found = DepthSpace(HEIGHT), np.random.default_rng(0), {}
    while len(found) < count:
        cell = space.sample(random)
        if space.complete(cell):
            found.setdefault(str(cell), cell)
    return found.values()


@pytest.mark.parametrize('cell', _random_networks(8), ids=str)
def test_a_random_network_of_the_space_is_exported_as_it_is(cell, tmp_path):
    config = model_of(cell)
    params = export.random_params(config)
    leaves = jax.tree.leaves(condense.deploy(build.build(config), params['depth']))
    weights = sum(leaf.size for leaf in leaves if leaf.dtype != np.int32)
    assert cost.count(build.build(config)).params == weights
    path = tmp_path / 'depth.onnx'
    export.write_onnx(path, params, config, HEIGHT)
    assert export.verify_onnx(path, params, config, HEIGHT) < 1e-4
