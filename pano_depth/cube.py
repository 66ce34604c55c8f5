"""The cube map: faces, the way to and from the equirectangular image, and cube padding.

Faces stand in the order front, right, back, left, up, down. Face pixel (i, j) of an S x S face looks along
`a * right + b * down + forward` with a = (2j + 1) / S - 1, b = (2i + 1) / S - 1 and the face's axes from `FACE_AXES`.
"""

import functools

import jax.numpy as jnp
import numpy as np

from pano_depth import remap, sphere

FACES = ('front', 'right', 'back', 'left', 'up', 'down')

# FACE_AXES[i] has the rows right, down, forward of face i in the camera frame: v_camera = FACE_AXES[i].T @ v_face.
FACE_AXES = np.array([
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
    [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
], np.float32)
FACE_AXES.setflags(write=False)


def _check_size(face_size):
    if face_size < 1:
        raise ValueError(f'face_size is {face_size}; a face has at least one pixel')


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


def face_directions(face_size):
    """Unit viewing rays of the pixel centres of the six faces.

    Args:
      face_size: S in pixels.

    Returns:
      [6, S, S, 3] float32 unit vectors in the camera frame.
    """
    return jnp.asarray(_face_rays(face_size), jnp.float32)


def face_solid_angles(face_size):
    """Exact solid angle of every pixel of a cube face.

    Args:
      face_size: S in pixels.

    Returns:
      [S, S] float32 steradians, which sum to 4 pi / 6: a corner pixel is up to 5.2 times smaller than the central one.
    """
    _check_size(face_size)
    edge = 2 * np.arange(face_size + 1) / face_size - 1
    b, a = np.meshgrid(edge, edge, indexing='ij')
    corner = np.arctan2(a * b, np.sqrt(1 + a * a + b * b))
    return jnp.asarray(corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1], jnp.float32)


@functools.lru_cache(maxsize=8)
def equirect_to_cube_table(height, width, face_size, method='bilinear'):
    """The table of `equirect_to_cube`, built once per shape and cached.

    Args:
      height, width: size of the image, width = 2 * height.
      face_size: S.
      method: 'bilinear' or 'nearest'.

    Returns:
      `remap.Table` with a [6, S, S] target.

    Raises:
      ValueError: the image is not 2:1, the face is empty, or the method is unknown.
    """
    sphere.check_equirect(height, width)
    rays = _face_rays(face_size)
    u = (np.arctan2(rays[..., 0], rays[..., 2]) / (2 * np.pi) + 0.5) * width - 0.5
    v = (np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2])) / np.pi + 0.5) * height - 0.5
    return remap.make_table(*sphere.equirect_taps(u, v, height, width, method, xp=np))


def equirect_to_cube(image, face_size, *, method='bilinear', table=None):
    """Resamples equirectangular images to the six faces of a cube.

    Args:
      image: [..., H, W, C], W = 2H; integer types are interpolated in float32 and rounded.
      face_size: S in pixels. S = W / 4 keeps the resolution at the face centres.
      method: 'bilinear' or 'nearest' (depth and masks).
      table: what `equirect_to_cube_table` gives for these shapes and this method; default is a cached one.

    Returns:
      [..., 6, S, S, C].

    Raises:
      ValueError: the image is not 2:1, has no channel axis, the method is unknown, or the table has another target.
    """
    image = jnp.asarray(image)
    if image.ndim < 3:
        raise ValueError(f'image has shape {image.shape}; expected [..., H, W, C]')
    height, width, channels = image.shape[-3:]
    sphere.check_equirect(height, width)
    table = equirect_to_cube_table(height, width, face_size, method) if table is None else table
    _check_table(table, (6, face_size, face_size))
    return remap.apply_table(table, image.reshape(image.shape[:-3] + (height * width, channels)))


def _nearest_pixel(rays, face_size):
    """Flat index of the face pixel [6 * S * S] that holds each direction, [..., 3] float64."""
    along = np.einsum('fc,...c->...f', FACE_AXES[:, 2].astype(np.float64), rays)
    face = np.argmax(along, axis=-1)
    local = np.einsum('...kc,...c->...k', FACE_AXES.astype(np.float64)[face], rays)
    column, row = (np.clip(np.floor((local[..., k] / local[..., 2] + 1) * face_size / 2), 0, face_size - 1).astype(np.int64)
                   for k in (0, 1))
    return (face * face_size + row) * face_size + column


def _inner_taps(face, a, b, size):
    """Bilinear taps inside a face, |a| and |b| at most 1 - 1/S."""
    x, y = ((c + 1) * size / 2 - 0.5 for c in (a, b))
    column, row = (np.clip(np.floor(c), 0, max(size - 2, 0)).astype(np.int64) for c in (x, y))
    right, down = x - column, y - row
    step = min(size - 1, 1)
    indices = [(face * size + row + i * step) * size + column + j * step for i in (0, 1) for j in (0, 1)]
    return indices, [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]


