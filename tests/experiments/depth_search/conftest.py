"""Tiny rooms, rendered once for all tests of this folder."""

import pytest

from experiments.depth_search.config import DepthRecipe, RoomsConfig
from tests import compiling


@pytest.fixture(scope='session')
def rooms(tmp_path_factory):
    """Eight rooms to learn from and four unseen ones, of 32 x 64 pixels."""
    folder = tmp_path_factory.mktemp('rooms')
    return RoomsConfig(panorama_height=32, train_frames=8, unseen_frames=4, data_dir=str(folder))


@pytest.fixture(scope='session')
def recipe():
    """Five steps."""
    return DepthRecipe(steps=5, batch_size=2)


@pytest.fixture(scope='module', autouse=True)
def compiled_quickly():
    """Programs are not optimised: compiling takes most of the time."""
    with compiling.quickly():
        yield
