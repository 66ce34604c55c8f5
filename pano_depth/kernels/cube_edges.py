"""The cube pixels that a direction is interpolated from, inside faces and across their edges.

Everything here runs on the host in float64 when a table is built (`cube.cube_to_equirect_table`).
`axes` are the rows right, down, forward of each face in the camera frame (`cube.FACE_AXES`); pixels
of S x S faces are numbered [6 * S * S] in reading order.
"""

import numpy as np
from jaxtyping import Float, Float64, Int64

from pano_depth.kernels.shapes import Size


def _to_faces(rays, axes):
    """(face [...], local [..., 3]): the face of each direction, and the direction in its frame."""
    axes = np.asarray(axes, np.float64)
    face = np.argmax(np.einsum('fc,...c->...f', axes[:, 2], rays), axis=-1)
    return face, np.einsum('...kc,...c->...k', axes[face], rays)


def nearest_pixel(
    rays: Float64[np.ndarray, '*batch 3'], face_size: Size, axes: Float[np.ndarray, '6 3 3']
) -> Int64[np.ndarray, '*batch']:
    """The pixel that holds each direction.

    Args:
        rays: directions in the camera frame.
        face_size: S.
        axes: frames of the faces.

    Returns:
        Flat pixels.
    """
    face, local = _to_faces(rays, axes)
    position = np.floor((local[..., :2] / local[..., 2:] + 1) * face_size / 2)
    column, row = np.moveaxis(np.clip(position, 0, face_size - 1).astype(np.int64), -1, 0)
    return (face * face_size + row) * face_size + column


def _inner_taps(face, a, b, size):
    """Bilinear taps inside a face, |a| and |b| at most 1 - 1/S."""
    x, y = ((c + 1) * size / 2 - 0.5 for c in (a, b))
    column, row = (np.clip(np.floor(c), 0, max(size - 2, 0)).astype(np.int64) for c in (x, y))
    right, down = x - column, y - row
    step = min(size - 1, 1)
    indices = [
        (face * size + row + i * step) * size + column + j * step for i in (0, 1) for j in (0, 1)
    ]
    return indices, [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]


def _over_edges(local, size):
    """Where a direction lies in the strip between two faces.

    Args:
        local: [N, 3] as in `_edge_taps`.
        size: S.

    Returns:
        over_a, over_b: [N] whether the direction lies over the edge that axis 0 or axis 1 crosses;
            otherwise it lies at a corner.
        s: [N] position between the outermost pixel centres of this face (0) and of the other (1).
        along: [N] pixel coordinate along the edge.
    """
    across = np.abs(local[:, :2])
    pixel = 1 / size

    def quad(beyond, other):
        s = (beyond - (1 - pixel)) / (pixel * (1 + beyond))
        return s, ((other * (1 - s * pixel) + 1) * size) / 2 - 0.5

    s_a, along_a = quad(across[:, 0], across[:, 1])
    s_b, along_b = quad(across[:, 1], across[:, 0])
    beyond = across > 1 - pixel
    over_a = beyond[:, 0] & (along_a <= size - 1)
    over_b = beyond[:, 1] & (along_b <= size - 1) & ~over_a
    return over_a, over_b, np.where(over_a, s_a, s_b), np.where(over_a, along_a, along_b)


def _edge_taps(face, local, size, axes):
    """Taps of directions beyond the outermost pixel centres of their face, at edges and corners.

    The pixel centres of two faces lie opposite each other along their common edge. Between two
    opposite pairs the interpolation runs bilinearly over the four of them, along the straight lines
    in space that join opposite centres; between the three centres that meet at a cube corner it is
    barycentric. The result needs no clamping at edges; it is continuous and, like the bilinear
    interpolation inside a face, exact to second order in the pixel size.

    Args:
        face: [N] faces.
        local: [N, 3] directions in the face frame with forward 1; one or both of the other
            coordinates are beyond 1 - 1/S.
        size: S.
        axes: [6, 3, 3] frames of the faces.

    Returns:
        four [N] flat indices, four [N] weights.
    """
    over_a, over_b, s, along = _over_edges(local, size)
    sign = np.where(local[:, :2] < 0, -1.0, 1.0)
    first = np.clip(np.floor(along), 0, max(size - 2, 0))
    fraction = along - first
    inner, outer = 1 - 1 / size, 1.0

    def vector(a, b, forward):
        """The direction with these absolute coordinates, in the camera frame."""
        rays = np.stack([a * sign[:, 0], b * sign[:, 1], np.full(len(sign), forward)], axis=-1)
        return np.einsum('nk,nkc->nc', rays, np.asarray(axes, np.float64)[face])

    starts = [(2 * np.minimum(first + k, size - 1) + 1) / size - 1 for k in (0, 1)]
    rays = [
        vector(np.where(over_a, across, start), np.where(over_a, start, across), forward)
        for across, forward in ((inner, outer), (outer, inner))
        for start in starts
    ]
    weights = [(1 - s) * (1 - fraction), (1 - s) * fraction, s * (1 - fraction), s * fraction]

    corner = ~over_a & ~over_b
    # The corner pixel of the face along axis k is centred at 1 on that axis and at 1 - 1/S on the
    # others.
    absolute = np.abs(local) / np.abs(local).sum(axis=-1, keepdims=True) * (3 - 2 / size)
    barycentric = (absolute - inner) * size
    for k, ray in enumerate(([outer, inner, inner], [inner, outer, inner], [inner, inner, outer])):
        rays[k] = np.where(corner[:, None], vector(*ray), rays[k])
        weights[k] = np.where(corner, barycentric[:, k], weights[k])
    rays[3] = np.where(corner[:, None], rays[2], rays[3])
    weights[3] = np.where(corner, 0.0, weights[3])
    return [nearest_pixel(ray, size, axes) for ray in rays], weights


def bilinear_taps(
    rays: Float64[np.ndarray, 'rays 3'], face_size: Size, axes: Float[np.ndarray, '6 3 3']
) -> tuple[list[Int64[np.ndarray, ' rays']], list[Float64[np.ndarray, ' rays']]]:
    """The four pixels whose centres surround each direction, and their weights.

    Args:
        rays: directions in the camera frame.
        face_size: S.
        axes: frames of the faces.

    Returns:
        Four flat pixels of each direction and their four weights, which sum to one.
    """
    face, local = _to_faces(rays, axes)
    local = local / local[:, 2:]
    indices, weights = _inner_taps(face, local[:, 0], local[:, 1], face_size)
    edge = np.nonzero(np.abs(local[:, :2]).max(axis=-1) > 1 - 1 / face_size)[0]
    edge_indices, edge_weights = _edge_taps(face[edge], local[edge], face_size, axes)
    for total, part in zip(indices + weights, edge_indices + edge_weights):
        total[edge] = part
    return indices, weights
