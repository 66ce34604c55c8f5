"""Opens footage of any kind: finds out what a path holds and calls the reader of that layout."""

import pathlib

from pano_depth.footage import clip_folder, media, panosuncg, rgbd
from pano_depth.footage.eyes import check_stereo
from pano_depth.footage.photos import open_photos
from pano_depth.footage.video import open_video

_ACCEPTED = (
    'accepted: a video file, an image, a folder of images or of RGB-D pairs, a scene of a clip '
    'folder or a root of several, a PanoSUNCG root'
)


def open_footage(
    path,
    *,
    stereo=None,
    on_bad='refuse',
    depth_scale=None,
    projection='auto',
    fisheye_fov=None,
    fps=None,
):
    """Opens footage, reading no more than the first frame of each piece.

    Args:
        path: a video file (whatever ffmpeg reads), one image, a scene of a clip folder, a root of
            several scenes, a PanoSUNCG root (`panosuncg`), a folder of RGB-D pairs (`rgbd`), or a
            folder of images in the order of their numbers.
        stereo: None for one eye a frame; 'top_bottom' takes the upper half of frames stored 1:1,
            'left_right' the left half of frames stored 4:1, each the left eye.
        on_bad: what happens to a frame that is missing, damaged, of another size or without its
            depth, and to the rest of a damaged video: 'refuse' raises ValueError with the file's
            name; 'skip' leaves it out, logs a warning and adds it to
            `Footage.skipped`. Missing files are refused when opening, damaged ones when they are
            read.
        depth_scale: metres per unit of depth files, or None for millimetres in `.png`, metres
            elsewhere. PanoSUNCG has its own.
        projection: how a frame shows the sphere. 'auto' finds out; 'equirect' takes the pixels as
            they are, whatever the metadata say; else the name of a layout of `layouts`, which is
            refused where a folder holds depth or poses, since these belong to the pixels as they
            are stored.
        fisheye_fov: degrees across each circle of a fisheye layout; None measures it.
        fps: frames a second of images, which do not say; None means 24.

    Returns:
        List of `Footage`: one, or one for each scene or trajectory.

    Raises:
        ValueError: nothing there, nothing that can be read, not equirectangular, or bad options.
            The message names the file.
    """
    path = pathlib.Path(path)
    check_stereo(stereo)
    options = {'stereo': stereo, 'on_bad': on_bad}
    shown = {'projection': projection, 'fisheye_fov': fisheye_fov}
    if path.is_file():
        if path.suffix.lower() in media.IMAGE_SUFFIXES:
            return [open_photos.open_photo(path, fps=fps, **shown, **options)]
        return [open_video.open_video(path, **shown, **options)]
    if not path.is_dir():
        raise ValueError(f'input {path} does not exist; {_ACCEPTED}')
    if found := _with_depth_or_poses(path, depth_scale, fps, options):
        if projection not in ('auto', 'equirect'):
            raise ValueError(
                f'projection is {projection!r}, but {path} is of a kind that holds depth and poses,'
                ' which belong to the pixels as they are stored; accepted: auto, equirect'
            )
        return found
    footage = open_photos.open_photos(path, fps=fps, **shown, **options)
    if footage is None:
        raise ValueError(f'input {path} holds neither rgb/ nor images; {_ACCEPTED}')
    return [footage]


def _with_depth_or_poses(path, depth_scale, fps, options):
    """List of `Footage` of a folder of a kind that can hold depth and poses; empty for others."""
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
        return [rgbd.open_pairs(path, depth_scale=depth_scale, fps=fps, **options)]
    return []
