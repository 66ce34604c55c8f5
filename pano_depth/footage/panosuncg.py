"""Reads PanoSUNCG (Wang et al. 2018), for people who hold a lawful copy.

The data set was withdrawn because of SUNCG's licence. Its layout:

    <root>[/rotated]/<scene>/<k>.txt/                 a FOLDER, whatever its name: trajectory k
    <root>[/rotated]/<scene>/<k>.txt/<i>_color.png    frame i = 0, 1, ... of it
    <root>[/rotated]/<scene>/<k>.txt/<i>_depth.png    8 bits, 255 is 10 metres, 0 invalid
    <root>/labels/<scene>/<k>.txt                     one position X Y Z a line, line i = frame i

Layout and depth scale follow the published reader of BiFuse++ (fuenwang/BiFusev2,
`SelfSupervisedDataset.py`), which keeps the frames in `rotated/`.
"""

import pathlib

import numpy as np

from pano_depth.footage import media
from pano_depth.footage.footage import BadFrames
from pano_depth.footage.frame_files import FrameFiles, from_files, natural_order, numbered_files
from pano_depth.kernels.rigid import Motion

_METRES_AT_255 = 10.0


def _trajectory_folders(root):
    """The folders <scene>/<k>.txt of a root, by scene and number."""
    found = []
    for scene in sorted(
        entry for entry in root.iterdir() if entry.is_dir() and entry.name != 'labels'
    ):
        folders = [entry for entry in scene.iterdir() if entry.suffix == '.txt' and entry.is_dir()]
        found.extend(natural_order(folders))
    return found


def trajectories(root):
    """The folders of frames of a PanoSUNCG tree.

    Args:
        root: the tree's folder, with the scenes themselves or with `rotated/`.

    Returns:
        List of `pathlib.Path`, by scene and by the number of the trajectory; empty where `root` has
        another layout.
    """
    root = pathlib.Path(root)
    folders = _trajectory_folders(root)
    return folders or (_trajectory_folders(root / 'rotated') if (root / 'rotated').is_dir() else [])


def read_depth(path):
    """Reads a depth image of PanoSUNCG.

    This function assumes that the values are range along the ray, not z-depth of a face: neither
    the data nor its readers say which. Depth beyond 10 metres is stored as 10 metres.

    Args:
        path: an 8-bit `.png`; the first of several equal channels is read.

    Returns:
        [H, W] float32 metres, 0 where invalid.

    Raises:
        ValueError: the file is missing or damaged.
    """
    return media.read_image(path)[..., 0] * np.float32(_METRES_AT_255 / 255)


def _labels_file(folder):
    """The file of the positions of a trajectory; it may be missing."""
    scenes = folder.parent.parent
    inside, beside = (
        top / 'labels' / folder.parent.name / folder.name for top in (scenes, scenes.parent)
    )
    return beside if beside.is_file() and not inside.is_file() else inside


def _read_positions(path):
    """[N, 3] float64 of a file of positions."""
    try:
        positions = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    if positions.shape[1:] != (3,) or not np.isfinite(positions).all():
        raise ValueError(
            f'{path} is no list of positions: {positions.shape}; accepted: three finite numbers '
            'X Y Z a line'
        )
    return positions


def _poses(folder, total, bad):
    """[total] positions relative to the first as `Motion`; None without a file that can be used."""
    path = _labels_file(folder)
    if not path.is_file():
        return None
    try:
        positions = _read_positions(path)
        if len(positions) != total:
            raise ValueError(
                f'{path} has {len(positions)} positions for {total} frames; '
                'accepted: one line a frame'
            )
    except ValueError as error:
        bad.report(str(path), str(error))
        return None
    return Motion(np.tile(np.eye(3), (total, 1, 1)), positions - positions[0])


def open_trajectory(folder, *, stereo=None, on_bad='refuse'):
    """Opens one trajectory.

    Args:
        folder: `<scene>/<k>.txt`, a folder of frames.
        stereo, on_bad: see `open_footage.open_footage`.

    Returns:
        `Footage` named `scene/k` with depth, and with positions where there are labels. The data
        has no rotations: the rotations of `poses` are the identity and `has_rotation` is False, so
        positions have the axes of the labels.

    Raises:
        ValueError: no frames, or something is missing or damaged; the message names the file.
    """
    folder, bad = pathlib.Path(folder), BadFrames(on_bad)
    images, depths = (numbered_files(folder, rf'(\d+)_{kind}[.]png') for kind in ('color', 'depth'))
    if not images:
        raise ValueError(
            f'{folder} has no frames; accepted: 0_color.png, 0_depth.png, 1_color.png, ...'
        )
    total = max(images.keys() | depths.keys()) + 1
    files = []
    for index in range(total):
        image, depth = (folder / f'{index}_{kind}.png' for kind in ('color', 'depth'))
        missing = image if index not in images else depth if index not in depths else None
        problem = None
        if missing:
            accepted = f'each frame from 0 to {total - 1}, with depth'
            problem = f'{missing} is missing; accepted: {accepted}'
        files.append(FrameFiles(images.get(index, image), depths.get(index, depth), problem))
    return from_files(
        f'{folder.parent.name}/{folder.stem}',
        files,
        bad=bad,
        stereo=stereo,
        read_depth=read_depth,
        poses=_poses(folder, total, bad),
        has_rotation=False,
    )
