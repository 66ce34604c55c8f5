"""Evaluates the materials of `materials.py` at surface points, antialiased by pixel size."""

import jax.numpy as jnp

from pano_depth.rooms.materials import COLUMN


def _hash(x, y, seed):
    """32 random bits from two lattice coordinates and a seed, all uint32 (Wang-style hash)."""
    bits = x * jnp.uint32(0x9E3779B1) + y * jnp.uint32(0x85EBCA77) + seed * jnp.uint32(0xC2B2AE3D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x27D4EB2F)
    return bits ^ (bits >> 13)


def _unit(bits, shift=0):
    """Ten of the bits as a float in [0, 1)."""
    return ((bits >> shift) & 1023).astype(jnp.int32).astype(jnp.float32) * (1 / 1024)


def _lattice(x):
    """Integer part as uint32, in which negative numbers wrap around, and fraction."""
    floor = jnp.floor(x)
    return floor.astype(jnp.int32).astype(jnp.uint32), x - floor


def value_noise(x, y, seed):
    """Smooth noise with one random value per unit of the plane.

    Args:
        x, y: float32 coordinates, any one shape.
        seed: uint32 of the same shape.

    Returns:
        float32 in [-1, 1], zero on average.
    """
    column, fx = _lattice(x)
    row, fy = _lattice(y)
    sx, sy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    one = jnp.uint32(1)
    v00, v10 = _unit(_hash(column, row, seed)), _unit(_hash(column + one, row, seed))
    v01, v11 = _unit(_hash(column, row + one, seed)), _unit(_hash(column + one, row + one, seed))
    top, bottom = v00 + (v10 - v00) * sx, v01 + (v11 - v01) * sx
    return 2 * (top + (bottom - top) * sy) - 1


def _edges(fraction, cell, footprint):
    """Distance to the cell border in metres, and a ramp: 0 there, 1 half a footprint inside."""
    distance = (0.5 - jnp.abs(fraction - 0.5)) * cell
    return distance, jnp.minimum(2 * distance / footprint, 1.0)


def albedo(row, u, v, footprint):
    """Colour of a surface point.

    Every detail fades to its mean once the footprint is as large as the detail, so distant patterns
    do not alias.

    Args:
        row: list of `len(materials.FIELDS)` float32 arrays, the material at each point.
        u, v: coordinates on the surface, metres, of the same shape.
        footprint: width of a pixel on the surface, metres.

    Returns:
        Tuple of three arrays: linear red, green, blue, at most 1 before emission.
    """
    field = lambda name: row[COLUMN[name]]
    seed = field('seed').astype(jnp.int32).astype(jnp.uint32)
    swap = field('swap') > 0
    u, v = jnp.where(swap, v, u), jnp.where(swap, u, v)
    line, fy = _lattice(v / field('cell_v') + field('phase_v'))
    signed_line = line.astype(jnp.int32).astype(jnp.float32)
    column, fx = _lattice(u / field('cell_u') + field('phase_u') + signed_line * field('shift'))
    edge_u, inside_u = _edges(fx, field('cell_u'), footprint)
    edge_v, inside_v = _edges(fy, field('cell_v'), footprint)
    inside = jnp.minimum(inside_u, inside_v)
    bits = _hash(column, line, seed)

    odd = ((column + line) & 1).astype(jnp.int32).astype(jnp.float32)
    checks = (2 * odd - 1) * inside_u * inside_v
    cells = (2 * _unit(bits) - 1) * inside
    speckle = 0.0
    for octave, weight in ((1.0, 0.65), (3.1, 0.35)):
        x, y = u * field('noise_u') * octave, v * field('noise_v') * octave
        frequency = jnp.maximum(field('noise_u'), field('noise_v')) * octave
        fade = jnp.clip(2 - 2.5 * footprint * frequency, 0.0, 1.0)
        speckle = speckle + weight * fade * value_noise(x, y, seed + column * 7 + line * 13)
    blend = 0.5 * (
        field('parity') * (checks + 1)
        + field('tint') * (cells + 0.5)
        + field('noise') * (speckle + 0.3)
    )
    blend = jnp.clip(blend, 0.0, 1.0)

    width = field('joint')
    joints = jnp.clip((width - jnp.minimum(edge_u, edge_v)) / footprint + 0.5, 0.0, 1.0)
    mean_joints = jnp.minimum(2 * width * (1 / field('cell_u') + 1 / field('cell_v')), 1.0)
    coarse = jnp.clip(2 * footprint / jnp.minimum(field('cell_u'), field('cell_v')) - 0.5, 0.0, 1.0)
    joints = jnp.where(width > 0, joints + (mean_joints - joints) * coarse, 0.0)
    own = field('colourful') * inside
    result = []
    for index, name in enumerate(('red', 'green', 'blue')):
        a, b, joint = field('a_' + name), field('b_' + name), field('joint_' + name)
        base = a + (b - a) * blend
        base = base + own * (_unit(bits, 2 + 9 * index) ** 2 * 0.7 - base)
        result.append(base + (joint - base) * joints)
    return tuple(result)
