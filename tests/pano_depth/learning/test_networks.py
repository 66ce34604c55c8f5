"""Paddings of the networks: where information crosses faces, and what the networks refuse."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import cube, sphere
from pano_depth.learning import losses, model, networks

CHANNELS = (8, 8)


def _noise(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _conv(images, kernel, padding, stride=1):
    module = networks.Conv(kernel.shape[-1], padding, stride=stride, bias=False)
    return np.asarray(module.apply({'params': {'Conv_0': {'kernel': kernel}}}, images))


def _correlate(padded, kernel):
    """3 x 3 correlation of [h + 2, w + 2, C] in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(
        padded.astype(np.float64), (3, 3), axis=(0, 1)
    )
    return np.einsum('hwcij,ijcd->hwd', windows, kernel)


@functools.cache
def _depth_net(padding, scales=1):
    """The network with random parameters (also in the heads), and its compiled function."""
    net = networks.DepthNet(CHANNELS + (8,) * (scales - 1), padding, scales)
    rays = (
        sphere.ray_directions(16, 32)[None] if padding == 'equirect' else cube.face_directions(16)
    )
    shapes = jax.eval_shape(
        net.init, jax.random.key(0), jax.ShapeDtypeStruct((1,) + rays.shape, jnp.float32), rays
    )
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(scale=0.3, size=leaf.shape).astype(np.float32), shapes
    )
    return jax.jit(lambda images: net.apply(params, images, rays))


def test_cube_convolution_is_one_of_the_unfolded_ring_of_side_faces():
    size = 6
    images, kernel = _noise(0, 1, 6, size, size, 3), _noise(1, 3, 3, 3, 4)
    ring = np.concatenate(
        [images[0, face] for face in range(4)], axis=1
    )  # front, right, back, left
    expected = _correlate(np.concatenate([ring[:, -1:], ring, ring[:, :1]], axis=1), kernel)
    found = np.concatenate([_conv(images, kernel, 'cube')[0, face] for face in range(4)], axis=1)
    np.testing.assert_allclose(found[1:-1], expected, atol=1e-4)


def test_cube_convolution_crosses_from_front_to_up_and_down():
    size = 5
    images, kernel = _noise(2, 1, 6, size, size, 2), _noise(3, 3, 3, 2, 3)
    front, up, down = images[0, 0], images[0, 4], images[0, 5]
    # The bottom row of the up face and the top row of the down face meet the front face.
    strip = np.concatenate([up[-1:], front, down[:1]])
    expected = _correlate(np.pad(strip, ((0, 0), (1, 1), (0, 0))), kernel)[:, 1:-1]
    np.testing.assert_allclose(_conv(images, kernel, 'cube')[0, 0][:, 1:-1], expected, atol=1e-4)


def _yaw(images):
    """Faces [6, S, S, C] of the camera turned right by 90 degrees."""
    sides = np.roll(images[:4], -1, axis=0)
    return np.concatenate([sides, np.rot90(images[4], -1)[None], np.rot90(images[5], 1)[None]])


def test_an_isotropic_kernel_commutes_with_yaw():
    size, kernel = 6, np.array([[1, 2, 1], [2, -3, 2], [1, 2, 1]], np.float32)[..., None, None]
    images = _noise(4, 6, size, size, 1)
    turned_after = _yaw(_conv(images[None], kernel, 'cube')[0])
    turned_before = _conv(_yaw(images)[None], kernel, 'cube')[0]
    np.testing.assert_allclose(turned_before[:4], turned_after[:4], atol=1e-5)
    corners = np.zeros((size, size), bool)
    corners[np.ix_([0, -1], [0, -1])] = (
        True  # three faces meet there, which a square image cannot hold
    )
    np.testing.assert_allclose(turned_before[4:, ~corners], turned_after[4:, ~corners], atol=1e-5)


@pytest.mark.parametrize('padding, crosses', [('cube', True), ('zero', False)])
def test_information_crosses_face_edges_only_with_cube_padding(padding, crosses):
    kernel, images = _noise(5, 3, 3, 1, 1), _noise(6, 1, 6, 4, 4, 1)
    for face in range(6):
        changed = images.copy()
        changed[0, face] += 1
        moved = (
            np.abs(_conv(changed, kernel, padding) - _conv(images, kernel, padding))[0, ..., 0]
            > 1e-6
        )
        others = {other for other in range(6) if other != face and moved[other].any()}
        opposite = {0: 2, 2: 0, 1: 3, 3: 1, 4: 5, 5: 4}[face]
        assert others == (set(range(6)) - {face, opposite} if crosses else set())
        assert not moved[opposite].any() and moved[face].any()
        assert not any(moved[other][1:-1, 1:-1].any() for other in others)


