"""Losses against brute force in float64 and exactly known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import cube
from pano_depth.kernels.cube import FACE_AXES
from pano_depth.learning import losses

# Compiled as a whole: operation by operation these tests would take several times as long.
ssim, pose_consistency = jax.jit(losses.ssim), jax.jit(losses.pose_consistency)

pad_one = lambda images: cube.cube_pad(images, 1)


def _in_faces(vector):
    """A vector in the six face frames, [6, 3]: v_face = FACE_AXES[i] @ v_camera."""
    return np.stack([axes @ vector for axes in FACE_AXES]).astype(np.float32)


def test_six_face_motions_of_one_rigid_motion_agree_exactly():
    """R_face = B R B^T and t_face = B t for the face's axes B, taken through scipy's matrices."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        rotation, translation = Rotation.from_rotvec(rng.normal(size=3)), rng.normal(size=3)
        vectors = np.stack(
            [
                Rotation.from_matrix(axes @ rotation.as_matrix() @ axes.T).as_rotvec()
                for axes in FACE_AXES.astype(float)
            ]
        )
        found = pose_consistency(vectors.astype(np.float32), _in_faces(translation))
        assert found == pytest.approx(0, abs=5e-7)
        np.testing.assert_allclose(
            losses.face_motions_in_camera(vectors), np.tile(rotation.as_rotvec(), (6, 1)), atol=1e-6
        )
    # Signed permutations round nothing: numbers with few bits give an exact zero.
    assert (
        pose_consistency(
            _in_faces(np.array([0.5, -0.25, 1.0])), _in_faces(np.array([2.0, 0.0, -4.0]))
        )
        == 0
    )


def test_pose_consistency_gradient_is_finite_at_zero_and_exact_elsewhere():
    gradient = jax.jit(jax.grad(losses.pose_consistency, argnums=(0, 1)))
    at_zero = gradient(
        _in_faces(np.array([0.5, -0.25, 1.0])), _in_faces(np.array([2.0, 0.0, -4.0]))
    )
    assert all(np.isfinite(x).all() for x in at_zero)
    rng = np.random.default_rng(1)
    vectors, translations = rng.normal(size=(2, 6, 3))
    turned = [
        np.stack([axes.T @ x for axes, x in zip(FACE_AXES, group)])
        for group in (vectors, translations)
    ]
    residual = [x - x.mean(axis=0) for x in turned]
    value = np.sqrt(sum((x**2).sum() for x in residual) / 6)
    assert pose_consistency(vectors, translations) == pytest.approx(value, rel=1e-6)
    for found, rest in zip(
        gradient(jnp.asarray(vectors, jnp.float32), jnp.asarray(translations, jnp.float32)),
        residual,
    ):
        np.testing.assert_allclose(
            found, np.stack([axes @ x for axes, x in zip(FACE_AXES, rest)]) / (6 * value), atol=1e-6
        )


def test_pose_consistency_known_value():
    """One face off by d: the residuals are 5d/6 once and d/6 five times.

    So the loss is d sqrt(5) / 6.
    """
    for offset, place in ((0.3, 'rotation'), (1.2, 'translation')):
        rotation, translation = (
            _in_faces(np.array(v)) for v in ([0.1, 0.2, -0.1], [0.0, 0.5, 1.0])
        )
        {'rotation': rotation, 'translation': translation}[place][4, 1] += offset
        assert pose_consistency(rotation, translation) == pytest.approx(
            offset * np.sqrt(5) / 6, rel=1e-5
        )


