"""Ray casting against a `Scene`: the first surface along a ray, and what stands between two points.

Rays are three separate arrays of coordinates, and a loop over the primitives in use visits eight of
them at a time, which XLA fuses to one vectorised pass over the rays.
"""

import jax
import jax.numpy as jnp

from pano_depth.rooms.scene import PRIMITIVES

SHELL = PRIMITIVES  # the id of the outer walls, the floor and the ceiling


def _maximum(a, b):
    # A third faster on CPU than jnp.maximum, which must propagate NaN.
    return jnp.where(a > b, a, b)


def _minimum(a, b):
    return jnp.where(a < b, a, b)


def _inverse(direction):
    tiny = jnp.where(jnp.abs(direction) < 1e-9, 1e-9, direction)
    return 1 / tiny


def _slabs(centre, half, inverse):
    """Entry and exit distance of rays through a box.

    The centre is relative to the origin of the rays; entry > exit if a ray misses the box.
    """
    middle = [centre[axis] * inverse[axis] for axis in range(3)]
    reach = [half[axis] * jnp.abs(inverse[axis]) for axis in range(3)]
    near = _maximum(_maximum(middle[0] - reach[0], middle[1] - reach[1]), middle[2] - reach[2])
    far = _minimum(_minimum(middle[0] + reach[0], middle[1] + reach[1]), middle[2] + reach[2])
    return near, far


def _ellipsoid(centre, inverse_radius, direction):
    """Like `_slabs`, for an ellipsoid."""
    scaled = [direction[axis] * inverse_radius[axis] for axis in range(3)]
    offset = [centre[axis] * inverse_radius[axis] for axis in range(3)]
    a = sum(s * s for s in scaled)
    b = sum(s * o for s, o in zip(scaled, offset))
    root = b * b - a * (sum(o * o for o in offset) - 1)
    width, scale = jnp.sqrt(_maximum(root, 0.0)), 1 / a
    return (b - width) * scale, jnp.where(root > 0, (b + width) * scale, -1.0)


def _cylinder(centre, radius, half, direction, inverse, scale):
    """Like `_slabs`, for a vertical cylinder; `scale` is 1 / (x^2 + z^2) of the direction."""
    b = (direction[0] * centre[0] + direction[2] * centre[2]) * scale
    root = b * b - (centre[0] * centre[0] + centre[2] * centre[2] - radius * radius) * scale
    width = jnp.sqrt(_maximum(root, 0.0))
    middle, reach = centre[1] * inverse[1], half * jnp.abs(inverse[1])
    far = _minimum(b + width, middle + reach)
    return _maximum(b - width, middle - reach), jnp.where(root > 0, far, -1.0)


def turn(vector, yaw):
    """A vector (a tuple of three arrays) in a frame turned by `yaw`, as in `Scene.turned_yaw`."""
    cosine, sine = jnp.cos(yaw), jnp.sin(yaw)
    x, y, z = vector
    return cosine * x - sine * z, y, sine * x + cosine * z


def _used(half):
    """Number of primitives [N, ...] up to the last one in use."""
    used = half.reshape(half.shape[0], -1).max(axis=1) > 0
    return jnp.max(jnp.where(used, jnp.arange(half.shape[0]) + 1, 0))


def _at(tree, index):
    """One row of every array of a pytree."""
    return jax.tree.map(lambda part: part[index], tree)


def _loop(step, state, items, count, unroll):
    """Folds `step(state, item)` over the first `count` items, `unroll` of them a turn."""
    blocks = jax.tree.map(lambda part: part.reshape(-1, unroll, *part.shape[1:]), items)

    def turn_of_loop(index, state):
        block = _at(blocks, index)
        for item in range(unroll):
            state = step(state, _at(block, item))
        return state

    return jax.lax.fori_loop(0, (count + unroll - 1) // unroll, turn_of_loop, state)


def _fold(scene, origin, direction, visit, state):
    """Folds `visit(state, near, far, id)` over used primitives; `origin`: scalars or arrays."""
    inverse = tuple(map(_inverse, direction))

    def boxes(state, centre, half, origin, inverse, first, count):

        def step(state, box):
            centre, half, index = box
            relative = [centre[axis] - origin[axis] for axis in range(3)]
            return visit(state, *_slabs(relative, half, inverse), index)

        return _loop(step, state, (centre, half, first + jnp.arange(centre.shape[0])), count, 8)

    def group(state, group):
        centre, half, yaw, index = group
        turned = tuple(map(_inverse, turn(direction, yaw)))
        return boxes(state, centre, half, turn(origin, yaw), turned, index, centre.shape[0])

    state = boxes(
        state, scene.box_centre, scene.box_half, origin, inverse, 0, _used(scene.box_half)
    )
    first = scene.box_centre.shape[0]
    groups, size = scene.turned_centre.shape[:2]
    items = (
        scene.turned_centre,
        scene.turned_half,
        scene.turned_yaw,
        first + size * jnp.arange(groups),
    )
    state = _loop(group, state, items, _used(scene.turned_half), 1)
    first += groups * size

    scale = 1 / _maximum(direction[0] * direction[0] + direction[2] * direction[2], 1e-12)

    def ellipsoid(state, shape):
        centre, inverse_radius, index = shape
        relative = [centre[axis] - origin[axis] for axis in range(3)]
        return visit(state, *_ellipsoid(relative, inverse_radius, direction), index)

    def cylinder(state, shape):
        centre, radius, half, index = shape
        relative = [centre[axis] - origin[axis] for axis in range(3)]
        return visit(state, *_cylinder(relative, radius, half, direction, inverse, scale), index)

    count = scene.ellipsoid_centre.shape[0]
    items = (scene.ellipsoid_centre, 1 / scene.ellipsoid_radius, first + jnp.arange(count))
    state = _loop(ellipsoid, state, items, _used(scene.ellipsoid_radius), 2)
    first += count
    count = scene.cylinder_centre.shape[0]
    items = (
        scene.cylinder_centre,
        scene.cylinder_radius,
        scene.cylinder_half,
        first + jnp.arange(count),
    )
    return _loop(cylinder, state, items, _used(scene.cylinder_radius), 2)


def first_hit(scene, origin, direction):
    """The first surface along each ray.

    Args:
        scene: `Scene`, not stacked.
        origin: tuple of three scalars, a point inside the shell and outside every object, metres.
        direction: tuple of three float32 arrays of one shape, unit vectors.

    Returns:
        `(distance, primitive)`: float32 metres and int32 ids in the order of `Scene.material`,
        `SHELL` for the outer walls.
    """
    inverse = tuple(map(_inverse, direction))
    middle, half = (scene.shell[0] + scene.shell[1]) / 2, (scene.shell[1] - scene.shell[0]) / 2
    _, leave = _slabs([middle[axis] - origin[axis] for axis in range(3)], half, inverse)

    def nearer(state, near, far, index):
        distance, primitive = state
        hit = (near <= _minimum(far, distance)) & (near > 0)
        return jnp.where(hit, near, distance), jnp.where(hit, index, primitive)

    return _fold(scene, origin, direction, nearer, (leave, jnp.full(leave.shape, SHELL)))


def is_blocked(scene, start, direction):
    """Whether an object stands between each point and the point `start + direction`.

    Args:
        scene: `Scene`, not stacked.
        start: tuple of three float32 arrays, points, metres.
        direction: tuple of three arrays of the same shape, not of unit length.

    Returns:
        Boolean array.
    """

    def any_hit(state, near, far, index):
        del index
        return state | ((near <= far) & (near > 0) & (near < 1))

    return _fold(scene, start, direction, any_hit, jnp.zeros(direction[0].shape, bool))
