"""Photometric residuals of one frame's points in other frames, and their normal equations.

A point of host frame h lies along the ray p of its pixel at the inverse range rho. Its direction in
source s is X = R_s^T q with q = R_h p + rho (t_h - t_s), rotations and positions camera to world.
Every pixel of the pattern around the point has the same rho and a ray of its own. The residual is
the difference of grey values, less its mean over the pattern: exposure drops out. With the gradient
g of the grey value by q, in world axes,

    d / d omega_h = (R_h p) x g,  d / d t_h = rho g,  d / d omega_s = -q x g,  d / d t_s = -rho g,
    d / d rho = g . (t_h - t_s)

for rotations that turn a pose in the world, R <- exp(omega) R. Points are eliminated (Schur), since
each has a rho of its own. After Engel et al., "Direct Sparse Odometry", 2018, section 2, on the
sphere.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array
from pano_depth.reconstruction.pixels import sampling


class Points(NamedTuple):
    """Points of one host frame.

    Attributes:
        rays: unit directions of the pattern in the host camera.
        values: grey values there.
        inverse: inverse range, 1 / unit.
        valid: which of them count; the others fill the array up.
    """

    rays: Float[Array, 'points taps 3']
    values: Float[Array, 'points taps']
    inverse: Float[Array, ' points']
    valid: Bool[Array, ' points']


class View(NamedTuple):
    """The points of a host frame, and the frames in which they are looked for.

    Attributes:
        textures: of several frames, see `textures.Textures`.
        slots: which of them belong to the sources.
        points: of the host frame.
        host: rotation of the host, camera to world.
        rotation: of the sources, camera to world.
        apart: from the sources to the host, in the world.
        present: which sources there are; the others fill the array up.
        robust: residual from which on a pattern counts less (Huber), and beyond which it does not
            count.
    """

    textures: Float[Array, 'slots pixels 4']
    slots: Int[Array, ' sources']
    points: Points
    host: Float[Array, '3 3']
    rotation: Float[Array, 'sources 3 3']
    apart: Float[Array, 'sources 3']
    present: Bool[Array, ' sources']
    robust: Float[Array, '2']


class Terms(NamedTuple):
    """Normal equations of a host frame: the host first, then its sources, six numbers each (turn,
    move). H x = b for the step x.

    Attributes:
        hessian: without the points.
        right: without the points.
        mixed: of inverse ranges and poses.
        point_hessian, point_right: of the inverse ranges.
        cost: sum of the robust costs.
        count: of the pairs of point and source that count.
        square: sum over these pairs of the mean square of the residuals of the pattern.
    """

    hessian: Float[Array, 'poses poses']
    right: Float[Array, ' poses']
    mixed: Float[Array, 'points poses']
    point_hessian: Float[Array, ' points']
    point_right: Float[Array, ' points']
    cost: Float[Array, '']
    count: Float[Array, '']
    square: Float[Array, '']


def _sample(textures, slots, vector, height):
    """Four planes of textures [slots, H W, 4] along directions [S, K, P], each of S in its slot."""
    u, v = sampling.pixels(vector, height)
    taps, weights = sphere.equirect_taps(u, v, height, 2 * height, 'bilinear')
    # One table for all slots: nothing is copied to bring the sources together.
    first = (slots * (2 * height * height)).reshape(-1, 1, 1)
    table = textures.reshape(-1, 4)
    found = sum(
        weight[..., None] * table.at[first + index].get(mode='promise_in_bounds')
        for index, weight in zip(taps, weights, strict=True)
    )
    return jnp.moveaxis(found, -1, 0)


@functools.partial(jax.jit, static_argnames=('height',))
def look(
    textures: Float[Array, 'slots pixels 4'],
    slot: Int[Array, ''],
    rays: Float[Array, 'points taps 3'],
    height: int,
) -> Float[jax.Array, 'points taps']:
    """Grey values of one of several textures along rays."""
    vector = list(rays.transpose(2, 1, 0)[:, None])
    return _sample(textures, slot[None], vector, height)[0, 0].T


def _centred(x):
    """Less the mean over the pattern, K of [S, K, P]."""
    return x - jnp.mean(x, axis=-2, keepdims=True)


@functools.partial(jax.jit, static_argnames=('height',))
def host_terms(view: View, height: int) -> Terms:
    """Normal equations of the points of one frame in its sources.

    Args:
        view: the points, and the frames in which they are looked for.
        height: rows of the textures.
    """
    counts, rms, jacobian, residual = _linearise(view, height)
    poses, depths = jacobian[:12], jacobian[12]
    blocks = jnp.einsum('iskp,jskp->sij', poses, poses)
    right = jnp.einsum('iskp,skp->si', poses, residual)
    taps = residual.shape[1]
    # A sum of planes: compilers for CPUs are slow in reducing an axis of eight.
    mixed = sum(poses[:, :, k] * depths[:, k] for k in range(taps))
    cost = jnp.where(counts, taps * _huber(rms, view.robust[0]), 0.0)
    return Terms(
        *_assemble(blocks, right, mixed),
        point_hessian=jnp.sum(depths**2, axis=(0, 1)),
        point_right=jnp.sum(depths * residual, axis=(0, 1)),
        cost=jnp.sum(cost),
        count=jnp.sum(counts.astype(jnp.float32)),
        square=jnp.sum(jnp.where(counts, rms**2, 0.0)),
    )


def _huber(rms, limit):
    """Square up to a limit, a line from there on."""
    return jnp.where(rms < limit, rms**2, limit * (2 * rms - limit))


def _turned(matrix, vector):
    """[S, 3, 3] times a vector of three arrays [S, K, P], as such a vector."""
    rows = jnp.moveaxis(matrix, 0, -1)[..., None, None]  # [3, 3, S, 1, 1]
    return [sum(rows[i, j] * vector[j] for j in range(3)) for i in range(3)]


def _cross(a, b):
    return [a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)]


def _residual(view, height):
    """(residuals [S, K, P], samples of the textures, rays in the world, beams of the sources)."""
    rays = view.points.rays.transpose(2, 1, 0)
    ahead = [sum(view.host[i, j] * rays[j] for j in range(3))[None] for i in range(3)]
    beam = [ahead[i] + view.points.inverse * view.apart[:, i, None, None] for i in range(3)]
    local = _turned(view.rotation.swapaxes(1, 2), beam)
    seen = _sample(view.textures, view.slots, local, height)
    return _centred(view.points.values.T - seen[0]), seen, ahead, beam


def _linearise(view, height):
    """(which pairs count [S, P], their rms, weighted derivatives [13, S, K, P], residuals).

    Vectors are lists of three arrays [S, K, P]: compilers like long last axes.
    """
    residual, seen, ahead, beam = _residual(view, height)
    inverse, apart = view.points.inverse, [view.apart[:, i, None, None] for i in range(3)]
    rms = jnp.sqrt(jnp.mean(residual**2, axis=-2))
    counts = (rms < view.robust[1]) & view.points.valid & view.present[:, None]
    weight = jnp.where(counts, jnp.minimum(1.0, view.robust[0] / jnp.maximum(rms, 1e-9)), 0.0)
    # Where a mask hides the source its grey value is NaN, which no product with 0 takes away.
    root, take = jnp.sqrt(weight)[:, None], counts[:, None]
    weighted = lambda part: jnp.where(take, _centred(part) * root, 0.0)
    # The gradient by the direction, of any length, is that by the unit direction over the length.
    shorter = jax.lax.rsqrt(sum(part**2 for part in beam))
    slope = [part * shorter for part in _turned(view.rotation, seen[1:])]
    # A pattern has one range and one baseline, so that only these have to be centred.
    turn = [weighted(part) for part in _cross(ahead, slope)]
    slope = [weighted(part) for part in slope]
    move = [inverse * part for part in slope]
    back = [-one - other for one, other in zip(turn, _cross(apart, move), strict=True)]
    deeper = sum(part * other for part, other in zip(slope, apart, strict=True))
    jacobian = jnp.stack([*turn, *move, *back, *(-part for part in move), deeper])
    return counts, rms, jacobian, jnp.where(take, residual * root, 0.0)


@functools.partial(jax.jit, static_argnames=('height',))
def source_terms(
    view: View, height: int
) -> tuple[
    Float[jax.Array, 'sources 6 6'], Float[jax.Array, 'sources 6'], Float[jax.Array, ' sources']
]:
    """Normal equations of the sources' poses alone, the host and its points being known.

    Args:
        view, height: as for `host_terms`.

    Returns:
        (hessian, right side, cost) of each source; a pattern that does not count costs as much as
        one that is about to be dropped.
    """
    counts, rms, jacobian, residual = _linearise(view, height)
    jacobian = jacobian[6:12]
    cost = jnp.where(counts, _huber(rms, view.robust[0]), _huber(*view.robust[::-1]))
    return (
        jnp.einsum('iskp,jskp->sij', jacobian, jacobian),
        jnp.einsum('iskp,skp->si', jacobian, residual),
        jnp.sum(jnp.where(view.points.valid, cost, 0.0), axis=-1),
    )


@functools.partial(jax.jit, static_argnames=('height',))
def best_ranges(
    view: View, factors: Float[Array, ' factors'], height: int
) -> Float[jax.Array, ' points']:
    """Inverse range of each point with the lowest cost among multiples of the present one.

    Args:
        view, height: as for `host_terms`.
        factors: what the inverse ranges are multiplied with, one after the other.

    Returns:
        Inverse ranges, where no source counts those of `points`.
    """
    limit = _huber(*view.robust[::-1])

    def cost(factor):
        moved = view.points._replace(inverse=view.points.inverse * factor)
        residual = _residual(view._replace(points=moved), height)[0]
        rms = jnp.sqrt(jnp.mean(residual**2, axis=-2))
        known = (rms < view.robust[1]) & view.present[:, None]
        return jnp.sum(jnp.where(known, _huber(rms, view.robust[0]), limit), axis=0)

    costs = jax.lax.map(cost, factors)
    # Where all are alike, nothing is known and nothing changes.
    usual = jnp.argmin(jnp.abs(factors - 1))
    better = costs.min(axis=0) < 0.98 * costs[usual]
    inverse = view.points.inverse
    return jnp.where(better, inverse * factors[jnp.argmin(costs, axis=0)], inverse)


def _assemble(blocks, right, mixed):
    """Blocks of (host, one source) -> (hessian, right side, mixed) of the host and all sources.

    Args:
        blocks: [S, 12, 12].
        right: [S, 12].
        mixed: [12, S, P].
    """
    sources = len(blocks)
    host = jnp.sum(blocks[:, :6, :6], axis=0)
    cross = blocks[:, :6, 6:].transpose(1, 0, 2).reshape(6, 6 * sources)
    own = jnp.einsum('sij,st->sitj', blocks[:, 6:, 6:], jnp.eye(sources))
    own = own.reshape(6 * sources, 6 * sources)
    hosts, others = jnp.sum(mixed[:6], axis=1), mixed[6:].transpose(1, 0, 2)
    return (
        jnp.block([[host, cross], [cross.T, own]]),
        jnp.concatenate([jnp.sum(right[:, :6], axis=0), right[:, 6:].ravel()]),
        jnp.concatenate([hosts, others.reshape(6 * sources, -1)]).T,
    )


@jax.jit
def reduced(terms: Terms, damping: Float[Array, '']) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Eliminates the points: (hessian, right side, inverse of the points' damped hessian)."""
    inverse = 1 / (terms.point_hessian * (1 + damping) + 1e-6)
    scaled = terms.mixed * inverse[:, None]
    hessian = terms.hessian - terms.mixed.T @ scaled
    return hessian, terms.right - scaled.T @ terms.point_right, inverse
