"""The objective with known answers instead of networks: a room of exact depth and motion."""

import dataclasses
import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.learning import augment, supervised
from pano_depth.learning import model as models
from pano_depth.learning import objective as objectives
from pano_depth.learning.sources import Truth

ROOM = np.array([[-2.5, -1.6, -3.0], [3.0, 1.2, 2.5]])
HEIGHT = 64
MODEL = models.ModelConfig(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8))
LOSS = objectives.LossConfig(pyramid=1)
UPRIGHT = np.eye(3)[None]
TURNED = Rotation.from_rotvec([0.3, 1.1, -0.4]).as_matrix()[None]
MIRRORED = TURNED * np.array([-1, 1, 1])
# Camera to world: previous, target, next.
POSES = (
    Rotation.from_rotvec([[0.03, -0.08, 0.02], [0, 0, 0], [-0.05, 0.1, 0.04]]).as_matrix(),
    np.array([[-0.2, 0.05, -0.15], [0, 0, 0], [0.15, 0.02, 0.25]]),
)


@pytest.fixture(scope='module', autouse=True)
def compiled_quickly():
    """Switches optimisations off: compilation takes most of the time, and results do not change."""
    jax.config.update('jax_disable_most_optimizations', True)
    yield
    jax.config.update('jax_disable_most_optimizations', False)


def _range(position, rays):
    """Range [...] from a position to the walls along world rays [..., 3]."""
    with np.errstate(divide='ignore'):
        walls = (ROOM[:, None] - position) / rays.reshape(-1, 3)
    return walls.max(axis=0).min(axis=-1).reshape(rays.shape[:-1])


def _colours(points):
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack(
        [
            0.5 + 0.25 * np.sin(3 * x + 2) * np.cos(2 * y) + 0.2 * np.sin(4 * z),
            0.5 + 0.4 * np.sin(2 * x + 3 * y + z),
            0.5 + 0.3 * np.cos(4 * y + z) * np.sin(3 * x),
        ],
        axis=-1,
    )


@functools.cache
def _frames():
    """[1, 3, H, W, 3] frames of the room."""
    images = []
    for rotation, position in zip(*POSES):
        rays = np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT), np.float64) @ rotation.T
        images.append(_colours(position + _range(position, rays)[..., None] * rays))
    return np.stack(images)[None].astype(np.float32)


def _answers(grid, view, *, depth_power=1.0, motion_factor=1.0, reverse=False, rotate=True):
    """What perfect networks say when they look through a view; the options spoil it."""
    rays = np.asarray(grid.rays, np.float64) @ view[0].T
    disparity = _range(np.zeros(3), rays) ** -depth_power
    mean = np.average(disparity, weights=np.asarray(grid.weights))
    true_mean = np.average(1 / _range(np.zeros(3), rays), weights=np.asarray(grid.weights))
    rotations, translations = [], []
    for source in (0, 2):
        rotation, position = (part[source] for part in POSES)
        # X_source = R X_target + t, both seen through the view: A^T R A and A^T t, in units of 1 /
        # mean disparity.
        rotation = rotation.T if rotate else np.eye(3)
        rotations.append(view[0].T @ rotation @ view[0])
        translations.append(
            view[0].T @ (-POSES[0][source].T @ position) * true_mean * motion_factor
        )
    if reverse:
        rotations, translations = rotations[::-1], translations[::-1]
    faces = grid.rays.shape[0]
    per_face = Motion(
        *(
            jnp.asarray(np.repeat(np.stack(x)[:, None], faces, axis=1), jnp.float32)
            for x in (rotations, translations)
        )
    )
    return jnp.asarray(disparity / mean, jnp.float32)[None], per_face


@functools.cache
def _compiled(model, loss):
    """The objective with the networks' answers as arguments."""

    def run(frames, view, mask, grid, disparity, motion, consistency, truth):
        with (
            mock.patch.object(
                objectives,
                'predict_disparity',
                # The term of the logits tells what the network sees.
                lambda _, images, *__: ([disparity], jnp.log(disparity) + images.mean()),
            ),
            mock.patch.object(objectives, 'predict_motion', lambda *_: (motion, None, consistency)),
        ):
            return objectives.objective(
                {}, frames, view, None, mask, grid, model, loss, truth=truth
            )

    return jax.jit(run)