def _ssim_oracle(a, b):
    """Every 3 x 3 window by itself, statistics in float64."""
    height, width, channels = a.shape
    result = np.zeros((height - 2, width - 2, channels))
    for i, j, c in np.ndindex(result.shape):
        x, y = (image[i : i + 3, j : j + 3, c].astype(np.float64).ravel() for image in (a, b))
        covariance = np.mean((x - x.mean()) * (y - y.mean()))
        result[i, j, c] = (
            (2 * x.mean() * y.mean() + 1e-4)
            * (2 * covariance + 9e-4)
            / ((x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (x.var() + y.var() + 9e-4))
        )
    return result


def test_ssim_matches_brute_force():
    rng = np.random.default_rng(2)
    a = rng.random((9, 12, 3), np.float32)
    for b in (rng.random((9, 12, 3), np.float32), a * 0.7 + 0.1, 1 - a, np.full_like(a, 0.9)):
        np.testing.assert_allclose(ssim(a, b.astype(np.float32)), _ssim_oracle(a, b), atol=5e-5)
    flat = np.full((5, 5, 1), 0.8, np.float32)
    np.testing.assert_allclose(ssim(flat, flat), 1, atol=1e-6)


def test_ssim_of_nearly_plain_regions_is_not_drowned_in_rounding():
    rng = np.random.default_rng(3)
    a, b = (0.9 + 1e-3 * rng.normal(size=(16, 16, 1)) for _ in range(2))
    np.testing.assert_allclose(
        ssim(a.astype(np.float32), b.astype(np.float32)), _ssim_oracle(a, b), atol=1e-3
    )


def test_photometric_error_mixes_ssim_and_l1_over_the_faces():
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 2, 6, 5, 5, 3), np.float32)
    padded = [np.asarray(cube.cube_pad(x, 1)) for x in (a, b)]
    similarity = np.stack(
        [[_ssim_oracle(padded[0][n, f], padded[1][n, f]) for f in range(6)] for n in range(2)]
    )
    expected = (0.85 * np.clip((1 - similarity) / 2, 0, 1) + 0.15 * np.abs(a - b)).mean(axis=-1)
    np.testing.assert_allclose(losses.photometric_error(a, b, pad=pad_one), expected, atol=5e-5)
    np.testing.assert_allclose(
        losses.photometric_error(a, b, pad=pad_one, ssim_weight=0.0),
        np.abs(a - b).mean(axis=-1),
        atol=1e-6,
    )
    np.testing.assert_allclose(losses.photometric_error(a, a, pad=pad_one), 0, atol=1e-6)


def test_gradients_are_finite_where_images_agree_and_where_disparity_is_plain():
    image, disparity = np.full((6, 3, 3, 1), 0.3, np.float32), np.ones((6, 3, 3), np.float32)

    def total(a, d):
        return (
            losses.photometric_error(a, image, pad=pad_one).sum()
            + losses.smoothness(d, image, pad=pad_one).sum()
        )

    assert all(
        np.isfinite(x).all() for x in jax.jit(jax.grad(total, argnums=(0, 1)))(image, disparity)
    )


def test_losses_refuse_uint8():
    whole, real = np.zeros((6, 4, 4, 3), np.uint8), np.zeros((6, 4, 4, 3), np.float32)
    for a, b, name in ((whole, real, 'first image'), (real, whole, 'second image')):
        with pytest.raises(ValueError, match=f'{name} is uint8'):
            losses.photometric_error(a, b, pad=pad_one)
    with pytest.raises(ValueError, match='image is uint8'):
        losses.smoothness(real[..., 0], whole, pad=pad_one)


def test_smoothness_of_a_ramp_is_its_slope_and_edges_excuse_it():
    def clamp_pad(images):
        return jnp.pad(
            images,
            [(0, 0)] * (images.ndim - 3) + [(1, 1), (1, 1), (0, 0)],
            mode='reflect',
            reflect_type='odd',
        )

    i, j = np.mgrid[:6, :8].astype(np.float32)
    plain, ramp = np.full((1, 6, 8, 3), 0.4, np.float32), (0.03 * i - 0.05 * j)[None]
    np.testing.assert_allclose(losses.smoothness(ramp, plain, pad=clamp_pad), 0.08, atol=1e-6)
    np.testing.assert_allclose(
        losses.smoothness(np.ones_like(ramp), plain, pad=clamp_pad), 0, atol=1e-6
    )
    # A colour step of 0.2 a pixel down the rows excuses the disparity step along them by exp(-10 x
    # 0.2).
    edges = np.broadcast_to((0.2 * i)[None, ..., None], (1, 6, 8, 3))
    np.testing.assert_allclose(
        losses.smoothness(ramp, edges, pad=clamp_pad), 0.05 + 0.03 * np.exp(-2), atol=1e-5
    )


