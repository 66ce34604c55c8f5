"""The files of a reconstruction: depth, confidence, video, trajectory, point cloud, panels.

Memory does not grow with the length of the footage.
"""

import contextlib
import dataclasses
import functools
import pathlib

import jax.numpy as jnp
import numpy as np

from common.logs import Progress
from common.run import atomic_path, write_json
from common.stopping import Stop
from pano_depth.footage import geometry, media, spherical, video
from pano_depth.kernels import sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import infer, scale
from pano_depth.reconstruction.analysis import flicker
from pano_depth.results import panels, ply

# Without a known scale the median depth of a clip becomes this many units, so that 16-bit
# millimetres resolve it well.
MEDIAN_UNITS = 2.0
PANELS = 4
SAMPLES = 64  # frames by which a clip is measured


def fix_scale(analysis, config, *, camera_height=None, mask=None, refined=None, samples=SAMPLES):
    """Brings an `Analysis` into metres, or into a unit that suits 16 bits.

    Args:
        analysis: `infer.Analysis`.
        config: `ModelConfig`.
        camera_height: metres over the floor, or None if unknown.
        mask: [H, W] bool of any size, False where pixels do not count, or None.
        refined: `refined.Refined` depth, which is measured instead of the networks'; its unit is
            set too. Or None.
        samples: number of frames to measure.

    Returns:
        (analysis, facts): the rescaled one, and what `run.json` says about it.

    Raises:
        ValueError: the camera's height is given, but nothing below it is seen.
    """
    count = len(analysis.units)
    shown = np.unique(np.linspace(0, count - 1, min(samples, count)).astype(int))
    if camera_height is None:
        middle = infer.median_depth(analysis)
        if refined is not None:
            middle = np.median([np.median(known[known > 0]) for known in map(refined.depth, shown)])
        factor = float(MEDIAN_UNITS / middle)
        facts = {
            'scale': (
                'relative: nothing in the images tells metres; the median depth of the clip is'
                f' {MEDIAN_UNITS} units (--camera_height=METRES fixes it)'
            ),
            'unit': 'relative',
        }
    else:
        height = 2 * config.face_size if refined is None else refined.height
        depth_of = infer.depth_maps(config, 2 * config.face_size)
        depths = (
            np.asarray(depth_of(analysis.disparity[[i]], analysis.units[[i]]))[0]
            if refined is None
            else refined.depth(i)
            for i in shown
        )
        found, spread = scale.clip_floor_height(
            depths, mask=None if mask is None else media.nearest(mask, height)
        )
        factor = camera_height / found
        facts = {
            'scale': f'metres: the floor lies {camera_height} m below the camera',
            'unit': 'metre',
            'camera_height_m': camera_height,
            'floor_spread': spread,
        }
    if refined is not None:
        refined.unit = factor
    return infer.scaled(analysis, factor), facts


def warped_view(source, depth, target_pose, source_pose):
    """A frame synthesised from another one, as the photometric loss compares it.

    Args:
        source: [H, W, 3] uint8.
        depth: [H, W] range of the target frame.
        target_pose, source_pose: (rotation [3, 3], translation [3]) camera to world.

    Returns:
        [H, W, 3] uint8.
    """
    world = source_pose[0].T
    rotation, translation = world @ target_pose[0], world @ (target_pose[1] - source_pose[1])
    return np.asarray(
        warp.synthesize(
            jnp.asarray(source),
            sphere.ray_directions(*depth.shape),
            jnp.asarray(depth),
            jnp.asarray(rotation, jnp.float32),
            jnp.asarray(translation, jnp.float32),
        )
    )


class _Panels:
    """Keeps the few frames that are shown, and the frames that they are synthesised from."""

    def __init__(self, count):
        self.shown = np.unique(
            np.linspace(0, max(count - 1, 0), min(PANELS, count)).round().astype(int)
        )
        self.partner = {i: i + 1 if i + 1 < count else i - 1 for i in self.shown}
        self._images, self._depth, self._truth = {}, {}, {}

    def add(self, position, frame, depth):
        if position in self.shown or position in self.partner.values():
            self._images[position] = frame.image
        if position in self.shown:
            self._depth[position], self._truth[position] = depth, frame.depth

    def write(self, path, poses, title):
        take = lambda kept: np.stack([kept[i] for i in self.shown])
        pose = lambda i: (poses.rotation[i], poses.translation[i])
        warped = None
        if poses is not None and len(poses.rotation) > 1:
            views = [
                warped_view(self._images[j], self._depth[i], pose(i), pose(j))
                for i, j in self.partner.items()
            ]
            warped = np.stack(views)
        truth = None if any(truth is None for truth in self._truth.values()) else take(self._truth)
        panels.clip_panels(
            path,
            take(self._images),
            take(self._depth),
            truth=truth,
            warped=warped,
            labels=self.shown,
            title=title,
        )