def _metrics(
    *,
    view=UPRIGHT,
    frames=None,
    mask=None,
    model=MODEL,
    loss=LOSS,
    consistency=0.0,
    truth=None,
    **spoil,
):
    """The metrics as floats when the networks answer `_answers`."""
    grid = models.make_grid(model)
    disparity, motion = _answers(grid, view, **spoil)
    total, metrics = _compiled(model, loss)(
        _frames() if frames is None else frames,
        view.astype(np.float32),
        mask,
        grid,
        disparity,
        motion,
        np.full(2, consistency, np.float32),
        truth,
    )
    assert float(total) == float(metrics['loss'])
    return {name: float(value) for name, value in metrics.items()}


@pytest.mark.parametrize('view', [UPRIGHT, TURNED, MIRRORED], ids=['upright', 'turned', 'mirrored'])
def test_true_geometry_has_the_lowest_loss(view):
    loss = lambda **spoil: _metrics(view=view, **spoil)['photometric']
    true = loss()
    assert true < 0.012
    for wrong in (
        {'depth_power': 0.0},
        {'depth_power': 2.0},
        {'motion_factor': 0.5},
        {'motion_factor': 2.0},
        {'motion_factor': -1.0},
        {'rotate': False},
        {'reverse': True},
    ):
        assert loss(**wrong) > 1.5 * true, wrong


def test_a_view_does_not_change_what_true_geometry_costs():
    costs = [_metrics(view=view)['photometric'] for view in (UPRIGHT, TURNED, MIRRORED)]
    np.testing.assert_allclose(costs, costs[0], rtol=0.25)


def _truth():
    """The truth of `_frames`: depth of the target and its motions to both sources."""
    depth = _range(np.zeros(3), np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT), np.float64))
    turns, positions = (part[[0, 2]] for part in POSES)
    back = np.swapaxes(turns, 1, 2)
    return Truth(
        depth[None].astype(np.float32),
        Motion(
            back.astype(np.float32), -np.einsum('nij,nj->ni', back, positions).astype(np.float32)
        ),
    )


@pytest.mark.parametrize('view', [UPRIGHT, TURNED, MIRRORED], ids=['upright', 'turned', 'mirrored'])
def test_supervised_terms_vanish_for_the_truth_alone(view):
    loss = dataclasses.replace(LOSS, truth_weight=1.0)
    terms = lambda **spoil: [
        _metrics(view=view, loss=loss, truth=_truth(), **spoil)[name]
        for name in ('truth_depth', 'truth_pose')
    ]
    depth, pose = terms()
    # What is left are nearest pixels of the true depth.
    assert depth < 0.03 and pose < 0.01
    flat, _ = terms(depth_power=0.0)
    assert flat > 0.15
    for wrong in ({'motion_factor': 0.5}, {'rotate': False}, {'reverse': True}):
        assert terms(**wrong)[1] > 0.05 + pose, wrong


def test_unknown_depth_does_not_count_and_truth_has_to_be_there():
    loss, (depth, motion) = dataclasses.replace(LOSS, truth_weight=1.0), _truth()[:2]
    holes = depth.copy()
    holes[:, 10:20] = 0
    wrong = np.where(holes > 0, depth, 50).astype(np.float32)
    found = lambda depth: _metrics(loss=loss, truth=Truth(depth, motion))['truth_depth']
    assert found(holes) < 0.06 < found(wrong)
    with pytest.raises(ValueError, match='truth_weight is 1.0.*no depth and poses'):
        _metrics(loss=loss)


