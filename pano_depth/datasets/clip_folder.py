"""Reading footage into a `Clip`: clip folders, folders of images, and video files.

A clip folder is the on-disk form of any footage with optional truth:

    <root>/<scene>/rgb/000000.png|jpg     equirectangular frames
    <root>/<scene>/depth/000000.png       16-bit millimetres of range, 0 = invalid; or .npy | .exr in metres;
    optional <root>/<scene>/poses.txt              TUM, camera to world, line i = frame i; optional
"""

import contextlib
import itertools
import os
import pathlib
import re
import shutil

import numpy as np

from pano_depth import geometry, media
from pano_depth.datasets.clip import Clip
from pano_depth.rigid import Motion

DEPTH_SUFFIXES = ('.png', '.npy', '.exr')
_ACCEPTED = 'accepted: a video file, a clip folder, or a folder of images'


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
    return sorted(entry.name for entry in root.iterdir() if entry.name[0] != '.' and (entry / 'rgb').is_dir())


def _numbered(folder, suffixes):
    """The files 000000.*, 000001.*, ... of a folder; ValueError if a number is missing or there twice."""
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.suffix.lower() in suffixes and re.fullmatch(r'\d{6,}', entry.stem):
            if int(entry.stem) in found:
                raise ValueError(f'{entry} and {found[int(entry.stem)].name} are one frame; '
                                 'accepted: one file a frame')
            found[int(entry.stem)] = entry
    if not found:
        raise ValueError(f'{folder} has no frames; accepted: 000000, 000001, ... with {", ".join(suffixes)}')
    for index in range(max(found) + 1):
        if index not in found:
            raise ValueError(f'{folder / f"{index:06d}"}{suffixes[0]} is missing, while '
                             f'{found[max(found)].name} is there; accepted: every frame from 000000 on')
    return [found[index] for index in range(len(found))]


def _read_frames(files, size):
    """[N, H, W, 3] uint8 of image files, resized to (height, width) or all of one size."""
    frames, first = None, None
    for i, file in enumerate(files):
        image = media.read_image(file)
        shape = image.shape[:2]
        if first is None:
            media.check_equirect(*shape, str(file))
            first = shape
            frames = np.empty((len(files), *(size or shape), 3), np.uint8)
        if shape != first:
            raise ValueError(f'{file} is {shape[1]}x{shape[0]} pixels, {files[0].name} is '
                             f'{first[1]}x{first[0]}; accepted: one size')
        frames[i] = media.resize_equirect(image, *(size or shape))
    return frames


def _read_exr(file):
    try:
        import OpenEXR
    except ImportError as error:
        raise ValueError(f'{file} needs a reader of EXR files: pip install OpenEXR, or use .npy') from error
    try:
        channels = OpenEXR.File(str(file), separate_channels=True).channels()
    except (OSError, RuntimeError) as error:
        raise ValueError(f'{file} cannot be read: {error}') from error
    for name in ('Z', 'Y', 'R', 'V'):
        if name in channels:
            return np.asarray(channels[name].pixels)
    raise ValueError(f'{file} has the channels {", ".join(channels)}; accepted: depth as Z, Y, R or V')


def _read_depth_file(file):
    """[H, W] float32 metres of range, 0 where invalid."""
    if file.suffix.lower() == '.png':
        return media.read_png16(file).astype(np.float32) / 1000
    if file.suffix.lower() == '.exr':
        depth = _read_exr(file)
    else:
        try:
            depth = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f'{file} cannot be read: {error}') from error
    if not isinstance(depth, np.ndarray) or depth.ndim != 2 or not np.issubdtype(depth.dtype, np.floating):
        raise ValueError(f'{file} is {getattr(depth, "dtype", type(depth))} {np.shape(depth)}; '
                         'accepted: [H, W] floats, metres of range')
    depth = depth.astype(np.float32)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def _nearest(array, height, width):
    """[H, W] resampled at the pixel that holds each new pixel's centre; depth of two surfaces never mixes."""
    rows = ((np.arange(height) + 0.5) * array.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * array.shape[1] / width).astype(int)
    return array[rows[:, None], columns]


def _read_depth(folder, total, picked, size):
    """[n, H, W] float32 of the picked frames; the folder has to hold one file for each of `total` frames."""
    files = _numbered(folder, DEPTH_SUFFIXES)
    if len(files) < total:
        raise ValueError(f'{folder / f"{len(files):06d}.png"} is missing (.npy and .exr too); '
                         f'there are {total} frames')
    if len(files) > total:
        raise ValueError(f'{files[total]} has no frame; there are {total} of them')
    depth = np.empty((len(picked), *size), np.float32)
    for i, index in enumerate(picked):
        values = _read_depth_file(files[index])
        if values.shape[1] != 2 * values.shape[0]:
            raise ValueError(f'{files[index]} is {values.shape[1]}x{values.shape[0]} pixels; '
                             'accepted: twice as wide as high')
        depth[i] = _nearest(values, *size)
    return depth


def _read_poses(file, total):
    """([total] timestamps, `Motion`)."""
    timestamps, motion = geometry.read_tum(file)
    if len(timestamps) != total:
        raise ValueError(f'{file} has {len(timestamps)} poses for {total} frames; accepted: one line a frame')
    return timestamps, motion


def _rate(timestamps):
    """Frames a second by the timestamps, or the default where they do not increase."""
    span = timestamps[-1] - timestamps[0]
    return float((len(timestamps) - 1) / span) if span > 0 else Clip.fps


