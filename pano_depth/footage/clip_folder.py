"""Clip folders, the on-disk form of any footage with optional truth.

The files of a scene:

    <root>/<scene>/rgb/000000.png|jpg     equirectangular frames, numbered from 0
    <root>/<scene>/depth/000000.png       16-bit millimetres of range, 0 = invalid; or
                                          .npy | .exr | .dpt in metres; optional
    <root>/<scene>/confidence/000000.png  8-bit, 255 = sure: the depth is that of a reconstruction,
                                          as they export it, and no truth; optional
    <root>/<scene>/poses.txt              TUM, camera to world, line i = frame i; optional
"""

import contextlib
import dataclasses
import functools
import pathlib
import re

import numpy as np

from common.run import atomic_path
from pano_depth.footage import geometry, media
from pano_depth.footage.clip import Clip
from pano_depth.footage.depth_files import DEPTH_SUFFIXES, read_depth
from pano_depth.footage.footage import BadFrames
from pano_depth.footage.frame_files import FrameFiles, from_files, numbered_files


def list_scenes(root):
    """Names of the scenes in a root of clip folders, sorted.

    Args:
        root: a folder.

    Returns:
        List of the names of the subfolders that hold an `rgb` folder.

    Raises:
        ValueError: `root` is no folder.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise ValueError(f'{root} is no folder')
    # Names with a leading dot are scenes that are still being written.
    return sorted(
        entry.name for entry in root.iterdir() if entry.name[0] != '.' and (entry / 'rgb').is_dir()
    )


def _numbered(folder, suffixes):
    return numbered_files(folder, rf'(\d{{6,}})({"|".join(map(re.escape, suffixes))})')


def _frame_files(path, images, depths, total):
    """`FrameFiles` of the frames 0 to total - 1; each says which of its files is missing."""
    suffix = next(iter(images.values())).suffix
    files = []
    for index in range(total):
        image, depth = images.get(index), None if depths is None else depths.get(index)
        problem = None
        if image is None:
            image = path / 'rgb' / f'{index:06d}{suffix}'
            problem = f'{image} is missing; accepted: every frame from 000000 to {total - 1:06d}'
        elif depths is not None and depth is None:
            missing = path / 'depth' / f'{index:06d}.png'
            problem = f'{missing} is missing ({", ".join(DEPTH_SUFFIXES[1:])} too) for {image}'
        files.append(FrameFiles(image, depth, problem))
    return files


def _rate(timestamps):
    """Frames a second by the timestamps, or the default where they do not increase."""
    span = timestamps[-1] - timestamps[0]
    return float((len(timestamps) - 1) / span) if span > 0 else Clip.fps


def _uneven(timestamps):
    """[N] seconds after frame 0 where frames do not follow each other evenly; else None."""
    steps = np.diff(timestamps)
    if len(steps) < 2 or steps.min() <= 0 or np.ptp(steps) <= 0.01 * np.median(steps):
        return None
    return timestamps - timestamps[0]


def _timed(footage, times):
    """Footage whose frames are shown at these times."""

    def read(size, start, stride):
        with contextlib.closing(footage.read(size, start, stride)) as stream:
            for frame in stream:
                yield frame._replace(time=float(times[frame.index]))

    return dataclasses.replace(footage, read=read)


def _with_confidence(footage, files, bad):
    """Footage whose depth is that of a reconstruction, with files of confidence by frame."""

    def read(size, start, stride):
        with contextlib.closing(footage.read(size, start, stride)) as stream:
            for frame in stream:
                try:
                    if frame.index not in files:
                        raise ValueError(
                            f'confidence/{frame.index:06d}.png is missing for {frame.name}'
                        )
                    grey = media.read_image(files[frame.index])[..., 0]
                    if media.nearest_equirect(*grey.shape) is None:
                        raise ValueError(
                            f'{files[frame.index]} is {grey.shape[1]}x{grey.shape[0]} pixels;'
                            ' accepted: twice as wide as high'
                        )
                except ValueError as error:
                    bad.report(frame.name, str(error))
                else:
                    sure = media.nearest(grey, len(frame.image)).astype(np.float32) / 255
                    yield frame._replace(confidence=sure)

    return dataclasses.replace(footage, read=read, has_confidence=True)


def open_scene(path, *, stereo=None, on_bad='refuse', depth_scale=None):
    """Opens one scene of a clip folder.

    Args:
        path: the scene's folder, with `rgb/` and optionally `depth/`, `confidence/` and
            `poses.txt`.
        stereo: see `eyes.eye_size`. Depth is taken the same way unless it is 2:1.
        on_bad: 'refuse' or 'skip', see `open_footage.open_footage`.
        depth_scale: metres per unit of the depth files, or None for millimetres in `.png`, metres
            elsewhere.

    Returns:
        `Footage` named after the folder. Its length reaches to the last frame, depth file or pose.

    Raises:
        ValueError: no `rgb/`, no frames or two files of one frame; with 'refuse' also a frame,
            depth file or pose that is missing. The message names the file.
    """
    path, bad = pathlib.Path(path), BadFrames(on_bad)
    if not (path / 'rgb').is_dir():
        raise ValueError(f'{path} has no folder rgb/; accepted: a scene of a clip folder')
    images = _numbered(path / 'rgb', media.IMAGE_SUFFIXES)
    if not images:
        raise ValueError(
            f'{path / "rgb"} has no frames; accepted: 000000, 000001, ... with '
            f'{", ".join(media.IMAGE_SUFFIXES)}'
        )
    depths = _numbered(path / 'depth', DEPTH_SUFFIXES) if (path / 'depth').is_dir() else None
    total = max(images.keys() | (depths or {}).keys()) + 1
    fps, poses, times = Clip.fps, None, None
    if (path / 'poses.txt').exists():
        timestamps, poses = geometry.read_tum(path / 'poses.txt')
        fps, poses = _rate(timestamps), geometry.from_first_frame(poses)
        if len(timestamps) < total:
            name, poses = str(path / 'poses.txt'), None
            bad.report(
                name,
                f'{name} has {len(timestamps)} poses for {total} frames; '
                'accepted: one line a frame',
            )
        else:
            times = _uneven(timestamps)
        total = max(total, len(timestamps))
    reader = None if depths is None else functools.partial(read_depth, scale=depth_scale)
    footage = from_files(
        path.resolve().name,
        _frame_files(path, images, depths, total),
        bad=bad,
        stereo=stereo,
        fps=fps,
        poses=poses,
        read_depth=reader,
    )
    if depths is not None and (path / 'confidence').is_dir():
        footage = _with_confidence(footage, _numbered(path / 'confidence', ('.png',)), bad)
    return footage if times is None else _timed(footage, times)


def read_clip_folder(path, *, size=None, stride=1, max_frames=None):
    """Reads one scene of a clip folder into memory.

    Args:
        path: the scene's folder, with `rgb/` and optionally `depth/` and `poses.txt`.
        size, stride, max_frames: see `Footage.clip`.

    Returns:
        `Clip` named after the folder; the poses are expressed in its frame 0.

    Raises:
        ValueError: as for `open_scene` and `Footage.clip`.
    """
    return open_scene(path).clip(size=size, stride=stride, max_frames=max_frames)


def write_clip_folder(root, clip, *, depth_format='png'):
    """Writes a clip as the scene `<root>/<clip.name>`, all of it or nothing.

    Args:
        root: the folder of scenes, made if missing.
        clip: `Clip`.
        depth_format: 'png' (16-bit millimetres; farther than 65.535 m saturates) or 'npy' (float32
            metres).

    Returns:
        `pathlib.Path` of the scene.

    Raises:
        ValueError: the scene is there already, its name is no folder name, or `depth_format` is
            unknown.
    """
    if depth_format not in ('png', 'npy'):
        raise ValueError(f'depth_format is {depth_format!r}; accepted: png, npy')
    if not clip.name or clip.name.startswith('.') or pathlib.PurePath(clip.name).name != clip.name:
        raise ValueError(f'clip.name is {clip.name!r}; accepted: the name of a folder')
    scene = pathlib.Path(root) / clip.name
    if scene.exists():
        raise ValueError(f'{scene} exists already; accepted: a new scene')
    scene.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(scene) as temporary:
        _write_scene(temporary, clip, depth_format)
    return scene


def _write_scene(folder, clip, depth_format):
    (folder / 'rgb').mkdir(parents=True)
    for i, frame in enumerate(clip.frames):
        media.write_image(folder / 'rgb' / f'{i:06d}.png', frame)
    if clip.depth is not None:
        (folder / 'depth').mkdir()
        for i, depth in enumerate(np.asarray(clip.depth, np.float32)):
            if depth_format == 'npy':
                np.save(folder / 'depth' / f'{i:06d}.npy', depth)
            else:
                media.write_png16(folder / 'depth' / f'{i:06d}.png', media.to_millimetres(depth))
    if clip.poses is not None:
        geometry.write_tum(folder / 'poses.txt', np.arange(len(clip)) / clip.fps, clip.poses)
