"""Known poses: read before the work begins; the networks' depth is brought into their unit."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth.footage.footage import Footage
from pano_depth.footage.poses import axes, colmap_model
from pano_depth.footage.poses.known_poses import KnownPoses, read_poses
from pano_depth.kernels import sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import infer

WINDOW = 31  # steps of the path whose median brings a frame into its unit
SHORT = 0.2  # steps shorter than this part of the median do not count
FACTORS = np.geomspace(0.3, 3.3, 25)  # multiples of the depth that are tried
TARGETS = 12  # frames at which they are tried
BASELINE = 0.15  # of the median depth, wanted between two frames that are compared
REACH = 32  # frames, at most, between them
LIMIT = 0.15  # difference of colours beyond which it does not matter how large it is
BETTER = 0.98  # part of the difference that a factor has to leave, or it is not believed


def check(path: str) -> None:
    """Reads a file of poses by itself, so that a bad one is found before the footage is read.

    Args:
        path: as for `known_poses.read_poses`.

    Raises:
        ValueError: it is missing or damaged, or holds something else.
    """
    found = pathlib.Path(path).expanduser()
    if not found.exists():
        raise ValueError(
            f'--poses={path} does not exist; accepted: a trajectory in TUM format or the folder of'
            ' a COLMAP model'
        )
    if found.is_dir() or found.name in ('images.bin', 'images.txt'):
        colmap_model.read_model(found)
    else:
        axes.read_path(found)


def read(
    path: str,
    footage: Footage,
    indices: np.ndarray,
    names: dict[int, str],
    *,
    gaps: bool,
    camera_height: float | None,
    times: np.ndarray | None = None,
) -> KnownPoses:
    """Reads the poses of the frames that are used.

    Args:
        path: as for `known_poses.read_poses`.
        footage: the footage.
        indices: [N] numbers of the frames.
        names: of the frames, by number.
        gaps: whether frames may lack a pose.
        camera_height: the height of the camera in metres, if it is given.
        times: [N] seconds at which the frames are shown, or None for their number over the rate.

    Raises:
        ValueError: as for `read_poses`; the camera does not move; two options fix the unit.
    """
    found = read_poses(
        path,
        indices,
        [names[index] for index in indices],
        fps=footage.fps,
        times=times,
        total=footage.length or None,
        gaps=gaps,
    )
    if found.unit == 'metre' and camera_height is not None:
        raise ValueError(
            f'--camera_height={camera_height:g} and --poses={path}, in metres, both fix the scale;'
            ' accepted: one of them'
        )
    if len(indices) > 1 and not np.ptp(found.poses.translation, axis=0).any():
        raise ValueError(
            f'--poses={path} has a camera that stays at one place; accepted: a path, since depth is'
            ' found from parallax'
        )
    return found


def scale_of(path: str, found: KnownPoses) -> dict:
    """What `run.json` says of the unit of known poses."""
    name = pathlib.Path(path).name
    words = 'metres' if found.unit == 'metre' else 'relative'
    whose = 'COLMAP model' if found.facts['format'] == 'colmap' else 'trajectory'
    return {'scale': f'{words}: the unit of the {whose} {name}', 'unit': found.unit}


def in_unit_of(
    analysis: infer.Analysis, poses: Motion, images: np.ndarray, depth: np.ndarray
) -> tuple[infer.Analysis, np.ndarray]:
    """The networks' depth in the unit of a known path.

    Args:
        analysis: what the networks say, with at least two frames.
        poses: [N] camera to world.
        images: [N, H, 2H, 3] uint8.
        depth: [N, H, 2H] of the analysis, at the size of the images.

    Returns:
        (analysis, factors): with the known path; [N] factors by which depth was multiplied.
    """
    factors = step_factors(analysis.poses, poses)
    factors = factors * image_factor(images, poses, depth * factors[:, None, None].astype('f'))
    return analysis._replace(units=analysis.units * factors, poses=poses), factors


def step_factors(predicted: Motion, poses: Motion) -> np.ndarray:
    """[N] factors by which lengths of the steps of two paths differ, around each frame."""
    ours, theirs = (
        np.linalg.norm(np.diff(path.translation, axis=0), axis=-1) for path in (predicted, poses)
    )
    counts = (ours > 0) & (theirs > 0)
    for steps in (ours, theirs):
        counts &= steps >= SHORT * np.median(steps[counts]) if counts.any() else False
    if not counts.any():
        return np.ones(len(ours) + 1)
    places, logs = np.flatnonzero(counts) + 0.5, np.log(theirs[counts] / ours[counts])
    near = [np.argsort(np.abs(places - i), kind='stable')[:WINDOW] for i in range(len(ours) + 1)]
    return np.exp([np.median(logs[some]) for some in near])


def image_factor(images: np.ndarray, poses: Motion, depth: np.ndarray) -> float:
    """The factor of the depth with which frames synthesise each other best along a known path.

    Args:
        images: [N, H, 2H, 3] uint8.
        poses: [N] camera to world.
        depth: [N, H, 2H] range, of which only one factor for all frames is in doubt.
    """
    count = len(images)
    targets = np.unique(np.linspace(0, count - 1, min(TARGETS, count)).astype(int))
    total = sum(
        np.asarray(_misfit(images, poses, depth, i, _partner(poses, depth, i))) for i in targets
    )
    best, here = int(np.argmin(total)), np.interp(0, np.log(FACTORS), total)
    if total[best] > BETTER * here:
        return 1.0
    if not 0 < best < len(FACTORS) - 1:
        return float(FACTORS[best])
    before, at, after = total[best - 1 : best + 2]
    shift = 0.5 * (before - after) / (before - 2 * at + after)
    return float(FACTORS[best] * (FACTORS[1] / FACTORS[0]) ** shift)


def _partner(poses, depth, index):
    """The frame that is as far away as parallax needs."""
    near = np.arange(max(0, index - REACH), min(len(depth), index + REACH + 1))
    near = near[near != index]
    far = np.linalg.norm(poses.translation[near] - poses.translation[index], axis=-1)
    wanted = BASELINE * np.median(depth[index])
    return int(near[np.argmin(np.abs(np.log((far + 1e-9) / wanted)))])


def _misfit(images, poses, depth, target, source):
    """[factors] mean difference of colours."""
    world = poses.rotation[source].T
    rotation = world @ poses.rotation[target]
    translation = world @ (poses.translation[target] - poses.translation[source])
    pair = [images[i].astype(np.float32) / 255 for i in (target, source)]
    return _compared(
        *pair,
        depth[target].astype(np.float32),
        rotation.astype(np.float32),
        translation.astype(np.float32),
    )


@jax.jit
def _compared(target, source, depth, rotation, translation):
    height, width = depth.shape
    rays, area = sphere.ray_directions(height, width), sphere.solid_angles(height, width)
    source = source * (target.mean() / (source.mean() + 1e-3))  # exposure

    def one(factor):
        seen = warp.synthesize(source, rays, factor * depth, rotation, translation)
        return jnp.mean(area * jnp.minimum(jnp.abs(seen - target).mean(axis=-1), LIMIT))

    return jax.lax.map(one, jnp.asarray(FACTORS, jnp.float32))
