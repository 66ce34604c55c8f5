"""Triplets of many clips: which are drawn, how often, and with which masks; rooms beside them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.learning.footage_source import FootageSource, TrainingClip, WithRooms

SIZE = (16, 32)


def clip(number, frames, stride=1, valid=None):
    """A clip whose pixels say which clip and which frame they are of."""
    images = np.zeros((frames, *SIZE, 3), np.uint8)
    images[..., 0], images[..., 1] = number, np.arange(frames)[:, None, None]
    return TrainingClip(f'clip {number}', images, stride, valid)


def numbers(batch):
    """(clip, frame) of each image of a batch, [n, 3] each."""
    return batch['frames'][..., 0, 0, 0].astype(int), batch['frames'][..., 0, 0, 1].astype(int)


def test_triplets_stay_in_a_clip_and_have_its_stride_or_less():
    source = FootageSource([clip(0, 26, 3), clip(1, 40, 1)], batch_size=400)
    clips, frames = numbers(source.batch(0, range(400)))
    assert (clips == clips[:, :1]).all()
    before, after = frames[:, 1] - frames[:, 0], frames[:, 2] - frames[:, 1]
    assert (before == after).all() and set(before[clips[:, 0] == 1]) == {1}
    near = before[clips[:, 0] == 0]
    assert set(near) == {1, 2, 3} and np.mean(near < 3) == pytest.approx(0.25, abs=0.1)
    assert set(frames[clips[:, 0] == 1][:, 1]) <= set(range(1, 39))


def test_longer_clips_are_drawn_more_often_up_to_a_cap():
    clips = [clip(0, 12), clip(1, 102)]
    free = FootageSource(clips, batch_size=2000).batch(0, range(2000))
    assert np.mean(numbers(free)[0][:, 0]) == pytest.approx(100 / 110, abs=0.03)
    capped = FootageSource(clips, batch_size=2000, cap=10).batch(0, range(2000))
    assert np.mean(numbers(capped)[0][:, 0]) == pytest.approx(0.5, abs=0.05)


def test_a_batch_depends_on_seed_and_step_and_splits_over_hosts():
    make = lambda seed: FootageSource([clip(0, 30), clip(1, 30)], batch_size=8, seed=seed)
    whole = make(0).batch(5, range(8))['frames']
    halves = [make(0).batch(5, part)['frames'] for part in (range(4), range(4, 8))]
    np.testing.assert_array_equal(whole, np.concatenate(halves))
    assert (whole != make(1).batch(5, range(8))['frames']).any()
    assert (whole != make(0).batch(6, range(8))['frames']).any()


def test_masks_come_with_their_frames():
    valid = np.ones((5, *SIZE), bool)
    for i in range(5):
        valid[i, i] = False
    masked = clip(1, 5, valid=np.packbits(valid.reshape(5, -1), axis=1))
    source = FootageSource([clip(0, 5), masked], batch_size=32)
    batch = source.batch(0, range(32))
    clips, frames = numbers(batch)
    images, truth = source.sample(batch, {})
    assert images.shape == (32, 3, *SIZE, 3) and truth.valid.shape == (32, 3, *SIZE)
    for one, some, counts in zip(clips[:, 0], frames, np.asarray(truth.valid), strict=True):
        expected = valid[some] if one else np.ones((3, *SIZE), bool)
        np.testing.assert_array_equal(counts, expected)
    assert source.sample({'frames': batch['frames']}, {})[1] is None


def test_clips_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='no clips'):
        FootageSource([], batch_size=1)
    with pytest.raises(ValueError, match='clip 0 has 6 frames; triplets 3 frames apart need'):
        FootageSource([clip(0, 6, 3)], batch_size=1)
    other = TrainingClip('other', np.zeros((5, 8, 16, 3), np.uint8), 1)
    with pytest.raises(ValueError, match='accepted: one size'):
        FootageSource([clip(0, 5), other], batch_size=1)


class Grey:
    """Stands for rooms: images of the grey value of their step."""

    shared = {}

    def batch(self, step, examples):
        return {'step': np.full(len(examples), step, np.int32)}

    @staticmethod
    def sample(batch, shared):
        grey = batch['step'][:, None, None, None, None] / 255
        return jnp.broadcast_to(grey, (len(batch['step']), 3, *SIZE, 3)), None


def test_rooms_stand_beside_footage_in_their_share_of_the_steps():
    valid = np.packbits(np.zeros((5, SIZE[0] * SIZE[1]), bool), axis=1)
    footage = FootageSource([clip(9, 5, valid=valid)], batch_size=2)
    source = WithRooms(footage, Grey(), 0.25)
    batches = [source.batch(step, range(2)) for step in range(8)]
    assert [bool(b['is_rooms'][0]) for b in batches] == [False, False, False, True] * 2
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), b) for b in batches]
    assert all(shape == shapes[0] for shape in shapes)
    sample = jax.jit(lambda batch: source.sample(batch, {}))
    images, truth = sample(batches[1])
    expected, _ = footage.sample(footage.batch(1, range(2)), {})
    np.testing.assert_allclose(images, expected, rtol=1e-6)
    assert not truth.valid.any()
    images, truth = sample(batches[7])
    np.testing.assert_allclose(images, 7 / 255, rtol=1e-6)
    assert truth.valid.all()
    with pytest.raises(ValueError, match='share is 2'):
        WithRooms(footage, Grey(), 2)
