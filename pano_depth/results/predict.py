"""From footage to files: depth images, depth video, trajectory, point cloud, panels.

Memory does not grow with the length of the footage.
"""

import contextlib
import dataclasses
import pathlib

import jax.numpy as jnp
import numpy as np

from common.logs import Progress
from common.run import atomic_path
from common.stopping import Stop
from pano_depth.footage import geometry, media, spherical, video
from pano_depth.kernels import sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import infer, scale
from pano_depth.reconstruction.analysis import flicker, some_frames
from pano_depth.results import cloud, panels, ply

# Without a known scale the median depth of a clip is called this many units, so that 16-bit
# millimetres resolve it well.
MEDIAN_UNITS = 2.0
# What is farther than this many median depths is more than the clip's baseline can tell, and would
# spray the cloud.
FAR = 4.0
CLOUD_ROWS = 256
PANELS = 4


def fix_scale(analysis, config, *, camera_height=None, mask=None, samples=64):
    """Brings an `Analysis` into metres, or into a unit that suits 16 bits.

    Args:
        analysis: `infer.Analysis`.
        config: `ModelConfig`.
        camera_height: metres over the floor, or None if unknown.
        mask: [H, W] bool of any size, False for what does not count, or None.
        samples: frames that are looked at.

    Returns:
        (analysis, facts): the rescaled one, and what `run.json` says about it.

    Raises:
        ValueError: the camera's height is given, but nothing below it is seen.
    """
    if camera_height is None:
        return infer.scaled(analysis, MEDIAN_UNITS / infer.median_depth(analysis)), {
            'scale': (
                'relative: nothing in the images tells metres; the median depth of the clip is'
                f' {MEDIAN_UNITS} units (--camera_height=METRES fixes it)'
            ),
            'unit': 'relative',
        }
    height = 2 * config.face_size
    depth_of = infer.depth_maps(config, height)
    shown = np.unique(
        np.linspace(0, len(analysis.units) - 1, min(samples, len(analysis.units))).astype(int)
    )
    depths = (
        np.asarray(depth_of(analysis.disparity[i][None], analysis.units[i][None]))[0] for i in shown
    )
    found, spread = scale.clip_floor_height(
        depths, mask=None if mask is None else media.nearest(mask, height)
    )
    return infer.scaled(analysis, camera_height / found), {
        'scale': f'metres: the floor lies {camera_height} m below the camera',
        'unit': 'metre',
        'camera_height_m': camera_height,
        'floor_spread': spread,
    }


