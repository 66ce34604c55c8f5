"""Depth of frames by a sweep over hypotheses, and the check by other views."""

from collections import OrderedDict
from collections.abc import Callable
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, UInt8

from pano_depth.footage import media
from pano_depth.footage.geometry import as_trajectory
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction import validity
from pano_depth.reconstruction.sweep import confirm, light, search, textures, views, volume
from pano_depth.reconstruction.sweep.config import Fill, SweepConfig
from pano_depth.reconstruction.validity import Mask

_DEFAULT = SweepConfig()
CONFIRMING = 4  # views that may confirm a frame
_IMAGES = 24  # frames whose images are kept, for the frames that are compared with them
_MAPS = 48  # frames whose depth is kept, for the frames that they may confirm


class Sweep:
    """The sweep over frames of one moving camera; what frames share is computed once.

    Attributes:
        height: rows of the frames and of their depth.
        config: how.
        fill: see `refine`.
    """

    def __init__(
        self,
        frames: UInt8[Array, 'frames height width 3'],
        poses: Motion,
        prior: Float[Array, 'frames rows columns'],
        *,
        mask: Mask = None,
        fill: Fill = 'networks',
        config: SweepConfig = _DEFAULT,
    ):
        """Checks the arguments, which are those of `refine`.

        Raises:
            ValueError: shapes do not fit, or frames are not uint8.
        """
        poses = as_trajectory(poses, 'poses')
        _check(frames, poses, prior, mask, fill)
        self.height, self.config = frames.shape[1], config
        self.fill, self._frames, self._prior, self._poses = fill, frames, prior, poses
        self._mask, self._everything = mask, np.ones((self.height, 2 * self.height), bool)
        own = mask is not None and mask.ndim == 3
        self._hidden = None if own else self._hidden_in(0)
        self._coarse = np.stack([self._coarse_of(index) for index in range(len(prior))])
        self._shown = _kept(self._show, 2)
        self._levels = search.levels(self.height)
        self._features = _kept(self._make_features, 4)
        self._words = _kept(lambda key: textures.pack(self._features(key)), _IMAGES)
        self._grey = _kept(self._make_grey, 8 * _IMAGES)
        self._raw = _kept(self._sweep, _MAPS)

    def _counts_in(self, index):
        """Which pixels of a frame count, [H, 2H]."""
        found = validity.of_frame(self._mask, index, self.height)
        return self._everything if found is None else found

    def _hidden_in(self, index):
        """Which do not, on the device; [1, 1] where there is no mask."""
        return jnp.asarray(
            ~(np.ones((1, 1), bool) if self._mask is None else self._counts_in(index))
        )

    def _coarse_of(self, index):
        """`views.coarse` of the prior, 0 where the mask hides it."""
        found = views.coarse(self._prior[index])
        counts = validity.of_frame(self._mask, index, len(found))
        return found if counts is None else np.where(counts, found, 0)

    def _show(self, index):
        """A frame; what is hidden looks as what is around it: gradients and means reach it."""
        frame = np.asarray(self._frames[index])
        return validity.filled(frame, validity.of_frame(self._mask, index))

    def _make_features(self, key):
        index, height = key
        hidden = self._hidden_in(index) if self._hidden is None else self._hidden
        return textures.features(self._shown(index), hidden, height)

    def _make_grey(self, index):
        return light.small_grey(self._features((index, self._levels[0]))[:3])

    def _prior_of(self, index, height):
        """Range by the prior, 0 where it is unknown or the mask hides it."""
        known = views.known(media.nearest(np.asarray(self._prior[index]), height))
        return np.where(media.nearest(self._counts_in(index), height), known, 0)

    def sources(self, index: Size) -> list[int]:
        """Frames that a frame is compared with."""
        return views.choose(self._poses, self._coarse, index, self.config.sources)

    def _motions(self, index, others):
        """Motions from the camera of a frame to those of others, one array of each."""
        motions = [views.relative(self._poses, index, j) for j in others]
        return Motion(*(np.stack(parts) for parts in zip(*motions)))

    def _compared(self, index, sources, height):
        """`volume.Sources` of a frame on one level."""
        motions = self._motions(index, sources)
        grey = self._grey(index)
        depth = jnp.asarray(self._prior_of(index, grey.shape[0]))
        gains = [
            light.ratio(grey, self._grey(j), depth, rotation, position)
            for j, rotation, position in zip(sources, *motions)
        ]
        return volume.Sources(
            jnp.stack([self._words((j, height)) for j in sources]),
            *map(jnp.asarray, motions),
            jnp.stack([light.larger(gain, height) for gain in gains]),
        )

    def _sweep(self, index):
        """Inverse range of a frame before the check, 0 where it is hidden; None: no source."""
        sources = self.sources(index)
        if not sources:
            return None
        # One compiled program, however many sources a frame has: some count twice.
        sources = _repeated(sources, self.config.sources)
        plane = None
        for height in self._levels:
            target = self._features((index, height))
            compared = self._compared(index, sources, height)
            if plane is None:
                prior = self._prior_of(index, height)
                coarse = self._coarse[index]
                plane = search.anywhere(target, compared, coarse, prior, self.config)
                inverse = plane[0]
            else:
                inverse = search.finer(target, compared, plane)
            plane = search.closer(target, compared, inverse, self.config)
        return np.where(self._counts_in(index), np.asarray(plane[0]), 0)

    def refined(
        self, index: Size
    ) -> tuple[Float32[np.ndarray, 'height width'], Float32[np.ndarray, 'height width']]:
        """(depth, confidence) of a frame, as `refine` gives them.

        Raises:
            IndexError: there is no such frame.
        """
        count = len(self._frames)
        if not -count <= index < count:
            raise IndexError(f'index is {index}; there are {count} frames')
        index = int(index) % count
        prior, found = self._prior_of(index, self.height), self._raw(index)
        if found is None:
            found, sure = np.zeros_like(prior), np.full_like(prior, confirm.UNKNOWN)
        else:
            sure, found = self._confirmed(index, found)
        if self.fill == 'none':
            return confirm.only_confirmed(found, sure)
        return confirm.filled(found, sure, prior)

    def _confirmed(self, index, inverse):
        """(how well two other views agree with a frame where their parallax can tell, its inverse
        range averaged with those that agree).
        """
        near = sorted(self.sources(index), key=lambda j: abs(j - index))
        motions = self._motions(index, near)
        found = []
        for number, (j, rotation, position) in enumerate(zip(near, *motions)):
            # A frame farther away would be swept for this one alone, and once more in its turn.
            if number < CONFIRMING or abs(j - index) < _MAPS // 2:
                other = self._raw(j)
                if other is not None:
                    found.append(confirm.compare(inverse, other, rotation, position))
        if not found:
            return np.zeros_like(inverse), inverse
        agreements, differences = (np.stack(parts) for parts in zip(*jax.device_get(found)))
        nearest = agreements[:CONFIRMING]
        second = np.sort(nearest, axis=0)[max(0, len(nearest) - 2)]
        centres = -np.einsum('nji,nj->ni', *motions)
        # As many as there are sources at most, for one compiled program.
        centres = jnp.asarray(np.stack(_repeated(centres, self.config.sources)))
        shown = textures.textured(self._features((index, self._levels[0])))
        told = confirm.precision(inverse, centres) * light.larger(shown, self.height)
        return second * np.asarray(told), confirm.averaged(inverse, agreements, differences)


