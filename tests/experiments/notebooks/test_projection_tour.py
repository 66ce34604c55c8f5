"""The projection tour: what is stored is a real run of it and small, and it runs again with
results that hold.
"""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.experiments.notebooks.runs import (
    check_stored,
    code_cells,
    execute,
    pictures,
    printed,
    read,
    reported,
)

NAME = 'projection_tour'

# What the last cell of the executed copy hands over.
REPORT = """
import json
plain = lambda x: x.tolist() if hasattr(x, 'tolist') else x
print(json.dumps({name: plain(value) for name, value in {
    'poses': clip.poses.rotation, 'positions': clip.poses.translation, 'pair': [target, source],
    'extra': extra, 'start': paths[-1, 0], 'found': paths[-1, -1],
    'made': [mean(left), mean(after)], 'parts': knows,
    'gradients': [by_motion, differences], 'share': share, 'scales': [scales, depth_only, both],
    'neighbour': neighbour, 'smooth_error': smooth_error,
}.items()}, default=plain))
"""


@pytest.fixture(scope='module')
def stored():
    return read(NAME)


@pytest.fixture(scope='module')
def executed(stored, tmp_path_factory):
    return execute(stored, tmp_path_factory.mktemp(NAME), devices=4, report=REPORT)


@pytest.fixture(scope='module')
def report(executed):
    return reported(executed)


def sentences(text):
    """Text without its numbers, which differ a little between machines."""
    return re.sub(r'([-+]?\d[\d.]*(e[-+]?\d+)?|\s)+', ' ', text)


def test_what_is_stored_is_one_run_and_small(stored):
    check_stored(stored, NAME, least_pictures=10)


def test_it_runs_again_and_puts_out_what_is_stored(stored, executed):
    for before, now in zip(code_cells(stored), code_cells(executed)[:-1], strict=True):
        assert sentences(printed(now)) == sentences(printed(before)), now.id
        assert len(pictures(now)) == len(pictures(before)), now.id


def test_the_motion_is_recovered_from_the_images(report):
    rotation, position = np.array(report['poses']), np.array(report['positions'])
    target, source = report['pair']
    # In float64 from the camera-to-world poses; the source camera is then turned.
    turned = Rotation.from_matrix(report['extra']) * Rotation.from_matrix(rotation[source].T)
    truth = turned * Rotation.from_matrix(rotation[target])
    translation = turned.apply(position[target] - position[source])
    start, found = np.array(report['start']), np.array(report['found'])
    assert (
        np.all(start == 0)
        and truth.magnitude() > np.radians(8)
        and np.linalg.norm(translation) > 0.2
    )
    assert np.degrees((truth * Rotation.from_rotvec(found[:3]).inv()).magnitude()) < 0.2
    assert np.linalg.norm(found[3:] - translation) < 0.02


def test_views_losses_and_gradients_say_what_the_text_says(report):
    (before, after), parts = report['made'], report['parts']
    assert after < 0.35 * before
    assert parts['both'] < parts['translation only'] < parts['rotation only'] < parts['nothing']
    autodiff, differences = map(np.array, report['gradients'])
    np.testing.assert_allclose(autodiff, differences, atol=0.1 * np.abs(differences).max())
    scales, depth_only, both = map(np.array, report['scales'])
    assert (
        abs(scales[depth_only.argmin()] - 1) < 0.11
        and depth_only[[0, -1]].min() > 1.5 * depth_only.min()
    )
    np.testing.assert_allclose(both, both[0], rtol=1e-2)
    assert 0 < report['smooth_error'] < 1e-3 and 0.6 < report['share'] < 1


def test_the_table_of_neighbours_is_that_of_the_cube(report):
    forward = {
        'front': (0, 0, 1),
        'right': (1, 0, 0),
        'back': (0, 0, -1),
        'left': (-1, 0, 0),
        'up': (0, -1, 0),
        'down': (0, 1, 0),
    }
    right = [(1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 0)]
    down = [(0, 1, 0)] * 4 + [(0, 0, 1), (0, 0, -1)]
    sides = (('right', right, 1), ('left', right, -1), ('below', down, 1), ('above', down, -1))
    for side, axes, sign in sides:
        found = [forward[name] for name in report['neighbour'][side]]
        assert found == [tuple(sign * x for x in axis) for axis in axes]