def warped_view(source, depth, target_pose, source_pose):
    """A frame as synthesised from another one: what the photometric loss compares.

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
    """Keeps the few frames that are shown, and those that they are synthesised from."""

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
            warped = np.stack(
                [
                    warped_view(
                        self._images[self.partner[i]],
                        self._depth[i],
                        pose(i),
                        pose(self.partner[i]),
                    )
                    for i in self.shown
                ]
            )
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


def _write_depth(folder, index, depth, npy):
    """Writes one depth image; the number of its pixels that saturate."""
    media.write_png16(folder / f'{index:06d}.png', media.to_millimetres(depth))
    if npy:
        with atomic_path(folder / f'{index:06d}.npy') as temporary:
            np.save(temporary, depth)
    return int((depth >= 65.5355).sum())


def write_results(
    folder,
    footage,
    analysis,
    config,
    *,
    height,
    stride=1,
    limit=None,
    npy=False,
    cloud_axes='y_up',
    cloud_voxel=None,
    mask=None,
    stop=None,
):
    """Writes all results of footage into a run directory, reading it a second time, frame by frame.

    Args:
        folder: the run directory.
        footage: `Footage`.
        analysis: its `infer.Analysis`, scaled.
        config: `ModelConfig`.
        height: rows of the results.
        stride, limit: as for `analysis.read_frames`.
        npy: also write depth as float32 arrays.
        cloud_axes: axes of the point cloud, see `ply.CLOUD_AXES`.
        cloud_voxel: side of a voxel of the cloud in the unit of the depth, or None for 1 % of the
            median depth.
        mask: [H, W] bool of any size, False for what does not belong into the cloud, or None.
        stop: `common.stopping.Stop`, or None.

    Returns:
        dict of facts for `run.json`.

    Raises:
        Stopped: `stop` was asked; every file that is there is whole.
    """
    stop = stop or Stop()
    folder, count, size = pathlib.Path(folder), len(analysis.units), (height, 2 * height)
    (folder / 'depth').mkdir(parents=True, exist_ok=True)
    low, high = panels.depth_range(
        analysis.units[:, None] / analysis.disparity.reshape(count, -1)[:, ::7]
    )
    middle = infer.median_depth(analysis)
    depth_of, saturated, pictures = infer.depth_maps(config, height), 0, _Panels(count)
    kept = None if mask is None else media.nearest(mask, height)
    together = analysis.poses is not None or count == 1
    poses = (
        analysis.poses if analysis.poses is not None else Motion(np.eye(3)[None], np.zeros((1, 3)))
    )
    # The cloud needs no finer rows than these, and fusing it is what takes most of the time.
    step = max(1, height // CLOUD_ROWS)
    rays = np.asarray(sphere.ray_directions(*size))[::step, ::step]
    fusion = (
        cloud.Fusion(
            *rays.shape[:2],
            directions=rays,
            voxel=cloud_voxel or 0.01 * middle,
            max_depth=FAR * middle,
        )
        if together
        else None
    )
    with (
        video.write_video(folder / 'depth.mp4', footage.fps / stride) as append,
        Progress(count, unit='frame', description='writing') as progress,
        stop.held('this frame'),
        contextlib.closing(some_frames(footage, stride, count, size)) as stream,
    ):
        for position, frame in enumerate(stream):
            depth = np.asarray(
                depth_of(analysis.disparity[position][None], analysis.units[position][None])
            )[0]
            saturated += _write_depth(folder / 'depth', frame.index, depth, npy)
            append(np.concatenate([frame.image, panels.depth_colors(depth, low=low, high=high)]))
            if fusion is not None:
                near = depth if kept is None else np.where(kept, depth, 0)
                fusion.add(
                    frame.image[::step, ::step],
                    near[::step, ::step],
                    poses.rotation[position],
                    poses.translation[position],
                )
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
        'fps': footage.fps / stride,
        'height': height,
        'width': 2 * height,
        'saturated_pixels': saturated,
        'units': (
            'depth PNG: 1/1000 of the unit, range along the ray; trajectory and cloud: the same'
            ' unit'
        ),
    }
    pictures.write(folder / 'panels.png', analysis.poses, footage.name)
    if fusion is not None:
        points, colors = fusion.result()
        ply.write_ply(folder / 'cloud.ply', points, colors, axes=cloud_axes)
        facts.update(cloud_points=len(points), cloud_axes=cloud_axes, cloud_max_depth=FAR * middle)
    return facts


def write_trajectory(folder, footage, frames, analysis, *, unit):
    """Writes `trajectory.txt` and its picture; nothing for unrelated images.

    Args:
        folder: the run directory.
        footage: `Footage`.
        frames: `Frames`.
        analysis: `infer.Analysis`.
        unit: 'metre' or 'relative'.

    Returns:
        dict of facts for `run.json`.
    """
    if analysis.poses is None:
        return {'alignment': 'none: the images are unrelated, and each has a scale of its own'}
    geometry.write_tum(folder / 'trajectory.txt', frames.indices / footage.fps, analysis.poses)
    if len(analysis.units) == 1:
        return {'alignment': 'none: there is one frame'}
    truth = (
        None
        if footage.poses is None
        else geometry.from_first_frame(Motion(*(part[frames.indices] for part in footage.poses)))
    )
    panels.trajectory_plot(
        folder / 'trajectory.png',
        analysis.poses,
        truth,
        title=footage.name,
        unit='m' if unit == 'metre' or truth else 'units',
    )
    facts = {
        'alignment': 'the frames share one scale, found from the overlap of neighbouring frames'
    }
    if len(analysis.units) > 2:
        facts['flicker'] = flicker(analysis)
    return facts
