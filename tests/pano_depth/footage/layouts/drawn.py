"""Frames of every layout, drawn from a panorama with `pano_depth.kernels` and not with ffmpeg."""

import numpy as np

from pano_depth.kernels import sphere

# Right and down of each face in the picture, and where it looks, in the camera frame.
_UPRIGHT = {
    'right': ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    'left': ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    'up': ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    'down': ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    'front': ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    'back': ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
}
# YouTube's lower row is turned by a quarter.
_YOUTUBE = (
    ('left', 'front', 'right'),
    {
        'down': ((0, 0, -1), (-1, 0, 0), (0, 1, 0)),
        'back': ((0, -1, 0), (-1, 0, 0), (0, 0, -1)),
        'up': ((0, 0, 1), (-1, 0, 0), (0, -1, 0)),
    },
)
_GOOGLE = (('right', 'left', 'up'), ('down', 'front', 'back'))
_PIECE = 16384
_IN_A_ROW = ('right', 'left', 'up', 'down', 'front', 'back')


def panorama(height, seed=0, waves=12):
    """[H, 2H, 3] uint8: smooth waves on the sphere, different in every direction."""
    rng = np.random.default_rng(seed)
    rays = np.asarray(sphere.ray_directions(height, 2 * height))
    total = np.zeros((height, 2 * height, 3))
    for _ in range(waves):
        direction, shift = rng.normal(size=3) * rng.uniform(2, 7), rng.uniform(0, 6, 3)
        total += np.cos((rays @ direction)[..., None] + shift)
    return np.clip(128 + total * 90 / np.sqrt(waves), 0, 255).astype(np.uint8)


def look(image, rays):
    """The panorama's colours in directions [..., 3], uint8."""
    rays = np.asarray(rays, np.float32)
    flat = rays.reshape(-1, 3)
    # Pieces of one size: JAX compiles for each.
    padded = np.resize(flat, (-(-len(flat) // _PIECE) * _PIECE, 3)).reshape(-1, _PIECE, 3)
    pieces = [np.asarray(sphere.sample_equirect(image, piece)) for piece in padded]
    return np.concatenate(pieces)[: len(flat)].reshape(*rays.shape[:-1], image.shape[-1])


def _face(image, axes, columns, rows, angular):
    """A face seen at columns x rows places, each from -1 to 1 across the face."""
    if angular:
        columns, rows = np.tan(np.pi / 4 * columns), np.tan(np.pi / 4 * rows)
    b, a = np.meshgrid(rows, columns, indexing='ij')
    right, down, forward = (np.array(axis, float) for axis in axes)
    rays = a[..., None] * right + b[..., None] * down + forward
    return look(image, rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def _centres(count):
    return (2 * np.arange(count) + 1) / count - 1


def cubemap_3x2(image, size, high=None):
    across, along = _centres(size), _centres(high or size)
    rows = [[_face(image, _UPRIGHT[name], across, along, False) for name in row] for row in _GOOGLE]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def cubemap_6x1(image, size):
    across = _centres(size)
    faces = [_face(image, _UPRIGHT[name], across, across, False) for name in _IN_A_ROW]
    return np.concatenate(faces, axis=1)


def cubemap_cross(image, size):
    across, frame = _centres(size), np.zeros((3 * size, 4 * size, 3), np.uint8)
    places = {'up': (0, 1), 'left': (1, 0), 'front': (1, 1), 'right': (1, 2), 'back': (1, 3)}
    for name, (row, column) in {**places, 'down': (2, 1)}.items():
        face = _face(image, _UPRIGHT[name], across, across, False)
        frame[row * size : (row + 1) * size, column * size : (column + 1) * size] = face
    return frame


def eac(image, size, high=None):
    """YouTube's layout with the border of two pixels around each row."""
    upper, lower = _YOUTUBE
    high = high or size
    # Across all three faces of a row the border is two pixels; so is it above and below.
    across = ((np.arange(3 * size) + 0.5) * 3 * size - 2 * 3 * size) / (3 * size - 4) / size
    along = 2 * ((np.arange(high) + 0.5) - 2) / (high - 4) - 1
    rows = []
    for axes in ([_UPRIGHT[name] for name in upper], lower.values()):
        faces = []
        for number, one in enumerate(axes):
            places = 2 * (across[number * size : (number + 1) * size] - number) - 1
            faces.append(_face(image, one, places, along, True))
        rows.append(np.concatenate(faces, axis=1))
    return np.concatenate(rows)


def gopro_tracks(image, size, strip):
    """The two tracks of a `.360` file: the outer faces are stored in two overlapping halves."""
    upper, lower = _YOUTUBE
    half = (size + strip) // 2
    twice = np.concatenate([np.arange(half), np.arange(size - half, size)])
    tracks = []
    for axes in ([_UPRIGHT[name] for name in upper], lower.values()):
        faces = [_face(image, one, _centres(size), _centres(size), True) for one in axes]
        tracks.append(np.concatenate([faces[0][:, twice], faces[1], faces[2][:, twice]], axis=1))
    return tracks


def circle(image, size, fov, axes):
    """One equidistant fisheye circle, black outside, of a lens with these axes."""
    offset = _centres(size)
    b, a = np.meshgrid(offset, offset, indexing='ij')
    radius = np.hypot(a, b)
    angle, scale = np.radians(radius * fov / 2), 1 / np.maximum(radius, 1e-9)
    right, down, forward = (np.array(axis, float) for axis in axes)
    rays = np.cos(angle)[..., None] * forward + (np.sin(angle) * scale)[..., None] * (
        a[..., None] * right + b[..., None] * down
    )
    return np.where((radius <= 1)[..., None], look(image, rays), 0).astype(np.uint8)


def dual_fisheye(image, size, fov):
    """Two circles side by side: behind, in front."""
    sides = [circle(image, size, fov, _UPRIGHT[name]) for name in ('back', 'front')]
    return np.concatenate(sides, axis=1)


def psnr(one, other, valid=None):
    error = (one.astype(float) - other) ** 2
    return -10 * np.log10(np.mean(error if valid is None else error[valid]) / 255**2)
