"""The depth network as a file: a panorama goes in, its depth comes out.

Everything between the two is inside the file: shrinking, resampling to the faces of the cube, the
deployed network with its padding, resampling back.
"""

import functools
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from common import export
from common.onnx_graph import Port
from pano_depth.learning import model as models
from pano_depth.reconstruction import infer
from pano_depth.results import onnx_depth
from pano_depth.results.deployment.network import deployed, images_of, prune, random_params, rows_of


def _trained_function(params, config, height):
    """The JAX function from frames [B, H, 2H, 3] to depth, with the network as it is trained.

    It shares with the deployed one only the parameters and the way from the panorama to the faces.
    """
    grid, to_depth = models.make_grid(config), infer.depth_maps(config, height)

    def function(frames):
        images = images_of(frames, config)
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
    network = deployed(params, config, height)
    function = functools.partial(network.function, network.weights)
    leaves = jax.tree.leaves(jax.tree.map(np.asarray, params['depth']))

    def save(path, facts):
        graph = onnx_depth.DepthGraph(network.weights['depth'], config, height)
        graph.save(path, graph.build(frames), input=frames, output=depth, facts=facts)

    return export.Exportable(
        function=function,
        reference=_trained_function(prune(params, config), config, height),
        write_onnx=save,
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


def write_onnx(
    path: str | pathlib.Path,
    params: Mapping[str, Any] | None,
    config: models.ModelConfig,
    height: int = 0,
    *,
    pixels: str = 'float32',
    facts: Mapping[str, str] | None = None,
) -> None:
    """Writes the deployed depth network as an ONNX file, whatever stands at the path.

    Its input is `frames` [batch, H, 2H, 3], its output `depth` [batch, H, 2H], with a free batch.
    The file is not compared with JAX, see `verify_onnx`.

    Args:
        path: the file.
        params: {'depth', ...} as a training gives them; None takes `random_params`.
        config: of the networks.
        height, pixels: as for `exportable`.
        facts: further text by name for the metadata of the file.

    Raises:
        ValueError: the height does not fit, `pixels` is unknown, or the package `onnx` is missing.
    """
    model = exportable(_or_random(params, config), config, height=height, pixels=pixels)
    model.write_onnx(pathlib.Path(path), {**model.metadata(), **(facts or {})})


def verify_onnx(
    path: str | pathlib.Path,
    params: Mapping[str, Any] | None,
    config: models.ModelConfig,
    height: int = 0,
    *,
    pixels: str = 'float32',
    tolerance: float = export.TOLERANCE,
) -> float:
    """Compares an ONNX file with JAX: with the network as it is trained, its groups pruned.

    Args:
        path: a file of `write_onnx`.
        params, config, height, pixels: what it was written from.
        tolerance: largest difference of a depth that is accepted, relative to the largest depth if
            that is above 1.

    Returns:
        The largest difference, measured as for `tolerance`.

    Raises:
        ValueError: the difference is larger, or a package is missing.
    """
    model = exportable(_or_random(params, config), config, height=height, pixels=pixels)
    expected = export.compute(model.reference, model.example)
    difference = export.difference(export.run_file(path, model.example), expected)
    if not difference <= tolerance:
        raise ValueError(
            f'{path}: depth in ONNX Runtime differs from that of JAX by {difference:.2g}; accepted'
            f' is {tolerance:g}'
        )
    return difference


def _or_random(params, config):
    return random_params(config) if params is None else params
