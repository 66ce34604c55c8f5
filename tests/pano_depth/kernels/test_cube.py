"""The cube against analytic functions, a float64 round trip and a cube folded in space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import cube, sphere

# Rows right, down, forward; x right, y down, z forward.
RIGHT, DOWN, FORWARD = np.eye(3)
AXES = {
    'front': (RIGHT, DOWN, FORWARD),
    'right': (-FORWARD, DOWN, RIGHT),
    'back': (-RIGHT, DOWN, -FORWARD),
    'left': (FORWARD, DOWN, -RIGHT),
    'up': (RIGHT, FORWARD, -DOWN),
    'down': (RIGHT, -FORWARD, DOWN),
}


def _surface_points(size):
    """[6, S, S, 3] pixel centres on the cube of half side S, integers."""
    points = np.zeros((6, size, size, 3))
    for face, (right, down, forward) in enumerate(AXES.values()):
        for i, j in np.ndindex(size, size):
            points[face, i, j] = (
                (2 * j + 1 - size) * right + (2 * i + 1 - size) * down + size * forward
            )
    return points


def _unit(points):
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def _smooth(rays):
    """Two smooth functions of direction, [..., 3] -> [..., 2] in about [0, 1]."""
    x, y, z = np.moveaxis(np.asarray(rays, np.float64), -1, 0)
    return np.stack(
        [
            0.5 + 0.2 * x + 0.15 * y - 0.1 * z + 0.1 * x * y * z,
            0.5 + 0.25 * np.sin(1.2 * x + 0.5) * np.cos(z) + 0.2 * y,
        ],
        axis=-1,
    )


def _equirect_rays(height):
    lon = ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5) * 2 * np.pi
    lat = ((0.5 - (np.arange(height) + 0.5) / height) * np.pi)[:, None]
    return np.stack(
        [np.cos(lat) * np.sin(lon), -np.sin(lat) + 0 * lon, np.cos(lat) * np.cos(lon)], axis=-1
    )


def test_faces_and_axes_are_the_contract():
    assert tuple(AXES) == cube.FACES
    np.testing.assert_array_equal(cube.FACE_AXES, np.array(list(AXES.values())))
    np.testing.assert_allclose(np.linalg.det(cube.FACE_AXES), 1)


@pytest.mark.parametrize('size', [1, 2, 7])
def test_face_directions_are_unit_rays_to_the_pixel_centres(size):
    np.testing.assert_allclose(cube.face_directions(size), _unit(_surface_points(size)), atol=1e-7)


@pytest.mark.parametrize('size', [1, 8, 129])
def test_face_solid_angles_are_exact_per_pixel(size):
    found = np.asarray(cube.face_solid_angles(size), np.float64)
    # Gauss-Legendre quadrature of dOmega = da db / (1 + a^2 + b^2)^1.5 on pixels of the face,
    # sixteen nodes a side.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    for i, j in {(0, 0), (0, size // 2), (size // 2, size // 2), (size - 1, size // 3)}:
        b, a = ((2 * k + 1 + nodes) / size - 1 for k in (i, j))
        exact = (weights[:, None] * weights / (1 + a**2 + b[:, None] ** 2) ** 1.5).sum() / size**2
        assert found[i, j] == pytest.approx(exact, rel=1e-5)
    assert 6 * found.sum() == pytest.approx(4 * np.pi, rel=1e-6)


@pytest.mark.parametrize('size', [127, 128])
def test_equirect_to_cube_of_a_smooth_function(size):
    found = cube.equirect_to_cube(_smooth(_equirect_rays(256)).astype(np.float32), size)
    expected = _smooth(_unit(_surface_points(size)))
    assert np.abs(found - expected).max() <= 5e-5


def test_cube_to_equirect_of_a_smooth_function_face_edges_included():
    found = cube.cube_to_equirect(_smooth(_unit(_surface_points(128))).astype(np.float32), 256, 512)
    assert np.abs(found - _smooth(_equirect_rays(256))).max() <= 1e-4


def _bilinear(image, x, y):
    i, j = (
        np.clip(np.floor(c).astype(int), 0, n - 2)
        for c, n in ((y, image.shape[0]), (x, image.shape[1]))
    )
    fy, fx = y - i, x - j
    return (image[i, j] * (1 - fx) + image[i, j + 1] * fx) * (1 - fy) + (
        image[i + 1, j] * (1 - fx) + image[i + 1, j + 1] * fx
    ) * fy


def _oracle_to_cube(image, size):
    height, width = image.shape
    rows = np.concatenate(
        [np.roll(image[:1], width // 2, axis=1), image, np.roll(image[-1:], width // 2, axis=1)]
    )
    rays = _surface_points(size)
    x = (np.arctan2(rays[..., 0], rays[..., 2]) / (2 * np.pi) + 0.5) * width + 0.5
    y = (
        np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2])) / np.pi + 0.5
    ) * height + 0.5
    return _bilinear(np.concatenate([rows[:, -1:], rows, rows[:, :1]], axis=1), x, y)


def _oracle_to_equirect(faces, height):
    """Bilinear on the plane of each face, plus a ring that neighbouring faces interpolate."""
    size = faces.shape[1]

    def lookup(images, rays, margin):
        result = np.zeros(rays.shape[:-1])
        face = np.argmax([rays @ axes[2] for axes in AXES.values()], axis=0)
        for k, (right, down, forward) in enumerate(AXES.values()):
            on = face == k
            x, y = (
                ((rays[on] @ axis) / (rays[on] @ forward) + 1) * size / 2 - 0.5
                for axis in (right, down)
            )
            if not margin:
                x, y = np.clip(x, 0, size - 1), np.clip(y, 0, size - 1)
            result[on] = _bilinear(images[k], x + margin, y + margin)
        return result

    grid = (2 * np.arange(-1, size + 1) + 1 - size) / size
    ring = np.stack(
        [
            grid[None, :, None] * right + grid[:, None, None] * down + forward
            for right, down, forward in AXES.values()
        ]
    )
    extended = lookup(faces, ring, 0)
    extended[:, 1:-1, 1:-1] = faces
    return lookup(extended, _equirect_rays(height), 1)


def _field(rays, seed=0):
    """A random field on the sphere: plane waves down to four pixels of a 512-pixel panorama."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(60, 3)) * rng.uniform(5, 40, (60, 1))
    return 0.5 + 0.03 * np.cos(rays @ waves.T + rng.uniform(0, 2 * np.pi, 60)).sum(axis=-1)


