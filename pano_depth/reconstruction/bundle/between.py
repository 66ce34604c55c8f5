"""Frames between keyframes: each is located by the points of the keyframes around it."""

import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from common.logs import Progress
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction.bundle import terms
from pano_depth.reconstruction.bundle.equations import BLUR, Equations, State
from pano_depth.reconstruction.bundle.textures import Textures

AROUND = 2  # keyframes on each side that locate a frame
TOGETHER = 8  # frames that are located at once
STEPS = 6  # on each level


def locate(
    found: Textures,
    problem: Equations,
    state: State,
    start: Motion,
    chosen: np.ndarray,
    heights: list[int],
) -> Motion:
    """Poses of all frames once those of the keyframes are known.

    Args:
        found: textures of all frames.
        problem: the keyframes and their points.
        state: where the keyframes are.
        start: where all frames were; between keyframes, what it says of their motion is where the
            search for them starts.
        chosen: the keyframes.
        heights: rows of the levels.

    Returns:
        Camera to world, [N]; the keyframes are where `state` has them.
    """
    rotation, translation = start.rotation.copy(), start.translation.copy()
    rotation[chosen], translation[chosen] = state.rotation, state.translation
    if len(chosen) == len(rotation):
        return Motion(rotation, translation)
    with Progress(len(rotation) - len(chosen), unit='frame', description='locating') as progress:
        for number in range(len(chosen) - 1):
            between = np.arange(chosen[number] + 1, chosen[number + 1])
            for first in range(0, len(between), TOGETHER):
                group = between[first : first + TOGETHER]
                poses = _carried(start, state, chosen, number, group)
                hosts = [
                    host
                    for host in range(number - AROUND + 1, number + AROUND + 1)
                    if 0 <= host < len(chosen)
                ]
                rotation[group], translation[group] = _settle(
                    found, problem, state, hosts, group, poses, heights
                )
                progress.update(len(group))
    return Motion(rotation, translation)


def _carried(start, state, chosen, number, group):
    """The group as `start` has it relative to the two keyframes around, blended."""
    parts = []
    for side in (number, number + 1):
        old, turn = chosen[side], state.rotation[side] @ start.rotation[chosen[side]].T
        parts.append(
            (
                turn @ start.rotation[group],
                (start.translation[group] - start.translation[old]) @ turn.T
                + state.translation[side],
            )
        )
    share = (group - chosen[number]) / (chosen[number + 1] - chosen[number])
    apart = Rotation.from_matrix(parts[1][0] @ parts[0][0].swapaxes(1, 2)).as_rotvec()
    rotation = Rotation.from_rotvec(apart * share[:, None]).as_matrix() @ parts[0][0]
    return rotation, parts[0][1] + share[:, None] * (parts[1][1] - parts[0][1])


def _settle(found, problem, state, hosts, group, poses, heights):
    """Gauss-Newton steps of each frame's pose alone, coarse to fine."""
    rotation, translation = poses
    # Filled up with its last frame: one program serves all groups.
    padded = np.concatenate([group, np.repeat(group[-1], TOGETHER - len(group))])
    fill = np.minimum(np.arange(TOGETHER), len(group) - 1)
    for height in heights:
        frames = [*problem.chosen[hosts], *padded]
        maps = jnp.stack([found.texture(frame, height, BLUR) for frame in frames])
        slots = jnp.arange(len(hosts), len(frames))
        patterns = [
            problem.followed.pattern(host, maps, slot, height) for slot, host in enumerate(hosts)
        ]
        damping, known = np.full(len(group), 1e-4), None
        for _ in range(STEPS):
            trial = _equations(
                problem,
                state,
                hosts,
                patterns,
                maps,
                slots,
                rotation[fill],
                translation[fill],
                height,
            )
            hessian, right, cost = (part[: len(group)] for part in trial)
            if known is not None:
                worse = cost > known[2]
                rotation = np.where(worse[:, None, None], known[3], rotation)
                translation = np.where(worse[:, None], known[4], translation)
                hessian = np.where(worse[:, None, None], known[0], hessian)
                right = np.where(worse[:, None], known[1], right)
                cost = np.minimum(cost, known[2])
                damping = np.where(worse, damping * 10, np.maximum(damping / 5, 1e-7))
            known = hessian, right, cost, rotation, translation
            diagonal = np.einsum('fii->fi', hessian)
            damped = hessian + np.einsum(
                'fi,ij->fij', diagonal * damping[:, None] + 1e-9, np.eye(6)
            )
            step = np.linalg.solve(damped, right[..., None])[..., 0]
            rotation = Rotation.from_rotvec(step[:, :3]).as_matrix() @ rotation
            translation = translation + step[:, 3:]
        # The last step was not judged.
        rotation, translation = known[3], known[4]
    return rotation, translation


def _equations(problem, state, hosts, patterns, maps, slots, rotation, translation, height):
    """(hessian [F, 6, 6], right side [F, 6], cost [F]) of frames, summed over the keyframes."""
    total = None
    for host, pattern in zip(hosts, patterns, strict=True):
        view = terms.View(
            maps,
            slots,
            problem.followed.at(host, pattern, state.inverse[host]),
            jnp.asarray(state.rotation[host], jnp.float32),
            jnp.asarray(rotation, jnp.float32),
            jnp.asarray(state.translation[host] - translation, jnp.float32),
            jnp.ones(len(slots), bool),
            jnp.asarray(problem.robust),
        )
        found = terms.source_terms(view, height)
        found = [np.asarray(part, np.float64) for part in found]
        total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
    return total
