"""The cube map: faces, conversion to and from equirectangular images, and cube padding.

Faces stand in the order front, right, back, left, up, down. Face pixel (i, j) of an S x S face
looks along `a * right + b * down + forward` with a = (2j + 1) / S - 1, b = (2i + 1) / S - 1 and the
face's axes from `FACE_AXES`.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from pano_depth.kernels import cube_edges, remap, sphere
from pano_depth.kernels.remap import Method
from pano_depth.kernels.shapes import Array, Real, Size

FACES = ('front', 'right', 'back', 'left', 'up', 'down')

# FACE_AXES[i] has the rows right, down, forward of face i in the camera frame:
# v_camera = FACE_AXES[i].T @ v_face.
FACE_AXES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
        [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
        [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    ],
    np.float32,
)
FACE_AXES.setflags(write=False)


def _check_size(face_size):
    if not isinstance(face_size, (int, np.integer)) or face_size < 1:
        raise ValueError(
            f'face_size is {face_size}; a face has a whole number of pixels, at least one'
        )


def _check_faces(faces):
    if faces.ndim < 4 or faces.shape[-4] != 6 or faces.shape[-3] != faces.shape[-2]:
        raise ValueError(f'faces have shape {tuple(faces.shape)}; expected [..., 6, S, S, C]')


def _check_table(table, target):
    if table.target != target:
        raise ValueError(f'table is for a target of {table.target}; expected one for {target}')


def _face_rays(face_size):
    """float64 [6, S, S, 3] unit rays."""
    _check_size(face_size)
    offset = (2 * np.arange(face_size) + 1) / face_size - 1
    b, a = np.meshgrid(offset, offset, indexing='ij')
    local = np.stack([a, b, np.ones_like(a)], axis=-1)
    rays = np.einsum('fkc,ijk->fijc', FACE_AXES.astype(np.float64), local)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def face_directions(face_size: Size) -> Float32[jax.Array, '6 {face_size} {face_size} 3']:
    """Unit viewing rays of the pixel centres of the six faces.

    Args:
        face_size: S in pixels.

    Returns:
        Unit vectors in the camera frame.
    """
    return jnp.asarray(_face_rays(face_size), jnp.float32)


def face_solid_angles(face_size: Size) -> Float32[jax.Array, '{face_size} {face_size}']:
    """Exact solid angle of every pixel of a cube face.

    Args:
        face_size: S in pixels.

    Returns:
        Steradians, which sum to 4 pi / 6: a corner pixel is up to 5.2 times smaller than the
        central one.
    """
    _check_size(face_size)
    edge = 2 * np.arange(face_size + 1) / face_size - 1
    b, a = np.meshgrid(edge, edge, indexing='ij')
    corner = np.arctan2(a * b, np.sqrt(1 + a * a + b * b))
    return jnp.asarray(
        corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1], jnp.float32
    )


@functools.lru_cache(maxsize=8)
def equirect_to_cube_table(
    height: Size, width: Size, face_size: Size, method: Method = 'bilinear'
) -> remap.Table:
    """The table of `equirect_to_cube`, built once per shape and cached.

    Args:
        height, width: size of the image, width = 2 * height.
        face_size: S.
        method: 'bilinear' or 'nearest'.

    Returns:
        The table, with a [6, S, S] target.

    Raises:
        ValueError: the image is not 2:1, the face is empty, or the method is unknown.
    """
    sphere.check_equirect(height, width)
    rays = _face_rays(face_size)
    x, y, z = np.moveaxis(rays, -1, 0)
    u = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * width - 0.5
    v = (np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5) * height - 0.5
    return remap.make_table(*sphere.equirect_taps(u, v, height, width, method, xp=np))


def equirect_to_cube(
    image: Real[Array, '*batch height width channels'],
    face_size: Size,
    *,
    method: Method = 'bilinear',
    table: remap.Table | None = None,
) -> Real[jax.Array, '*batch 6 {face_size} {face_size} channels']:
    """Resamples equirectangular images to the six faces of a cube.

    Args:
        image: W = 2H; other types than floats are interpolated in float32 and rounded.
        face_size: S in pixels. S = W / 4 keeps the resolution at the face centres.
        method: 'bilinear' or 'nearest' (depth and masks).
        table: what `equirect_to_cube_table` gives for these shapes and this method; default is a
            cached one.

    Returns:
        The faces, in the type of the image.

    Raises:
        ValueError: the image is not 2:1, has no channel axis, the method is unknown, or the table
            has another target.
    """
    image = jnp.asarray(image)
    if image.ndim < 3:
        raise ValueError(f'image has shape {image.shape}; expected [..., H, W, C]')
    height, width, channels = image.shape[-3:]
    sphere.check_equirect(height, width)
    table = equirect_to_cube_table(height, width, face_size, method) if table is None else table
    _check_table(table, (6, face_size, face_size))
    return remap.apply_table(table, image.reshape(image.shape[:-3] + (height * width, channels)))


@functools.lru_cache(maxsize=8)
def cube_to_equirect_table(
    face_size: Size, height: Size, width: Size, method: Method = 'bilinear'
) -> remap.Table:
    """The table of `cube_to_equirect`, built once per shape and cached.

    Args:
        face_size: S.
        height, width: size of the target, width = 2 * height.
        method: 'bilinear' or 'nearest'.

    Returns:
        The table, with a [height, width] target.

    Raises:
        ValueError: the target is not 2:1, the face is empty, or the method is unknown.
    """
    sphere.check_equirect(height, width, 'the target')
    _check_size(face_size)
    rays = sphere.pixel_rays(height, width)
    if method == 'nearest':
        return remap.make_table([cube_edges.nearest_pixel(rays, face_size, FACE_AXES)], None)
    if method != 'bilinear':
        raise ValueError(f"method is {method!r}; accepted are 'bilinear' and 'nearest'")
    # By bands of rows: float64 intermediates of a whole 4096 x 2048 image would take gigabytes.
    bands = [
        cube_edges.bilinear_taps(band.reshape(-1, 3), face_size, FACE_AXES)
        for band in np.array_split(rays, max(1, height // 64))
    ]
    indices, weights = (
        [np.concatenate(parts).reshape(height, width) for parts in zip(*group)]
        for group in zip(*bands)
    )
    return remap.make_table(indices, weights)


def cube_to_equirect(
    faces: Real[Array, '*batch 6 size size channels'],
    height: Size,
    width: Size,
    *,
    method: Method = 'bilinear',
    table: remap.Table | None = None,
) -> Real[jax.Array, '*batch {height} {width} channels']:
    """Resamples the six faces of a cube to equirectangular images.

    Between the outermost pixel centres of neighbouring faces it interpolates over the edge, so that
    no seam shows.

    Args:
        faces: types other than floats are interpolated in float32 and rounded.
        height, width: size of the result, width = 2 * height.
        method: 'bilinear' or 'nearest' (depth and masks).
        table: what `cube_to_equirect_table` gives for these shapes and this method; default is a
            cached one.

    Returns:
        The images, in the type of the faces.

    Raises:
        ValueError: the faces have another shape, the target is not 2:1, the method is unknown, or
            the table has another target.
    """
    faces = jnp.asarray(faces)
    _check_faces(faces)
    size, channels = faces.shape[-2:]
    sphere.check_equirect(height, width, 'the target')
    table = cube_to_equirect_table(size, height, width, method) if table is None else table
    _check_table(table, (height, width))
    return remap.apply_table(table, faces.reshape(faces.shape[:-4] + (6 * size * size, channels)))


@functools.lru_cache(maxsize=64)
def _padded_indices(size, pad):
    """int32 [6, S + 2 pad, S + 2 pad]: the flat pixel [6 * S * S] that `cube_pad` copies there."""
    pixels = np.arange(6 * size * size, dtype=np.int32).reshape(6, size, size)
    front, right, back, left, up, down = pixels
    top, bottom = (lambda f: f[:pad]), (lambda f: f[size - pad :])
    start, end = (lambda f: f[:, :pad]), (lambda f: f[:, size - pad :])
    # A quarter turn between two faces swaps the axes and reverses one of them; the edges decide
    # which one.
    rows, columns, turn = (lambda f: f[::-1]), (lambda f: f[:, ::-1]), (lambda f: f[::-1, ::-1])
    above = [
        bottom(up),
        columns(end(up).T),
        turn(top(up)),
        rows(start(up).T),
        turn(top(back)),
        bottom(front),
    ]
    below = [
        top(down),
        rows(end(down).T),
        turn(bottom(down)),
        columns(start(down).T),
        top(front),
        turn(bottom(back)),
    ]
    before = [
        end(left),
        end(front),
        end(right),
        end(back),
        columns(top(left).T),
        rows(bottom(left).T),
    ]
    after = [
        start(right),
        start(back),
        start(left),
        start(front),
        rows(top(right).T),
        columns(bottom(right).T),
    ]
    middle = np.concatenate([np.stack(before), pixels, np.stack(after)], axis=2)
    above, below = (
        np.pad(np.stack(side), ((0, 0), (0, 0), (pad, pad)), mode='edge') for side in (above, below)
    )
    return np.concatenate([above, middle, below], axis=1)


def _gather_pixels(faces, indices):
    """Faces [..., 6, S, S, C], flat pixels [*grid] -> [..., *grid, C]."""
    flat = faces.reshape(faces.shape[:-4] + (math.prod(faces.shape[-4:-1]), faces.shape[-1]))
    return remap.gather(flat, [indices], None, grid=indices.shape)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _pad(faces, pad):
    # One gather of whole padded faces: XLA fuses the activation before it into it. Fused into a
    # concatenation, the activation would cost far more.
    return _gather_pixels(faces, _padded_indices(faces.shape[-2], pad))


@_pad.defjvp
def _pad_jvp(pad, primals, tangents):
    # The tangent is a concatenation, whose transpose scatters only the strips, not every pixel.
    (faces,), (tangent,) = primals, tangents
    indices = _padded_indices(faces.shape[-2], pad)
    inside, beyond = slice(pad, -pad), (slice(None, pad), slice(-pad, None))
    strips = [indices[:, rows] for rows in beyond] + [
        indices[:, inside, columns] for columns in beyond
    ]
    ends = np.cumsum([strip[0].size for strip in strips])[:-1]
    halo = _gather_pixels(
        tangent, np.concatenate([strip.reshape(6, -1) for strip in strips], axis=1)
    )
    above, below, before, after = (
        part.reshape(faces.shape[:-3] + strip.shape[1:] + faces.shape[-1:])
        for part, strip in zip(jnp.split(halo, ends, axis=-2), strips)
    )
    middle = jnp.concatenate([before, tangent, after], axis=-2)
    return _pad(faces, pad), jnp.concatenate([above, middle, below], axis=-3)


def cube_pad(
    faces: Real[Array, '*batch 6 size size channels'], pad: Size
) -> Real[jax.Array, '*batch 6 size+2*{pad} size+2*{pad} channels']:
    """Cube padding: adds to every face the pixels of its neighbours (Cheng et al. 2018).

    Ring k of a padded side (k = 1 touches the face) is the neighbour's k-th row or column counted
    from the shared edge, in the order in which the cube folds. The pad x pad corners, where three
    faces meet and no true value exists, repeat the end pixels of the strips above and below
    horizontally.

    Args:
        faces: the faces to pad.
        pad: rings to add, 0 to the size of the faces.

    Raises:
        ValueError: the faces have another shape, or pad is negative or larger than the face.
    """
    faces = jnp.asarray(faces)
    _check_faces(faces)
    if not isinstance(pad, (int, np.integer)) or not 0 <= pad <= faces.shape[-2]:
        raise ValueError(f'pad is {pad}; accepted are 0 to the face size, {faces.shape[-2]}')
    return _pad(faces, pad) if pad else faces
