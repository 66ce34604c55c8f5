"""Renders a `Scene` as equirectangular colour and exact range depth, in JAX.

Surfaces are Lambertian and the lights belong to the scene, so a point looks the same from
everywhere, as photometric training assumes.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth.rooms import scene as scenes
from pano_depth.rooms.furnish import ALIGNED, ELLIPSOIDS, GROUP_BOXES, GROUPS
from pano_depth.rooms.materials import COLUMN
from pano_depth.rooms.textures import albedo
from pano_depth.rooms.trace import SHELL, first_hit, is_blocked
from pano_depth.rooms.wide import reflect

EXPOSURE = 1.4
LIGHT_RADIUS = 0.12  # metres: the lamps' size, which softens shadows
FARTHEST = 60.0  # metres: what is farther counts as infinitely far, like the sky; homes are smaller


def _geometry(scene):
    """Centre, half size or radius, cosine, sine of primitives and shell: [8, SHELL + 1]."""
    centres = (
        scene.box_centre,
        scene.turned_centre.reshape(-1, 3),
        scene.ellipsoid_centre,
        scene.cylinder_centre,
        scene.shell.mean(axis=0)[None],
    )
    cylinders = jnp.stack(
        [scene.cylinder_radius, scene.cylinder_half, scene.cylinder_radius], axis=-1
    )
    halves = (
        scene.box_half,
        scene.turned_half.reshape(-1, 3),
        scene.ellipsoid_radius,
        cylinders,
        (scene.shell[1:] - scene.shell[:1]) / 2,
    )
    yaw = (
        jnp.zeros(SHELL + 1)
        .at[ALIGNED : ALIGNED + GROUPS * GROUP_BOXES]
        .set(jnp.repeat(scene.turned_yaw, GROUP_BOXES))
    )
    return jnp.concatenate(
        [
            jnp.concatenate(centres).T,
            jnp.concatenate(halves).T,
            jnp.cos(yaw)[None],
            jnp.sin(yaw)[None],
        ]
    )


def _surface(geometry, primitive, point):
    """Normal in the scene; normal and position in the frame of the primitive that is hit."""
    row = [values[primitive] for values in geometry]
    cosine, sine = row[6], row[7]
    x, y, z = point
    local = (cosine * x - sine * z - row[0], y - row[1], sine * x + cosine * z - row[2])
    relative = [local[axis] / row[3 + axis] for axis in range(3)]
    size = [jnp.abs(r) for r in relative]
    box = [(size[0] >= jnp.maximum(size[1], size[2])), None, None]
    box[1] = ~box[0] & (size[1] >= size[2])
    box[2] = ~box[0] & ~box[1]
    box = [jnp.where(face, jnp.sign(r), 0.0) for face, r in zip(box, relative)]
    ball = [r / row[3 + axis] for axis, r in enumerate(relative)]
    cap = size[1] > 0.99999
    tube = [jnp.where(cap == (axis == 1), r, 0.0) for axis, r in enumerate(relative)]
    balls = ALIGNED + GROUPS * GROUP_BOXES
    is_ball = (primitive >= balls) & (primitive < balls + ELLIPSOIDS)
    is_tube = (primitive >= balls + ELLIPSOIDS) & (primitive < SHELL)
    normal = [jnp.where(is_ball, b, jnp.where(is_tube, t, n)) for b, t, n in zip(ball, tube, box)]
    sign = jnp.where(primitive == SHELL, -1.0, 1.0)
    scale = sign / jnp.sqrt(sum(n * n for n in normal) + 1e-20)
    normal = [n * scale for n in normal]
    world = (
        cosine * normal[0] + sine * normal[2],
        normal[1],
        cosine * normal[2] - sine * normal[0],
    )
    return world, normal, local


def _room_of(scene, x, z):
    """The room of each point: its index, bounds and lights, a dictionary of (tuples of) arrays."""
    best, values = None, None
    for index in range(scenes.MAX_ROOMS):
        room = scene.rooms[index]
        outside = jnp.maximum(
            jnp.maximum(room[0] - x, x - room[2]), jnp.maximum(room[1] - z, z - room[3])
        )
        new = (
            index,
            *room,
            *scene.light[index],
            *scene.light_colour[index],
            *scene.window[index],
            *scene.window_colour[index],
            *scene.ambient[index],
        )
        if best is None:
            best, values = outside, tuple(jnp.broadcast_to(value, x.shape) for value in new)
        else:
            nearer = outside < best
            best = jnp.where(nearer, outside, best)
            values = tuple(jnp.where(nearer, n, v) for n, v in zip(new, values))
    names = ('light', 'light_colour', 'window', 'window_colour', 'ambient')
    lights = {name: values[5 + 3 * i : 8 + 3 * i] for i, name in enumerate(names)}
    return {'index': values[0], 'bounds': values[1:5], **lights}


def _slot(primitive, room, normal):
    """Row of the material of each point, and whether it belongs to the room: walls, floors."""
    structural = (primitive < scenes.WALL_BOXES) | (primitive == SHELL)
    kind = jnp.where(
        normal[1] < -0.5,
        0,
        jnp.where(normal[1] > 0.5, 1, jnp.where(jnp.abs(normal[0]) > 0.5, 2, 3)),
    )
    own = scenes.PRIMITIVES + scenes.ROOM_MATERIALS * room['index'] + kind
    return jnp.where(structural, own, primitive), structural


def _material(scene, primitive, room, normal, local, point):
    """Material columns and surface coordinates (u, v); walls and floors use their room."""
    slot, structural = _slot(primitive, room, normal)
    rows = scene.material[slot]
    x, y, z = (jnp.where(structural, p, q) for p, q in zip(point, local))
    size = [jnp.abs(n) for n in normal]
    sideways = size[0] >= jnp.maximum(size[1], size[2])
    level = size[1] > size[2]
    u = jnp.where(sideways, z, x)
    v = jnp.where(sideways | ~level, y, z)
    return [rows[..., column] for column in range(rows.shape[-1])], u, v


def _irradiance(scene, point, normal, room, lamp):
    """Light on each point: ambient (less in corners), lamp with shadows, window without shadows."""
    x0, z0, x1, z1 = room['bounds']
    gaps = (
        point[0] - x0,
        x1 - point[0],
        point[2] - z0,
        z1 - point[2],
        -point[1],
        point[1] - scene.shell[0, 1],
    )
    facing = (normal[0], -normal[0], normal[2], -normal[2], -normal[1], normal[1])
    corners = 1.0
    for gap, face in zip(gaps, facing):
        near = 0.3 / (1 + jnp.maximum(gap, 0.0) ** 2 * 25)
        corners = corners * (1 - near * (1 - jnp.abs(face)))

    def lit(position, wrap):
        to = [position[axis] - point[axis] for axis in range(3)]
        square = sum(d * d for d in to)
        cosine = sum(d * n for d, n in zip(to, normal)) / jnp.sqrt(square + 1e-6)
        return to, jnp.maximum((cosine + wrap) / (1 + wrap), 0.0) / (square + 0.8)

    bulb = [room['light'][axis] + lamp[axis] for axis in range(3)]
    to, direct = lit(bulb, 0.0)
    start = [p + 2e-3 * n for p, n in zip(point, normal)]
    # The lamp itself and its cord cast no shadow.
    length = jnp.sqrt(sum(d * d for d in to))
    short = jnp.maximum(1 - 0.5 / (length + 1e-6), 0.0)
    direct = jnp.where(is_blocked(scene, start, [d * short for d in to]), 0.0, direct)
    _, soft = lit(room['window'], 0.35)
    return [
        corners * (a + w * soft) + b * direct
        for a, w, b in zip(room['ambient'], room['window_colour'], room['light_colour'])
    ]


def _shade(scene, geometry, origin, direction, distance, primitive, lamp, pixel):
    """Linear colour in [0, 1], three arrays, of the points that rays `pixel` radians apart hit."""
    # The barriers keep XLA from computing a stage anew in every fusion that reads it.
    keep = jax.lax.optimization_barrier
    point = [o + distance * d for o, d in zip(origin, direction)]
    normal, own_normal, local = keep(_surface(geometry, primitive, point))
    # A point inside the doorway's thickness or on a wall belongs to the room that its surface
    # faces.
    room = keep(_room_of(scene, point[0] + 0.02 * normal[0], point[2] + 0.02 * normal[2]))
    row, u, v = keep(_material(scene, primitive, room, own_normal, local, point))
    facing = jnp.abs(sum(n * d for n, d in zip(normal, direction)))
    footprint = distance * pixel / jnp.maximum(facing, 0.1) + 1e-6
    colour = keep(albedo(row, u, v, footprint))
    light = _irradiance(scene, point, normal, room, lamp)
    emission = row[COLUMN['emission']]
    return tuple(1 - jnp.exp(-EXPOSURE * c * (lit + emission)) for c, lit in zip(colour, light))


def _mirrors(scene, geometry, origin, direction, distance, primitive):
    """How much the surface at each ray mirrors, and what decides where: `reflect.Mirrors`."""
    point = [o + distance * d for o, d in zip(origin, direction)]
    normal, own_normal, _ = _surface(geometry, primitive, point)
    room = _room_of(scene, point[0] + 0.02 * normal[0], point[2] + 0.02 * normal[2])
    share = scene.material[:, COLUMN['mirror']][_slot(primitive, room, own_normal)[0]]
    return reflect.Mirrors(share, normal, direction, point, room['bounds'])


def _angles(count, span, samples):
    """Sines and cosines [1 + samples, count] over `span` radians: of pixels, then of sub-pixels."""
    parts = np.concatenate([[0.5], (np.arange(samples) + 0.5) / samples])
    angles = ((np.arange(count) + parts[:, None]) / count - 0.5) * span
    return jnp.asarray(np.sin(angles), jnp.float32), jnp.asarray(np.cos(angles), jnp.float32)


def _rays(rotation, latitude, longitude):
    """Scene directions of a grid of pixels from sines and cosines: three [rows, columns] arrays."""
    (sin_lat, cos_lat), (sin_lon, cos_lon) = latitude, longitude
    camera = (cos_lat[:, None] * sin_lon, sin_lat[:, None], cos_lat[:, None] * cos_lon)
    return tuple(
        rotation[axis, 0] * camera[0]
        + rotation[axis, 1] * camera[1]
        + rotation[axis, 2] * camera[2]
        for axis in range(3)
    )


def _render_rows(scene, geometry, rotation, translation, latitudes, longitudes, mirrors):
    """Colour [rows, W, 3], depth [rows, W] and mirrors of a block of rows, given its `_angles`.

    The third is None unless `mirrors` is true.
    """
    origin = tuple(translation)
    samples = latitudes[0].shape[0] - 1
    # Sample 0 is the pixel's centre, whose ray gives the depth; the others give the colour.
    rows, columns = (
        np.concatenate([[0], part.ravel()]) for part in np.mgrid[1 : samples + 1, 1 : samples + 1]
    )
    steps = LIGHT_RADIUS * (2 * np.arange(samples) + 1 - samples) / samples
    lamps = np.float32(
        np.stack([steps[rows[1:] - 1], np.zeros(samples**2), steps[columns[1:] - 1]], axis=-1)
    )

    def rays(sample):
        row, column = sample
        return _rays(
            rotation, [part[row] for part in latitudes], [part[column] for part in longitudes]
        )

    hits = jax.lax.map(lambda sample: first_hit(scene, origin, rays(sample)), (rows, columns))
    distances, primitives = hits

    def add(total, item):
        sample, lamp, distance, primitive = item
        pixel = 2 * np.pi / longitudes[0].shape[1] / samples
        colour = _shade(scene, geometry, origin, rays(sample), distance, primitive, lamp, pixel)
        return tuple(t + c for t, c in zip(total, colour)), None

    # Scans and not Python loops: the program is a quarter of the size.
    items = ((rows[1:], columns[1:]), lamps, distances[1:], primitives[1:])
    total, _ = jax.lax.scan(add, (jnp.zeros(distances.shape[1:]),) * 3, items)
    # Stacked after the loop and alone: inside of the loop, a stack would prevent vectorisation.
    total = jax.lax.optimization_barrier(tuple(jnp.sqrt(t / samples**2) for t in total))
    found = None
    if mirrors:
        direction = rays((rows[0], columns[0]))
        found = _mirrors(scene, geometry, origin, direction, distances[0], primitives[0])
    return jnp.stack(total, axis=-1), distances[0], found


def render(scene, rotation, translation, height, width, *, samples=2, chunk=2**15, mirrors=False):
    """Renders views of one scene.

    Args:
        scene: `Scene`, not stacked (`vmap` over stacked ones).
        rotation: [..., 3, 3] camera to scene.
        translation: [..., 3] camera positions in the scene, metres; inside a room and outside all
            objects.
        height, width: of the equirectangular image.
        samples: the square root of the number of colour rays a pixel.
        chunk: about how many pixels are rendered at once; more suits an accelerator.
        mirrors: whether surfaces mirror as their materials say; the usual rooms have none that do.

    Returns:
        `(rgb, depth)`: [..., H, W, 3] float32 in [0, 1]; [..., H, W] float32 range in metres along
        the ray through the pixel's centre, 0 beyond `FARTHEST`. A mirror's range is its surface's.

    Raises:
        ValueError: if the size is not at least 2 x 4 or samples is below 1.
    """
    if height < 2 or width < 4 or samples < 1:
        raise ValueError(
            f'height, width, samples are {height}, {width}, {samples}; '
            'at least 2, 4 and 1 are accepted'
        )
    scene = scenes.Scene(*map(jnp.asarray, scene))
    rotation = jnp.asarray(rotation, jnp.float32)
    translation = jnp.asarray(translation, jnp.float32)
    batch = translation.shape[:-1]
    # The smallest number of equal blocks of rows that are each within the chunk.
    fits = lambda n: height % n == 0 and (height // n * width <= chunk or n == height)
    blocks = next(n for n in range(1, height + 1) if fits(n))
    count = height // blocks
    longitudes = _angles(width, 2 * np.pi, samples)
    latitudes = [
        part.reshape(-1, blocks, count).swapaxes(0, 1) for part in _angles(height, np.pi, samples)
    ]

    geometry = _geometry(scene)

    def one(view):
        def block(rows):
            return _render_rows(scene, geometry, *view, rows, longitudes, mirrors)

        rgb, depth, found = jax.lax.map(block, latitudes)
        rgb, depth = rgb.reshape(height, width, 3), depth.reshape(height, width)
        if mirrors:
            found = jax.tree.map(lambda part: part.reshape(height, width), found)
            rgb = reflect.add(rgb, found, *view, scene.shell)
        return rgb, depth

    views = (rotation.reshape(-1, 3, 3), translation.reshape(-1, 3))
    rgb, depth = jax.lax.map(one, views, batch_size=max(1, chunk // (height * width)))
    depth = jnp.where(depth > FARTHEST, 0.0, depth)
    return rgb.reshape(*batch, height, width, 3), depth.reshape(*batch, height, width)