def _check_options(size, stride, max_frames):
    if size is not None:
        media.check_equirect(*size, 'size')
    if stride < 1 or (max_frames is not None and max_frames < 1):
        raise ValueError(f'stride, max_frames are {stride}, {max_frames}; accepted: at least 1; '
                         'None for all frames')


def read_clip_folder(path, *, size=None, stride=1, max_frames=None):
    """Reads one scene of a clip folder.

    Args:
      path: the scene's folder, with `rgb/` and optionally `depth/` and `poses.txt`.
      size: (height, width) to resize to, or None for the files' own. Depth is resampled to the nearest pixel.
      stride: every stride-th frame is taken.
      max_frames: at most so many are taken, or None.

    Returns:
      `Clip` named after the folder; the poses are expressed in its frame 0.

    Raises:
      ValueError: no `rgb/`; a frame, depth file or pose is missing or damaged; a frame has another size or is
        not equirectangular; bad options. The message names the file.
    """
    path = pathlib.Path(path)
    _check_options(size, stride, max_frames)
    if not (path / 'rgb').is_dir():
        raise ValueError(f'{path} has no folder rgb/; accepted: a scene of a clip folder')
    files = _numbered(path / 'rgb', media.IMAGE_SUFFIXES)
    picked = range(0, len(files), stride)[:max_frames]
    timestamps = poses = depth = None
    if (path / 'poses.txt').exists():
        timestamps, motion = _read_poses(path / 'poses.txt', len(files))
        poses = geometry.from_first_frame(Motion(*(array[list(picked)] for array in motion)))
    frames = _read_frames([files[index] for index in picked], size)
    if (path / 'depth').is_dir():
        depth = _read_depth(path / 'depth', len(files), picked, frames.shape[1:3])
    fps = (Clip.fps if timestamps is None else _rate(timestamps)) / stride
    return Clip(path.resolve().name, frames, depth, poses, fps)


def _natural(file):
    """Sort key that puts frame_10 behind frame_9."""
    parts = re.split(r'(\d+)', file.name)
    return [(int(part), '') if part.isdigit() else (-1, part.lower()) for part in parts]


def _read_video(path, size, stride, max_frames):
    info = media.video_info(path)
    media.check_equirect(info.height, info.width, str(path))
    with contextlib.closing(media.iter_video(path, size=size, stride=stride)) as stream:
        frames = list(itertools.islice(stream, max_frames))
    return Clip(path.stem, np.stack(frames), fps=(info.fps or Clip.fps) / stride)


def read_clip(path, *, size=None, stride=1, max_frames=None):
    """Reads footage of any kind.

    Args:
      path: a video file, a scene of a clip folder, a root with exactly one scene, or a folder of images (in
        the order of their numbers).
      size: (height, width) to resize to, or None for the footage's own; a long video takes much memory that
        way.
      stride: every stride-th frame is taken.
      max_frames: at most so many are taken, or None.

    Returns:
      `Clip`; depth and poses from clip folders only.

    Raises:
      ValueError: nothing there, several scenes, not equirectangular, damaged, or bad options. The message
        names the file.
    """
    path = pathlib.Path(path)
    _check_options(size, stride, max_frames)
    if not path.exists():
        raise ValueError(f'input {path} does not exist; {_ACCEPTED}')
    if path.is_file():
        return _read_video(path, size, stride, max_frames)
    if (path / 'rgb').is_dir():
        return read_clip_folder(path, size=size, stride=stride, max_frames=max_frames)
    scenes = list_scenes(path)
    if len(scenes) > 1:
        raise ValueError(f'input {path} holds {len(scenes)} scenes; accepted: one, such as '
                         f'{path / scenes[0]}')
    if scenes:
        return read_clip_folder(path / scenes[0], size=size, stride=stride, max_frames=max_frames)
    files = [file for file in path.iterdir() if file.suffix.lower() in media.IMAGE_SUFFIXES]
    files = [file for file in files if file.name[0] != '.']
    if not files:
        raise ValueError(f'input {path} holds neither rgb/ nor images; {_ACCEPTED}')
    frames = _read_frames(sorted(files, key=_natural)[::stride][:max_frames], size)
    return Clip(path.resolve().name, frames, fps=Clip.fps / stride)


def write_clip_folder(root, clip, *, depth_format='png'):
    """Writes a clip as the scene `<root>/<clip.name>`, all of it or nothing.

    Args:
      root: the folder of scenes, made if missing.
      clip: `Clip`.
      depth_format: 'png' (16-bit millimetres; farther than 65.535 m saturates) or 'npy' (float32 metres).

    Returns:
      `pathlib.Path` of the scene.

    Raises:
      ValueError: the scene is there already, its name is no folder name, or `depth_format` is unknown.
    """
    if depth_format not in ('png', 'npy'):
        raise ValueError(f'depth_format is {depth_format!r}; accepted: png, npy')
    if not clip.name or clip.name.startswith('.') or pathlib.PurePath(clip.name).name != clip.name:
        raise ValueError(f'clip.name is {clip.name!r}; accepted: the name of a folder')
    scene = pathlib.Path(root) / clip.name
    if scene.exists():
        raise ValueError(f'{scene} exists already; accepted: a new scene')
    scene.parent.mkdir(parents=True, exist_ok=True)
    temporary = scene.with_name(f'.{clip.name}.{os.getpid()}.tmp')
    try:
        _write_scene(temporary, clip, depth_format)
        os.replace(temporary, scene)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
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
