"""Hard clips, the figures of the sharpening tables, and the commands at sizes of seconds."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from experiments.benchmarks.depth.support import clips, hard_clips, jobs, scores
from pano_depth import ReconstructConfig
from pano_depth.footage.clip import Clip
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from tests import compiling

FRAMES, HEIGHT = 6, 32
ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope='module')
def made():
    names = ('control', *hard_clips.NAMES)
    return {name: hard_clips.make(name, FRAMES, HEIGHT) for name in names}


def test_every_hard_clip_has_frames_depth_and_a_path_from_its_first_frame(made):
    for clip in made.values():
        assert clip.frames.shape == (FRAMES, HEIGHT, 2 * HEIGHT, 3)
        assert clip.frames.dtype == np.uint8
        assert clip.depth.shape == clip.frames.shape[:-1] and clip.depth.min() > 0.1
        np.testing.assert_allclose(clip.poses.rotation[0], np.eye(3), atol=1e-12)
        np.testing.assert_allclose(clip.poses.translation[0], 0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(clip.poses.rotation), 1)
        assert np.ptp(clip.frames) > 100


def test_only_the_walker_and_the_moved_cameras_change_the_depth(made):
    for name in ('stripes', 'plain_walls', 'reflections', 'brightness', 'blur_and_noise'):
        np.testing.assert_allclose(made[name].depth, made['control'].depth, rtol=1e-5)
        assert (made[name].frames != made['control'].frames).any(axis=(1, 2, 3))[1:].all()


def test_the_camera_of_a_small_motion_moves_two_percent_of_the_room(made):
    place = made['small_motion'].poses.translation
    extent = np.linalg.norm(place[:, None] - place, axis=-1).max()
    scene = hard_clips.make_scene(hard_clips.FAMILY, hard_clips.SCENE)
    assert extent == pytest.approx(0.02 * np.ptp(scene.shell[:, [0, 2]], axis=0).max())


def _smooth(clip):
    """Share of the pixels that are close to the mean of their four neighbours."""
    f = clip.frames.astype(float)
    around = f[:, :-2, 1:-1] + f[:, 2:, 1:-1] + f[:, 1:-1, :-2] + f[:, 1:-1, 2:]
    return (np.abs(4 * f[:, 1:-1, 1:-1] - around).mean(axis=-1) < 2).mean()


def test_plain_walls_are_smooth_and_stripes_have_strong_contrasts(made):
    assert _smooth(made['plain_walls']) > 2 * _smooth(made['control'])
    middle = slice(HEIGHT // 4, 3 * HEIGHT // 4)
    steps = {
        name: np.abs(np.diff(made[name].frames[:, middle].astype(float), axis=2)).mean()
        for name in ('control', 'stripes')
    }
    assert steps['stripes'] > 2 * steps['control']


def test_a_person_covers_a_part_of_every_frame_and_moves(made):
    nearer = made['walker'].depth < 0.98 * made['control'].depth
    assert (nearer.mean(axis=(1, 2)) > 0.002).all() and nearer.mean() < 0.3
    assert (made['walker'].depth <= 1.001 * made['control'].depth).all()
    # In the world, the middle of the person's visible points goes on.
    poses, rays = made['walker'].poses, np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT))
    places = [
        (made['walker'].depth[i][nearer[i]][:, None] * rays[nearer[i]]).mean(axis=0)
        @ poses.rotation[i].T
        + poses.translation[i]
        for i in (0, FRAMES - 1)
    ]
    assert np.linalg.norm(places[1] - places[0]) > 0.3


def test_a_pane_shows_what_a_mirror_would():
    """A point that a ray meets after the pane has the mirrored ray's colour: checked by the depth
    of the mirrored camera, which is the way to the pane and on from there.
    """
    scene = hard_clips.make_scene(hard_clips.FAMILY, hard_clips.SCENE)
    lower, upper = scene.shell
    place = np.array([[0.1, -1.5, 0.2]])
    flip = np.array([-1.0, 1.0, 1.0])
    mirrored = place * flip + [2 * upper[0], 0, 0]
    take = hard_clips.Take(scene, Motion(np.eye(3)[None], place), HEIGHT, None)
    seen = hard_clips.Take(scene, Motion(np.diag(flip)[None], mirrored), HEIGHT, None)
    direct, behind = hard_clips.shoot(take)[1][0], hard_clips.shoot(seen)[1][0]
    rays = np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT))
    pane = np.abs(place[0, 0] + direct * rays[..., 0] - upper[0]) < 1e-3
    assert pane.sum() > 20
    end = mirrored[0] + behind[..., None] * rays * flip
    assert (behind[pane] > direct[pane]).all()
    assert (end[pane] >= lower - 1e-3).all() and (end[pane] <= upper + 1e-3).all()


def test_brightness_goes_down_by_thirty_percent(made):
    ratio = made['brightness'].frames.mean(axis=(1, 2, 3)) / made['control'].frames.mean((1, 2, 3))
    assert ratio.max() == pytest.approx(1, abs=0.01) and ratio.min() < 0.75


def test_an_unsteady_camera_turns_eight_to_twenty_degrees(made):
    turns = Rotation.from_matrix(made['unsteady'].poses.rotation)
    angles = np.degrees((turns[:-1].inv() * turns[1:]).magnitude())
    assert angles.min() > 7.9 and 15 < angles.max() < 20.1


def test_names_of_clips_are_found_or_refused():
    assert clips.expand(['sample', 'hard'])[1:] == [f'hard:{name}' for name in hard_clips.NAMES]
    assert list(clips.find('rooms:2', 4, HEIGHT)) == ['room_70000', 'room_70001']
    for name, words in {'rooms:x': 'rooms:N', 'hard:sand': "'sand' is no hard clip"}.items():
        with pytest.raises(ValueError, match=words):
            clips.find(name, 4, HEIGHT)
    with pytest.raises(ValueError, match='frames is 1'):
        hard_clips.make('stripes', 1, HEIGHT)


def test_edges_are_where_ranges_jump_three_pixels_on_either_side():
    truth = np.full((16, 32), 2.0, np.float32)
    truth[:, :4] = 3.0  # edges between columns 3 and 4, and 31 and 0
    near = np.asarray(scores.edge_surroundings(truth))
    assert np.flatnonzero(near[0]).tolist() == [0, 1, 2, 3, 4, 5, 6, 29, 30, 31]
    assert (near == near[0]).all()
    ground = np.full((16, 32), 2.0, np.float32)
    ground[8:] = 2.1  # too little for an edge
    ground[12:] = 4.0
    rows = np.asarray(scores.edge_surroundings(ground)).all(axis=1)
    assert np.flatnonzero(rows).tolist() == [9, 10, 11, 12, 13, 14]
    ground[8:] = 0  # unknown is no edge, and the last row is no neighbour of the first
    assert not np.asarray(scores.edge_surroundings(ground)).any()


def test_figures_of_a_frame_have_their_known_values():
    truth = np.full((16, 32), 2.0, np.float32)
    truth[:, :4] = 4.0
    prediction = truth / 2  # another unit
    prediction[:, 4:6] *= 1.5  # wrong at the edge only
    confidence = np.where(prediction == truth / 2, 0.9, 0.1)
    prediction[0] = 0
    row = scores.frame_scores(prediction, confidence, truth)
    assert float(row['valid']) == pytest.approx(15 / 16)
    assert float(row['confident']) == pytest.approx(15 / 16 * 30 / 32)
    assert float(row['abs_rel']) == pytest.approx(0.5 * 2 / 32)
    assert float(row['edge_error']) == pytest.approx(0.5 * 2 / 10)
    assert float(row['abs_rel_confident']) == pytest.approx(0, abs=1e-6)
    assert float(row['delta1']) == pytest.approx(30 / 32)


def test_a_short_path_has_a_direction_in_any_unit():
    truth = Motion(np.eye(3)[None].repeat(4, 0), np.arange(4)[:, None] * np.array([0.001, 0, 0]))
    turned = Rotation.from_euler('y', 10, degrees=True).as_matrix()
    found = Motion(truth.rotation, 7 * truth.translation @ turned.T)
    row = scores.path_scores(found, truth)
    assert row['direction_deg'] == pytest.approx(10) and row['rotation_deg'] == pytest.approx(0)
    far = Motion(truth.rotation, 1000 * truth.translation)
    assert scores.path_scores(found, far)['ate_percent'] == pytest.approx(row['ate_percent'])


def test_rows_survive_a_killed_run_and_say_their_options(tmp_path):
    path = tmp_path / 'new' / 'rows.jsonl'
    rows = scores.Rows(path)
    rows.add({'clip': 'a', 'abs_rel': np.float32(0.5), 'edge_error': float('nan')})
    with path.open('a') as file:
        file.write('{"clip": "b", "abs')
    again = scores.Rows(path)
    assert again.find({'clip': 'a'}) == {'clip': 'a', 'abs_rel': 0.5, 'edge_error': None}
    assert again.find({'clip': 'b'}) is None
    again.add({'clip': 'b'})
    assert scores.Rows(path).find({'clip': 'b'}) == {'clip': 'b'}
    config = jobs.configured(ReconstructConfig(), adapt=3, adjust=False)
    assert jobs.changes(config) == '--adapt=3 --noadjust'


def test_tables_have_medians_and_the_worst():
    rows = [{'clips': 'x', 'delta1': value, 'abs_rel': value} for value in (0.5, 0.75, 1.0)]
    line = scores.table(rows, ('clips',)).splitlines()[2]
    assert line.startswith('| x | 0.7500 (1.0000) | - | 0.7500 (0.5000) | - |')


def test_a_refused_clip_is_a_row_with_its_reason():
    noise = np.random.default_rng(0).integers(0, 255, (2, 32, 64, 3), np.uint8)
    config = jobs.configured(ReconstructConfig(), adapt=2, output_height=32)
    row = jobs.measure(scores.Rows(None), {'clip': 'two'}, lambda: Clip('two', noise), config)
    assert '--adapt needs at least 3 frames' in row['error']


def test_a_known_row_is_not_measured_again():
    rows = scores.Rows(None)
    config = ReconstructConfig()
    rows.add({'clip': 'known', 'options': jobs.changes(config), 'seconds': 1.0})
    assert jobs.measure(rows, {'clip': 'known'}, None, config)['seconds'] == 1.0
    with pytest.raises(TypeError):  # another option is another row, and None makes no clip
        jobs.measure(rows, {'clip': 'known'}, None, jobs.configured(config, adapt=3))


def _run(name, *arguments):
    command = [sys.executable, str(ROOT / f'experiments/benchmarks/depth/{name}.py'), *arguments]
    return subprocess.run(
        command, text=True, capture_output=True, check=False, env=compiling.environment()
    )


def test_the_sharpening_table_of_a_short_clip(tmp_path):
    arguments = ('--clips=hard:plain_walls', '--frames=3', '--height=64', '--stages=networks')
    done = _run('sharpening', *arguments, f'--output={tmp_path}', '--compilation_cache=')
    assert done.returncode == 0, done.stderr
    (row,) = [json.loads(line) for line in (tmp_path / 'sharpening.jsonl').open()]
    assert row['clip'] == 'plain_walls' and row['stage'] == 'networks'
    assert 0 < row['abs_rel'] < 1 and row['seconds'] > 0 and row['direction_deg'] > 0
    assert f'| hard:plain_walls | networks | {row["abs_rel"]:.4f} |' in done.stdout


def test_wrong_names_end_in_a_sentence():
    with pytest.raises(ValueError, match='accepted are networks, bundle, sweep'):
        jobs.stages(['magic'])
    done = _run('adaptation_curve', '--steps=many')
    assert done.returncode == 1 and "--steps has 'many'" in done.stderr