@pytest.mark.parametrize('view', [UPRIGHT, TURNED], ids=['upright', 'turned'])
def test_depth_alone_learns_the_same_from_the_target_alone(view):
    both = dataclasses.replace(LOSS, truth_weight=1.0)
    alone = dataclasses.replace(both, learn='depth')
    mask = np.ones((1, 3, HEIGHT, 2 * HEIGHT), np.float32)
    mask[:, 1, : HEIGHT // 4] = 0
    truth, shown = _truth(), mask[..., ::-1].copy()
    every = _metrics(view=view, mask=mask, loss=both, truth=truth._replace(shown=shown))
    target = {'frames': _frames()[:, 1:2], 'mask': mask[:, 1:2]}
    truth = Truth(truth.depth, shown=shown[:, 1:2])
    found = _metrics(view=view, loss=alone, truth=truth, **target)
    assert set(found) == {
        'truth_depth', 'smooth', 'logit', 'loss', 'disparity_spread', 'saturated'
    }  # fmt: skip
    for name in set(found) - {'loss'}:
        assert found[name] == pytest.approx(every[name], rel=1e-5), name
    flat = _metrics(view=view, loss=alone, truth=truth, depth_power=0.0, **target)
    assert flat['truth_depth'] > 0.15 > 0.03 > found['truth_depth']
    with pytest.raises(ValueError, match='learn is depth, but nothing here knows depth'):
        _metrics(loss=dataclasses.replace(LOSS, learn='depth'))


@pytest.mark.parametrize('view', [UPRIGHT, TURNED], ids=['upright', 'turned'])
def test_motion_alone_learns_what_it_learns_beside_depth(view):
    both = dataclasses.replace(LOSS, truth_weight=1.0)
    alone = dataclasses.replace(both, learn='motion')
    every, found = (_metrics(view=view, loss=loss, truth=_truth()) for loss in (both, alone))
    assert set(every) - set(found) == {'photometric'}
    for name in set(found) - {'loss'}:
        assert found[name] == pytest.approx(every[name], rel=1e-5), name
    assert found['truth_pose'] < 0.05
    wrong = _metrics(view=view, loss=alone, truth=_truth(), motion_factor=0.5)
    assert wrong['truth_pose'] > found['truth_pose'] + 0.05
    with pytest.raises(ValueError, match='learn is motion, but nothing here knows motion'):
        _metrics(loss=dataclasses.replace(LOSS, learn='motion'))


def test_motion_alone_has_gradients_in_the_pose_network_alone():
    loss = dataclasses.replace(LOSS, learn='motion', truth_weight=1.0)
    grid, params = models.make_grid(MODEL), models.init_params(0, MODEL)
    frames, truth, view = _frames(), _truth(), UPRIGHT.astype(np.float32)
    run = lambda params: objectives.objective(
        params, frames, view, None, None, grid, MODEL, loss, truth=truth
    )[0]
    gradients = jax.jit(jax.grad(run))(params)
    largest = {
        name: max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))
        for name, tree in gradients.items()
    }
    assert largest['depth'] == 0 < largest['pose']


@pytest.mark.parametrize('view', [UPRIGHT, MIRRORED], ids=['upright', 'mirrored'])
def test_labels_count_by_their_confidence_and_share(view):
    loss, (depth, motion) = dataclasses.replace(LOSS, truth_weight=1.0), _truth()[:2]
    sure = np.zeros_like(depth)
    sure[:, :20] = 1
    wrong = np.where(sure > 0, depth, 50).astype(np.float32)

    def terms(depth, confidence, share=None, **spoil):
        share = None if share is None else np.array([share], np.float32)
        truth = Truth(depth, motion, confidence=confidence.astype(np.float32), share=share)
        found = _metrics(view=view, loss=loss, truth=truth, **spoil)
        return np.array([found['truth_depth'], found['truth_pose']])

    # What is not sure tells nothing, neither of depth nor of the unit of motions.
    assert (terms(wrong, sure) < [0.03, 0.02]).all()
    assert terms(wrong, np.ones_like(sure))[0] > 0.2
    # Half as sure everywhere is half the error; so is half a share, of motions too.
    flat = {'depth_power': 0.0, 'motion_factor': 2.0}
    whole, half = terms(depth, sure, **flat), terms(depth, sure / 2, **flat)
    np.testing.assert_allclose(half, whole * [0.5, 1], rtol=1e-4)
    np.testing.assert_allclose(terms(depth, sure, 0.5, **flat), whole / 2, rtol=1e-4)


def test_an_example_without_labels_learns_from_its_images_alone():
    loss = dataclasses.replace(LOSS, truth_weight=1.0)
    grid, zeros = models.make_grid(MODEL), np.zeros_like(_truth().depth)
    still = Motion(np.stack([np.eye(3, dtype=np.float32)] * 2), np.zeros((2, 3), np.float32))
    unknown = Truth(zeros, still, confidence=zeros, share=np.zeros(1, np.float32))
    found = _metrics(loss=loss, truth=unknown)
    assert found['truth_depth'] == found['truth_pose'] == 0 and found['photometric'] > 0

    def term(disparity):
        error, _ = supervised.log_error(
            zeros, disparity, UPRIGHT, grid.weights[None], grid, confidence=zeros
        )
        return error

    disparity = _answers(grid, UPRIGHT)[0]
    assert not np.asarray(jax.grad(term)(disparity)).any()