def refine(
    frames: UInt8[Array, 'frames height width 3'],
    poses: Motion,
    prior: Float[Array, 'frames rows columns'],
    index: Size,
    *,
    mask: Mask = None,
    fill: Fill = 'networks',
    config: SweepConfig = _DEFAULT,
) -> tuple[Float32[np.ndarray, 'height width'], Float32[np.ndarray, 'height width']]:
    """Depth of one frame by multi-view stereo on the sphere, and how sure it is.

    For all frames, `Sweep` computes what they share once.

    Args:
        frames: equirectangular, one moving camera in order.
        poses: camera to world, in the unit of the prior.
        prior: range of all frames at any size, such as the networks'; 0 or not finite where
            unknown.
        index: of the frame.
        mask: False for what does not count, such as what moves along with the camera, at any size:
            one mask for all frames, or one for each; None: everything counts.
        fill: what stands where no other view confirms the depth: 'networks' for the prior, scaled
            to what is confirmed around it, with little confidence; 'none' for nothing.
        config: how.

    Returns:
        Range at the size of the frames in the unit of the prior, and confidence in [0, 1]: from
        0.5 on other views confirm it. Both are 0 where there is nothing. A frame from whose place
        no other one is away (one that is alone, a camera that stands) has its prior.

    Raises:
        ValueError: shapes do not fit, or frames are not uint8.
        IndexError: there is no such frame.
    """
    return Sweep(frames, poses, prior, mask=mask, fill=fill, config=config).refined(index)


def _check(frames, poses, prior, mask, fill):
    """Raises ValueError unless the arguments of `refine` fit."""
    if frames.dtype != np.uint8:
        raise ValueError(f'frames are {frames.dtype}; accepted: uint8')
    if frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(f'frames have shape {frames.shape}; accepted: [N, H, 2H, 3]')
    if prior.ndim != 3:
        raise ValueError(f'prior has shape {prior.shape}; accepted: [N, h, 2h]')
    if not len(frames) == len(poses.rotation) == len(prior):
        raise ValueError(
            f'frames, poses and prior are {len(frames)}, {len(poses.rotation)} and {len(prior)};'
            ' accepted: as many of each'
        )
    media.check_equirect(*frames.shape[1:3], 'frames')
    sphere.check_equirect(*prior.shape[1:], 'prior')
    validity.check(mask, len(frames))
    if fill not in get_args(Fill):
        raise ValueError(f'fill is {fill!r}; accepted: {", ".join(get_args(Fill))}')


def _repeated(items, count):
    """So many items, from the first one again when all have been."""
    return [items[i % len(items)] for i in range(count)]


def _kept(make: Callable, most: int) -> Callable:
    """A function that remembers its latest values."""
    values = OrderedDict()

    def get(key):
        if key not in values:
            values[key] = make(key)
        values.move_to_end(key)
        while len(values) > most:
            values.popitem(last=False)
        return values[key]

    return get