@functools.lru_cache(maxsize=2)
def rays_of(height):
    """Unit rays [height, 2 height, 3] of equirectangular pixels, float32 numpy."""
    return np.asarray(sphere.ray_directions(height, 2 * height))


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


def write_all(folder, result, *, npy=False, cloud_axes='y_up', cloud_voxel=None, stop=None):
    """Writes all files of a reconstruction, with its scores if it has any.

    Args:
        folder: a directory, made if it is missing.
        result: `reconstruction.Reconstruction`.
        npy, cloud_axes, cloud_voxel, stop: as for `write_results`.

    Returns:
        dict of facts for `run.json`.

    Raises:
        Stopped: there was a request to stop; every file that is there is complete.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = write_trajectory(folder, result)
    facts.update(
        write_results(
            folder, result, npy=npy, cloud_axes=cloud_axes, cloud_voxel=cloud_voxel, stop=stop
        )
    )
    if result.scores is not None:
        write_json(folder / 'eval.json', result.scores)
    return facts


def _some_depth(result):
    """Some depth of the whole clip, for one colour scale."""
    if result.refined is None:
        disparity = result.analysis.disparity.reshape(len(result), -1)[:, ::7]
        return result.analysis.units[:, None] / disparity
    shown = np.unique(np.linspace(0, len(result) - 1, min(len(result), SAMPLES)).astype(int))
    found = np.stack([result.depth(i)[::4, ::4].ravel() for i in shown])
    return found[found > 0]


def write_results(folder, result, *, npy=False, cloud_axes='y_up', cloud_voxel=None, stop=None):
    """Writes images, video, cloud and panels, reading the footage once more, frame by frame.

    Args:
        folder: the directory.
        result: `reconstruction.Reconstruction`.
        npy: also write depth as float32 arrays.
        cloud_axes: axes of the point cloud, see `ply.CLOUD_AXES`.
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
    footage, fps = result.footage, result.footage.fps / result.stride
    low, high = panels.depth_range(_some_depth(result))
    fusion, saturated, pictures = result.fusion(cloud_voxel), 0, _Panels(count)
    with (
        video.write_video(folder / 'depth.mp4', fps) as append,
        Progress(count, unit='frame', description='writing') as progress,
        stop.held('this frame'),
        contextlib.closing(result.frames()) as stream,
    ):
        for position, frame in stream:
            depth, confidence = result.depth(position), result.confidence(position)
            saturated += _write_depth(folder, frame.index, depth, confidence, npy)
            append(np.concatenate([frame.image, panels.depth_colors(depth, low=low, high=high)]))
            if fusion is not None:
                fusion.add(position, frame.image, result.solid(position))
            pictures.add(position, frame, depth)
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
        'fps': fps,
        'height': result.height,
        'width': result.width,
        'saturated_pixels': saturated,
        'units': (
            'depth PNG: 1/1000 of the unit, range along the ray; trajectory and cloud: the same'
            ' unit'
        ),
    }
    pictures.write(folder / 'panels.png', result.poses, result.name)
    if fusion is not None:
        points, colours = fusion.result()
        ply.write_ply(folder / 'cloud.ply', points, colours, axes=cloud_axes)
        facts.update(
            cloud_points=len(points), cloud_axes=cloud_axes, cloud_max_depth=fusion.max_depth
        )
    return facts


def write_trajectory(folder, result):
    """Writes `trajectory.txt` and its picture; nothing for unrelated images.

    Args:
        folder: the directory.
        result: `reconstruction.Reconstruction`.

    Returns:
        dict of facts for `run.json`.
    """
    if result.poses is None:
        return {'alignment': 'none: the images are unrelated, and each has a scale of its own'}
    geometry.write_tum(folder / 'trajectory.txt', result.times, result.poses)
    if len(result) == 1:
        return {'alignment': 'none: there is one frame'}
    truth = result.footage.poses
    if truth is not None:
        truth = geometry.from_first_frame(Motion(*(part[result.indices] for part in truth)))
    panels.trajectory_plot(
        folder / 'trajectory.png',
        result.poses,
        truth,
        title=result.name,
        unit='m' if result.unit == 'metre' or truth else 'units',
    )
    facts = {
        'alignment': 'the frames share one scale, found from the overlap of neighbouring frames'
    }
    if len(result) > 2:
        facts['flicker'] = flicker(result.analysis)
    return facts