def _psnr(found, truth):
    return -10 * np.log10(np.mean((np.asarray(found, np.float64) - truth) ** 2))


def test_round_trips_lose_no_more_than_a_float64_oracle():
    image, faces = _field(_equirect_rays(128)), _field(_unit(_surface_points(64)))
    single = lambda x: x[..., None].astype(np.float32)
    there = cube.cube_to_equirect(cube.equirect_to_cube(single(image), 64), 128, 256)[..., 0]
    back = cube.equirect_to_cube(cube.cube_to_equirect(single(faces), 128, 256), 64)[..., 0]
    expected_there = _psnr(_oracle_to_equirect(_oracle_to_cube(image, 64), 128), image)
    expected_back = _psnr(_oracle_to_cube(_oracle_to_equirect(faces, 128), 64), faces)
    assert 25 < expected_there < 45
    assert _psnr(there, image) == pytest.approx(expected_there, abs=0.1)
    assert _psnr(back, faces) == pytest.approx(expected_back, abs=0.1)


@pytest.mark.parametrize('size, height', [(1, 4), (2, 4), (3, 9), (33, 64)])
def test_constant_images_stay_constant_at_any_size(size, height):
    np.testing.assert_allclose(
        cube.cube_to_equirect(np.full((6, size, size, 1), 0.7, np.float32), height, 2 * height),
        0.7,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        cube.equirect_to_cube(np.full((height, 2 * height, 1), 0.7, np.float32), size),
        0.7,
        atol=1e-6,
    )


def test_nearest_keeps_invalid_zeros_apart_and_picks_the_pixel_that_holds_the_ray():
    depth = np.where(np.random.default_rng(1).random((6, 8, 8, 1)) < 0.5, 0, 5).astype(np.float32)
    found = np.asarray(cube.cube_to_equirect(depth, 32, 64, method='nearest'))
    assert set(np.unique(found)) == {0.0, 5.0}
    labels = np.arange(6 * 16 * 16, dtype=np.float32).reshape(6, 16, 16, 1)
    there = cube.cube_to_equirect(labels, 128, 256, method='nearest')
    np.testing.assert_array_equal(cube.equirect_to_cube(there, 16, method='nearest'), labels)


