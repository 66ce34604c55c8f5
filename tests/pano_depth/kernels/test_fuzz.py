"""Kernels on unusual input: a right answer, or one clear error.

Shapes are tried on abstract arrays, which compiles nothing; values on one shape per kernel and
type.
"""

import functools

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pano_depth.kernels import cube, rigid, sphere, warp

# Derandomised, so that a failure is everybody's failure; the first examples compile.
quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
abstractly = settings(quick, max_examples=30)

EXTREMES = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.3,
    -2.5,
    1e-45,
    1e-38,
    1e-30,
    -1e-20,
    1e20,
    -1e30,
    3e38,
    np.inf,
    -np.inf,
    np.nan,
)
DTYPES = (np.float16, np.float32, np.float64, np.int32, np.uint8, np.bool_)
sizes = st.integers(0, 3)
dtypes = st.sampled_from(DTYPES)


def shapes(*last):
    """Shapes that end as told, and shapes that do not."""
    right = st.lists(sizes, max_size=2).map(lambda batch: (*batch, *last))
    return st.one_of(right, st.lists(sizes, max_size=5).map(tuple))


def abstract(shape, dtype=np.float32):
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype))


def outcome(function, *arguments):
    """Shapes and types of a result, or None after an error that a person can act on."""
    try:
        return jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), jax.eval_shape(function, *arguments)
        )
    except ValueError as error:
        check_message(error)
        return None


def check_message(error):
    text = str(error)
    assert 15 < len(text) < 1000 and 'Traceback' not in text and 'tracer' not in text.lower()
    accepted = (
        'expected',
        'accepted',
        'whole number',
        'W = 2H',
        'do not broadcast',
        'must match',
        'must be',
    )
    assert any(word in text for word in accepted), text


def broadcast(*parts):
    try:
        return np.broadcast_shapes(*parts)
    except ValueError:
        return None


right = st.tuples(sizes, sizes).map(lambda s: (s[0], 2 * s[0], s[1]))
equirects = st.one_of(right, st.lists(sizes, max_size=4).map(tuple))
batches = st.sampled_from([(), (2,), (0,), (2, 3)])
batched = st.tuples(batches, equirects).map(lambda parts: parts[0] + parts[1])
cubes = st.tuples(batches, sizes, sizes).map(lambda s: s[0] + (6, s[1], s[1], s[2]))


def is_equirect(image):
    return len(image) >= 3 and image[-3] >= 1 and image[-2] == 2 * image[-3]


@abstractly
@given(batched, shapes(3), dtypes, st.sampled_from(['bilinear', 'nearest', 'cubic']))
def test_sampling_of_any_shape(image, directions, dtype, method):
    found = outcome(
        lambda x, d: sphere.sample_equirect(x, d, method=method),
        abstract(image, dtype),
        abstract(directions),
    )
    if not is_equirect(image) or directions[-1:] != (3,) or method == 'cubic':
        assert found is None
        return
    batch, grid = image[:-3], directions[:-1]
    shared = grid[: len(batch)] != batch
    assert found == ((batch + grid if shared else grid) + image[-1:], abstract(image, dtype).dtype)


@abstractly
@given(batched, st.sampled_from([-1, 0, 1, 2, 3, 2.5, None, np.int64(2)]), dtypes)
def test_cubes_of_any_shape(image, face_size, dtype):
    found = outcome(lambda x: cube.equirect_to_cube(x, face_size), abstract(image, dtype))
    whole = isinstance(face_size, (int, np.integer)) and face_size >= 1
    if not is_equirect(image) or not whole:
        assert found is None
    else:
        assert found == (
            image[:-3] + (6, face_size, face_size) + image[-1:],
            abstract(image, dtype).dtype,
        )