def test_equirect_pad_continues_over_the_poles_and_the_seam():
    image = np.arange(4 * 8, dtype=np.float32).reshape(4, 8, 1)
    padded = np.asarray(networks.equirect_pad(image, 2))[..., 0]
    rows, columns = np.meshgrid(np.arange(-2, 6), np.arange(-2, 10), indexing='ij')
    beyond = (rows < 0) | (rows > 3)
    inner = np.where(rows < 0, -1 - rows, np.where(rows > 3, 7 - rows, rows))
    expected = image[inner, (columns + 4 * beyond) % 8, 0]
    np.testing.assert_array_equal(padded, expected)


def test_equirect_pad_and_its_derivatives_are_one_linear_map():
    image, weights = _noise(13, 2, 4, 8, 3), _noise(14, 2, 6, 10, 3)
    labels = networks.equirect_pad(np.arange(32).reshape(4, 8, 1), 1)[..., 0]
    pad = lambda x: networks.equirect_pad(x, 1)
    padded, tangent = jax.jvp(pad, (image,), (image,))
    np.testing.assert_array_equal(padded, image.reshape(2, 32, 3)[:, labels])
    np.testing.assert_array_equal(tangent, padded)
    collected = np.zeros((2, 32, 3))
    np.add.at(collected, (slice(None), np.ravel(labels)), weights.reshape(2, -1, 3))
    (found,) = jax.vjp(pad, jnp.asarray(image))[1](jnp.asarray(weights))
    np.testing.assert_allclose(found, collected.reshape(image.shape), atol=1e-5)


def test_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="padding is 'wrap'.*cube, zero, equirect"):
        networks.pad_faces(np.zeros((1, 6, 4, 4, 1), np.float32), 1, 'wrap')


@pytest.mark.parametrize('height, width', [(20, 16), (16, 20), (8, 8), (0, 16)])
def test_sizes_that_do_not_halve_are_refused(height, width):
    with pytest.raises(
        ValueError,
        match=f'face_size.* is {height} x {width} pixels.*3 times.*multiple of 8 and at least 16',
    ):
        networks.check_size(height, width, 3, 'face_size')
    networks.check_size(16, 24, 3)


def test_the_networks_refuse_faces_that_they_cannot_halve():
    image, rays = jnp.zeros((1, 6, 12, 12, 3)), jnp.zeros((6, 12, 12, 3))
    with pytest.raises(ValueError, match='12 x 12.*multiple of 8'):
        jax.eval_shape(networks.DepthNet((8, 8, 8)).init, jax.random.key(0), image, rays)
    with pytest.raises(ValueError, match='12 x 12.*multiple of 8'):
        jax.eval_shape(networks.PoseNet((8, 8, 8)).init, jax.random.key(0), image, image, rays)


def test_upsample_repeats_pixels():
    images = _noise(7, 2, 6, 3, 4, 5)
    np.testing.assert_array_equal(
        networks.upsample(images), np.kron(images, np.ones((1, 1, 2, 2, 1), np.float32))
    )


def test_unfold_puts_channels_in_reading_order():
    images = _noise(8, 2, 3, 4, 5, 4)
    found = np.asarray(networks.unfold(images))
    assert found.shape == (2, 3, 8, 10)
    for channel, (i, j) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        np.testing.assert_array_equal(found[:, :, i::2, j::2], images[..., channel])


def test_small_and_large_maps_are_convolved_alike():
    # Small maps take the matrix product, large ones the convolution: the same kernel has to mean
    # the same on both.
    kernel = _noise(11, 3, 3, 2, 3)
    for size, stride in [(4, 1), (8, 1), (8, 2), (16, 2)]:
        images = _noise(12, 1, 1, size, 2 * size, 2)
        padded = np.asarray(networks.equirect_pad(images[0, 0], 1))
        found = _conv(images, kernel, 'equirect', stride)[0, 0]
        np.testing.assert_allclose(found, _correlate(padded, kernel)[::stride, ::stride], atol=1e-4)


def test_depth_network_predicts_every_scale_within_its_bound():
    outputs = _depth_net('cube', scales=2)(
        np.random.default_rng(0).uniform(size=(2, 6, 16, 16, 3)).astype(np.float32)
    )
    assert [output.shape for output in outputs] == [(2, 6, 16, 16), (2, 6, 8, 8)]
    assert all(float(jnp.abs(output).max()) <= networks.DepthNet.bound for output in outputs)
    assert all(float(output.std()) > 1e-3 for output in outputs)


