"""Opens footage of any kind: finds out what a path holds and calls the reader of that layout."""

import contextlib
import functools
import itertools
import math
import pathlib
import re

from absl import logging

from pano_depth.footage import clip_folder, media, panosuncg, rgbd, spherical, video
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import BadFrames, Footage, Frame
from pano_depth.footage.frame_files import (
    FrameFiles,
    check_stereo,
    eye_size,
    from_files,
    natural_order,
    stored_size,
    take_eye,
)

_ACCEPTED = (
    'accepted: a video file, an image, a folder of images or of RGB-D pairs, a scene of a clip '
    'folder or a root of several, a PanoSUNCG root'
)
_SPHERICAL_SUFFIXES = ('.mp4', '.mov', '.m4v')


def open_footage(path, *, stereo=None, on_bad='refuse', depth_scale=None):
    """Opens footage, reading no more than the first frame of each piece.

    Args:
        path: a video file (whatever ffmpeg reads), one image, a scene of a clip folder, a root of
            several scenes, a PanoSUNCG root (`panosuncg`), a folder of RGB-D pairs (`rgbd`), or a
            folder of images in the order of their numbers.
        stereo: None for one eye a frame; 'top_bottom' takes the upper half of frames stored 1:1,
            'left_right' the left half of frames stored 4:1, each the left eye.
        on_bad: what happens to a frame that is missing, damaged, of another size or without its
            depth, and to the frames after the cut in a damaged video: 'refuse' raises ValueError
            with the file's name; 'skip' leaves it out, logs a warning and adds it to
            `Footage.skipped`. Missing files are refused when opening, damaged ones when they are
            read.
        depth_scale: metres per unit of depth files, or None for millimetres in `.png`, metres
            elsewhere. PanoSUNCG has its own.

    Returns:
        List of `Footage`: one, or one for each scene or trajectory.

    Raises:
        ValueError: nothing there, nothing that can be read, not equirectangular, or bad options.
            The message names the file.
    """
    path = pathlib.Path(path)
    check_stereo(stereo)
    options = {'stereo': stereo, 'on_bad': on_bad}
    if path.is_file():
        if path.suffix.lower() in media.IMAGE_SUFFIXES:
            return [from_files(path.stem, [FrameFiles(path)], bad=BadFrames(on_bad), stereo=stereo)]
        return [_open_video(path, **options)]
    if not path.is_dir():
        raise ValueError(f'input {path} does not exist; {_ACCEPTED}')
    if (path / 'rgb').is_dir():
        return [clip_folder.open_scene(path, depth_scale=depth_scale, **options)]
    if scenes := clip_folder.list_scenes(path):
        return [
            clip_folder.open_scene(path / scene, depth_scale=depth_scale, **options)
            for scene in scenes
        ]
    if folders := panosuncg.trajectories(path):
        return [panosuncg.open_trajectory(folder, **options) for folder in folders]
    if rgbd.is_pairs(path):
        return [rgbd.open_pairs(path, depth_scale=depth_scale, **options)]
    return [_open_images(path, **options)]


def _open_images(path, stereo, on_bad):
    files = natural_order(
        entry
        for entry in path.iterdir()
        if entry.suffix.lower() in media.IMAGE_SUFFIXES and entry.name[0] != '.' and entry.is_file()
    )
    if not files:
        raise ValueError(f'input {path} holds neither rgb/ nor images; {_ACCEPTED}')
    return from_files(path.resolve().name, _with_gaps(files), bad=BadFrames(on_bad), stereo=stereo)


def _with_gaps(files):
    """`FrameFiles` of images in order, with an entry for each file that their numbering lacks.

    Files are numbered if their names are equal except for one number, with any constant step and
    more files than gaps. Files with other names have no gaps.
    """
    names = [re.fullmatch(r'(.*?)(\d+)(\D*)', file.stem) for file in files]
    if not all(names) or len({(name[1], name[3]) for name in names}) > 1:
        return [FrameFiles(file) for file in files]
    found = {int(name[2]): file for name, file in zip(names, files, strict=True)}
    first, last = min(found), max(found)
    step = math.gcd(*(number - first for number in found)) or 1
    slots = (last - first) // step + 1
    if len(found) < len(files) or slots >= 2 * len(files):
        return [FrameFiles(file) for file in files]
    entries = []
    for number in range(first, last + 1, step):
        file, name = found.get(number), names[0]
        missing = files[0].with_name(
            f'{name[1]}{number:0{len(name[2])}d}{name[3]}{files[0].suffix}'
        )
        problem = (
            f'{missing} is missing; accepted: all from {found[first].name} to {found[last].name}'
        )
        entries.append(FrameFiles(file) if file else FrameFiles(missing, problem=problem))
    return entries


def _open_video(path, stereo, on_bad):
    info, bad = video.video_info(path), BadFrames(on_bad)
    height, width = eye_size(info.height, info.width, stereo, str(path))
    metadata = _metadata(path)
    read = functools.partial(_read_video, path, (info.height, info.width), stereo, bad)
    return Footage(
        path.stem,
        height,
        width,
        info.fps or Clip.fps,
        info.frames,
        read,
        spherical=metadata,
        skipped=bad.skipped,
    )


def _metadata(path):
    """The spherical metadata of a video, or None; ValueError if it is no full panorama."""
    if path.suffix.lower() not in _SPHERICAL_SUFFIXES:
        return None
    try:
        metadata = spherical.read_spherical(path)
    except ValueError as error:
        # The pictures can be read without it.
        logging.warning('%s; its spherical metadata is left out', error)
        return None
    if metadata is not None and (metadata.projection in ('cubemap', 'mesh') or not metadata.full):
        part = '' if metadata.full else ', a part of the sphere,'
        raise ValueError(
            f'video {path} is {metadata.projection}{part} by its metadata; accepted: a full '
            'equirectangular panorama'
        )
    return metadata


def _read_video(path, stored, stereo, bad, size, start, stride):
    wanted = stored if size is None else stored_size(size, stereo)
    stream = video.iter_video(path, size=size and wanted, start=start, stride=stride)
    with contextlib.closing(stream):
        for index, image in zip(itertools.count(start, stride), _until_cut(path, stream, bad)):
            name = f'{path} frame {index}'
            if image.shape[:2] == wanted:
                yield Frame(index, name, take_eye(image, stereo))
            else:
                shape = f'{image.shape[1]}x{image.shape[0]}'
                bad.report(name, f'{name} is {shape} pixels; accepted: {wanted[1]}x{wanted[0]}')


def _until_cut(path, stream, bad):
    """The frames of a video up to its damage; ValueError if not even the first can be read."""
    started = False
    try:
        for image in stream:
            yield image
            started = True
    except ValueError as error:
        if not started:
            raise
        bad.report(str(path), str(error))
