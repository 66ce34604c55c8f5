"""What mirrors, panes and polished floors reflect, taken from the image of the room itself.

A reflected ray is followed to the walls of its room, and the point where it arrives is looked up in
the image (a box-projected environment map): exact for bare walls, about right for furniture, and
far cheaper than a second ray.
"""

from typing import NamedTuple

import jax.numpy as jnp

from pano_depth.kernels import sphere

GRAZING = 0.6  # a surface that mirrors at all mirrors so much more at grazing angles


class Mirrors(NamedTuple):
    """The surfaces that pixels show; arrays of one shape, or tuples of them.

    Attributes:
        share: of the light that is mirrored, seen head on; 0 for most surfaces.
        normal: tuple of three, in the scene.
        direction: tuple of three, of the rays in the scene.
        point: tuple of three, where the rays arrive, metres.
        bounds: tuple of x0, z0, x1, z1 of the room, metres.
    """

    share: object
    normal: tuple
    direction: tuple
    point: tuple
    bounds: tuple


def _way_out(point, ray, low, high):
    """Distance along a ray from a point inside a box to the box."""
    best = jnp.inf
    for p, r, a, b in zip(point, ray, low, high):
        safe = jnp.where(jnp.abs(r) < 1e-6, 1e-6, r)
        best = jnp.minimum(best, jnp.maximum((a - p) / safe, (b - p) / safe))
    return jnp.maximum(best, 0.0)


def add(image, mirrors, rotation, translation, shell):
    """Adds reflections to an image.

    Args:
        image: [H, W, 3] displayed colours, the square roots of light.
        mirrors: `Mirrors` of [H, W].
        rotation, translation: [3, 3], [3] camera to scene.
        shell: as in `Scene`.

    Returns:
        Image of the same shape.
    """
    facing = sum(n * d for n, d in zip(mirrors.normal, mirrors.direction))
    ray = [d - 2 * facing * n for n, d in zip(mirrors.normal, mirrors.direction)]
    x0, z0, x1, z1 = mirrors.bounds
    reach = _way_out(mirrors.point, ray, (x0, shell[0, 1], z0), (x1, shell[1, 1], z1))
    seen = jnp.stack(
        [p + reach * r - t for p, r, t in zip(mirrors.point, ray, translation)], axis=-1
    )
    reflected = sphere.sample_equirect(image, seen @ rotation, method='nearest')
    grazing = (1 - jnp.clip(jnp.abs(facing), 0.0, 1.0)) ** 5
    share = mirrors.share + GRAZING * (1 - mirrors.share) * grazing
    share = jnp.where(mirrors.share > 0, share, 0.0)[..., None]
    return jnp.sqrt((1 - share) * image**2 + share * reflected**2 + 1e-12)
