"""The cameras of an export: the panorama itself, or the faces of a cube around it.

Pixel coordinates are those of COLMAP and nerfstudio: the centre of the first pixel is 0.5.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, UInt8

from pano_depth.footage import media
from pano_depth.kernels import cube, sphere


class View(NamedTuple):
    """A camera at the place of the panorama.

    Attributes:
        name: '' of the panorama, or that of a face, such as 'front'.
        rotation: its rows are the view's right, down and forward in the frame of the panorama.
        height, width: pixels.
        focal: focal length in pixels; None of the panorama. The principal point is the middle.
    """

    name: str
    rotation: Float64[np.ndarray, '3 3']
    height: int
    width: int
    focal: float | None = None

    def project(
        self, rays: Float[np.ndarray, 'rays 3']
    ) -> tuple[Float64[np.ndarray, 'rays 2'], Bool[np.ndarray, ' rays']]:
        """Pixel coordinates (x, y) of directions in the frame of the panorama.

        Returns:
            (pixels, inside): where `inside` is False, the view does not show the direction.
        """
        x, y, z = np.moveaxis(np.asarray(rays, np.float64) @ self.rotation.T, -1, 0)
        if self.focal is None:
            columns = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * self.width
            rows = (np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5) * self.height
            return np.stack([columns, rows], axis=-1), np.ones(len(x), bool)
        ahead = z > 1e-9
        depth = np.where(ahead, z, 1)
        pixels = np.stack(
            [self.focal * x / depth + self.width / 2, self.focal * y / depth + self.height / 2],
            axis=-1,
        )
        inside = ahead & ((pixels >= 0) & (pixels < [self.width, self.height])).all(axis=-1)
        return pixels, inside

    def resized(self, size: int) -> 'View':
        """The same face with other rows and columns."""
        return self._replace(height=size, width=size, focal=self.focal * size / self.width)

    def image(
        self, panorama: UInt8[np.ndarray, 'height width 3']
    ) -> UInt8[np.ndarray, 'rows columns 3']:
        """What the view shows of a panorama, at the size of the view; without aliasing."""
        if self.focal is None:
            return media.resize_equirect(panorama, self.height, self.width)
        # A face may be coarser than the panorama: a pixel is the mean of finer samples.
        pixel = 1 / self.focal
        samples = int(np.clip(np.ceil(pixel / (np.pi / panorama.shape[0])), 1, 8))
        return np.asarray(
            _render(
                jnp.asarray(panorama),
                jnp.asarray(self.rotation, jnp.float32),
                jnp.float32(self.focal),
                size=self.width,
                samples=samples,
            )
        )

    def nearest(self, panorama: np.ndarray) -> np.ndarray:
        """The nearest pixels of a panorama [h, 2h], which may have another size: depth, masks."""
        if self.focal is None:
            return media.nearest(panorama, self.height)
        rows, columns = _nearest_pixels(
            self.rotation.tobytes(), self.width, self.focal, len(panorama)
        )
        return panorama[rows, columns]

    def cosines(self) -> Float32[np.ndarray, 'rows columns']:
        """Of the angle between each pixel's ray and the direction of view: z-depth by range."""
        if self.focal is None:
            raise ValueError('a panorama has no z-depth')
        offset = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        squared = offset**2 + offset[:, None] ** 2
        return (1 / np.sqrt(1 + squared)).astype(np.float32)


def panorama(height: int) -> View:
    """The panorama of so many rows."""
    return View('', np.eye(3), height, 2 * height)


def panorama_pixels(
    rays: Float[np.ndarray, 'rays 3'], height: int
) -> tuple[Int32[np.ndarray, ' rays'], Int32[np.ndarray, ' rays']]:
    """(rows, columns) of the pixels of a panorama of so many rows that directions fall into."""
    columns, rows = panorama(height).project(rays)[0].T.astype(np.int32)
    return np.minimum(rows, height - 1), columns % (2 * height)


def faces(height: int, *, fov: float = 90.0, size: int | None = None) -> list[View]:
    """The six faces of a cube, in the order of `cube.FACES`.

    Args:
        height: rows of the panorama.
        fov: field of view of a face in degrees.
        size: rows and columns of a face; None: as many as a panorama has in its middle.
    """
    half = np.tan(np.radians(fov) / 2)
    size = size or max(2, 2 * round(half * height / 4))
    axes = cube.FACE_AXES.astype(np.float64)
    return [
        View(name, rotation, size, size, float(size / 2 / half))
        for name, rotation in zip(cube.FACES, axes, strict=True)
    ]


@functools.partial(jax.jit, static_argnames=('size', 'samples'))
def _render(image, rotation, focal, *, size, samples):
    """A face [size, size, 3] uint8, each pixel the mean of samples x samples directions."""
    fine = size * samples
    offset = ((jnp.arange(fine) + 0.5) / samples - size / 2) / focal
    x, y = jnp.meshgrid(offset, offset)
    rays = jnp.stack([x, y, jnp.ones_like(x)], axis=-1) @ rotation
    colours = sphere.sample_equirect(image.astype(jnp.float32), rays)
    colours = colours.reshape(size, samples, size, samples, 3).mean(axis=(1, 3))
    return jnp.round(jnp.clip(colours, 0, 255)).astype(jnp.uint8)


@functools.lru_cache(maxsize=16)
def _nearest_pixels(rotation, size, focal, height):
    """(rows, columns) [size, size] of a panorama that the pixels of a face look at."""
    offset = (np.arange(size) + 0.5 - size / 2) / focal
    x, y = np.meshgrid(offset, offset)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.frombuffer(rotation).reshape(3, 3)
    rows, columns = panorama_pixels(rays.reshape(-1, 3), height)
    return rows.reshape(size, size), columns.reshape(size, size)