@pytest.mark.parametrize('view', [UPRIGHT, TURNED], ids=['upright', 'turned'])
def test_the_prior_is_about_the_shape_of_what_is_plain(view):
    loss, plain = dataclasses.replace(LOSS, prior_weight=1.0), np.full_like(_frames(), 0.4)
    prior = lambda factor, frames=plain, **spoil: _metrics(
        view=view, frames=frames, loss=loss, truth=Truth(prior=factor * _truth().depth), **spoil
    )['prior']
    assert prior(1) < 0.03 and prior(7) == pytest.approx(prior(1), rel=1e-4)
    flat = prior(1, depth_power=0.0)
    assert flat > 0.15
    # Texture speaks for itself.
    assert prior(1, frames=_frames(), depth_power=0.0) < 0.1 * flat
    # Without one there is nothing to differ from.
    assert 'prior' not in _metrics(view=view, loss=loss)


def test_equirectangular_grid_has_the_same_minimum():
    model = dataclasses.replace(MODEL, padding='equirect')
    true, wrong = (
        _metrics(model=model, **spoil)['photometric'] for spoil in ({}, {'motion_factor': 0.5})
    )
    assert true < 0.012 and wrong > 1.5 * true


def test_the_minimum_over_sources_forgives_one_spoilt_source_and_the_mean_does_not():
    frames = _frames().copy()
    frames[:, 0] = 1 - frames[:, 0]
    minimum, mean = (
        _metrics(frames=frames, loss=dataclasses.replace(LOSS, selection=selection))['photometric']
        for selection in ('minimum', 'mean')
    )
    assert minimum < 0.02 < 0.1 < mean