@abstractly
@given(
    st.one_of(cubes, shapes(6, 2, 2, 1)),
    st.sampled_from([-1, 0, 1, 2, 5, 1.0, None]),
    dtypes,
    st.sampled_from([(2, 4), (2, 5), (0, 0), (-2, -4), (2.0, 4.0), (None, 4)]),
)
def test_faces_of_any_shape(faces, pad, dtype, size):
    fits = len(faces) >= 4 and faces[-4] == 6 and faces[-3] == faces[-2]
    padded = outcome(lambda x: cube.cube_pad(x, pad), abstract(faces, dtype))
    if fits and isinstance(pad, int) and 0 <= pad <= faces[-2]:
        side = faces[-2] + 2 * pad
        assert padded == (faces[:-3] + (side, side) + faces[-1:], abstract(faces, dtype).dtype)
    else:
        assert padded is None
    flat = outcome(lambda x: cube.cube_to_equirect(x, *size), abstract(faces, dtype))
    if fits and faces[-2] >= 1 and size == (2, 4) and isinstance(size[0], int):
        assert flat == (faces[:-4] + size + faces[-1:], abstract(faces, dtype).dtype)
    else:
        assert flat is None


@abstractly
@given(shapes(3, 3), shapes(3), shapes(3, 3), dtypes)
def test_motions_of_any_shape(rotation, vector, other, dtype):
    r, v, o = abstract(rotation, dtype), abstract(vector, dtype), abstract(other, dtype)
    is_rotation, is_vector = rotation[-2:] == (3, 3), vector[-1:] == (3,)
    turned = broadcast(rotation[:-2], vector[:-1]) if is_rotation and is_vector else None
    assert outcome(rigid.rotate, r, v) == (None if turned is None else (turned + (3,), np.float32))
    assert outcome(rigid.so3_log, r) == ((rotation[:-1], np.float32) if is_rotation else None)
    assert outcome(rigid.so3_exp, v) == ((vector + (3,), np.float32) if is_vector else None)
    back = outcome(rigid.inverse, rigid.Motion(r, v))
    assert (back is None) == (turned is None) and (
        back is None or back.translation[0] == turned + (3,)
    )
    chained = outcome(rigid.compose, rigid.Motion(r, v), rigid.Motion(o, v))
    fits = turned is not None and other[-2:] == (3, 3)
    if fits and broadcast(rotation[:-2], other[:-2], vector[:-1]) is not None:
        both = broadcast(rotation[:-2], other[:-2])
        assert chained == rigid.Motion((both + (3, 3), np.float32), (turned + (3,), np.float32))
    else:
        assert chained is None


@abstractly
@given(shapes(3), shapes(), shapes(3, 3), shapes(3), dtypes)
def test_reprojection_of_any_shape(directions, depth, rotation, translation, dtype):
    arguments = (abstract(shape, dtype) for shape in (directions, depth, rotation, translation))
    found, grid = outcome(warp.reproject, *arguments), broadcast(directions[:-1], depth)

    def first(leading):
        return (
            grid is not None
            and len(leading) <= len(grid)
            and all(n in (1, m) for n, m in zip(leading, grid))
        )

    fits = (
        directions[-1:] == translation[-1:] == (3,)
        and rotation[-2:] == (3, 3)
        and first(rotation[:-2])
        and first(translation[:-1])
    )
    assert found == ((grid + (3,), np.float32) if fits else None)


@quick
@given(*(st.sampled_from([-4, 0, 1, 2, 3, 4, 8, 2.0, None]),) * 2)
def test_sizes_of_any_kind(height, width):
    whole = isinstance(height, int) and height >= 1
    for function in (sphere.ray_directions, sphere.solid_angles):
        found = outcome(functools.partial(function, height, width))
        assert (found is not None) == (whole and isinstance(width, int) and width == 2 * height)
        assert found is None or found[0][:2] == (height, width)
    for function in (cube.face_directions, cube.face_solid_angles):
        found = outcome(functools.partial(function, height))
        assert (found is not None) == whole and (not whole or height in found[0])


def test_a_source_whose_batch_is_not_that_of_the_depth_is_refused():
    rays, eye, still = np.zeros((2, 4, 3)), np.eye(3), np.zeros(3)
    with pytest.raises(
        ValueError, match=r'source has shape \(3, 2, 4, 1\).*axes of the depth, \(2, 2, 4\)'
    ):
        warp.synthesize(np.zeros((3, 2, 4, 1)), rays, np.ones((2, 2, 4)), eye, still)


