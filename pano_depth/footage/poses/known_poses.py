"""Known camera poses for the frames of footage: a trajectory in TUM format, or a COLMAP model."""

import dataclasses
import pathlib
import re

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from common.logs import say
from pano_depth.footage import geometry
from pano_depth.footage.frame_files import natural_order
from pano_depth.footage.poses import axes, colmap_model, colmap_panoramas
from pano_depth.footage.poses.image_numbers import first_number, number_of
from pano_depth.kernels.rigid import Motion


@dataclasses.dataclass(frozen=True, eq=False)
class KnownPoses:
    """Poses of the frames that are used.

    Attributes:
        poses: `Motion` of [N, 3, 3] and [N, 3] numpy float64, camera to world; the world is the
            first used frame's camera.
        unit: 'metre', or 'relative' where the file does not know metres.
        known: [N] bool, False where the pose was filled from its neighbours.
        facts: what was read and how it was matched to the frames: `format`, `matched_by`, `poses`
            in the file, `frames`, `filled` and, of COLMAP, `images`; plain values for JSON.
    """

    poses: Motion
    unit: str
    known: np.ndarray
    facts: dict


def read_poses(path, indices, names=None, *, fps, times=None, total=None, gaps=False):
    """Reads known poses and matches them to frames.

    Lines of a TUM file, `timestamp tx ty tz qx qy qz qw`, camera to world, are matched by time
    within half a frame; between lines that are denser than the frames the pose is interpolated.
    Timestamps may be frame numbers too. If neither fits and there is one line for each frame, line
    i is frame i. They are metres, unless a comment at the top of the file, `# unit: relative`, says
    that their unit is unknown: `axes.write_path` writes it.

    Images of a COLMAP model are matched by the names of the footage's files, with or without their
    suffix, in which _ may stand for white space; or by the last number in the name, which is the
    frame's number, counted from 0, or from 1 (`image_numbers.first_number`); or, if there is one
    image for each frame, by the order of their names. See `colmap_panoramas.panoramas` for the
    models that are accepted; of several, the one with the most images is taken.

    Args:
        path: a TUM file, or the folder of a COLMAP model (`colmap_model.model_folder`).
        indices: [N] whole numbers, increasing: the frames used, by their place in the footage.
        names: [N] names or paths of these frames, or None.
        fps: frames a second of the footage.
        times: [N] seconds after frame 0 at which these frames are shown, increasing; None for
            index / fps.
        total: number of frames of the whole footage, or None if only the used ones are known.
        gaps: whether frames without a pose get one from their neighbours: rotations along the
            shortest turn and positions along a line between known frames, and the nearest known
            pose before the first and behind the last of them. At least two have to be known.

    Returns:
        `KnownPoses`.

    Raises:
        ValueError: the file cannot be read or holds something else, its poses cannot be matched, or
            frames have no pose and `gaps` is False. The message names the file.
    """
    path, indices = pathlib.Path(path).expanduser(), np.asarray(indices, np.int64)
    if indices.ndim != 1 or not len(indices) or (np.diff(indices) <= 0).any() or indices[0] < 0:
        raise ValueError(f'indices are {indices}; accepted: numbers of frames that increase')
    if not path.exists():
        raise ValueError(
            f'poses {path} does not exist; accepted: a trajectory in TUM format or the folder of a '
            'COLMAP model'
        )
    of_colmap = path.is_dir() or path.name in ('images.bin', 'images.txt')
    if of_colmap:
        motion, known, facts = _from_colmap(path, indices, names, total)
        unit = 'relative'
    else:
        times = indices / fps if times is None else np.asarray(times, np.float64)
        motion, known, facts, unit = _from_tum(path, indices, times, fps, total)
    _check_known(path, indices, known, gaps)
    if not known.all():
        found = Motion(motion.rotation[known], motion.translation[known])
        filled = _interpolate(indices[known], found, indices)
        motion.rotation[~known] = filled.rotation[~known]
        motion.translation[~known] = filled.translation[~known]
    facts |= {'frames': len(indices), 'filled': int((~known).sum())}
    poses = geometry.from_first_frame(motion, f'poses of {path}')
    return KnownPoses(poses, unit, known, facts)


def _check_known(path, indices, known, gaps):
    missing, n = indices[~known], len(indices)
    if len(missing) and not gaps:
        first = ', '.join(map(str, missing[:5])) + (', ...' if len(missing) > 5 else '')
        raise ValueError(
            f'{path} has no pose for {len(missing)} of {n} frames: {first}; accepted: a pose for '
            'each frame, unless poses are refined (refine_poses), which fills gaps'
        )
    if n - len(missing) < min(2, n):
        raise ValueError(
            f'{path} has a pose for {n - len(missing)} of {n} frames; accepted: at least 2'
        )


def _interpolate(places, motion, wanted):
    """The motion [W] at the places [W], between those at increasing `places`, held at the ends."""
    wanted = np.clip(wanted, places[0], places[-1])
    if len(places) == 1:
        return Motion(*(np.repeat(array, len(wanted), axis=0) for array in motion))
    rotation = Slerp(places, Rotation.from_matrix(motion.rotation))(wanted).as_matrix()
    columns = [np.interp(wanted, places, column) for column in motion.translation.T]
    return Motion(rotation, np.stack(columns, axis=-1))


def _pick(motion, rows):
    """(motion, known) of rows, where -1 stands for none."""
    return Motion(motion.rotation[rows], motion.translation[rows]), rows >= 0


