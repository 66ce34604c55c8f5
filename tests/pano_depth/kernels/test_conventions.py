"""The conventions, checked on every public kernel; a new function has to be listed here."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import cube, remap, rigid, sphere, warp
from pano_depth.learning import augment, losses

MODULES = (sphere, remap, cube, rigid, warp, augment, losses)


def _array(seed, *shape):
    return np.random.default_rng(seed).uniform(0.1, 1, shape).astype(np.float32)


def _unit(seed, *shape):
    rays = np.random.default_rng(seed).normal(size=shape)
    return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)


def _rotations(seed, *batch):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=batch + (3, 3)))[0].astype(
        np.float32
    )


def _pad_one(images):
    return cube.cube_pad(images, 1)


BATCH = (2, 3)

# Function of arrays that all carry the batch axes BATCH first, and those arrays.
BATCHED = {
    'sphere.project': (
        lambda d: jnp.stack(sphere.project(d, 8, 16), axis=-1),
        _unit(0, *BATCH, 5, 3),
    ),
    'sphere.sample_equirect': (
        sphere.sample_equirect,
        _array(1, *BATCH, 4, 8, 2),
        _unit(2, *BATCH, 5, 3),
    ),
    'remap.apply_table': (
        lambda x: remap.apply_table(cube.equirect_to_cube_table(4, 8, 3), x),
        _array(3, *BATCH, 32, 2),
    ),
    'cube.equirect_to_cube': (lambda x: cube.equirect_to_cube(x, 3), _array(4, *BATCH, 4, 8, 2)),
    'cube.cube_to_equirect': (
        lambda x: cube.cube_to_equirect(x, 4, 8),
        _array(5, *BATCH, 6, 3, 3, 2),
    ),
    'cube.cube_pad': (lambda x: cube.cube_pad(x, 2), _array(6, *BATCH, 6, 3, 3, 2)),
    'rigid.rotate': (rigid.rotate, _rotations(7, *BATCH), _array(8, *BATCH, 3)),
    'rigid.so3_exp': (rigid.so3_exp, _array(9, *BATCH, 3)),
    'rigid.so3_log': (lambda w: rigid.so3_log(rigid.so3_exp(w)), _array(10, *BATCH, 3)),
    'rigid.compose': (
        lambda r, t: rigid.compose(rigid.Motion(r, t), rigid.Motion(r, 2 * t)),
        _rotations(11, *BATCH),
        _array(12, *BATCH, 3),
    ),
    'rigid.inverse': (
        lambda r, t: rigid.inverse(rigid.Motion(r, t)),
        _rotations(13, *BATCH),
        _array(14, *BATCH, 3),
    ),
    'warp.reproject': (
        warp.reproject,
        _unit(15, *BATCH, 5, 3),
        _array(16, *BATCH, 5),
        _rotations(17, *BATCH),
        _array(18, *BATCH, 3),
    ),
    'warp.synthesize': (
        warp.synthesize,
        _array(19, *BATCH, 4, 8, 2),
        _unit(20, *BATCH, 5, 3),
        _array(21, *BATCH, 5),
        _rotations(22, *BATCH),
        _array(23, *BATCH, 3),
    ),
    'augment.conjugate': (
        lambda r, t, a: augment.conjugate(rigid.Motion(r, t), a),
        _rotations(24, *BATCH),
        _array(25, *BATCH, 3),
        _rotations(26, *BATCH),
    ),
    'losses.ssim': (losses.ssim, _array(27, *BATCH, 5, 6, 2), _array(28, *BATCH, 5, 6, 2)),
    'losses.photometric_error': (
        lambda a, b: losses.photometric_error(a, b, pad=_pad_one),
        _array(29, *BATCH, 6, 3, 3, 2),
        _array(30, *BATCH, 6, 3, 3, 2),
    ),
    'losses.matching_costs': (
        lambda a, b: losses.matching_costs(a, b, 1, pad=lambda x, _: _pad_one(x)),
        _array(37, *BATCH, 6, 3, 3, 2),
        _array(38, *BATCH, 6, 3, 3, 2),
    ),
    'losses.plainness': (
        lambda x: losses.plainness(0.01 * x, pad=_pad_one),
        _array(36, *BATCH, 6, 3, 3, 2),
    ),
    'losses.smoothness': (
        lambda d, x: losses.smoothness(d, x, pad=_pad_one),
        _array(31, *BATCH, 6, 3, 3),
        _array(32, *BATCH, 6, 3, 3, 2),
    ),
    'losses.face_motions_in_camera': (losses.face_motions_in_camera, _array(33, *BATCH, 6, 3)),
    'losses.pose_consistency': (
        losses.pose_consistency,
        _array(34, *BATCH, 6, 3),
        _array(35, *BATCH, 6, 3),
    ),
}

# Functions of shapes, of dtypes, of keys, or of whole batches: they have no leading axes to map
# over.
OTHERS = {
    'sphere.check_equirect',
    'sphere.pixel_rays',
    'sphere.ray_directions',
    'sphere.solid_angles',
    'sphere.wrap_pixels',
    'sphere.equirect_taps',
    'remap.make_table',
    'remap.gather',
    'cube.face_directions',
    'cube.face_solid_angles',
    'cube.equirect_to_cube_table',
    'cube.cube_to_equirect_table',
    'augment.views',
    'augment.colours',
    'augment.recolour',
    'losses.check_float',
    'losses.weighted_mean',
}


def _public():
    """Every public function defined in the kernel modules, by name."""
    found = {}
    for module in MODULES:
        for name, value in vars(module).items():
            function = (
                inspect.unwrap(value) if callable(value) and not inspect.isclass(value) else None
            )
            if (
                function is not None
                and not name.startswith('_')
                and getattr(function, '__module__', None) == module.__name__
            ):
                found[f'{module.__name__.split(".")[-1]}.{name}'] = function
    return found


def test_every_public_kernel_is_listed_here():
    assert set(_public()) == set(BATCHED) | OTHERS


@pytest.mark.parametrize('name', sorted(BATCHED))
def test_jit_vmap_and_leading_axes_equal_a_loop(name):
    function, *arrays = BATCHED[name]
    compiled = jax.jit(function)
    leaves = lambda tree: [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    together, mapped = map(
        leaves, jax.jit(lambda *x: (function(*x), jax.vmap(jax.vmap(function))(*x)))(*arrays)
    )
    single = {index: leaves(compiled(*(a[index] for a in arrays))) for index in np.ndindex(BATCH)}
    for k, (batch, inner) in enumerate(zip(together, mapped)):
        assert batch.shape == BATCH + single[0, 0][k].shape and batch.dtype == np.float32
        looped = np.stack([single[index][k] for index in np.ndindex(BATCH)]).reshape(batch.shape)
        assert np.abs(looped).max() > 1e-3
        np.testing.assert_allclose(batch, looped, atol=2e-6)
        np.testing.assert_allclose(inner, looped, atol=2e-6)


@pytest.mark.parametrize('name', sorted(_public()))
def test_public_functions_are_documented(name):
    text = inspect.getdoc(_public()[name])
    assert text and text.split('\n\n')[0].rstrip().endswith(('.', ')', ':'))
    arguments = [p for p in inspect.signature(_public()[name]).parameters if p != 'xp']
    missing = [p for p in arguments if p not in text and p.rstrip('s') not in text]
    assert not missing, f'{name} does not say what {missing} are'


@pytest.mark.parametrize('name', sorted(_public()))
def test_options_are_keyword_only_and_keys_come_first(name):
    parameters = inspect.signature(_public()[name]).parameters
    cached_table = name.endswith('_table')  # hashed by position, so that one shape is built once
    for position, parameter in enumerate(parameters.values()):
        if (
            parameter.default is not inspect.Parameter.empty
            and not cached_table
            and parameter.name != 'name'
        ):
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, f'{name}: {parameter.name}'
        if parameter.name in ('key', 'keys'):
            assert position == 0
        assert parameter.name not in ('rng', 'seed')


@pytest.mark.parametrize(
    'call',
    [
        lambda: sphere.project(np.zeros((5, 2)), 8, 16),
        lambda: sphere.project(np.zeros((5, 3)), 8, 15),
        lambda: sphere.sample_equirect(np.zeros((4, 7, 3)), np.zeros((5, 3))),
        lambda: cube.equirect_to_cube(np.zeros((4, 7, 3)), 3),
        lambda: cube.cube_to_equirect(np.zeros((6, 3, 4, 3)), 4, 8),
        lambda: cube.cube_pad(np.zeros((6, 3, 4, 3)), 1),
        lambda: cube.equirect_to_cube(
            np.zeros((4, 8, 3)), 3, table=cube.equirect_to_cube_table(4, 8, 2)
        ),
        lambda: cube.cube_to_equirect(
            np.zeros((6, 3, 3, 3)), 4, 8, table=cube.cube_to_equirect_table(3, 8, 16)
        ),
        lambda: rigid.so3_exp(np.zeros((3, 3, 2))),
        lambda: rigid.so3_log(np.zeros((3, 4))),
        lambda: warp.reproject(np.zeros((4, 8, 3)), np.ones((4, 8)), np.zeros((3, 4)), np.zeros(3)),
        lambda: warp.reproject(np.zeros((4, 8, 3)), np.ones((4, 7)), np.eye(3), np.zeros(3)),
        lambda: warp.reproject(np.zeros((4, 8, 2)), np.ones((4, 8)), np.eye(3), np.zeros(3)),
        lambda: losses.pose_consistency(np.zeros((5, 3)), np.zeros((5, 3))),
        lambda: losses.face_motions_in_camera(np.zeros((5, 3))),
        lambda: losses.photometric_error(
            np.zeros((6, 3, 3, 3), np.float32), np.zeros((6, 3, 3, 1), np.float32), pad=_pad_one
        ),
    ],
)
def test_wrong_shapes_are_refused_by_a_sentence(call):
    with pytest.raises(ValueError) as error:
        call()
    assert len(str(error.value)) > 20 and 'Traceback' not in str(error.value)
