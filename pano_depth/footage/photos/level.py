"""Panoramas turned so that the world's down is down."""

import numpy as np

from pano_depth.footage.photos.gpano import GPano
from pano_depth.kernels import sphere

# Rows of rays that are computed at a time: memory for 4 million pixels.
_PIXELS = 2**22


def to_world(tags: GPano) -> np.ndarray | None:
    """The rotation of the camera in the world by its tags.

    The camera turns about its down axis by the heading, then lifts its view by the pitch, then
    hangs its right side down by the roll ("Photo Sphere XMP Metadata", Euler angles).

    Args:
        tags: of the photograph.

    Returns:
        [3, 3] float64, vectors of the camera frame (x right, y down, z forward) to the world's
        (x east, y down, z north); None where the camera is level and looks north, or does not say.
    """
    heading, pitch, roll = np.deg2rad([tags.heading % 360, tags.pitch, tags.roll])
    if not (heading or pitch or roll):
        return None
    (sin_h, sin_p, sin_r), (cos_h, cos_p, cos_r) = (
        function([heading, pitch, roll]) for function in (np.sin, np.cos)
    )
    about_y = np.array([[cos_h, 0, sin_h], [0, 1, 0], [-sin_h, 0, cos_h]])
    about_x = np.array([[1, 0, 0], [0, cos_p, -sin_p], [0, sin_p, cos_p]])
    about_z = np.array([[cos_r, -sin_r, 0], [sin_r, cos_r, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def turn(
    image: np.ndarray, valid: np.ndarray | None, rotation: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Turns a panorama into the world.

    A turn about the down axis moves whole columns, so that no pixel is interpolated.

    Args:
        image: [H, 2H, 3] uint8.
        valid: [H, 2H] bool, or None where all of it counts.
        rotation: [3, 3] of the camera in the world.

    Returns:
        (image, valid) of the same shapes, in the world's frame. A pixel counts if all that it is
        interpolated from counts.
    """
    height, width = image.shape[:2]
    if rotation[1, 1] > 1 - 1e-12:
        columns = round(np.arctan2(rotation[0, 2], rotation[2, 2]) / (2 * np.pi) * width)
        return np.roll(image, columns, 1), None if valid is None else np.roll(valid, columns, 1)
    known = None if valid is None else valid[..., None].astype(np.float32)
    turned, counts = np.empty_like(image), None if valid is None else np.empty_like(valid)
    strip = max(1, min(height, _PIXELS // width))
    lon = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    for top in range(0, height, strip):
        lat = (0.5 - (np.arange(top, min(top + strip, height)) + 0.5) / height) * np.pi
        rays = np.stack(
            np.broadcast_arrays(
                np.cos(lat)[:, None] * np.sin(lon),
                -np.sin(lat)[:, None],
                np.cos(lat)[:, None] * np.cos(lon),
            ),
            axis=-1,
        )
        # Rows times the matrix: each ray of the world in the camera's frame.
        rays = (rays @ rotation).astype(np.float32)
        rows = slice(top, top + len(lat))
        if known is None:
            turned[rows] = sphere.sample_equirect(image, rays)
            continue
        share = np.asarray(sphere.sample_equirect(known, rays))
        colour = sphere.sample_equirect(image * known, rays) / np.maximum(share, 1e-3)
        turned[rows] = np.clip(np.asarray(colour) + 0.5, 0, 255)
        counts[rows] = share[..., 0] > 1 - 1e-3
    return turned, counts