def test_uint8_projections_equal_the_rounded_float_result():
    image = np.random.default_rng(2).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    faces = cube.equirect_to_cube(image, 16)
    back = cube.cube_to_equirect(faces, 32, 64)
    assert faces.dtype == back.dtype == jnp.uint8
    np.testing.assert_array_equal(
        faces, np.round(np.asarray(cube.equirect_to_cube(image.astype(np.float32), 16)))
    )
    np.testing.assert_array_equal(
        back, np.round(np.asarray(cube.cube_to_equirect(faces.astype(jnp.float32), 32, 64)))
    )


def _folded(labels, pad):
    """Folds the cube: a strip over an edge goes on in the neighbouring face, at right angles."""
    size = labels.shape[1]
    where = {
        tuple(point): label
        for point, label in zip(
            _surface_points(size).reshape(-1, 3).round().astype(int), labels.reshape(-1)
        )
    }
    padded = np.full((6, size + 2 * pad, size + 2 * pad), -1, labels.dtype)
    for face, (right, down, forward) in enumerate(AXES.values()):
        for i, j in np.ndindex(padded.shape[1:]):
            i0, j0 = i - pad, j - pad
            rings = [max(-c, c - size + 1, 0) for c in (i0, j0)]
            if all(rings):
                continue
            a, b = (np.clip(2 * c + 1 - size, -size, size) for c in (j0, i0))
            beyond = max(rings)
            point = a * right + b * down + (size - (2 * beyond - 1 if beyond else 0)) * forward
            padded[face, i, j] = where[tuple(point.round().astype(int))]
        for rows in (slice(0, pad), slice(size + pad, None)):
            padded[face, rows, :pad] = padded[face, rows, pad : pad + 1]
            padded[face, rows, size + pad :] = padded[face, rows, size + pad - 1 : size + pad]
    return padded


def _labels(size):
    return np.arange(6 * size * size, dtype=np.int32).reshape(6, size, size)


@pytest.mark.parametrize('pad', [1, 2, 3, 4])
@pytest.mark.parametrize('size', [4, 5])
def test_cube_pad_equals_a_folded_cube(size, pad):
    labels = _labels(size)
    np.testing.assert_array_equal(
        cube.cube_pad(labels[..., None], pad)[..., 0], _folded(labels, pad)
    )


def test_cube_pad_is_reciprocal_across_every_edge():
    """If ring k of a face shows a pixel of row m, the face of this pixel shows row k in ring m."""
    size, pad = 6, 4
    padded = np.asarray(cube.cube_pad(_labels(size)[..., None], pad))[..., 0]
    views = []
    for face in range(6):
        for turn in range(4):
            side = np.rot90(padded[face], turn)[:, pad : pad + size]
            views += [
                (k, m, side[pad + m, j], side[pad - 1 - k, j])
                for k in range(pad)
                for m in range(pad)
                for j in range(size)
            ]
    assert len(set(views)) == len(views) == 24 * pad * pad * size
    assert {(m, k, outside, inside) for k, m, inside, outside in views} == set(views)


@pytest.mark.parametrize('pad', [1, 3])
def test_cube_pad_commutes_with_a_quarter_turn_about_the_vertical(pad):
    size = 5
    quarter = np.array(
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    )  # x' = z: what was in front is seen at the right
    points = _surface_points(size)
    where = {tuple(p): k for k, p in enumerate(points.reshape(-1, 3).round().astype(int))}
    source = np.array(
        [where[tuple(p)] for p in (points.reshape(-1, 3) @ quarter).round().astype(int)]
    ).reshape(6, size, size)
    labels = (
        np.random.default_rng(3)
        .permutation(6 * size * size)
        .reshape(6, size, size)
        .astype(np.int32)
    )
    turned = labels.reshape(-1)[source]
    np.testing.assert_array_equal(turned[:4], np.roll(labels[:4], 1, axis=0))
    sense = next(k for k in (1, 3) if (np.rot90(labels[4], k) == turned[4]).all())
    np.testing.assert_array_equal(turned[5], np.rot90(labels[5], -sense))

    before, after = (np.asarray(cube.cube_pad(x[..., None], pad))[..., 0] for x in (labels, turned))
    np.testing.assert_array_equal(after[:4], np.roll(before[:4], 1, axis=0))
    for face, k in ((4, sense), (5, -sense)):
        same = after[face] == np.rot90(before[face], k)
        corner = np.zeros_like(same)
        corner[:pad] = corner[-pad:] = True
        corner &= corner.T
        assert same[~corner].all()


