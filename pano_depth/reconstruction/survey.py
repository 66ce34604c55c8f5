"""What kind of footage it is: one moving camera, a camera that stands, several pieces, or none.

Everything is decided from the images. Measured at 128 x 256:

- Neighbours of rendered walks with 5 to 35 cm a frame are alike by 0.52 or more, real video by
  0.97; two different rooms, or unrelated photographs, by at most 0.36. `ALIKE` lies between.
- A camera that stands or turns, with noise of up to 6 grey values, fades, and two boxes of the size
  of people that walk, shifts by at most 0.35 degrees in any pair. A camera that moves 10 cm in a
  room shifts by at least 1.0 degree in the second best pair, one that moves 2 cm by at most 0.4.
  `PARALLAX` lies between.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from pano_depth.footage import media
from pano_depth.kernels import remap, rigid, sphere
from pano_depth.kernels.shapes import Array
from pano_depth.reconstruction import pairs
from pano_depth.reconstruction.bundle.textures import Textures

ALIKE = 0.43  # least likeness of two views of one place
UNRELATED = 0.8  # share of the neighbours that do not overlap, from which nothing belongs together
PARALLAX = 0.55  # degrees, least shift that a path can be found from
TRIED = 6  # pairs that are measured at each distance
HEIGHT = 64  # rows at which a shift is measured
BLUR = 2.0  # pixels
STEPS = 8  # that improve a rotation
BLOCK = 8  # pixels whose shift is measured together
BELT = 60.0  # degrees above and below the horizon; nearer to the poles pixels are too narrow
TEXTURE = 1 / 255  # grey values a pixel, the least slope that tells a shift
LEAST = 8  # blocks with texture that a measurement needs
QUANTILE = 0.25  # of the blocks may stay though the camera moves, the rest may move by itself


class Survey(NamedTuple):
    """What footage shows.

    Attributes:
        kind: 'moving' if at least one piece has a path, 'still' if none has, 'unrelated' if the
            frames are images of different places.
        pieces: (first frame, frame after the last) of what was taken without a cut, in order; all
            frames are in one of them. Unrelated images are one piece.
        moving: whether the camera moves, for each piece.
        reason: one sentence for people; empty where it is one piece of a moving camera.
        facts: numbers for `run.json`.
    """

    kind: Literal['moving', 'still', 'unrelated']
    pieces: list[tuple[int, int]]
    moving: list[bool]
    reason: str
    facts: dict


def survey(
    frames: UInt8[Array, 'frames height width 3'], *, on_frames: Callable[[int], None] | None = None
) -> Survey:
    """Looks through footage for cuts, and for parallax.

    Args:
        frames: equirectangular, in the order in which they were taken, in memory or mapped from a
            file; 128 rows are enough.
        on_frames: called with the number of frames looked at since the last call.

    Returns:
        What was found. A single frame is 'still'.
    """
    likeness = _likeness(frames, on_frames or (lambda count: None))
    cuts = [i + 1 for i, value in enumerate(likeness) if value < ALIKE]
    facts = {'cuts': len(cuts)}
    if likeness:
        facts['likeness_median'] = round(float(np.median(likeness)), 3)
        facts['likeness_least'] = round(min(likeness), 3)
    if cuts and len(cuts) >= UNRELATED * len(likeness):
        reason = (
            f'{len(cuts)} of {len(likeness)} pairs of neighbouring frames show different places:'
            ' these are unrelated images, each has a depth of its own and there is no path'
        )
        return Survey('unrelated', [(0, len(frames))], [False], reason, facts)
    bounds = [0, *cuts, len(frames)]
    pieces = list(zip(bounds[:-1], bounds[1:], strict=True))
    shifts = [parallax(frames[start:stop]) for start, stop in pieces]
    moving = [shift is not None and shift >= PARALLAX for shift in shifts]
    facts['pieces'] = [list(piece) for piece in pieces]
    facts['parallax_deg'] = [None if shift is None else round(shift, 3) for shift in shifts]
    kind = 'moving' if any(moving) else 'still'
    return Survey(kind, pieces, moving, _reason(pieces, moving, shifts), facts)


def _likeness(frames, on_frames):
    """How much each frame and the next one are alike."""
    found, before = [], None
    for frame in frames:
        look = pairs.look(frame)
        if before is not None:
            found.append(float(pairs.compare(before, look).likeness))
        before = look
        on_frames(1)
    return found


def _reason(pieces, moving, shifts):
    """One sentence for people."""
    if pieces[-1][1] == 1:
        return 'there is a single frame, so there is no path'
    if len(pieces) > 1:
        starts = ', '.join(str(start) for start, _ in pieces[1:6]) + (', ...' if pieces[6:] else '')
        return (
            f'the footage is cut before frame {starts}: of its {len(pieces)} pieces,'
            f' {sum(moving)} show a moving camera, each with a path of its own'
        )
    if moving[0]:
        return ''
    if shifts[0] is None:
        return 'there is hardly any texture in the images, so no path can be found'
    return (
        f'the camera stands still or only turns: beyond a rotation, frames differ by'
        f' {shifts[0]:.2f} degrees, a path needs at least {PARALLAX}'
    )


def parallax(frames: UInt8[Array, 'frames height width 3']) -> float | None:
    """How much the views of one place shift beyond rotations.

    Frames next to each other are compared, then frames twice as far apart, and so on up to the
    whole: a slow camera shows its motion only over many frames, and one that comes back shows none
    between its first frame and its last. The search ends at twice `PARALLAX`.

    Args:
        frames: as for `survey`, without cuts.

    Returns:
        Degrees, the largest shift that two pairs reach, or that of the only pair; 0 for one frame.
        None where hardly anything has texture.
    """
    found, told, distance, last = [0.0], len(frames) == 1, 1, len(frames) - 1
    while distance <= last:
        for first in np.unique(np.linspace(0, last - distance, TRIED).astype(int)):
            shift = _shift_between(frames[first], frames[first + distance])
            told = told or shift is not None
            found.append(shift or 0.0)
        if len(found) > 2 and sorted(found)[-2] > 2 * PARALLAX:
            break
        # The last distance is that between the ends.
        distance = min(2 * distance, last) if distance < last else last + 1
    return sorted(found)[-1 if len(frames) < 3 else -2] if told else None


def _shift_between(one, other):
    """Degrees; 0 for views that do not overlap, None where too little has texture."""
    found = pairs.compare(pairs.look(one), pairs.look(other))
    if found.likeness < ALIKE:
        return 0.0
    shift = float(_shift(_texture(one), _texture(other), found.rotation))
    return None if np.isnan(shift) else shift


def _texture(frame):
    """Grey values and their gradient by the unit direction, [pixels, 4]."""
    small = media.resize_equirect(frame, HEIGHT, 2 * HEIGHT)
    return Textures(small[None]).texture(0, HEIGHT, BLUR)


@jax.jit
def _shift(target, source, rotation):
    """Shift between two textures that no rotation explains, degrees; NaN without texture.

    The rotation is improved first, by steps that leave out what does not fit. Then each block of
    pixels says by which shift its grey values would fit; for a shift of more than a few pixels this
    is too small, but not zero.
    """
    state = rotation, _exposure(target, source)
    state = jax.lax.fori_loop(0, STEPS, lambda _, at: _improved(target, source, *at), state)
    return _of_blocks(*_residual(target, source, *state)[1:])


def _exposure(target, source):
    """Gain and offset of grey values to begin with."""
    gain = (jnp.median(target[:, 0]) + 0.01) / (jnp.median(source[:, 0]) + 0.01)
    return jnp.stack([gain, jnp.zeros(())])


def _residual(target, source, rotation, exposure):
    """(directions, texture seen there, difference, weights) of the turned source."""
    size, limit = (HEIGHT, 2 * HEIGHT), np.sin(np.radians(BELT))
    rays = sphere.ray_directions(*size)
    directions = rigid.rotate(rotation, rays)
    taps = sphere.equirect_taps(*sphere.project(directions, *size), *size, 'bilinear')
    seen = exposure[0] * remap.gather(source, *taps, grid=size)
    seen = seen + exposure[1] * jnp.array([1.0, 0, 0, 0])
    counts = (jnp.abs(directions[..., 1]) < limit) & (jnp.abs(rays[..., 1]) < limit)
    weight = counts * jnp.sqrt(1 - rays[..., 1] ** 2)
    return directions, seen, seen[..., 0] - target[:, 0].reshape(size), weight


def _improved(target, source, rotation, exposure):
    """A Gauss-Newton step of rotation and exposure; what moves by itself has no weight."""
    directions, seen, error, weight = _residual(target, source, rotation, exposure)
    slopes = [jnp.cross(directions, seen[..., 1:]), seen[..., :1], jnp.ones_like(seen[..., :1])]
    slope = jnp.concatenate(slopes, axis=-1)
    scale = 2 * jnp.median(jnp.abs(error)) + 1e-4
    weight = weight / (1 + (error / scale) ** 2) ** 2
    normal = jnp.einsum('hwi,hwj,hw->ij', slope, slope, weight) + 1e-6 * jnp.eye(5)
    step = -jnp.linalg.solve(normal, jnp.einsum('hwi,hw->i', slope, weight * error))
    turn = step[:3] * jnp.minimum(1, 0.1 / (jnp.linalg.norm(step[:3]) + 1e-9))
    exposure = exposure * (1 + step[3]) + jnp.array([0, 1.0]) * step[4]
    return rigid.so3_exp(turn) @ rotation, exposure


def _of_blocks(seen, error, weight):
    """Degrees that three quarters of the blocks with texture exceed."""
    pixel = np.pi / HEIGHT

    def means(values):
        shape = (HEIGHT // BLOCK, BLOCK, 2 * HEIGHT // BLOCK, BLOCK, -1)
        return (weight[..., None] * values).reshape(shape).mean(axis=(1, 3))

    slope = seen[..., 1:] * pixel
    mass = means(jnp.ones_like(slope[..., :1])) + 1e-9
    products = (slope[..., :, None] * slope[..., None, :]).reshape(*slope.shape[:2], 9)
    normal = (means(products) / mass).reshape(*mass.shape[:2], 3, 3)
    right = means(slope * error[..., None]) / mass
    # As much doubt as a quarter of the least slope that counts: weak slopes claim no large shift.
    damped = normal + 0.25 * TEXTURE**2 * jnp.eye(3)
    moved = jnp.linalg.norm(jnp.linalg.solve(damped, right[..., None])[..., 0], axis=-1)
    told = (jnp.trace(normal, axis1=-2, axis2=-1) > TEXTURE**2) & (mass[..., 0] > 0.3)
    found = jnp.nanquantile(jnp.where(told, moved, jnp.nan), QUANTILE)
    return jnp.where(jnp.sum(told) >= LEAST, found * np.degrees(pixel), jnp.nan)
