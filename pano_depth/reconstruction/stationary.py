"""What moves along with the camera: a hand, a photographer, a tripod, a logo.

It stays where it is in the image while everything else moves. A place counts as such if, in most
pairs of frames, no distance at which it could lie explains that it stays: not even infinity, or,
well below the horizon, somewhat below the ground. So neither far things nor a poor estimate of
depth are taken for a part of the camera; what is at the horizon is told from a far hill only if the
camera turns. Plain areas explain themselves both ways and say nothing, but those that a stationary
region encloses belong to it. A bounded number of frames is read, however long the footage is.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import sparse, spatial
from scipy.sparse import csgraph

from pano_depth.footage import media
from pano_depth.kernels import rigid, sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array
from pano_depth.reconstruction import validity
from pano_depth.reconstruction.validity import Mask

TARGETS = 16  # frames over the clip that are compared, each with one before and one after it
GOAL, LEAST = 6.0, 2.0  # wanted and least motion of the image in a pair, pixels in the mean
SURE = 1.5  # pixels that a place has to move by at every distance, if it does not stay
WINDOW = 5  # pixels over which differences are averaged
HYPOTHESES = 6  # distances that are tried for each pixel, beside the estimated one
BELOW = 20.0  # degrees below the horizon from which the ground limits the distance
DEEPER = 2.0  # how much lower than estimated the ground may lie
TOLD = 5 / 255  # grey values by which staying has to be the better explanation
CHANGED = 3 / 255  # grey values beyond the noise of something that does not stay
VOTES = 0.2  # share of the pairs that have to say that a pixel stays
AGREED = 0.85  # share of them among all pairs that say anything about it
EXPLAINED = 0.55  # share of what changes that the path has to explain to be believed
MOST = 0.4  # share of the sphere; a larger region is not believed

SMALL = 0.0006  # share of the sphere below which a region is left out
SPECK = 0.0001  # the same, before gaps are closed
CLOSED = 8.0  # degrees, half the width of gaps that are closed
GROWN = 3.0  # pixels by which regions grow: their rims look like their surroundings
LARGE = 0.15  # share of the sphere from which an enclosed area is not filled
WORLD = 0.3  # share of the pixels of an enclosed area that may move


class Stationary(NamedTuple):
    """What moves along with the camera.

    Attributes:
        mask: False where something moves along; None where nothing was found or believed.
        share: of the sphere that is hidden; what was not believed is counted too.
        reason: one sentence for people.
    """

    mask: Bool[np.ndarray, 'height width'] | None
    share: float
    reason: str


def find(
    frames: UInt8[Array, 'frames height width 3'],
    poses: Motion,
    depth: Float[Array, 'frames rows columns'],
    *,
    mask: Mask = None,
) -> Stationary:
    """Finds what moves along with the camera.

    Args:
        frames: equirectangular, in memory or mapped from a file; a bounded number of them is read.
        poses: [frames] camera to world, in the unit of the depth.
        depth: range of each frame, at any size; an estimate will do.
        mask: False for what is known not to count, at any size, one for all frames or one for each:
            it tells nothing; or None.
    """
    height = frames.shape[1]
    area = _shares(height)
    stays, moves = _vote(frames, poses, depth, mask)
    hidden = _tidy(stays, moves)
    share = float(area[hidden].sum())
    if not hidden.any():
        return Stationary(None, 0.0, 'nothing was found that moves along with the camera')
    if share > MOST:
        return Stationary(
            None,
            share,
            f'{share:.0%} of the image seem to move along with the camera, which is not believed:'
            ' nothing is masked',
        )
    return Stationary(~hidden, share, f'{share:.1%} of the image move along with the camera')


def _shares(height):
    """Share of the sphere of each pixel, [H, W]."""
    return np.asarray(sphere.solid_angles(height, 2 * height), np.float64) / (4 * np.pi)


def _vote(frames, poses, depth, mask):
    """(stays, moves) [H, W]: which pixels most pairs of frames agree on."""
    height = frames.shape[1]
    nowhere = np.zeros((height, 2 * height), bool)
    chosen = _pairs(poses, depth, height)
    positive, negative = nowhere.astype(int), nowhere.astype(int)
    explained = []
    for first, second in chosen:
        range_ = media.nearest(_valid(depth[first]), height)
        there, back = (Motion(*(part[i] for part in poses)) for i in (first, second))
        motion = rigid.compose(rigid.inverse(back), there)
        images = [
            validity.filled(np.asarray(frames[i]), validity.of_frame(mask, i))
            for i in (first, second)
        ]
        scales = range_, _farthest(range_), np.float32(np.percentile(range_, 5) / 2)
        counts = None
        if mask is not None:
            counts = np.logical_and(*(validity.of_frame(mask, i, height) for i in (first, second)))
            if not counts.any():
                continue
        stay, change, better = (np.asarray(x) for x in _evidence(*images, motion, *scales, counts))
        positive += stay
        negative += change
        explained.append(better)
    if not explained or np.mean(explained) < EXPLAINED:
        # A camera that hardly moves, or a path that does not explain the images, says nothing.
        return nowhere, nowhere
    decided = positive + negative
    stays = (positive >= max(3, VOTES * len(chosen))) & (positive >= AGREED * decided)
    return stays, (negative > positive) & (negative >= 2)


def _pairs(poses, depth, height):
    """Pairs of frames between which the image moves by about `GOAL` pixels in the mean."""
    count = len(depth)
    rays = np.asarray(sphere.ray_directions(16, 32), np.float64)
    area = _shares(16)

    def motion_of(first, second):
        small = media.nearest(_valid(depth[first]), 16).astype(np.float64)
        points = rays * small[..., None] @ poses.rotation[first].T + poses.translation[first]
        seen = (points - poses.translation[second]) @ poses.rotation[second]
        seen /= np.linalg.norm(seen, axis=-1, keepdims=True) + 1e-12
        angle = np.arccos(np.clip((seen * rays).sum(axis=-1), -1, 1))
        return (area * angle).sum() * height / np.pi

    chosen = []
    for first in np.unique(np.linspace(0, count - 1, min(TARGETS, count)).astype(int)):
        for sign in (-1, 1):
            tried, distance = [], 1
            while 0 <= first + sign * distance < count:
                second = int(first + sign * distance)
                tried.append((motion_of(first, second), second))
                if tried[-1][0] > 2 * GOAL:
                    break
                distance *= 2
            tried = [
                (abs(np.log(moved / GOAL)), second) for moved, second in tried if moved > LEAST
            ]
            if tried:
                chosen.append((int(first), min(tried)[1]))
    return chosen


def _valid(depth):
    """Depth whose invalid pixels have the median of the others."""
    depth = np.asarray(depth, np.float32)
    good = np.isfinite(depth) & (depth > 0)
    return np.where(good, depth, np.median(depth[good]) if good.any() else 1.0)


def _farthest(depth):
    """Distance that each pixel has at most: infinite but below the horizon, where the ground is."""
    down = np.asarray(sphere.ray_directions(*depth.shape))[..., 1]
    # A low quantile: what moves along may have been taken for far away.
    floor = down > np.sin(np.radians(30))
    ground = np.percentile((depth * down)[floor], 30)
    limited = down > np.sin(np.radians(BELOW))
    reach = DEEPER * ground / np.maximum(down, 0.1)
    return np.where(limited, reach, np.inf).astype(np.float32)


@jax.jit
def _evidence(target, source, motion, depth, farthest, near, counts):
    """(stays, changes, share of what changes that the motion explains) of a pair of frames.

    `counts` [H, W] is False where a mask hides one of them; None: nowhere.
    """
    target, source = (image.astype(jnp.float32) / 255 for image in (target, source))
    rays = sphere.ray_directions(*depth.shape)
    area = sphere.solid_angles(*depth.shape)

    def seen_at(distance):
        directions = warp.reproject(rays, distance, motion.rotation, motion.translation)
        moved = jnp.linalg.norm(directions - rays, axis=-1) * (depth.shape[0] / np.pi)
        return sphere.sample_equirect(source, directions), moved

    def difference(image):
        return _box(jnp.mean(jnp.abs(gain * image - target), axis=-1), WINDOW)

    # Exposure differs between frames: the typical ratio of what should be the same.
    estimated, least_move = seen_at(depth)
    ratio = (target + 0.02) / (estimated + 0.02)
    gain = _quantile(ratio, 0.5, None if counts is None else counts[..., None])
    warped = difference(estimated)
    # Distances even in the root of the inverse range: dense among the far ones.
    least, most = jnp.sqrt(1 / farthest), jnp.sqrt(1 / near)

    def smaller(k, found):
        inverse = (least + (jnp.maximum(most, least) - least) * k / HYPOTHESES) ** 2
        seen, moved = seen_at(1 / jnp.maximum(inverse, 1e-9))
        return jnp.minimum(found[0], difference(seen)), jnp.minimum(found[1], moved)

    best, least_move = jax.lax.fori_loop(0, HYPOTHESES, smaller, (warped, least_move))
    still = difference(source)
    noise = _quantile(jnp.minimum(best, still), 0.2, counts)
    still, best = jnp.maximum(still - noise, 0), jnp.maximum(best - noise, 0)
    # The path may be wrong by a pixel.
    tells = least_move > SURE
    stays = (best - still > TOLD) & (still < 0.4 * best) & tells
    changes = (still > CHANGED) & ~((still < 0.4 * best) & tells)
    if counts is not None:
        # Differences are means over windows.
        counts = _box(counts.astype(jnp.float32), WINDOW) > 0.999
        stays, changes = stays & counts, changes & counts
    better = jnp.sum(area * (changes & (best < still))) / (jnp.sum(area * changes) + 1e-9)
    return stays, changes, better


def _quantile(values, share, counts):
    """The quantile of values where they count; of all of them without `counts`."""
    if counts is None:
        return jnp.quantile(values, share)
    return jnp.nanquantile(jnp.where(counts, values, jnp.nan), share)


def _box(image, size):
    """Means of [H, W] over size x size pixels, around the seam and across the poles."""
    pad = size // 2
    half = jnp.roll(image, image.shape[1] // 2, axis=1)
    image = jnp.concatenate([half[:pad][::-1], image, half[-pad:][::-1]])
    image = jnp.pad(image, ((0, 0), (pad, pad)), mode='wrap')
    rows = sum(image[i : i + image.shape[0] - 2 * pad] for i in range(size))
    return sum(rows[:, i : i + image.shape[1] - 2 * pad] for i in range(size)) / size**2


def _grown(region, angle):
    """What is within an angle, radians, of a region; a negative angle shrinks it."""
    if angle < 0:
        return ~_grown(~region, -angle)
    if not region.any() or region.all():
        return region.copy()
    rays = sphere.pixel_rays(*region.shape)
    tree = spatial.cKDTree(rays[region])
    limit = 2 * np.sin(angle / 2) + 1e-9
    distance, _ = tree.query(rays[~region], distance_upper_bound=limit)
    grown = region.copy()
    grown[~region] = np.isfinite(distance)
    return grown


def _components(region):
    """Numbers from 0 on for the connected parts of a region on the sphere; -1 outside of it."""
    height, width = region.shape
    index = np.arange(height * width).reshape(height, width)
    edges = [
        (index, np.roll(index, -1, axis=1)),
        (index[:-1], index[1:]),
        # Opposite columns of the first and of the last row meet at the pole.
        *((index[row], np.roll(index[row], width // 2)) for row in (0, -1)),
    ]
    one, other = (np.concatenate([edge[side].ravel() for edge in edges]) for side in (0, 1))
    inside = region.ravel()[one] & region.ravel()[other]
    graph = sparse.coo_array(
        (np.ones(inside.sum(), bool), (one[inside], other[inside])), (index.size, index.size)
    )
    labels = csgraph.connected_components(graph, directed=False)[1]
    found = np.full(region.shape, -1)
    found[region] = np.unique(labels[region.ravel()], return_inverse=True)[1]
    return found


def _tidy(stays, moves):
    """Whole regions from single pixels.

    Gaps are closed, small islands left out, the rest grows by a few pixels, and plain areas that a
    region encloses are included.

    Args:
        stays: [H, W] bool, pixels that belong to a region.
        moves: pixels that do not; what is in neither is undecided.
    """
    pixel = np.pi / len(stays)
    area = _shares(len(stays))
    region = stays & (_area_of_parts(stays, area) >= SPECK)
    region |= _grown(_grown(region, np.radians(CLOSED)), -np.radians(CLOSED)) & ~moves
    region &= _area_of_parts(region, area) >= SMALL
    region = _grown(region, GROWN * pixel)
    if not region.any() or region.all():
        return region
    outside = _components(~region)
    share = np.bincount(outside[~region], area[~region])
    moving = np.bincount(outside[~region], (area * moves)[~region])
    filled = (share < LARGE) & (moving < WORLD * share)
    filled[np.argmax(share)] = False
    return region | ((outside >= 0) & filled[outside])


def _area_of_parts(region, area):
    """The size of the part in which each pixel lies; 0 outside of the region."""
    parts = _components(region)
    if not region.any():
        return np.zeros(region.shape)
    sizes = np.bincount(parts[region], area[region])
    return np.where(parts >= 0, sizes[parts], 0.0)
