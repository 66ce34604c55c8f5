"""Marks of cameras in the viewer: a ball that wears the panorama, and the picture to the front."""

import io

import numpy as np
from PIL import Image

from pano_depth.footage import media
from pano_depth.results.exports import views


def ball(image: np.ndarray, radius: float):
    """A sphere that shows a panorama in the directions in which it was seen.

    Args:
        image: [h, 2h, 3] uint8.
        radius: of the sphere.

    Returns:
        `trimesh.Trimesh` in the camera frame x right, y down, z forward; it needs no light.
    """
    import trimesh

    lat, lon = np.meshgrid(
        np.linspace(np.pi / 2, -np.pi / 2, 33), np.linspace(-np.pi, np.pi, 65), indexing='ij'
    )
    vertices = np.stack(
        [np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)], axis=-1
    )
    corner = (np.arange(32)[:, None] * 65 + np.arange(64)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 65, corner + 1], axis=-1),
            np.stack([corner + 1, corner + 65, corner + 66], axis=-1),
        ]
    )
    places = np.stack([lon / (2 * np.pi) + 0.5, lat / np.pi + 0.5], axis=-1)
    material = trimesh.visual.material.PBRMaterial(
        baseColorFactor=[0, 0, 0, 255],
        emissiveTexture=_as_jpeg(image),
        emissiveFactor=[1.0, 1.0, 1.0],
        metallicFactor=0.0,
        roughnessFactor=1.0,
        doubleSided=True,
    )
    return trimesh.Trimesh(
        vertices=radius * vertices.reshape(-1, 3),
        faces=faces,
        visual=trimesh.visual.TextureVisuals(uv=places.reshape(-1, 2), material=material),
        process=False,
    )


def _as_jpeg(image):
    """A picture that travels as JPEG, of at most 1024 x 512 pixels."""
    rows = min(512, image.shape[0])
    out = io.BytesIO()
    small = np.asarray(media.resize_equirect(image, rows, 2 * rows))
    Image.fromarray(small).save(out, 'JPEG', quality=90)
    return Image.open(io.BytesIO(out.getvalue()))


def front(image: np.ndarray, size: int = 96) -> np.ndarray:
    """[size, size, 3] uint8: what a camera of 90 degrees sees straight ahead in a panorama."""
    return views.faces(len(image), size=size)[0].nearest(image)
