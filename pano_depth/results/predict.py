"""The files of a reconstruction: depth, confidence, video, trajectory, point cloud, panels.

Memory does not grow with the length of the footage.
"""

import contextlib
import dataclasses
import pathlib

import numpy as np

from common.logs import Progress
from common.run import atomic_path, numbered, write_json
from common.stopping import Stop
from pano_depth.footage import media, spherical, video
from pano_depth.footage.poses import axes
from pano_depth.reconstruction.analysis import flicker
from pano_depth.results import panels
from pano_depth.results.files import pictures, timing
from pano_depth.results.files.fusion import CloudFiles, file_name

SAMPLES = 64  # frames by which the colour scale of a clip is chosen


def _write_depth(folder, index, depth, confidence, npy):
    """Writes the images of one frame; returns how many pixels of its depth saturate."""
    name = f'{index:06d}'
    media.write_png16(folder / 'depth' / f'{name}.png', media.to_millimetres(depth))
    grey = np.rint(confidence * 255).astype(np.uint8)
    media.write_image(folder / 'confidence' / f'{name}.png', grey)
    if npy:
        with atomic_path(folder / 'depth' / f'{name}.npy') as temporary:
            np.save(temporary, depth)
    return int((depth >= 65.5355).sum())


def write_all(folder, result, *, npy=False, cloud_voxel=None, stop=None):
    """Writes all files of a reconstruction, with its scores if it has any.

    Args:
        folder: a directory, made if it is missing.
        result: `reconstruction.Reconstruction`.
        npy, cloud_voxel, stop: as for `write_results`.

    Returns:
        dict of facts for `run.json`, without the names of the files, see `files_of`.

    Raises:
        Stopped: there was a request to stop; every file that is there is complete.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = write_trajectory(folder, result)
    facts.update(write_results(folder, result, npy=npy, cloud_voxel=cloud_voxel, stop=stop))
    if result.scores is not None:
        write_json(folder / 'eval.json', result.scores)
    return facts


def files_of(result, *, npy=False) -> list[str]:
    """Names of the files that `write_all` writes, as in `run.json` (see `common.run.names`).

    Args:
        result: `reconstruction.Reconstruction`.
        npy: as for `write_results`.
    """
    names = ['depth.mp4', 'panels.png'] + (['eval.json'] if result.scores is not None else [])
    for form in ('depth/{}.png', 'confidence/{}.png', *(['depth/{}.npy'] if npy else [])):
        names += numbered(form, result.indices)
    for number, piece in enumerate(result.pieces):
        if piece.has_path:
            names.append(file_name('trajectory', number, '.txt'))
            if piece.stop - piece.start > 1:
                names.append(file_name('trajectory', number, '.png'))
        if piece.has_path or len(result) == 1:
            names.append(file_name('cloud', number, '.ply'))
    return names + [file_name('mask', number, '.png') for number, _ in _masks(result)]


def _some_depth(result):
    """Some depth of the whole clip, for one colour scale."""
    shown = np.unique(np.linspace(0, len(result) - 1, min(len(result), SAMPLES)).astype(int))
    found = np.stack([result.depth(i)[::4, ::4].ravel() for i in shown])
    return found[found > 0]


def write_results(folder, result, *, npy=False, cloud_voxel=None, stop=None):
    """Writes images, video, cloud and panels, reading the footage once more, frame by frame.

    Args:
        folder: the directory.
        result: `reconstruction.Reconstruction`.
        npy: also write depth as float32 arrays.
        cloud_voxel: side of a voxel of the cloud in the unit of the depth, or None for 1 % of the
            median depth.
        stop: `common.stopping.Stop`, or None.

    Returns:
        dict of facts for `run.json`.

    Raises:
        Stopped: there was a request to stop; every file that is there is complete.
    """
    stop, folder, count = stop or Stop(), pathlib.Path(folder), len(result)
    for name in ('depth', 'confidence'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    footage = result.footage
    paced = timing.facts_of(result.times, result.footage.fps / result.stride)
    times = None if timing.are_even(result.times) else result.times
    low, high = panels.depth_range(_some_depth(result))
    saturated, shown = 0, pictures.Shown(result)
    clouds = CloudFiles(folder, result, axes=result.axes['cloud'], voxel=cloud_voxel)
    with (
        video.write_video(folder / 'depth.mp4', paced['fps'], times=times) as append,
        Progress(count, unit='frame', description='writing') as progress,
        stop.held('this frame'),
        contextlib.closing(result.frames()) as stream,
    ):
        for position, frame in stream:
            depth, confidence = result.depth(position), result.confidence(position)
            saturated += _write_depth(folder, frame.index, depth, confidence, npy)
            append(np.concatenate([frame.image, panels.depth_colors(depth, low=low, high=high)]))
            clouds.add(position, frame.image)
            shown.add(position, frame, depth)
            progress.update()
            stop.kept = (
                f'{position + 1} of {count} depth images are in {folder / "depth"}; the same'
                ' command writes all results'
            )
            stop.check()
    if footage.spherical is not None:
        # Frame above depth is the layout that spherical video calls top-bottom: each half is a full
        # panorama.
        spherical.write_spherical(
            folder / 'depth.mp4',
            dataclasses.replace(footage.spherical, stereo='top-bottom', xml=None),
        )
    facts = {
        'frames': count,
        **paced,
        'axes': result.axes,
        'height': result.height,
        'width': result.width,
        'saturated_pixels': saturated,
        'units': (
            'depth PNG: 1/1000 of the unit, range along the ray; trajectory and cloud: the same'
            ' unit'
        ),
    }
    shown.write(folder / 'panels.png')
    # What `run.json` says of the first piece stands beside what it says of the whole.
    facts.update(clouds.facts.get(0, {}))
    _of_pieces(facts, result, clouds.facts)
    return facts


def _of_pieces(facts, result, of_clouds):
    """Adds what is known of the pieces and their files to facts, where there are several."""
    if len(result.pieces) == 1:
        return
    facts['pieces'] = known = []
    for number, piece in enumerate(result.pieces):
        first, last = result.indices[piece.start], result.indices[piece.stop - 1]
        entry = {'frames': [int(first), int(last)], 'path': piece.has_path}
        if piece.has_path:
            entry['trajectory'] = file_name('trajectory', number, '.txt')
        if number in of_clouds:
            entry |= {'cloud': file_name('cloud', number, '.ply'), **of_clouds[number]}
        known.append(entry | result.of_pieces[number])


def write_trajectory(folder, result):
    """Writes the path of each piece and its picture, and what was left out of its images.

    Args:
        folder: the directory.
        result: `reconstruction.Reconstruction`.

    Returns:
        dict of facts for `run.json`.
    """
    _write_masks(folder, result)
    for number, piece in enumerate(result.pieces):
        if piece.has_path:
            times = result.times[piece.start : piece.stop]
            path = folder / file_name('trajectory', number, '.txt')
            axes.write_path(
                path,
                times,
                piece.analysis.poses,
                axes=result.axes['trajectory'],
                unit=unit_of(result, number),
            )
            if len(times) > 1:
                pictures.write_path(path.with_suffix('.png'), result, piece)
    if result.poses is None:
        why = result.reason or 'the images are unrelated, and each has a scale of its own'
        return {'alignment': f'none: {why}'}
    if len(result) == 1:
        return {'alignment': 'none: there is one frame'}
    facts = {
        'alignment': 'the frames share one scale, found from the overlap of neighbouring frames'
    }
    if len(result.pieces) > 1:
        facts['alignment'] = 'the frames of each piece share one scale; different pieces do not'
    if len(result.pieces[0].analysis.units) > 2:
        facts['flicker'] = flicker(result.pieces[0].analysis)
    return facts


def unit_of(result, number):
    """The unit of a piece: 'metre' or 'relative'."""
    return result.of_pieces[number].get('unit', result.unit)


def _write_masks(folder, result):
    """Writes the mask of each piece; one that was given is the same for all pieces."""
    for number, mask in _masks(result):
        pictures.write_mask(folder / file_name('mask', number, '.png'), mask, result.height)


def _masks(result):
    """(number, mask) of the pieces whose mask is not that of an earlier one."""
    found = []
    for number, piece in enumerate(result.pieces):
        if piece.mask is not None and not any(piece.mask is mask for _, mask in found):
            found.append((number, piece.mask))
    return found
