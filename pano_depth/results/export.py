"""The depth network as a file: a panorama goes in, its depth comes out.

Everything between the two is inside the file: shrinking, resampling to the faces of the cube, the
network with its padding, resampling back.
"""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from common import export
from common.onnx_graph import Port
from pano_depth.kernels import cube
from pano_depth.learning import model as models
from pano_depth.reconstruction import infer
from pano_depth.results import onnx_depth

LARGEST = 512  # rows if none are asked for, as in prediction


def rows_of(config, height=0):
    """Rows of the panorama that an exported file takes and of the depth that it gives.

    Args:
        config: `ModelConfig`.
        height: a multiple of the 2 * face_size rows that the network sees, since shrinking averages
            whole blocks; 0 takes the largest one up to 512.

    Raises:
        ValueError: the height is no such multiple.
    """
    own = 2 * config.face_size
    if height % own or height < 0:
        raise ValueError(
            f'height is {height}; the network sees {own} rows, so that multiples of {own} are '
            'accepted'
        )
    return height or max(1, LARGEST // own) * own


def _depth_function(params, config, height):
    """The JAX function from frames [B, H, 2H, 3] to depth [B, H, 2H]."""
    side = config.face_size
    grid, to_depth = models.make_grid(config), infer.depth_maps(config, height)
    table = (
        None
        if config.padding == 'equirect'
        else cube.equirect_to_cube_table(2 * side, 4 * side, side)
    )
    block = height // (2 * side)

    def function(frames):
        images = export.unit_range(frames)
        images = images.reshape(-1, 2 * side, block, 4 * side, block, 3).mean(axis=(2, 4))
        images = (
            images[:, None] if table is None else cube.equirect_to_cube(images, side, table=table)
        )
        disparity = models.predict_disparity(params, images, grid, config)[0][0]
        return to_depth(disparity, jnp.ones(disparity.shape[:1]))

    return function


def exportable(params, config, *, height=0, pixels='float32'):
    """Describes the depth network for `common.export.write`.

    Args:
        params: {'depth', ...} parameters.
        config: `ModelConfig`.
        height: rows of the panorama, see `rows_of`.
        pixels: type of the frames: 'float32' in [0, 1] or 'uint8'.

    Returns:
        `common.export.Exportable`: frames [batch, H, 2H, 3] -> depth [batch, H, 2H] float32.

    Raises:
        ValueError: the height does not fit, or `pixels` is unknown.
    """
    height = rows_of(config, height)
    block = height // (2 * config.face_size)
    frames = export.pixel_port(
        'frames',
        (height, 2 * height, 3),
        pixels,
        'equirectangular panoramas: batch, row (latitude 90 to -90 degrees from the top), column'
        ' (longitude -180 to 180 degrees, the middle is straight ahead), channel (RGB)',
    )
    depth = Port(
        'depth',
        (height, 2 * height),
        'float32',
        'range, the distance along the ray of each pixel of the panorama (not z-depth); relative:'
        ' in every frame 1 / depth has a mean of about 1 over the sphere, and one factor a frame'
        ' makes metres of it',
    )
    # Coarse noise, since fine noise is grey to the network.
    coarse = np.random.default_rng(0).integers(
        0, 256, (2, config.face_size // 2, config.face_size, 3)
    )
    example = coarse.astype(np.uint8).repeat(4 * block, axis=1).repeat(4 * block, axis=2)
    function = _depth_function(params, config, height)
    leaves = jax.tree.leaves(jax.tree.map(np.asarray, params['depth']))

    def write_onnx(path, facts):
        graph = onnx_depth.DepthGraph(params['depth'], config, height)
        graph.save(path, graph.build(frames), input=frames, output=depth, facts=facts)

    return export.Exportable(
        function=function,
        reference=function,
        write_onnx=write_onnx,
        input=frames,
        output=depth,
        example=example if pixels == 'uint8' else np.float32(example / 255),
        facts={
            'network': 'depth network for 360-degree images',
            'preprocessing': (
                f'inside the file: {"x / 255, " * (pixels == "uint8")}mean of blocks of '
                f'{block} x {block} pixels, bilinear resampling to what the network sees; '
                'outside: resize the panorama to the size of the input, nothing else'
            ),
            'face_size': str(config.face_size),
            'padding': config.padding,
            'parameters_sha256': (
                hashlib.sha256(b''.join(leaf.tobytes() for leaf in leaves)).hexdigest()
            ),
        },
    )
