"""Photographs that show the sphere in another way than an equirectangular image."""

import numpy as np

from common import images
from pano_depth.footage import media
from pano_depth.footage.layouts.decision import Decision
from pano_depth.footage.layouts.find_layout import decide_image
from pano_depth.footage.layouts.images import convert_image

# Rows that suffice to see circles and the seams of cubes.
_LOOKED = (1024, 2048)


def decide_layout(
    path, projection: str, stereo: str | None, fisheye_fov: float | None = None
) -> Decision:
    """Decides how an image shows the sphere, by its pixels.

    Args:
        path: the file.
        projection: 'auto' or the name of a layout.
        stereo: see `eyes.eye_size`.
        fisheye_fov: degrees across a fisheye circle; None measures it.

    Raises:
        ValueError: an unknown projection, or the image shows no sphere; the message says why.
    """
    pixels = images.read_pixels(path, least=_LOOKED)
    if pixels.colour.shape[:2] != pixels.size:
        # Most images are panoramas, which a reduced one tells; what converts them does not.
        if media.nearest_equirect(*pixels.size) is not None:
            found = decide_image(path, pixels.colour, projection, stereo, fov=fisheye_fov)
            if found.conversion is None:
                return found
        pixels = images.read_pixels(path)
    return decide_image(path, pixels.colour, projection, stereo, fov=fisheye_fov)


def convert(
    decision: Decision, colour: np.ndarray, valid: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Converts the pixels of an image.

    Args:
        decision: about the image, with a conversion.
        colour: [h, w, 3] uint8, all pixels of the file.
        valid: [h, w] bool, or None where all of them count.

    Returns:
        (image, valid) of the panorama: [H, W, 3] uint8 and [H, W] bool or None.
    """
    if valid is None:
        return convert_image(colour, decision.conversion), decision.valid
    both = np.dstack([colour, np.where(valid, 255, 0).astype(np.uint8)])
    found = convert_image(both, decision.conversion)
    # What is interpolated from a pixel that does not count does not count. 255 may come out as a
    # little less by rounding.
    valid = found[..., 3] >= 250
    return found[..., :3].copy(), valid if decision.valid is None else valid & decision.valid
