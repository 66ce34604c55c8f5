"""Shots: a scene, a camera's path through it and its look, of the usual or of the wide style."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth.kernels.rigid import Motion
from pano_depth.rooms.camera_path import camera_path
from pano_depth.rooms.render import render
from pano_depth.rooms.scene import Scene, make_scene
from pano_depth.rooms.wide import homes, look, outdoors, passages, walks

USUAL, WIDE = 'usual', 'wide'
STYLES = (USUAL, WIDE)
# Kinds of places of the wide style, with their shares.
PLACES = {
    'usual': 0.1,
    'roomy': 0.12,
    'home': 0.2,
    'perch': 0.24,
    'corridor': 0.08,
    'hall': 0.12,
    'outdoors': 0.14,
}


class Shot(NamedTuple):
    """What is filmed.

    Attributes:
        scene: `Scene`.
        poses: `Motion` [N, 3, 3], [N, 3], camera to scene, metres.
        look: `look.Look`, or None for the colours that `render` gives.
    """

    scene: Scene
    poses: Motion
    look: look.Look | None


def check_style(style):
    """Raises ValueError for a style that does not exist."""
    if style not in STYLES:
        raise ValueError(f'style is {style!r}; accepted are {", ".join(STYLES)}')


def place_of(seed, index):
    """Which of `PLACES` the wide shot `index` of the family `seed` shows."""
    draw = np.random.default_rng([seed, index, 2]).random()
    bounds = np.cumsum(list(PLACES.values()))
    return tuple(PLACES)[min(int(np.searchsorted(bounds, draw, side='right')), len(PLACES) - 1)]


def _wide(seed, index, frames):
    place = place_of(seed, index)
    rng = np.random.default_rng([seed, index, 3])
    walk = functools.partial(walks.walk, rng, seed=seed, index=index, frames=frames)
    if place in ('usual', 'roomy'):
        scene = make_scene(seed, index, roominess=(1.0, 1.0 if place == 'usual' else 1.8))
        poses = walks.level_out(camera_path(scene, seed, index, frames))
        return Shot(scene, poses, look.draw_look(rng))
    if place == 'outdoors':
        scene, reach = outdoors.make_outdoors(rng)
        return Shot(scene, walk(scene, reach=reach), look.draw_look(rng))
    make = {'corridor': passages.make_corridor, 'hall': passages.make_hall}
    scene, plan, mood = make.get(place, homes.make_home)(rng)
    poses = walk(scene, plan=plan, perched=place == 'perch')
    return Shot(scene, poses, look.draw_look(rng, dark=mood.dark))


def make_shot(seed, index, frames, *, style=USUAL, roominess=(1.0, 1.0), **path):
    """Draws shot `index` of the family `seed`; numpy only, a few milliseconds.

    Args:
        seed, index: non-negative integers; equal ones give equal shots.
        frames: number of poses.
        style: one of `STYLES`.
        roominess: see `make_scene`; of the usual style.
        **path: options of `camera_path`; of the usual style.

    Returns:
        `Shot` of numpy arrays; poses are float64.

    Raises:
        ValueError: for an unknown style, or options of a path that the style chooses itself.
    """
    check_style(style)
    if style == USUAL:
        scene = make_scene(seed, index, roominess=roominess)
        return Shot(scene, camera_path(scene, seed, index, frames, **path), None)
    if path:
        raise ValueError(f'{", ".join(path)}: the style {style} chooses paths by itself')
    return _wide(seed, index, frames)


def shoot(shot, height, width, frames=None):
    """Renders a shot, in JAX.

    Args:
        shot: `Shot`, not stacked (`vmap` over stacked ones).
        height, width: of the images.
        frames: [N] numbers of the poses in their clip; None: 0, 1, ...

    Returns:
        `(rgb, depth)`: [N, H, W, 3] float32 in [0, 1]; [N, H, W] range in metres, 0 where there is
        none: the sky, and what the tripod hides.
    """
    wide = shot.look is not None
    rgb, depth = render(shot.scene, *shot.poses, height, width, mirrors=wide)
    if not wide:
        return rgb, depth
    frames = jnp.arange(len(depth)) if frames is None else frames
    return look.photograph(shot.look, rgb, depth, frames)


def scene_shown(shot, height, width):
    """Where the images of a shot show the scene, in JAX.

    Args:
        shot: `Shot`, not stacked (`vmap` over stacked ones).
        height, width: of the images.

    Returns:
        [H, W] bool, False where the tripod hides the scene; None of the usual style, which has no
        tripod.
    """
    return None if shot.look is None else ~look.hidden_by_tripod(shot.look, height, width)


@functools.lru_cache(maxsize=8)
def shooter(height, width):
    """The compiled `shoot` of one size: a function of a `Shot` and frame numbers."""
    return jax.jit(lambda shot, frames: shoot(shot, height, width, frames))
