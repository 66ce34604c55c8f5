"""The model: both networks on one grid of viewing rays, from images to depth and motion."""

import dataclasses
import functools
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from common.layers import init
from common.options import option
from pano_depth.kernels import cube, rigid, sphere
from pano_depth.kernels.shapes import Array
from pano_depth.learning import losses, networks
from pano_depth.learning.cells import build, tokens
from pano_depth.learning.cells.network import CellDepthNet

_OF_CELLS = ('depth_cell', 'depth_blocks', 'depth_expansion', 'depth_down', 'depth_merge')
EARLIER = {'pose_matching': 0}  # what networks are that were stored before the option was there
_MOST_BLOCKS, _MOST_EXPANSION, _MOST_MATCHING = 100, 8, 4  # more is a mistake


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Size and kind of the networks; stored with every checkpoint."""

    face_size: int = option(
        32, 'pixels along a cube face; the EQUI network takes images of 2 x 4 such faces'
    )
    padding: networks.Padding = option(
        'cube', 'what lies beyond a face: its neighbours, zeros, or no faces at all (EQUI)'
    )
    pose_mode: Literal['full', 'no_pose_consistency', 'single_pose'] = option(
        'full',
        'six face motions tied by L_pose, six motions used independently, or one motion for all'
        ' faces',
    )
    depth_channels: tuple[int, ...] = option(
        (24, 48, 96, 128), 'depth network: features by level; each level halves the faces'
    )
    depth_cell: tuple[str, ...] = option(
        (),
        'depth network: tokens of its cell, a normalisation first, such as'
        ' bn_relu,dwconv3x3,bn_relu,conv1x1; none: the blocks made by hand, of a 3 x 3 convolution,'
        ' normalisation and ELU',
    )
    depth_blocks: tuple[int, ...] = option(
        (),
        'with depth_cell: cells of each level before the network widens the faces again; none: 0 at'
        ' the finest level and 1 at the others',
    )
    depth_expansion: int = option(
        1, 'with depth_cell: its convolutions before the last give so many times the features'
    )
    depth_down: Literal['conv', 'pool'] = option(
        'conv',
        'with depth_cell: what halves the faces between two levels, a 3 x 3 convolution of stride 2'
        ' or the mean of 2 x 2 pixels',
    )
    depth_merge: Literal['concat', 'add'] = option(
        'concat', 'with depth_cell: how features of a level join those from below'
    )
    pose_channels: tuple[int, ...] = option(
        (16, 32, 64, 128), 'pose network: features by layer; each layer halves the faces'
    )
    pose_matching: int = option(
        2,
        'pose network: pixels up to which it is told how well the second image fits when it is'
        ' shifted against the first; 0: it sees the images alone',
    )
    scales: int = option(1, 'at how many resolutions depth is predicted and trained')

    def __post_init__(self):
        for name, least in (('depth_channels', 2), ('pose_channels', 1)):
            widths = getattr(self, name)
            if len(widths) < least or any(width < 4 or width % 4 for width in widths):
                raise ValueError(
                    f'{name} is {widths}; expected multiples of 4, at least {least} of them'
                )
        if not 0 <= self.pose_matching <= _MOST_MATCHING:
            raise ValueError(
                f'pose_matching is {self.pose_matching}; accepted: 0 to {_MOST_MATCHING} pixels'
            )
        tokens.check_cell(self.depth_cell)
        if len(self.depth_blocks) not in (0, len(self.depth_channels)) or any(
            not 0 <= count <= _MOST_BLOCKS for count in self.depth_blocks
        ):
            raise ValueError(
                f'depth_blocks is {self.depth_blocks}; accepted: a number from 0 to {_MOST_BLOCKS}'
                f' for each of the {len(self.depth_channels)} levels of depth_channels'
            )
        if not 1 <= self.depth_expansion <= _MOST_EXPANSION:
            raise ValueError(
                f'depth_expansion is {self.depth_expansion}; accepted: 1 to {_MOST_EXPANSION}'
            )
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        others = [name for name in _OF_CELLS if getattr(self, name) != usual[name]]
        if others and not self.depth_cell:
            raise ValueError(f'{others[0]} belongs to a depth_cell, and there is none')
        if not 1 <= self.scales < len(self.depth_channels):
            raise ValueError(
                f'scales is {self.scales}; accepted are 1 to {len(self.depth_channels) - 1} with'
                ' these depth_channels'
            )
        rows, columns = (2, 4) if self.padding == 'equirect' else (1, 1)
        networks.check_size(
            rows * self.face_size,
            columns * self.face_size,
            max(len(self.depth_channels), len(self.pose_channels)),
            f'face_size={self.face_size}: the face',
        )

    def __repr__(self):
        # Digests of runs read this text. What came later stands in it only where it is used, so
        # that earlier runs go on.
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        unused = {name: usual[name] for name in _OF_CELLS} | EARLIER
        shown = [
            f'{name}={getattr(self, name)!r}'
            for name in usual
            if name not in unused or getattr(self, name) != unused[name]
        ]
        return f'ModelConfig({", ".join(shown)})'


class Grid(NamedTuple):
    """The viewing rays of a model image: six cube faces, or one equirectangular image.

    Attributes:
        rays: unit directions in the camera frame.
        axes: frames of the faces, v_face = axes @ v_camera.
        weights: solid angles divided by their mean.
    """

    rays: Float[Array, 'faces rows columns 3']
    axes: Float[Array, 'faces 3 3']
    weights: Float[Array, 'faces rows columns']


def make_grid(config: ModelConfig) -> Grid:
    """The `Grid` of a `ModelConfig`."""
    size = config.face_size
    if config.padding == 'equirect':
        rays = sphere.ray_directions(2 * size, 4 * size)[None]
        axes = jnp.eye(3)[None]
        angles = sphere.solid_angles(2 * size, 4 * size)[None]
    else:
        rays, axes = cube.face_directions(size), jnp.asarray(cube.FACE_AXES)
        angles = jnp.broadcast_to(cube.face_solid_angles(size), (6, size, size))
    return Grid(rays, axes, angles / angles.mean())


def look(
    frames: Float[Array, 'batch times height width channels'],
    grid: Grid,
    view: Float[Array, 'batch 3 3'],
) -> Float[jax.Array, 'batch times faces rows columns channels']:
    """Samples equirectangular frames on the grid, through a turned or mirrored view.

    Args:
        frames: the frames of each example.
        grid: the rays that are sampled.
        view: orthogonal matrices, camera direction = view @ ray.
    """
    directions = rigid.rotate(view[:, None, None, None], grid.rays[None])
    per_frame = jax.vmap(sphere.sample_equirect, in_axes=(0, None))
    return jax.vmap(per_frame)(frames, directions)


def depth_network(config: ModelConfig, *, deployed: bool = False) -> nn.Module:
    """The depth network, called as `networks.DepthNet`.

    Args:
        config: of the networks.
        deployed: whether it has the finest head alone and condensed learned groups; its parameters
            are those of `cells.condense.deploy`.
    """
    if config.depth_cell:
        return CellDepthNet(build.build(config), config.padding, deployed)
    scales = 1 if deployed else config.scales
    return networks.DepthNet(config.depth_channels, config.padding, scales)


def _networks(config):
    pose_network = networks.PoseNet(config.pose_channels, config.padding, config.pose_matching)
    return depth_network(config), pose_network


@functools.cache
def param_shapes(config: ModelConfig) -> dict:
    """Shapes of the parameters {'depth': ..., 'pose': ...}, without computing anything."""
    equirect = (1, 2 * config.face_size, 4 * config.face_size)
    size = equirect if config.padding == 'equirect' else (6, config.face_size, config.face_size)
    rays, image = (jax.ShapeDtypeStruct(shape + size + (3,), jnp.float32) for shape in ((), (1,)))
    depth_net, pose_net = _networks(config)
    key = jax.eval_shape(lambda: jax.random.key(0))
    return {
        'depth': jax.eval_shape(depth_net.init, key, image, rays)['params'],
        'pose': jax.eval_shape(pose_net.init, key, image, image, rays)['params'],
    }


def init_params(seed: int, config: ModelConfig) -> dict:
    """Initial parameters {'depth': ..., 'pose': ...} of the networks, numpy arrays.

    `common.layers.init.he_normal` draws them; only the kernels of the heads start near zero.
    """

    def deviation(names):
        return 1e-3 if any(name.startswith('head') for name in names) else None

    return init.he_normal(np.random.default_rng(seed), param_shapes(config), deviation=deviation)


def predict_disparity(
    params: dict,
    images: Float[Array, 'batch faces rows columns 3'],
    grid: Grid,
    config: ModelConfig,
) -> tuple[list[Float[jax.Array, 'batch faces _ _']], Float[jax.Array, 'batch faces rows columns']]:
    """Predicts the disparity of images, up to scale.

    Args:
        params: as from `init_params`.
        images: on the grid, in [0, 1].
        grid: of the model.
        config: of the model.

    Returns:
        (disparities, logit). The disparities are the finest first, then those at
        [h / 2^k, w / 2^k]. Each is divided by its mean over the sphere, which fixes its scale and
        keeps it from drifting to infinity. The logit is the finest log-disparity before that.
    """
    logits = _networks(config)[0].apply({'params': params['depth']}, images, grid.rays)
    disparities = []
    for level, logit in enumerate(logits):
        weights = grid.weights[:, :: 2**level, :: 2**level]
        disparity = jnp.exp(logit)
        mean = (disparity * weights).mean(axis=(1, 2, 3), keepdims=True) / weights.mean()
        disparities.append(disparity / mean)
    return disparities, logits[0]


def predict_motion(
    params: dict,
    target: Float[Array, 'batch faces rows columns 3'],
    source: Float[Array, 'batch faces rows columns 3'],
    grid: Grid,
    config: ModelConfig,
) -> tuple[rigid.Motion, rigid.Motion, Float[jax.Array, ' batch']]:
    """Predicts the motions from target to source cameras.

    Args:
        params, grid, config: as in `predict_disparity`.
        target, source: images on the grid, in [0, 1].

    Returns:
        (per_face, mean, consistency): the [batch, faces] motions that warp each face, by the mode
        of the config; the [batch] mean P* of the faces; and L_pose. Motions are in the camera
        frame, with translations in units of 1 / mean disparity.
    """
    omega, translation = _networks(config)[1].apply(
        {'params': params['pose']}, target, source, grid.rays
    )
    if config.padding == 'equirect':
        consistency = jnp.zeros(omega.shape[0])
    else:
        consistency = losses.pose_consistency(omega, translation)
        omega = losses.face_motions_in_camera(omega)
        translation = losses.face_motions_in_camera(translation)
    mean = rigid.Motion(rigid.so3_exp(omega.mean(axis=1)), translation.mean(axis=1))
    if config.pose_mode == 'single_pose' or config.padding == 'equirect':
        per_face = jax.tree.map(
            lambda x: jnp.broadcast_to(x[:, None], omega.shape[:2] + x.shape[1:]), mean
        )
        return per_face, mean, jnp.zeros_like(consistency)
    return rigid.Motion(rigid.so3_exp(omega), translation), mean, consistency


def pad_one(padding: networks.Padding) -> losses.Pad:
    """Function that pads [..., F, h, w, C] by one pixel, for windows across borders of faces."""
    # Zero padding is a property of the network alone: losses always see the true neighbours.
    kind = 'equirect' if padding == 'equirect' else 'cube'
    return lambda images: networks.pad_faces(images, 1, kind)