def test_examples_of_a_batch_do_not_mix():
    images = np.random.default_rng(1).uniform(size=(2, 6, 16, 16, 3)).astype(np.float32)
    both = _depth_net('cube')(images)[0]
    other = _depth_net('cube')(np.concatenate([images[:1], 1 - images[1:]]))[0]
    np.testing.assert_allclose(other[0], both[0], atol=1e-5)
    assert np.abs(other[1] - both[1]).max() > 1e-3


def test_equirect_network_commutes_with_yaw():
    images = np.random.default_rng(2).uniform(size=(1, 1, 16, 32, 3)).astype(np.float32)
    run = _depth_net('equirect')
    np.testing.assert_allclose(
        run(np.roll(images, 12, axis=3))[0], np.roll(run(images)[0], 12, axis=3), atol=1e-4
    )
    # Rows are latitudes: what turns about another axis is another image.
    assert (
        np.abs(run(np.roll(images, 4, axis=2))[0] - np.roll(run(images)[0], 4, axis=2)).max() > 1e-2
    )


def test_pose_network_gives_a_motion_per_face_that_starts_small():
    images = np.random.default_rng(3).uniform(size=(2, 2, 6, 16, 16, 3)).astype(np.float32)
    config = model.ModelConfig(face_size=16, depth_channels=CHANNELS, pose_channels=CHANNELS)
    params, rays = model.init_params(0, config)['pose'], cube.face_directions(16)
    network = networks.PoseNet(CHANNELS, matching=config.pose_matching)
    rotation, translation = jax.jit(network.apply)({'params': params}, *images, rays)
    assert rotation.shape == translation.shape == (2, 6, 3)
    assert 0 < float(jnp.abs(rotation).max()) < 0.3 and 0 < float(jnp.abs(translation).max()) < 0.3


@pytest.mark.parametrize('padding', ['cube', 'equirect'])
def test_what_fits_where_it_is_shifted_is_told_to_the_pose_network(padding):
    """The same parameters see another source by what fits where, and by nothing else."""
    shape = (1, 1, 16, 32, 3) if padding == 'equirect' else (1, 6, 16, 16, 3)
    target, source = np.random.default_rng(5).uniform(size=(2, *shape)).astype(np.float32)
    config = model.ModelConfig(
        face_size=16 if padding == 'cube' else 8,
        padding=padding,
        depth_channels=CHANNELS,
        pose_channels=CHANNELS,
    )
    rays = model.make_grid(config).rays
    network = networks.PoseNet(CHANNELS, padding, matching=2)
    params = network.init(jax.random.key(0), target, source, rays)['params']
    kernel = params['Block_0']['Conv_0']['Conv_0']['kernel']
    assert kernel.shape[2] == 10 + 5**2
    costs = losses.matching_costs(
        target, source, 2, pad=lambda images, n: networks.pad_faces(images, n, padding)
    )
    assert costs.shape == (*shape[:-1], 25)
    # Only the inputs that are costs reach the first layer.
    params['Block_0']['Conv_0']['Conv_0']['kernel'] = kernel.at[:, :, :10].set(0)
    run = lambda *pair: np.asarray(network.apply({'params': params}, *pair, rays)[0])
    assert np.abs(run(target, source) - run(target, target)).max() > 1e-4
    # Both images darker by the same: nothing fits otherwise.
    np.testing.assert_allclose(run(target - 0.3, source - 0.3), run(target, source), atol=2e-6)


@pytest.mark.parametrize('pixels', [-1, 5])
def test_matching_reaches_a_few_pixels(pixels):
    with pytest.raises(ValueError, match=f'pose_matching is {pixels}; accepted: 0 to 4'):
        model.ModelConfig(pose_matching=pixels)


def test_the_text_of_networks_without_a_cell_is_that_of_earlier_versions():
    """Digests of runs hold it: a run that an earlier version began goes on."""
    small = model.ModelConfig(
        face_size=16, depth_channels=(8, 8), pose_channels=(8, 8), pose_matching=0
    )
    assert 'pose_matching=2' in repr(dataclasses.replace(small, pose_matching=2))
    assert repr(small) == (
        "ModelConfig(face_size=16, padding='cube', pose_mode='full', depth_channels=(8, 8),"
        ' pose_channels=(8, 8), scales=1)'
    )
    cell = dataclasses.replace(small, depth_cell=('bn', 'conv3x3'))
    assert "depth_cell=('bn', 'conv3x3')" in repr(cell) and 'depth_merge' not in repr(cell)
