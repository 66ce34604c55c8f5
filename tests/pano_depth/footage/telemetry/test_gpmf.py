"""GPMF: numbers of all types, axes of vectors, nests, damage."""

import struct

import numpy as np
import pytest

from pano_depth.footage.telemetry import gpmf
from tests.pano_depth.footage.telemetry.made_tracks import grav, klv, nest

VECTORS = np.array([[0.6, 0.8, 0], [0, 0.8, 0.6], [-0.28, 0.96, 0]])


def only(data):
    (item,) = gpmf.items(data)
    return item


@pytest.mark.parametrize(
    'kind, form, values',
    [
        ('b', '>2b', (-3, 100)),
        ('S', '>2H', (3, 65000)),
        ('l', '>2i', (-70000, 5)),
        ('f', '>2f', (0.5, -0.25)),
        ('d', '>2d', (0.1, 1e99)),
        ('J', '>2Q', (1, 2**40)),
    ],
)
def test_numbers_of_a_type(kind, form, values):
    data = struct.pack(form, *values)
    item = only(klv('ABCD', kind, len(data), data) + bytes(8))
    np.testing.assert_array_equal(gpmf.numbers(item), [values])


def test_fixed_points_and_samples_of_several_types():
    item = only(klv('ABCD', 'q', 4, struct.pack('>2i', 3 << 15, -(1 << 16))))
    np.testing.assert_array_equal(gpmf.numbers(item), [[1.5], [-1.0]])
    item = only(klv('ABCD', '?', 14, struct.pack('>3fhhhh2fh', 1, 2, 3, 4, 5, 0, 0, 0, 0, 0)[:28]))
    np.testing.assert_array_equal(gpmf.numbers(item, b'f[3]s')[0], [1, 2, 3, 4])
    with pytest.raises(ValueError, match='ABCD'):
        gpmf.numbers(item, b'f[2]s')
    with pytest.raises(ValueError, match='ABCD'):
        gpmf.numbers(only(klv('ABCD', 'c', 4, b'text')))


def test_vectors_of_the_stream_gravity_alone():
    found = gpmf.read(grav(VECTORS))
    np.testing.assert_allclose(found.gravity, VECTORS, atol=2e-5)
    assert found.turned == 0
    assert len(gpmf.read(nest('DEVC', klv('DVID', 'L', 4, bytes(4)))).gravity) == 0


def test_streams_with_clocks_are_nested_once_more():
    clock = klv('TICK', 'L', 4, bytes(4))
    vectors = [klv('GRAV', 'f', 12, struct.pack('>3f', *one)) for one in VECTORS]
    payload = nest('DEVC', nest('STRM', *(nest('GRAV', clock, one) for one in vectors)))
    np.testing.assert_allclose(gpmf.read(payload).gravity, VECTORS, atol=1e-6)


def test_axes_that_are_named_count():
    """GoPro's X is left, Y back, Z up: down to the right and ahead is (-x, -z, -y)."""
    down = np.array([[0.1, 0.9, 0.3]])
    left, back, up = -down[0, 0], -down[0, 2], -down[0, 1]
    for letters, stored in (('ZXY', (up, left, back)), ('YxZ', (back, -left, up))):
        found = gpmf.read(grav([stored], about=klv('ORIN', 'c', 1, letters.encode())))
        np.testing.assert_allclose(found.gravity, down, atol=5e-5)
    # Once more, turned by a matrix into the order that ORIO names.
    matrix = struct.pack('>9f', 0, 0, 1, 0, -1, 0, 1, 0, 0)
    about = klv('ORIN', 'c', 1, b'YxZ') + klv('ORIO', 'c', 1, b'ZXY') + klv('MTRX', 'f', 36, matrix)
    found = gpmf.read(grav([(back, -left, up)], about=about))
    np.testing.assert_allclose(found.gravity, down, atol=5e-5)


@pytest.mark.parametrize(
    'about',
    [
        klv('ORIN', 'c', 1, b'XXY'),
        klv('MTRX', 'f', 36, struct.pack('>9f', *np.eye(3).ravel())),
        klv('SCAL', 's', 2, bytes(2)),
        klv('SCAL', 's', 2, struct.pack('>2h', 1, 2)),
    ],
)
def test_axes_and_scales_that_cannot_be_read_are_refused(about):
    with pytest.raises(ValueError):
        gpmf.read(grav(VECTORS, about=about))


def test_pictures_that_the_camera_turned_are_noticed():
    half = np.radians(20) / 2
    turns = [(1, 0, 0, 0), (np.cos(half), 0, np.sin(half), 0)]
    stored = np.round(np.array(turns) * 32767).astype('>i2').tobytes()
    stream = nest(
        'STRM', klv('SCAL', 's', 2, struct.pack('>h', 32767)), klv('IORI', 's', 8, stored)
    )
    assert gpmf.read(nest('DEVC', stream)).turned == pytest.approx(20, abs=0.01)


def test_damage_is_an_error_of_one_sentence_or_nothing():
    payload, rng, refused = grav(VECTORS), np.random.default_rng(0), 0
    for trial in range(300):
        damaged = bytearray(payload)
        for place in rng.integers(0, len(payload), 1 + trial % 4):
            damaged[place] = rng.integers(256)
        try:
            found = gpmf.read(
                bytes(damaged[: rng.integers(len(payload))] if trial % 5 else damaged)
            )
            assert found.gravity.shape[1] == 3
        except ValueError as error:
            assert '\n' not in str(error)
            refused += 1
    assert 50 < refused < 290
