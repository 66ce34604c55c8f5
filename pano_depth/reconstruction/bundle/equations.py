"""The normal equations of all keyframes: put together from each, solved sparsely."""

import math
import mmap
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from pano_depth.reconstruction.bundle import points, terms
from pano_depth.reconstruction.bundle.links import Links
from pano_depth.reconstruction.bundle.textures import Textures

BLUR = 0.6  # pixels of a level, below which sampling it is too coarse
MEMORY = 1e9  # bytes of textures that are held at once
SLOTS = 16  # least number of textures in one array


class State(NamedTuple):
    """What is adjusted.

    Attributes:
        rotation, translation: [K, 3, 3] and [K, 3] float64, camera to world.
        inverse: by keyframe, inverse ranges of its points.
    """

    rotation: np.ndarray
    translation: np.ndarray
    inverse: list[np.ndarray]


class Evaluated(NamedTuple):
    """Normal equations at a state.

    Attributes:
        terms: `terms.Terms` by keyframe.
        cost: mean robust cost of a pair of point and source.
        rms: of the patterns that count.
    """

    terms: list[terms.Terms]
    cost: float
    rms: float


class Equations:
    """Keyframes, their points and their links, on one level at a time."""

    def __init__(
        self,
        found: Textures,
        chosen: Int[np.ndarray, ' keyframes'],
        followed: points.Followed,
        links: list[Links],
        huber: float,
        outlier: float,
    ):
        """Holds what is adjusted; `enter` a level first.

        Args:
            found: textures of all frames.
            chosen: the keyframes among them.
            followed: their points.
            links: of the keyframes, which they number from 0.
            huber, outlier: residuals from which on a pattern counts less, and not at all.
        """
        self._textures, self.chosen, self.followed = found, chosen, followed
        self.links, self.robust = links, np.array([huber, outlier], np.float32)
        self._pairs = sum(
            int(link.present.sum()) * len(pixels)
            for link, pixels in zip(links, followed.pixels, strict=True)
        )
        # A pattern that does not count costs as much as one that is about to be dropped.
        self._dropped = huber * (2 * outlier - huber)

    def enter(self, height: int) -> None:
        """Goes to a level: looks at the points in their own frames."""
        self.height = height
        self._patterns = [None] * len(self.chosen)
        self._most = max(8, int(MEMORY / (32 * height * height)))
        self._chunks = self._in_chunks(self._most)
        self._held = self._buffer = None

    def _in_chunks(self, most):
        """[(hosts, frames that they need)], as few as memory allows."""
        chunks, hosts, needed = [], [], set()
        for host, link in enumerate(self.links):
            wanted = {host, *link.sources[link.present].tolist()}
            if hosts and len(needed | wanted) > most:
                chunks.append((hosts, sorted(needed)))
                hosts, needed = [], set()
            hosts.append(host)
            needed |= wanted
        return [*chunks, (hosts, sorted(needed))]

    def _window(self, chunk):
        """(textures [slots, H W, 4], slot by keyframe) of a chunk."""
        if self._held is None or self._held[0] is not chunk:
            self._held = None
            wanted = chunk[1]
            # Few sizes, so that few programs are compiled.
            room = max(SLOTS, 1 << (len(wanted) - 1).bit_length())
            room = max(len(wanted), min(room, self._most))
            maps = self._room((room, 2 * self.height * self.height, 4))
            for slot, keyframe in enumerate(wanted):
                maps[slot] = self._textures.texture(self.chosen[keyframe], self.height, BLUR)
            slots = {keyframe: slot for slot, keyframe in enumerate(wanted)}
            self._held = (chunk, jax.device_put(maps), slots)
        return self._held[1:]

    def _room(self, shape):
        """A float32 array for textures, the same one again for the same shape.

        It has pages of its own, which the system gets back: a heap that never shrinks (see
        `common.memory`) would keep holes of each size. On a CPU, JAX takes the array as it is, so
        no call may be under way when it is filled again.
        """
        if self._buffer is None or self._buffer.shape != shape:
            self._buffer = None
            pages = mmap.mmap(-1, 4 * math.prod(shape))
            self._buffer = np.frombuffer(pages, np.float32).reshape(shape)
        return self._buffer

    def pattern(
        self, host: int, maps: Float[jax.Array, 'slots pixels 4'], slot: int
    ) -> points.Pattern:
        """What the points of a keyframe look like on this level."""
        if self._patterns[host] is None:
            self._patterns[host] = self.followed.pattern(host, maps, slot, self.height)
        return self._patterns[host]

    def _each(self, state):
        """The `terms.View` of one keyframe after the other."""
        for chunk in self._chunks:
            maps, slots = self._window(chunk)
            for host in chunk[0]:
                link, own = self.links[host], slots[host]
                rows = np.array([slots.get(source, own) for source in link.sources], np.int32)
                pattern = self.pattern(host, maps, own)
                # NumPy's arrays: a compiled program takes them in a tenth of the time of `asarray`.
                yield terms.View(
                    maps,
                    rows,
                    self.followed.at(host, pattern, state.inverse[host]),
                    state.rotation[host].astype(np.float32),
                    state.rotation[link.sources].astype(np.float32),
                    (state.translation[host] - state.translation[link.sources]).astype(np.float32),
                    link.present,
                    self.robust,
                )

    def _of_each(self, state, function):
        """What a function makes of each `terms.View`, which it has done before the next window."""
        return [jax.block_until_ready(function(one)) for one in self._each(state)]

    def search(self, state: State, factors: tuple[float, ...]) -> State:
        """The state with each inverse range at the best of its multiples, the poses as they are.

        Args:
            state: where everything is.
            factors: what inverse ranges are multiplied with, 1 among them.
        """
        wanted = jnp.asarray(factors, jnp.float32)
        found = self._of_each(state, lambda one: terms.best_ranges(one, wanted, self.height))
        return state._replace(
            inverse=[
                np.asarray(one, np.float64)[: len(old)]
                for one, old in zip(found, state.inverse, strict=True)
            ]
        )

    def evaluate(self, state: State) -> Evaluated:
        """The normal equations at a state, of one keyframe after the other."""
        found = self._of_each(state, lambda one: terms.host_terms(one, self.height))
        cost = sum(float(one.cost) for one in found) / len(points.PATTERN)
        count = sum(float(one.count) for one in found)
        square = sum(float(one.square) for one in found)
        cost += self._dropped * (self._pairs - count)
        return Evaluated(found, cost / max(self._pairs, 1), float(np.sqrt(square / max(count, 1))))

    def solve(self, known: Evaluated, damping: float) -> tuple[np.ndarray, list[np.ndarray]]:
        """(steps of the poses [K, 6], steps of the inverse ranges by keyframe)."""
        count = len(self.links)
        rows, columns, values, inverses = [], [], [], []
        right = np.zeros((count, 6))
        for host, (one, link) in enumerate(zip(known.terms, self.links, strict=True)):
            reduced = terms.reduced(one, jnp.float32(damping))
            hessian, b, inverse = (np.asarray(x, np.float64) for x in reduced)
            inverses.append(inverse)
            alive = np.concatenate([[True], link.present])
            members = np.concatenate([[host], link.sources])[alive]
            keep = np.repeat(alive, 6)
            np.add.at(right, members, b[keep].reshape(-1, 6))
            where = (members[:, None] * 6 + np.arange(6)).ravel()
            rows.append(np.repeat(where, len(where)))
            columns.append(np.tile(where, len(where)))
            values.append(hessian[keep][:, keep].ravel())
        size = 6 * count
        places = np.concatenate(rows), np.concatenate(columns)
        matrix = scipy.sparse.coo_matrix((np.concatenate(values), places), shape=(size, size))
        matrix = matrix.tocsc()
        diagonal = matrix.diagonal()
        matrix = matrix + scipy.sparse.diags(damping * diagonal + 1e-9 * diagonal.max() + 1e-12)
        free = slice(6, size)  # keyframe 0 stays where it is
        solution = scipy.sparse.linalg.spsolve(matrix.tocsc()[free, free], right.ravel()[free])
        steps = np.concatenate([np.zeros(6), np.nan_to_num(solution)]).reshape(count, 6)
        return steps, [
            self._deeper(host, one, inverses[host], steps) for host, one in enumerate(known.terms)
        ]

    def _deeper(self, host, one, inverse, steps):
        """Steps of the inverse ranges of a keyframe, once the poses' steps are known."""
        link = self.links[host]
        pose = np.concatenate([steps[[host]], steps[link.sources] * link.present[:, None]]).ravel()
        right = np.asarray(one.point_right, np.float64) - np.asarray(one.mixed, np.float64) @ pose
        return (inverse * right)[: len(self.followed.pixels[host])]

    def moved(self, state: State, step: tuple[np.ndarray, list[np.ndarray]]) -> State:
        """A state after a step; an inverse range changes by a factor of two at most."""
        poses, deeper = step
        return State(
            Rotation.from_rotvec(poses[:, :3]).as_matrix() @ state.rotation,
            state.translation + poses[:, 3:],
            [
                np.clip(old + change, 0.5 * old, 2 * old)
                for old, change in zip(state.inverse, deeper, strict=True)
            ],
        )
