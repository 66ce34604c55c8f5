"""COLMAP models written by hand, from poses by the textbook."""

import struct

import numpy as np

EQUIRECTANGULAR, PINHOLE = (17, 'EQUIRECTANGULAR', [64, 32]), (1, 'PINHOLE', [9.5, 9.5, 16, 16])


def quaternion_matrix(w, x, y, z):
    """The textbook matrix of a unit quaternion."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_quaternion(matrix):
    """(w, x, y, z) of a rotation: the null space of `matrix(q) - matrix`, by an eigenvector."""
    m = matrix
    k = np.array(
        [
            [m.trace(), m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [0, m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [0, 0, m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
            [0, 0, 0, m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    return np.linalg.eigh(k, UPLO='U')[1][:, -1]


def random_poses(count, seed=0):
    """`count` matrices [4, 4], camera to world."""
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    for pose in poses:
        q = rng.normal(size=4)
        pose[:3, :3] = quaternion_matrix(*(q / np.linalg.norm(q)))
        pose[:3, 3] = rng.normal(size=3)
    return poses


def stored(pose):
    """The seven numbers that COLMAP stores for a camera-to-world matrix."""
    inverse = np.linalg.inv(pose)
    return [*matrix_quaternion(inverse[:3, :3]), *inverse[:3, 3]]


def write_model(folder, images, *, cameras=None, suffix='bin', points=2):
    """Writes {name: (camera, seven numbers)}; cameras: {number: (model number, name, params)}."""
    cameras = cameras or {1: EQUIRECTANGULAR}
    folder.mkdir(parents=True, exist_ok=True)
    if suffix == 'txt':
        lines = [f'{k} {name} 64 32 {" ".join(map(str, p))}' for k, (_, name, p) in cameras.items()]
        (folder / 'cameras.txt').write_text('# Camera list\n' + '\n'.join(lines) + '\n')
        text = '# Image list\n'
        for number, (name, (camera, pose)) in enumerate(images.items(), 1):
            values = ' '.join(repr(float(value)) for value in pose)
            text += f'{number} {values} {camera} {name}\n' + '1.5 2.5 -1 ' * points + '\n'
        (folder / 'images.txt').write_text(text)
        return folder
    data = struct.pack('<Q', len(cameras))
    for number, (model, _, params) in cameras.items():
        data += struct.pack(f'<IiQQ{len(params)}d', number, model, 64, 32, *params)
    (folder / 'cameras.bin').write_bytes(data)
    data = struct.pack('<Q', len(images))
    for number, (name, (camera, pose)) in enumerate(images.items(), 1):
        data += struct.pack('<I7dI', number, *pose, camera) + name.encode() + b'\0'
        data += struct.pack('<Q', points) + struct.pack('<ddq', 1.5, 2.5, -1) * points
    (folder / 'images.bin').write_bytes(data)
    return folder


def check(images, names, poses):
    assert images.names == names
    np.testing.assert_allclose(images.poses.rotation, poses[:, :3, :3], atol=1e-9)
    np.testing.assert_allclose(images.poses.translation, poses[:, :3, 3], atol=1e-9)
