"""Masks of frames: small ones with known answers, and files that are made only when needed."""

import numpy as np
import pytest

from pano_depth.footage.footage import Footage, Frame
from pano_depth.reconstruction import validity
from pano_depth.reconstruction.analysis import read_frames

RNG = np.random.default_rng(0)
FIXED = np.ones((8, 16), bool)
FIXED[6:] = False
OWN = RNG.random((3, 16, 32)) > 0.3


def test_a_frame_has_its_own_mask_or_that_of_all():
    assert validity.of_frame(None, 4) is None
    np.testing.assert_array_equal(validity.of_frame(FIXED, 4), FIXED)
    np.testing.assert_array_equal(validity.of_frame(OWN, 2), OWN[2])
    np.testing.assert_array_equal(validity.of_frame(FIXED, 0, 16), FIXED.repeat(2, 0).repeat(2, 1))


def test_a_pixel_counts_if_all_masks_say_so(tmp_path):
    large = FIXED.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(validity.both(FIXED, OWN[0]), large & OWN[0])
    assert validity.both(FIXED, None) is FIXED is validity.both(None, FIXED)
    assert validity.both(None, None) is None
    assert validity.combined(FIXED, None, tmp_path / 'no') is FIXED
    assert validity.combined(None, OWN, tmp_path / 'no') is OWN and not list(tmp_path.iterdir())
    found = validity.combined(FIXED, OWN, tmp_path / 'masks')
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, OWN & large)


def test_hidden_pixels_look_like_what_is_around():
    rows = np.linspace(0, 255, 32).astype(np.uint8)
    image = np.broadcast_to(rows[:, None, None], (32, 64, 3)).copy()
    valid = np.ones((32, 64), bool)
    # Around the seam, too.
    valid[12:18, :4] = valid[12:18, -4:] = False
    spoilt = np.where(valid[..., None], image, RNG.integers(0, 256, image.shape, np.uint8))
    found = validity.filled(spoilt, valid)
    np.testing.assert_array_equal(found[valid], image[valid])
    assert np.abs(found.astype(int) - image)[~valid].max() < 60
    assert np.abs(spoilt.astype(int) - image)[~valid].max() > 120
    # What was there does not matter; nothing changes where nothing is hidden.
    np.testing.assert_array_equal(validity.filled(image, valid), found)
    assert validity.filled(image, None) is image is validity.filled(image, valid | True)
    assert not validity.filled(image, np.zeros((32, 64), bool)).any()


def test_shares_and_digests_tell_masks_apart():
    half = np.zeros((16, 32), bool)
    half[:8] = True
    assert validity.hidden_share(None) == 0 and validity.hidden_share(half) == pytest.approx(0.5)
    both = np.stack([half, half | True])
    assert validity.hidden_share(both) == pytest.approx(0.25)
    assert validity.blank(both) == 0 and validity.blank(np.stack([half, half & False])) == 1
    assert validity.any_left(None, both) and validity.any_left(None, None)
    assert not validity.any_left(~half, half[None])
    found = {validity.digest(mask) for mask in (None, half, both, both[::-1])}
    assert len(found) == 4 and '' in found


@pytest.mark.parametrize(
    'mask, words',
    [
        (np.ones((3, 16, 32), bool), 'mask has 3 frames; accepted: one mask, or 2 of them'),
        (np.ones((16, 16), bool), 'mask is 16 x 16 pixels'),
        (np.ones((16, 32), np.float32), r'mask is float32 of shape \(16, 32\); accepted: bool'),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, words):
    with pytest.raises(ValueError, match=words):
        validity.check(mask, 2)
    validity.check(None, 2)


def _footage(valid):
    """Frames of noise; `valid` is what of each counts."""

    def read(size, start, stride):
        for index in range(start, len(valid), stride):
            image = np.random.default_rng(index).integers(0, 256, (16, 32, 3), np.uint8)
            yield Frame(index, f'frame {index}', image, valid=valid[index])

    return Footage('noise', 16, 32, 10.0, len(valid), read)


def test_what_counts_is_read_into_a_file_from_the_first_frame_that_says_it(tmp_path):
    everything = np.ones((16, 32), bool)
    whole = read_frames(_footage([None, everything, None]), 16, tmp_path / 'whole')
    assert whole.valid is None and [path.name for path in tmp_path.iterdir()] == ['whole']
    masks = [None, OWN[0], everything, OWN[1]]
    found = read_frames(_footage(masks), 16, tmp_path / 'some')
    assert isinstance(found.valid, np.memmap)
    expected = np.stack([everything, OWN[0], everything, OWN[1]])
    np.testing.assert_array_equal(found.valid, expected)
    raw = read_frames(_footage([None] * 4), 16, tmp_path / 'raw')
    np.testing.assert_array_equal(found.images[expected], raw.images[expected])
    assert (found.images != raw.images)[~expected].mean() > 0.9
    # The hash tells whether what counts has changed.
    other = read_frames(_footage([None, OWN[0], None, OWN[2]]), 16, tmp_path / 'other')
    assert len({found.sha256, raw.sha256, other.sha256}) == 3
    again = read_frames(_footage(masks), 16, tmp_path / 'again')
    assert again.sha256 == found.sha256


def test_a_smaller_pixel_counts_if_all_of_it_does(tmp_path):
    large = np.ones((64, 128), bool)
    large[13, 5] = False

    def read(size, start, stride):
        yield Frame(0, 'one', np.zeros((32, 64, 3), np.uint8), valid=large)

    found = read_frames(Footage('one', 64, 128, 10.0, 1, read), 32, tmp_path / 'frames').valid
    assert list(zip(*np.nonzero(~found[0]), strict=True)) == [(6, 2)]


def test_footage_without_any_pixel_that_counts_is_one_sentence(tmp_path):
    nothing = np.zeros((16, 32), bool)
    with pytest.raises(ValueError, match='noise has no pixel that counts: all of every frame'):
        read_frames(_footage([nothing, nothing]), 16, tmp_path / 'frames')
    with pytest.raises(ValueError, match='no pixel that counts'):
        read_frames(_footage([~FIXED.repeat(2, 0).repeat(2, 1)]), 16, tmp_path / 'f', mask=FIXED)
    found = read_frames(_footage([nothing, None]), 16, tmp_path / 'frames')
    assert validity.blank(found.valid) == 1