def test_plain_is_what_has_no_texture_within_a_few_pixels():
    image = np.zeros((6, 16, 16, 3), np.float32)
    image[2, 8:, 8:] = np.random.default_rng(0).uniform(size=(8, 8, 3))
    plain = np.asarray(losses.plainness(image, pad=pad_one))
    np.testing.assert_array_equal(plain[0], 1)
    assert plain[2, 9:, 9:].max() < 1e-6 and plain[2, :5, :5].min() == 1
    slope = np.broadcast_to(np.arange(16, dtype=np.float32)[:, None, None] * 0.015, (6, 16, 16, 3))
    np.testing.assert_allclose(
        np.asarray(losses.plainness(slope, pad=pad_one))[:, 4:12, 4:12], np.exp(-1), rtol=1e-4
    )
    assert not np.asarray(jax.grad(lambda x: losses.plainness(x, pad=pad_one).sum())(slope)).any()


def test_smoothness_sees_steps_across_face_edges():
    disparity, image = np.zeros((6, 4, 4), np.float32), np.full((6, 4, 4, 3), 0.5, np.float32)
    disparity[1] = 1  # the right face: its left neighbour, front, meets it in the last column
    found = np.asarray(losses.smoothness(disparity, image, pad=pad_one))
    expected = np.zeros((6, 4, 4))
    # Steps are taken to the right and downwards only: into `right` from front, out of it into back
    # and down, and the sides of up and down.
    expected[0, :, -1] += 1
    expected[1, :, -1] += 1
    expected[1, -1, :] += 1
    expected[4, :, -1] += 1
    expected[5, :, -1] += 1
    np.testing.assert_array_equal(found, expected)


def test_weighted_mean():
    values, weights = np.array([[1.0, 2.0], [3.0, 10.0]]), np.array([1.0, 3.0])
    assert losses.weighted_mean(values, weights) == pytest.approx((1 + 6 + 3 + 30) / 8)
    # Every example counts the same, however much of it is masked.
    assert losses.weighted_mean(values, np.array([[1.0, 1.0], [1.0, 0.0]])) == pytest.approx(
        (1.5 + 3) / 2
    )
    assert losses.weighted_mean(values, np.zeros(2)) == 0
    assert np.isfinite(jax.grad(losses.weighted_mean)(jnp.asarray(values), jnp.zeros(2))).all()


@pytest.mark.parametrize(
    'rotation, translation, name',
    [((5, 3), (6, 3), 'rotation_vectors'), ((6, 3), (6, 4), 'translations')],
)
def test_pose_consistency_names_a_wrong_shape(rotation, translation, name):
    with pytest.raises(ValueError, match=name):
        losses.pose_consistency(np.zeros(rotation), np.zeros(translation))


def _wrapped(images, pixels):
    return jnp.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode='wrap')


@pytest.mark.parametrize('shift', [(0, 0), (-2, 1), (1, 2)])
def test_matching_costs_are_least_at_the_shift(shift):
    target = np.random.default_rng(2).uniform(size=(1, 12, 14, 3)).astype(np.float32)
    source = np.roll(target, shift, axis=(1, 2))
    costs = np.asarray(losses.matching_costs(target, source, 2, pad=_wrapped))
    assert costs.shape == (1, 12, 14, 25)
    assert (costs.argmin(axis=-1) == (shift[0] + 2) * 5 + shift[1] + 2).all()
    np.testing.assert_allclose(costs.mean(axis=-1), 0, atol=1e-6)


def test_matching_costs_match_brute_force_and_plain_images_fit_everywhere():
    random = np.random.default_rng(3)
    target, source = random.uniform(size=(2, 1, 5, 6, 3)).astype(np.float32)
    found = np.asarray(losses.matching_costs(target, source, 1, pad=_wrapped))
    for row, column in ((0, 0), (2, 3), (4, 5)):
        costs = []
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                pairs = [
                    (target[0, (row + i) % 5, (column + j) % 6],
                     source[0, (row + i + down) % 5, (column + j + right) % 6])
                    for i in (-1, 0, 1)
                    for j in (-1, 0, 1)
                ]  # fmt: skip
                costs.append(np.mean([np.abs(a - b) for a, b in pairs]))
        wanted = (np.array(costs) - np.mean(costs)) / (np.mean(costs) + 0.02)
        np.testing.assert_allclose(found[0, row, column], wanted, atol=1e-5)
    plain = np.full((1, 5, 6, 3), 0.4, np.float32)
    np.testing.assert_array_equal(losses.matching_costs(plain, plain, 1, pad=_wrapped), 0)