project = jax.jit(lambda d: sphere.project(d, 8, 16))
explore = jax.jit(lambda d, z, r, t: warp.reproject(d, z, rigid.so3_exp(r), t))
exp_log = jax.jit(lambda w: (rigid.so3_exp(w), rigid.so3_log(rigid.so3_exp(w))))
sample = jax.jit(sphere.sample_equirect)
vectors = st.lists(st.sampled_from(EXTREMES), min_size=3, max_size=3)


def directions_of(vector):
    """A float64 unit vector, or None where the entries are no direction in float32."""
    vector = np.asarray(vector, np.float32).astype(np.float64)
    largest = np.abs(vector).max()
    # Backends take denormal numbers for zero.
    if not (np.isfinite(vector).all() and largest > 1e-37):
        return None
    return vector / largest / np.linalg.norm(vector / largest)


@quick
@given(vectors, st.sampled_from([np.float32, np.float16, np.int32, np.uint8, np.bool_]))
def test_directions_of_any_length_and_type_point_where_they_point(vector, dtype):
    if dtype is not np.float32:
        low = 0 if dtype in (np.uint8, np.bool_) else -250
        vector = np.nan_to_num(vector, nan=1, posinf=250, neginf=1).clip(low, 250)
    vector = np.asarray(vector, np.float32).astype(dtype)
    u, v = np.asarray(project(vector[None]))[:, 0]
    unit = directions_of(vector)
    if unit is None:
        assert np.isnan([u, v]).any() or -0.51 <= u <= 15.51 and -0.51 <= v <= 7.51
        return
    assert -0.501 <= u <= 15.501 and -0.501 <= v <= 7.501
    lon, lat = ((u + 0.5) / 16 - 0.5) * 2 * np.pi, (0.5 - (v + 0.5) / 8) * np.pi
    seen = np.array([np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)])
    np.testing.assert_allclose(seen, unit, atol=2e-6)


@quick
@given(vectors)
def test_rotations_of_any_vector_are_rotations_or_no_numbers(omega):
    omega = np.asarray(omega, np.float32)
    rotation, back = map(np.asarray, exp_log(omega))
    angle = np.linalg.norm(omega.astype(np.float64))
    if not angle < 1e15:
        assert rotation.shape == (3, 3)
        return
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
    if angle < 3:
        np.testing.assert_allclose(back, omega, atol=1e-5)


@quick
@given(
    st.sampled_from([-1.0, 0.3, 1.0]),
    st.sampled_from([0, 1e-45, 1e-30, 1e-3, 1, 1e3, 1e20, 1e30, 3e38, np.inf]),
    vectors,
)
def test_points_at_any_distance_are_seen_in_their_direction(x, depth, translation):
    ray = np.array([x, 0.5, 0.7]) / np.linalg.norm([x, 0.5, 0.7])
    translation = (
        np.nan_to_num(translation, nan=0, posinf=1, neginf=-1).clip(-1e20, 1e20).astype(np.float32)
    )
    arguments = (np.asarray(a, np.float32) for a in (ray[None], [depth], np.zeros(3), translation))
    found = np.asarray(explore(*arguments))[0]
    point = ray * min(depth, 1e33) + translation.astype(np.float64)
    assert abs(np.linalg.norm(found) - 1) < 1e-5
    if np.abs(point).max() > 1e-25:
        np.testing.assert_allclose(found, point / np.linalg.norm(point), atol=1e-5)


@quick
@given(
    st.lists(st.sampled_from(EXTREMES), min_size=8, max_size=8),
    st.sampled_from([np.float32, np.float16, np.uint8]),
)
def test_samples_lie_between_their_pixels(pixels, dtype):
    pixels = np.nan_to_num(pixels).clip(0, 255) if dtype is np.uint8 else np.asarray(pixels)
    with np.errstate(over='ignore'):
        image = pixels.astype(dtype).reshape(2, 4, 1)
    found = np.asarray(sample(image, np.array([[1, 0.2, -3], [0, 1, 0]], np.float32)))
    assert found.shape == (2, 1) and found.dtype == dtype
    image, found = image.astype(np.float64), found.astype(np.float64)
    if np.isfinite(image).all():
        margin = 1e-3 * np.abs(image).max() + 1e-30
        assert image.min() - margin <= found.min() and found.max() <= image.max() + margin