def _edge_taps(face, local, size):
    """Taps of directions beyond the outermost pixel centres of their face: the halo that joins the faces without a clamp.

    The pixel centres of two faces lie opposite each other along their common edge. Between two opposite pairs the interpolation runs
    bilinearly over the four of them, along the straight lines in space that join opposite centres; between the three centres
    that meet at a cube corner it is barycentric. It is continuous, and exact to second order in the pixel size, like the bilinear inside.

    Args:
      face: [N] faces.
      local: [N, 3] directions in the face frame with forward 1; at least one of the first two is beyond 1 - 1/S.
      size: S.

    Returns:
      four [N] flat indices, four [N] weights.
    """
    sign = np.where(local[:, :2] < 0, -1.0, 1.0)
    across_ab = np.abs(local[:, :2])
    pixel = 1 / size

    # In the quad over the edge that |axis 0| crosses, s runs from this face (0) to the other (1) and `along` is the other coordinate.
    def quad(across, along):
        s = (across - (1 - pixel)) / (pixel * (1 + across))
        return s, ((along * (1 - s * pixel) + 1) * size) / 2 - 0.5

    s_a, along_a = quad(across_ab[:, 0], across_ab[:, 1])
    s_b, along_b = quad(across_ab[:, 1], across_ab[:, 0])
    beyond = across_ab > 1 - pixel
    over_a = beyond[:, 0] & (along_a <= size - 1)
    over_b = beyond[:, 1] & (along_b <= size - 1) & ~over_a
    s, along = np.where(over_a, s_a, s_b), np.where(over_a, along_a, along_b)
    first = np.clip(np.floor(along), 0, max(size - 2, 0))
    fraction = along - first

    def vector(across, along, forward):
        """The direction with these absolute coordinates, in the camera frame."""
        a, b = np.where(over_a, across, along), np.where(over_a, along, across)
        rays = np.stack([a * sign[:, 0], b * sign[:, 1], np.broadcast_to(forward, a.shape)], axis=-1)
        return np.einsum('nk,nkc->nc', rays, FACE_AXES.astype(np.float64)[face])

    inner, outer = 1 - pixel, 1.0
    starts = [(2 * np.minimum(first + k, size - 1) + 1) / size - 1 for k in (0, 1)]
    rays = [vector(inner, starts[0], outer), vector(inner, starts[1], outer), vector(outer, starts[0], inner), vector(outer, starts[1], inner)]
    weights = [(1 - s) * (1 - fraction), (1 - s) * fraction, s * (1 - fraction), s * fraction]

    corner = ~over_a & ~over_b
    # The centre of the corner pixel of the face along axis k has coordinate 1 on that axis and 1 - 1/S on the others.
    absolute = np.abs(local) / np.abs(local).sum(axis=-1, keepdims=True) * (3 - 2 * pixel)
    barycentric = (absolute - (1 - pixel)) / pixel
    for k, ray in enumerate(([outer, inner, inner], [inner, outer, inner], [inner, inner, outer])):
        signed = np.stack([ray[0] * sign[:, 0], ray[1] * sign[:, 1], np.full(len(sign), ray[2])], axis=-1)
        signed = np.einsum('nk,nkc->nc', signed, FACE_AXES.astype(np.float64)[face])
        rays[k] = np.where(corner[:, None], signed, rays[k])
        weights[k] = np.where(corner, barycentric[:, k], weights[k])
    rays[3] = np.where(corner[:, None], rays[2], rays[3])
    weights[3] = np.where(corner, 0.0, weights[3])
    return [_nearest_pixel(ray, size) for ray in rays], weights


def _cube_taps(rays, face_size):
    """Four flat indices and weights for directions [N, 3] float64."""
    along = np.einsum('fc,nc->nf', FACE_AXES[:, 2].astype(np.float64), rays)
    face = np.argmax(along, axis=-1)
    local = np.einsum('nkc,nc->nk', FACE_AXES.astype(np.float64)[face], rays)
    local = local / local[:, 2:]
    indices, weights = _inner_taps(face, local[:, 0], local[:, 1], face_size)
    edge = np.nonzero(np.abs(local[:, :2]).max(axis=-1) > 1 - 1 / face_size)[0]
    for total, part in zip(indices + weights, [x for group in _edge_taps(face[edge], local[edge], face_size) for x in group]):
        total[edge] = part
    return indices, weights


