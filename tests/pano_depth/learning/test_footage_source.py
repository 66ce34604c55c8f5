"""Triplets of many clips: which are drawn, how often, and with which masks; rooms beside them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels.rigid import Motion
from pano_depth.learning.footage_source import FootageSource, Labels, TrainingClip, WithRooms
from pano_depth.learning.triplets import Truth

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


def labelled(number, frames, share=1.0, *, sure=True):
    """A clip whose labels say which frame they are of."""
    depth = np.ones((frames, *SIZE), np.float16) * (1 + np.arange(frames)[:, None, None])
    depth[:, 0] = 0
    confidence = np.where(depth > 0, 51, 0).astype(np.uint8) if sure else None
    rotation = np.broadcast_to(np.eye(3, dtype=np.float32), (frames, 3, 3))
    places = np.zeros((frames, 3), np.float32)
    places[:, 0] = 10.0 * np.arange(frames)
    labels = Labels(depth, confidence, rotation, places, share)
    return clip(number, frames)._replace(labels=labels)


def test_labels_come_with_their_frames():
    source = FootageSource(
        [clip(0, 5), labelled(1, 5, 0.5), labelled(2, 5, sure=False)], batch_size=48
    )
    batch = source.batch(0, range(48))
    clips, frames = numbers(batch)
    kind = clips[:, 0]
    _, truth = source.sample(batch, {})
    depth, sure = np.asarray(truth.depth), np.asarray(truth.confidence)
    known = kind > 0
    np.testing.assert_array_equal(truth.share, np.array([0, 0.5, 1])[kind])
    np.testing.assert_array_equal(depth[known, 5, 5], 1 + frames[known, 1])
    assert not depth[~known].any() and not depth[:, 0].any()
    np.testing.assert_allclose(sure[:, 5, 5], np.array([0, 0.2, 1])[kind], rtol=1e-6)
    assert not sure[:, 0].any()
    # The camera moves right: the target is right of the previous frame, left of the next one.
    moved = np.asarray(truth.motion.translation).reshape(2, 48, 3)
    np.testing.assert_allclose(moved[:, known, 0], [[10.0], [-10.0]] * np.ones(known.sum()))
    assert not moved[:, ~known].any()
    np.testing.assert_array_equal(truth.motion.rotation[0], np.eye(3))


def test_a_target_of_which_nothing_is_sure_teaches_no_motion():
    """Without depth, nobody knows in which unit the camera moved."""
    unsure = labelled(1, 5)
    unsure.labels.confidence[2] = 0
    far = labelled(2, 5, sure=False)
    far.labels.depth[2] = 0
    source = FootageSource([unsure, far], batch_size=32)
    batch = source.batch(0, range(32))
    _, frames = numbers(batch)
    np.testing.assert_array_equal(batch['share'], frames[:, 1] != 2)
    assert not batch['share'].all() and batch['share'].any()


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


class KnownGrey(Grey):
    """Rooms whose depth and motion are known."""

    @staticmethod
    def sample(batch, shared):
        images, _ = Grey.sample(batch, shared)
        count = len(images)
        motion = Motion(jnp.tile(jnp.eye(3), (2 * count, 1, 1)), jnp.full((2 * count, 3), 7.0))
        return images, Truth(jnp.full((count, *SIZE), 3.0), motion)


@pytest.mark.parametrize('truth_share', [0.0, 0.25])
def test_labels_of_rooms_count_by_their_share(truth_share):
    footage = FootageSource([labelled(1, 5)], batch_size=2)
    source = WithRooms(footage, KnownGrey(), 0.5, truth_share=truth_share)
    sample = jax.jit(lambda batch: source.sample(batch, {}))
    _, of_footage = sample(source.batch(0, range(2)))
    _, of_rooms = sample(source.batch(1, range(2)))
    assert (of_footage.share == 1).all() and (of_rooms.share == truth_share).all()
    assert (of_rooms.depth == 3).all() and (of_rooms.confidence == 1).all()
    assert (of_rooms.motion.translation == 7).all() and of_footage.depth[0, 5, 5] > 0
    # Footage without labels beside rooms with them; and none of both.
    plain = FootageSource([clip(1, 5)], batch_size=2)
    _, truth = WithRooms(plain, KnownGrey(), 0.5, truth_share=truth_share).sample(
        WithRooms(plain, KnownGrey(), 0.5).batch(0, range(2)), {}
    )
    assert truth is None if not truth_share else not (truth.share.any() or truth.depth.any())


class GreyWithTripod(Grey):
    """Rooms in which a tripod hides the lowest row."""

    @staticmethod
    def sample(batch, shared):
        images, _ = Grey.sample(batch, shared)
        return images, Truth(shown=jnp.ones(images.shape[:4]).at[:, :, -1].set(0))


def test_a_tripod_in_rooms_beside_footage_is_no_part_of_the_scene():
    source = WithRooms(FootageSource([clip(1, 5)], batch_size=2), GreyWithTripod(), 0.5)
    sample = jax.jit(lambda batch: source.sample(batch, {})[1])
    of_footage, of_rooms = (sample(source.batch(step, range(2))) for step in range(2))
    assert of_footage.valid is None and of_footage.shown.all()
    assert not of_rooms.shown[:, :, -1].any() and of_rooms.shown[:, :, :-1].all()