def _nearest(places, frames):
    """The row nearest to each frame, -1 where none is within half a frame; `places` increase."""
    right = np.clip(np.searchsorted(places, frames), 1, max(len(places) - 1, 1))
    right = np.minimum(right, len(places) - 1)
    left = np.maximum(right - 1, 0)
    rows = np.where(np.abs(places[left] - frames) <= np.abs(places[right] - frames), left, right)
    return np.where(np.abs(places[rows] - frames) <= 0.5, rows, -1)


def _frames_at(stamps, indices, times, fps):
    """Places among the frames at times: those of `indices` are shown at `times`."""
    places = np.interp(stamps, times, indices)
    places += fps * np.minimum(stamps - times[0], 0)
    return places + fps * np.maximum(stamps - times[-1], 0)


def _from_tum(path, indices, times, fps, total):
    """(motion [N], known [N], facts, unit) of a TUM file."""
    stamps, motion, _, unit = axes.read_path(path)
    unit, facts = unit or 'metre', {'format': 'tum', 'poses': len(stamps)}
    order = np.argsort(stamps, kind='stable')
    sorted_motion = Motion(motion.rotation[order], motion.translation[order])
    places = {'time': _frames_at(stamps[order], indices, times, fps)}
    if (stamps == np.round(stamps)).all():
        places['frame number'] = stamps[order]
    rows = {how: _nearest(place, indices) for how, place in places.items()}
    how = max(rows, key=lambda name: (rows[name] >= 0).sum())
    if len(stamps) in (len(indices), total):
        # One line a frame: times fit if each line has a frame of its own.
        frames = indices if len(stamps) == len(indices) else np.arange(total)
        if not np.array_equal(_nearest(places[how], frames), np.arange(len(stamps))):
            lines = np.arange(len(indices)) if len(stamps) == len(indices) else indices
            return *_pick(motion, lines), facts | {'matched_by': 'order'}, unit
    steps = np.diff(places[how])
    if (steps == 0).any():
        twice = stamps[order][np.argmin(steps)]
        raise ValueError(f'{path} has two poses at the time {twice:g}; accepted: one a time')
    if (rows[how] < 0).all():
        raise ValueError(
            f'{path} has {len(stamps)} poses from {stamps.min():g} to {stamps.max():g} s, none of '
            f'which is at one of {len(indices)} frames from {times[0]:g} to '
            f'{times[-1]:g} s; accepted: times or numbers of frames, or one line a frame'
        )
    facts['matched_by'] = how
    # Lines at least half as dense again as frames: a motion capture, say, at a rate of its own.
    if how == 'time' and len(steps) and np.median(steps) < 0.67:
        facts['matched_by'] = 'time, between lines'
        return _interpolate(stamps[order], sorted_motion, times), rows[how] >= 0, facts, unit
    return *_pick(sorted_motion, rows[how]), facts, unit


def _from_colmap(path, indices, names, total):
    """(motion [N], known [N], facts) of a COLMAP model."""
    folder, others = colmap_model.model_folder(path)
    images, kind = colmap_panoramas.panoramas(colmap_model.read_model(folder), path)
    rows, how = _match_images(folder, images.names, indices, names, total)
    facts = {'format': 'colmap', 'images': kind, 'poses': len(images.names), 'matched_by': how}
    if others:
        facts['model'] = f'{folder.name}, the one with the most images of {others + 1} models'
        say(f'{path} holds {others + 1} models; taken is {folder.name}, with the most images')
    return *_pick(images.poses, rows), facts


def _match_images(path, images, indices, names, total):
    """(the image of each frame or -1, how it was found)."""
    files = [pathlib.PurePosixPath(image) for image in images]
    for part in ('name', 'stem') if names is not None else ():
        # `results.exports` writes _ for white space, at which COLMAP cuts names.
        keys, stored = (
            [re.sub(r'\s', '_', getattr(file, part)) for file in some]
            for some in (map(pathlib.PurePath, names), files)
        )
        if len(set(keys)) == len(keys) and set(keys) & set(stored):
            return _look_up(path, images, stored, keys), 'file names'
    numbers = [number_of(file) for file in files]
    one_each = len(images) in (len(indices), total)
    counted = [set(first + indices) <= set(numbers) for first in (0, 1)]
    if one_each and not any(counted):
        row = {file: i for i, file in enumerate(files)}
        order = np.array([row[file] for file in natural_order(files)])
        return order if len(images) == len(indices) else order[indices], 'order of the names'
    first = first_number(path, numbers, indices, total)
    keys = [int(index) + first for index in indices]
    if set(keys) & set(numbers):
        how = 'numbers in the names' + (', from 1' if first else '')
        return _look_up(path, images, numbers, keys), how
    raise ValueError(
        f'{path} has {len(images)} panoramas ({", ".join(images[:3])}, ...) that cannot be told to '
        f'be one of {len(indices)} frames; accepted: the names of the footage files, names with '
        'the numbers of frames, or one image for each frame'
    )


def _look_up(path, images, stored, keys):
    """The row [N] of each key in `stored`, or -1."""
    wanted, rows = set(keys), {}
    for i, key in enumerate(stored):
        if key in rows and key in wanted:
            raise ValueError(
                f'{path} has two images of one frame, {images[rows[key]]} and {images[i]}; '
                'accepted: one image a frame'
            )
        rows[key] = i
    return np.array([rows.get(key, -1) for key in keys])