def test_cube_pad_batches_and_its_gradient_counts_the_copies():
    faces = np.random.default_rng(4).random((2, 3, 6, 4, 4, 2), np.float32)
    padded = cube.cube_pad(faces, 2)
    assert padded.shape == (2, 3, 6, 8, 8, 2)
    np.testing.assert_array_equal(padded[1, 2], cube.cube_pad(faces[1, 2], 2))
    np.testing.assert_array_equal(cube.cube_pad(faces, 0), faces)
    found = jax.jit(jax.grad(lambda x: cube.cube_pad(x, 2).sum()))(jnp.zeros((6, 4, 4, 1)))
    copies = np.bincount(_folded(_labels(4), 2).ravel(), minlength=96).reshape(6, 4, 4, 1)
    np.testing.assert_array_equal(found, copies)


@pytest.mark.parametrize('pad', [1, 2])
def test_cube_pad_and_its_derivatives_are_one_linear_map(pad):
    rng = np.random.default_rng(6)
    faces = rng.normal(size=(2, 6, 4, 4, 3)).astype(np.float32)
    weights = rng.normal(size=(2, 6, 4 + 2 * pad, 4 + 2 * pad, 3)).astype(np.float32)
    pixels = _folded(_labels(4), pad)
    forward = lambda x: cube.cube_pad(x, pad)
    expected = faces.reshape(2, 96, 3)[:, pixels]
    np.testing.assert_array_equal(jax.jvp(forward, (jnp.zeros_like(faces),), (faces,))[1], expected)
    # Every pixel collects the weights of all places that show it.
    collected = np.zeros((2, 96, 3))
    np.add.at(collected, (slice(None), pixels.ravel()), weights.reshape(2, -1, 3))
    (found,) = jax.vjp(forward, jnp.asarray(faces))[1](jnp.asarray(weights))
    np.testing.assert_allclose(found, collected.reshape(faces.shape), atol=1e-5)
    np.testing.assert_allclose(jax.vmap(forward)(faces), forward(faces))


def test_projections_between_shapes_that_do_not_match_exactly_agree_with_sampling():
    image = np.random.default_rng(5).random((20, 40, 3), np.float32)
    np.testing.assert_allclose(
        cube.equirect_to_cube(image, 11),
        sphere.sample_equirect(image, cube.face_directions(11)),
        atol=2e-5,
    )


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: cube.equirect_to_cube(np.zeros((4, 9, 3)), 4), '4 x 9'),
        (lambda: cube.equirect_to_cube(np.zeros((4, 8)), 4), r'\[..., H, W, C\]'),
        (lambda: cube.equirect_to_cube(np.zeros((4, 8, 3)), 0), 'face_size is 0'),
        (lambda: cube.equirect_to_cube(np.zeros((4, 8, 3)), 4, method='cubic'), "'cubic'"),
        (lambda: cube.cube_to_equirect(np.zeros((6, 4, 4, 3)), 8, 8), 'W = 2H'),
        (lambda: cube.cube_to_equirect(np.zeros((6, 4, 5, 3)), 8, 16), r'\[..., 6, S, S, C\]'),
        (lambda: cube.cube_to_equirect(np.zeros((6, 4, 4, 3)), 8, 16, method='cubic'), "'cubic'"),
        (lambda: cube.cube_pad(np.zeros((5, 4, 4, 3)), 1), r'\[..., 6, S, S, C\]'),
        (lambda: cube.cube_pad(np.zeros((6, 4, 4, 3)), 5), 'pad is 5'),
        (lambda: cube.cube_pad(np.zeros((6, 4, 4, 3)), -1), 'pad is -1'),
        (lambda: cube.face_solid_angles(0), 'face_size is 0'),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
