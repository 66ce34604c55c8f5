"""The adjustment: poses and inverse ranges by which frames explain each other, coarse to fine."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from common.logs import Progress
from common.options import check_options, option
from pano_depth.footage import media
from pano_depth.footage.geometry import as_trajectory
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array
from pano_depth.reconstruction import validity
from pano_depth.reconstruction.bundle import links, points, textures
from pano_depth.reconstruction.bundle.between import locate
from pano_depth.reconstruction.bundle.equations import Equations, State
from pano_depth.reconstruction.validity import Mask

COARSEST = 32  # rows below which no level goes
FIRST = 3  # times as many steps on the first level, where everything may be far off
SEARCH_AT = 2  # steps of a level after which ranges are looked for
WIDE = (0.5, 0.63, 0.8, 0.9, 1.0, 1.1, 1.25, 1.6, 2.0)  # multiples of inverse range that are tried
NARROW = (0.85, 0.92, 1.0, 1.08, 1.17)
SETTLED = 3e-4  # part by which the cost has to fall in two steps, or a level ends


@dataclasses.dataclass(frozen=True)
class BundleConfig:
    """How a path is adjusted."""

    points: int = option(
        800, 'adjustment: points that are followed from each keyframe', lower_bound=16
    )
    distances: tuple[int, ...] = option(
        (1, 2, 4, 8, 16, 24),
        'adjustment: keyframes between a keyframe and those it is compared with, on both sides',
    )
    returns: int = option(
        2, 'adjustment: keyframes of places seen before that each is compared with', lower_bound=0
    )
    parallax_deg: float = option(
        1.0, 'adjustment: angle by which typical points shift between keyframes', lower_bound=0
    )
    turn_deg: float = option(
        15.0, 'adjustment: angle by which the camera turns between keyframes', lower_bound=0
    )
    steps: int = option(
        8,
        'adjustment: most steps on each level; three times as many on the coarsest',
        lower_bound=1,
    )
    huber: float = option(
        0.005, 'adjustment: difference of grey values from which on a point counts less'
    )
    outlier: float = option(
        0.08, 'adjustment: difference of grey values beyond which a point does not count'
    )
    seed: int = option(0, 'adjustment: random seed of the choice of points', lower_bound=0)

    def __post_init__(self):
        check_options(self)
        if not self.distances or min(self.distances) < 1:
            raise ValueError(f'distances is {self.distances}; accepted: numbers from 1 on')
        if not 0 < self.huber < self.outlier:
            raise ValueError(
                f'huber, outlier are {self.huber}, {self.outlier}; accepted: 0 < huber < outlier'
            )


class Bundle(NamedTuple):
    """What an adjustment found.

    Attributes:
        poses: camera to world, in the unit of the depth; frame 0 stays where it was.
        residual: root mean square difference of grey values over the patterns that count.
        before: the same on the finest level, before its first step.
        costs: mean robust cost by step, from the coarsest level on.
        keyframes: the frames whose points were followed.
        pixels: by keyframe, flat numbers of its points in the frame.
        inverse: by keyframe, their inverse range in 1 / unit.
    """

    poses: Motion
    residual: float
    before: float
    costs: Float[np.ndarray, ' steps']
    keyframes: Int[np.ndarray, ' keyframes']
    pixels: list[np.ndarray]
    inverse: list[np.ndarray]


def adjust(
    frames: UInt8[Array, 'frames height width 3'],
    poses: Motion,
    depth: Float[Array, 'frames rows columns'],
    *,
    mask: Mask = None,
    config: BundleConfig = BundleConfig(),
) -> Bundle:
    """Photometric bundle adjustment on the sphere.

    Keyframes are adjusted together, with the inverse ranges of points in each of them; the frames
    between are then located among them. All but a window of the frames stays where `frames` holds
    it, which may be a file that is mapped into memory.

    Args:
        frames: equirectangular, one moving camera in order.
        poses: camera to world, where the adjustment starts; in the unit of the depth.
        depth: range of the frames at any size, where the points start; 0 where unknown.
        mask: False for what does not count, such as what moves along with the camera, at any size:
            one mask for all frames, or one for each; None: everything counts.
        config: how.

    Returns:
        `Bundle`, in the unit of the depth: images do not tell another one.

    Raises:
        ValueError: shapes do not fit, there are fewer than two frames, or no frame shows anything
            that could be followed.
    """
    validity.check(mask, len(frames))
    rotation, translation = as_trajectory(poses, 'poses')
    count, height = len(frames), frames.shape[1]
    if not count == len(rotation) == len(depth) or count < 2:
        raise ValueError(
            f'frames, poses and depth are {count}, {len(rotation)} and {len(depth)}; accepted: as'
            ' many of each, at least 2'
        )
    media.check_equirect(*frames.shape[1:3], 'frames')
    poses = Motion(rotation, translation)
    typical = np.array([_median(one) for one in depth])
    limits = np.radians([config.parallax_deg, config.turn_deg])
    chosen = links.keyframes(poses, typical, *limits)
    heights = levels(height)
    found = textures.Textures(frames, mask)
    followed = _follow(found, depth, chosen, mask, config)
    if not any(len(pixels) for pixels in followed.pixels):
        raise ValueError(
            'no frame shows anything that could be followed: all are plain, or a mask hides them'
        )
    start = State(rotation[chosen], translation[chosen], followed.inverse)
    tables = [links.by_distance(len(chosen), config.distances)]
    if config.returns and len(chosen) > max(config.distances):
        tables.append(_returns(frames, mask, chosen, start, typical[chosen], config))
    problem = Equations(found, chosen, followed, links.link(tables), config.huber, config.outlier)
    state, costs = start, []
    most = [config.steps * (FIRST if level == heights[0] else 1) for level in heights]
    with Progress(sum(most), description='adjusting') as progress:
        for level, steps in zip(heights, most, strict=True):
            factors = WIDE if level == heights[0] else NARROW
            before, after, state = _level(problem, state, level, steps, factors, costs, progress)
    state = _in_unit(state, followed.inverse)
    adjusted = locate(found, problem, state, poses, chosen, heights)
    return Bundle(adjusted, after, before, np.array(costs), chosen, followed.pixels, state.inverse)


def levels(height: int) -> list[int]:
    """Rows of the images on each level: halves of the frames, from `COARSEST` rows on."""
    found = [height]
    while found[0] % 4 == 0 and found[0] // 2 >= COARSEST:
        found.insert(0, found[0] // 2)
    return found


def _median(depth):
    known = np.asarray(depth)[np.asarray(depth) > 0]
    return float(np.median(known)) if known.size else np.inf


def _follow(found, depth, chosen, mask, config):
    """Points of the keyframes: strong gradients where the depth is known."""
    rng, height = np.random.default_rng(config.seed), found.height
    pixels, inverse = [], []
    for i in chosen:
        usable = validity.of_frame(mask, i, height)
        usable = True if usable is None else usable
        known = media.nearest(np.asarray(depth[i]), height)
        gradient = np.asarray(found.texture(i, height, 1.0))[:, 1:].reshape(height, -1, 3)
        take = points.choose(gradient, config.points, mask=usable & (known > 0), rng=rng)
        pixels.append(take)
        inverse.append(1 / known.ravel()[take].astype(np.float64))
    return points.Followed(height, pixels, inverse)


def _returns(frames, mask, chosen, state, typical, config):
    """Keyframes that show the place of another one though the path between them is long."""
    shown = lambda i: validity.filled(np.asarray(frames[i]), validity.of_frame(mask, i))
    descriptors = np.stack([links.describe(shown(i)) for i in chosen])
    poses = Motion(state.rotation, state.translation)
    gap = max(config.distances) + 1
    return links.returns(descriptors, poses, typical, gap=gap, most=config.returns)


def _level(problem, state, height, steps, factors, costs, progress):
    """Gauss-Newton steps with Levenberg's damping: (rms before, rms after, state)."""
    problem.enter(height)
    damping, known = 1e-4, problem.evaluate(state)
    before = known.rms
    for done in range(steps):
        if done == SEARCH_AT:
            # Where a range is far off no step leads to it; with the poses about right a look does.
            looked = problem.search(state, factors)
            found = problem.evaluate(looked)
            if found.cost < known.cost:
                state, known = looked, found
        moved = problem.moved(state, problem.solve(known, damping))
        found = problem.evaluate(moved)
        if found.cost < known.cost:
            gain = 1 - found.cost / known.cost
            state, known, damping = moved, found, max(damping / 5, 1e-7)
        else:
            gain, damping = np.inf, damping * 10
        costs.append(known.cost)
        progress.update(1, {'residual': known.rms})
        if gain < SETTLED or damping > 1e4:
            progress.update(steps - 1 - done)
            break
    return before, known.rms, state


def _in_unit(state, start):
    """The state in the unit of the depth with which the points started."""
    now, then = (np.concatenate(parts) for parts in (state.inverse, start))
    scale = float(np.median(now / then))
    first = state.translation[0]
    return State(
        state.rotation,
        first + (state.translation - first) * scale,
        [inverse / scale for inverse in state.inverse],
    )