@functools.lru_cache(maxsize=8)
def cube_to_equirect_table(face_size, height, width, method='bilinear'):
    """The table of `cube_to_equirect`, built once per shape and cached.

    Args:
      face_size: S.
      height, width: size of the target, width = 2 * height.
      method: 'bilinear' or 'nearest'.

    Returns:
      `remap.Table` with a [height, width] target.

    Raises:
      ValueError: the target is not 2:1, the face is empty, or the method is unknown.
    """
    sphere.check_equirect(height, width, 'the target')
    _check_size(face_size)
    rays = sphere.pixel_rays(height, width)
    if method == 'nearest':
        return remap.make_table([_nearest_pixel(rays, face_size)], None)
    if method != 'bilinear':
        raise ValueError(f"method is {method!r}; accepted are 'bilinear' and 'nearest'")
    # By bands of rows: the float64 intermediates of a 4096 x 2048 image would take gigabytes at once.
    bands = [_cube_taps(band.reshape(-1, 3), face_size) for band in np.array_split(rays, max(1, height // 64))]
    indices, weights = ([np.concatenate(parts).reshape(height, width) for parts in zip(*group)] for group in zip(*bands))
    return remap.make_table(indices, weights)


def cube_to_equirect(faces, height, width, *, method='bilinear', table=None):
    """Resamples the six faces of a cube to equirectangular images.

    Between the outermost pixel centres of neighbouring faces it interpolates over the edge, so that no seam shows.

    Args:
      faces: [..., 6, S, S, C]; integer types are interpolated in float32 and rounded.
      height, width: size of the result, width = 2 * height.
      method: 'bilinear' or 'nearest' (depth and masks).
      table: what `cube_to_equirect_table` gives for these shapes and this method; default is a cached one.

    Returns:
      [..., height, width, C].

    Raises:
      ValueError: the faces have another shape, the target is not 2:1, the method is unknown, or the table has another target.
    """
    faces = jnp.asarray(faces)
    _check_faces(faces)
    size, channels = faces.shape[-2:]
    sphere.check_equirect(height, width, 'the target')
    table = cube_to_equirect_table(size, height, width, method) if table is None else table
    _check_table(table, (height, width))
    return remap.apply_table(table, faces.reshape(faces.shape[:-4] + (6 * size * size, channels)))


@functools.lru_cache(maxsize=64)
def _halo_indices(size, pad):
    """Flat pixels [6, 4, pad * S] of the strips above, below, before (left of) and after (right of) every face."""
    pixels = np.arange(6 * size * size, dtype=np.int32).reshape(6, size, size)
    front, right, back, left, up, down = pixels
    top, bottom = (lambda f: f[:pad]), (lambda f: f[size - pad:])
    start, end = (lambda f: f[:, :pad]), (lambda f: f[:, size - pad:])
    # A quarter turn between two faces swaps the axes and reverses one of them; the way round follows from the edges that meet.
    rows, columns, turn = (lambda f: f[::-1]), (lambda f: f[:, ::-1]), (lambda f: f[::-1, ::-1])
    above = [bottom(up), columns(end(up).T), turn(top(up)), rows(start(up).T), turn(top(back)), bottom(front)]
    below = [top(down), rows(end(down).T), turn(bottom(down)), columns(start(down).T), top(front), turn(bottom(back))]
    before = [end(left), end(front), end(right), end(back), columns(top(left).T), rows(bottom(left).T)]
    after = [start(right), start(back), start(left), start(front), rows(top(right).T), columns(bottom(right).T)]
    return np.stack([[strip.reshape(-1) for strip in side] for side in (above, below, before, after)], axis=1)


def cube_pad(faces, pad):
    """Pads every face with the pixels of its neighbours, as the cube folds (cube padding, Cheng et al. 2018).

    Ring k of a padded side (k = 1 touches the face) is the neighbour's k-th row or column counted from the shared edge. The pad x pad
    corners, where three faces meet and no true value exists, repeat the end pixels of the strips above and below horizontally.

    Args:
      faces: [..., 6, S, S, C].
      pad: rings to add, 0 to S.

    Returns:
      [..., 6, S + 2 pad, S + 2 pad, C].

    Raises:
      ValueError: the faces have another shape, or pad is negative or larger than the face.
    """
    faces = jnp.asarray(faces)
    _check_faces(faces)
    size, channels = faces.shape[-2:]
    if not 0 <= pad <= size:
        raise ValueError(f'pad is {pad}; accepted are 0 to the face size, {size}')
    if pad == 0:
        return faces
    batch = faces.shape[:-4]
    # One gather for the strips alone: against slicing and turning 24 strips it compiles four times faster and has a third of the gradient's cost.
    flat = faces.reshape(batch + (6 * size * size, channels))
    halo = jnp.take(flat, _halo_indices(size, pad), axis=-2, mode='clip')
    strip = lambda side, shape: halo[..., side, :, :].reshape(batch + (6,) + shape + (channels,))

    def widen(rows):
        ends = [jnp.repeat(end, pad, axis=-2) for end in (rows[..., :1, :], rows[..., -1:, :])]
        return jnp.concatenate([ends[0], rows, ends[1]], axis=-2)

    middle = jnp.concatenate([strip(2, (size, pad)), faces, strip(3, (size, pad))], axis=-2)
    return jnp.concatenate([widen(strip(0, (pad, size))), middle, widen(strip(1, (pad, size)))], axis=-3)
