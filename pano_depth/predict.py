"""From a clip to files: depth images, depth video, trajectory, point cloud, panels."""

import pathlib

import jax.numpy as jnp
import numpy as np

from common.run import atomic_path
from pano_depth import evaluate, geometry, infer, media, panels, sphere, warp
from pano_depth.rigid import Motion

# Without a known scale the median depth of a clip is called this many units, so that 16-bit millimetres resolve it well.
MEDIAN_UNITS = 2.0


def scaled(estimate, factor):
    """An `infer.Estimate` in another unit: depth and translations times `factor`."""
    return infer.Estimate(estimate.depth * np.float32(factor), Motion(estimate.poses.rotation, estimate.poses.translation * factor),
                          estimate.units * factor)


def warped_views(frames, estimate):
    """Every frame as synthesised from the next one (the last from the one before): what the photometric loss compares.

    Args:
      frames: [N, H, W, 3] uint8 at the size of the depth.
      estimate: `infer.Estimate`.

    Returns:
      [N, H, W, 3] uint8.
    """
    rays = sphere.ray_directions(*frames.shape[1:3])
    views = []
    for i in range(len(frames)):
        j = i + 1 if i + 1 < len(frames) else i - 1
        world = estimate.poses.rotation[j].T
        rotation = world @ estimate.poses.rotation[i]
        translation = world @ (estimate.poses.translation[i] - estimate.poses.translation[j])
        views.append(np.asarray(warp.synthesize(jnp.asarray(frames[j]), rays, jnp.asarray(estimate.depth[i]),
                                                jnp.asarray(rotation, jnp.float32), jnp.asarray(translation, jnp.float32))))
    return np.stack(views)


def write_depth_images(folder, depth, *, npy=False):
    """Writes `NNNNNN.png`, 16-bit millimetres of range (0 is invalid), and with `npy` float32 `NNNNNN.npy` beside them.

    Args:
      folder: destination, made if need be.
      depth: [N, H, W] range in metres, or in units of unknown scale.
      npy: whether to write the exact values too.

    Returns:
      Number of pixels that saturate at 65,535.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    saturated = 0
    for index, image in enumerate(depth):
        saturated += int((image >= 65.5355).sum())
        media.write_png16(folder / f'{index:06d}.png', media.to_millimetres(image))
        if npy:
            with atomic_path(folder / f'{index:06d}.npy') as temporary:
                np.save(temporary, np.asarray(image, np.float32))
    return saturated


def write_depth_video(path, frames, depth, fps):
    """Writes an mp4 with each frame above its depth in colour, one colour scale for the whole clip."""
    low, high = panels.depth_range(depth)
    with media.write_video(path, fps) as append:
        for frame, image in zip(frames, depth, strict=True):
            append(np.concatenate([frame, panels.depth_colors(image, low=low, high=high)]))


def write_results(folder, clip, estimate, *, npy=False, cloud_axes='y_up', cloud_voxel=None, mask=None, progress=None):
    """Writes all results of a clip into a run directory.

    Args:
      folder: the run directory.
      clip: `Clip`.
      estimate: its `infer.Estimate`, as it comes.
      npy: also write depth as float32 arrays.
      cloud_axes: axes of the point cloud, see `geometry.CLOUD_AXES`.
      cloud_voxel: side of a voxel of the cloud in the unit of the depth, or None for 1 % of the median depth.
      mask: [H, W] bool at the size of the depth, False for what does not belong into the cloud, or None.
      progress: function called with one line of text before each part, or None.

    Returns:
      dict of facts for `run.json`.
    """
    folder, say = pathlib.Path(folder), progress or (lambda text: None)
    height, width = estimate.depth.shape[1:]
    frames = np.stack([media.resize_equirect(frame, height, width) for frame in clip.frames])
    estimate = scaled(estimate, MEDIAN_UNITS / float(np.median(estimate.depth)))
    say('writing depth images')
    saturated = write_depth_images(folder / 'depth', estimate.depth, npy=npy)
    say('writing the depth video')
    write_depth_video(folder / 'depth.mp4', frames, estimate.depth, clip.fps)
    say('writing trajectory and point cloud')
    geometry.write_tum(folder / 'trajectory.txt', np.arange(len(clip)) / clip.fps, estimate.poses)
    cloud_depth = estimate.depth if mask is None else np.where(mask, estimate.depth, 0)
    # What is farther than the clip's baseline can tell would spray the cloud.
    far = 4 * float(np.median(estimate.depth))
    points, colors = geometry.point_cloud(frames, cloud_depth, estimate.poses, voxel=cloud_voxel, max_depth=far)
    geometry.write_ply(folder / 'cloud.ply', points, colors, axes=cloud_axes)
    say('drawing panels')
    truth = None if clip.depth is None or clip.depth.shape[1:] != estimate.depth.shape[1:] else clip.depth
    warped = warped_views(frames, estimate) if len(clip) > 1 else None
    panels.clip_panels(folder / 'panels.png', frames, estimate.depth, truth=truth, warped=warped, title=clip.name)
    panels.trajectory_plot(folder / 'trajectory.png', estimate.poses, clip.poses, title=clip.name)
    return {
        'frames': len(clip), 'fps': clip.fps, 'height': height, 'width': width,
        'units': 'depth PNG: 1/1000 of the unit, range along the ray; trajectory and cloud: the same unit',
        'scale': f'relative: nothing in the images tells metres; the median depth of the clip is {MEDIAN_UNITS} units',
        'alignment': 'the frames of the clip share one scale, found from the overlap of neighbouring frames',
        'saturated_pixels': saturated, 'cloud_points': len(points), 'cloud_axes': cloud_axes, 'cloud_max_depth': far,
    }


def estimate_clip(clip, params, grid, config, *, mask=None):
    """Depth and poses of one clip, with scores if the clip has truth.

    Args:
      clip: `Clip`.
      params, grid, config: parameters, `Grid` and `ModelConfig`.
      mask: [H, W] bool at the size of the frames, where images count, or None.

    Returns:
      (scores, estimate): as from `evaluate.evaluate`, with the clip's own median range per pixel as the blind predictor, or None
      without truth; and the `infer.Estimate`.
    """
    if clip.depth is None and clip.poses is None:
        return None, infer.estimate(params, clip.frames, grid, config, height=clip.frames.shape[1])
    kept = []
    scores = evaluate.evaluate(params, [clip], grid, config, mask=mask, on_clip=lambda _, estimate: kept.append(estimate))
    return scores, kept[0]