def test_what_the_mask_hides_does_not_matter():
    mask = np.ones((HEIGHT, 2 * HEIGHT), np.float32)
    mask[HEIGHT * 3 // 4 :] = 0
    spoilt = _frames().copy()
    # Deep inside the mask: windows of SSIM and the motion reach a little over its border.
    spoilt[:, :, HEIGHT * 9 // 10 :] = np.random.default_rng(0).uniform(
        size=spoilt[:, :, HEIGHT * 9 // 10 :].shape
    )
    clean, changed = (
        _metrics(frames=frames, mask=mask)['photometric'] for frames in (_frames(), spoilt)
    )
    assert changed == pytest.approx(clean, rel=1e-4)
    assert _metrics(frames=spoilt)['photometric'] > clean + 0.005


def test_what_does_not_show_the_scene_is_seen_and_does_not_matter():
    shown, spoilt = np.ones((1, 3, HEIGHT, 2 * HEIGHT), np.float32), _frames().copy()
    shown[:, :, HEIGHT * 3 // 4 :] = 0
    spoilt[:, :, HEIGHT * 9 // 10 :] = 0.02  # a cap: it stays where it is in all frames
    clean, capped = (
        _metrics(frames=frames, truth=Truth(shown=shown)) for frames in (_frames(), spoilt)
    )
    assert capped['photometric'] == pytest.approx(clean['photometric'], rel=1e-4)
    assert abs(capped['logit'] - clean['logit']) > 1e-6
    masked = [_metrics(frames=frames, mask=shown) for frames in (_frames(), spoilt)]
    assert masked[0]['logit'] == pytest.approx(masked[1]['logit'], rel=1e-6)
    # Beside a mask, both leave out.
    mask = np.ones((HEIGHT, 2 * HEIGHT), np.float32)
    mask[: HEIGHT // 4] = 0
    spoilt[:, :, : HEIGHT // 10] = np.random.default_rng(0).uniform(size=(3, HEIGHT // 10, 1, 3))
    loss = lambda **options: _metrics(frames=spoilt, **options)['photometric']
    both = loss(mask=mask, truth=Truth(shown=shown))
    assert both == pytest.approx(loss(mask=mask[None, None] * shown), rel=0.15)
    assert both < 0.5 * loss(mask=mask) and both < 0.5 * loss(truth=Truth(shown=shown))


@pytest.mark.parametrize('view', [UPRIGHT, TURNED], ids=['upright', 'turned'])
def test_each_frame_may_have_a_mask_of_its_own(view):
    mask = np.ones((HEIGHT, 2 * HEIGHT), np.float32)
    mask[HEIGHT * 3 // 4 :, :HEIGHT] = 0
    same = np.broadcast_to(mask, (1, 3, *mask.shape))
    assert _metrics(view=view, mask=same) == _metrics(view=view, mask=mask)
    # A hole that moves from frame to frame: what is deep inside does not matter.
    own, spoilt = np.ones((1, 3, HEIGHT, 2 * HEIGHT), np.float32), _frames().copy()
    for i in range(3):
        own[:, i, 12:44, 10 + 35 * i : 42 + 35 * i] = 0
        noise = np.random.default_rng(i).uniform(size=(1, 20, 20, 3))
        spoilt[:, i, 18:38, 16 + 35 * i : 36 + 35 * i] = noise
    loss = lambda **options: _metrics(view=view, **options)['photometric']
    clean = loss(mask=own)
    assert loss(mask=own, frames=spoilt) == pytest.approx(clean, rel=1e-4)
    assert loss(frames=spoilt) > clean + 0.005
    # The sources' masks count as well as that of the target.
    for i in range(3):
        part = np.ones_like(own)
        part[:, i] = own[:, i]
        assert loss(mask=part) != pytest.approx(loss(), rel=1e-4)


def test_modes_differ_in_the_pose_term_alone():
    totals = {}
    for mode in ('full', 'no_pose_consistency', 'single_pose'):
        metrics = _metrics(model=dataclasses.replace(MODEL, pose_mode=mode), consistency=0.7)
        assert ('pose' in metrics) == (mode == 'full')
        terms = [
            metrics[name] for name in ('photometric', 'smooth', 'logit', 'pose') if name in metrics
        ]
        totals[mode] = metrics['loss']
        assert totals[mode] == pytest.approx(sum(terms), rel=1e-5)
    assert totals['full'] - totals['single_pose'] == pytest.approx(LOSS.pose_weight * 0.7, rel=1e-4)
    assert totals['no_pose_consistency'] == pytest.approx(totals['single_pose'])


def test_static_scenes_cost_nothing_with_the_auto_mask():
    frames = np.repeat(_frames()[:, 1:2], 3, axis=1)
    plain, masked = (
        _metrics(frames=frames, loss=dataclasses.replace(LOSS, automask=automask))['photometric']
        for automask in (False, True)
    )
    assert plain > 0.02 and masked < 1e-4


def _network_arguments():
    frames = np.concatenate([_frames(), _frames()[:, ::-1]])
    return (
        models.init_params(0, MODEL),
        frames,
        np.concatenate([TURNED, MIRRORED]).astype(np.float32),
        augment.colours(jax.random.split(jax.random.key(0), 2), 0.2),
        None,
        models.make_grid(MODEL),
    )


def test_gradients_of_both_networks_are_finite_and_not_zero():
    function = functools.partial(objectives.objective, model=MODEL, config=LOSS)
    gradients, metrics = jax.jit(jax.grad(function, has_aux=True))(*_network_arguments())
    for network in ('depth', 'pose'):
        leaves = jax.tree.leaves(gradients[network])
        assert all(np.isfinite(leaf).all() for leaf in leaves)
        assert sum(float(np.abs(leaf).sum()) for leaf in leaves) > 1e-6
    assert all(np.isfinite(value) and np.ndim(value) == 0 for value in metrics.values())
    assert float(metrics['pose_consistency']) > 1e-5


@pytest.mark.parametrize('mode', ['full', 'no_pose_consistency', 'single_pose'])
def test_face_motions_differ_unless_there_is_a_single_pose(mode):
    params, frames, _, _, _, grid = _network_arguments()
    images = models.look(frames, grid, np.eye(3, dtype=np.float32)[None].repeat(2, 0))
    config = dataclasses.replace(MODEL, pose_mode=mode)
    per_face, mean, consistency = jax.jit(functools.partial(models.predict_motion, config=config))(
        params, images[:, 1], images[:, 2], grid
    )
    assert per_face.rotation.shape == (2, 6, 3, 3) and mean.translation.shape == (2, 3)
    np.testing.assert_allclose(per_face.translation.mean(axis=1), mean.translation, atol=1e-6)
    spread = float(per_face.translation.std(axis=1).max())
    if mode == 'single_pose':
        assert spread < 1e-7 and not consistency.any()
    else:
        assert spread > 1e-4 and (consistency > 1e-4).all()
