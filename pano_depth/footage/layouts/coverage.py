"""Which pixels of a panorama a layout shows that is not of the whole sphere."""

import numpy as np

from pano_depth.kernels import sphere


def of_circle(height, fov):
    """Where one fisheye circle reaches that looks ahead.

    Args:
        height: rows of the panorama, which has twice as many columns.
        fov: degrees across the circle.

    Returns:
        [height, 2 height] bool.
    """
    forward = np.asarray(sphere.ray_directions(height, 2 * height))[..., 2]
    return forward >= np.cos(np.radians(min(fov, 360) / 2))


def of_part(height, rows, columns):
    """A part of the panorama.

    Args:
        height: rows of the panorama, which has twice as many columns.
        rows, columns: (first, last + 1) of the part.

    Returns:
        [height, 2 height] bool.
    """
    valid = np.zeros((height, 2 * height), bool)
    valid[slice(*rows), slice(*columns)] = True
    return valid


def of_half(height):
    """The front half, [height, 2 height] bool."""
    return of_part(height, (0, height), (height // 2, height // 2 + height))
