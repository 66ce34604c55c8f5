"""Checks registered ops before the work: their modules, counts and ONNX forms agree."""

import pathlib
import tempfile

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.cost import count_layer
from nas.cells.own_ops import OwnOps
from nas.cells.plan import CUSTOM_OPS, Layer, Plan
from nas.cells.skeleton import Skeleton
from nas.networks import network, onnx_export, ops

_MOST_LAYERS = 4  # records of an op that are tried, which differ in width and size


def check(own: OwnOps, skeleton: Skeleton, *, onnx: bool = False) -> None:
    """Checks all own ops of a run on the records that a skeleton makes of them.

    Args:
        own: the ops, loaded.
        skeleton: where cells are placed.
        onnx: whether ONNX forms are needed, as for a device that runs ONNX files.

    Raises:
        ValueError: an op has no module, or its module cannot be run, does not give the shape of its
            record, or has another number of parameters than its count; or its ONNX form fails.
    """
    for module in own.modules:
        for token in module.load():
            try:
                _check_token(token, skeleton, onnx)
            except ValueError as error:
                raise ValueError(f'--ops={module.name}: {error}') from error


def check_plan(plan: Plan) -> None:
    """Checks the registered ops of one network, those without a module excepted.

    Raises:
        ValueError: as `check`, of an op in the plan.
    """
    for layer in plan:
        if layer.op in CUSTOM_OPS and CUSTOM_OPS[layer.op].module is not None:
            check_layer(layer)


def _check_token(token: str, skeleton: Skeleton, onnx: bool) -> None:
    cell = _smallest_cell(token)
    plan = plan_lib.build(cell, skeleton)
    seen = {}
    for layer in plan:
        if layer.op == token:
            seen.setdefault((layer.in_channels, layer.out_channels, layer.out_size), layer)
    for layer in list(seen.values())[:_MOST_LAYERS]:
        check_layer(layer)
    if onnx:
        with tempfile.TemporaryDirectory(prefix='pano_dppnet_') as folder:
            variables = _zeros(network.variable_shapes(plan, deployed=True))
            try:
                onnx_export.export(plan, variables, pathlib.Path(folder) / 'model.onnx')
            except ValueError:
                raise
            except Exception as error:  # of ONNX's own checker
                text = ' '.join(str(error).split())[:300]
                raise ValueError(
                    f'the ONNX form of op {token!r} makes no valid file: {text}'
                ) from error


def _zeros(shapes):
    """Arrays of given shapes; nothing has to be compiled for them."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def _smallest_cell(token: str) -> Cell:
    """The shortest complete cell that holds a token."""
    tokens = {
        'norm': (token, 'conv1x1'),
        'conv': ('none', token),
        'depthwise': ('none', token, 'none', 'conv1x1'),
    }
    return Cell(tokens[CUSTOM_OPS[token].role])


def check_layer(layer: Layer) -> None:
    """Compares the module of a registered op with its record and its count; computes nothing.

    Raises:
        ValueError: they do not agree; the message names the op and both figures.
    """
    about = f'op {layer.op!r} from {layer.in_channels} to {layer.out_channels} channels'
    counted = count_layer(layer).params
    images = jnp.zeros((2, layer.in_size, layer.in_size, layer.in_channels))
    try:
        module = ops.make_module(layer, deployed=False, dtype=jnp.float32)
        if not isinstance(module, nn.Module):
            raise TypeError(f'module= made {module!r}, which is no Flax module')
        options = ops.call_options(module, layer, train=False)
        shapes = jax.eval_shape(
            lambda: module.init_with_output(jax.random.key(0), images, **options)
        )
    except Exception as error:
        known = isinstance(error, ValueError) and 'registered without' in str(error)
        text = ' '.join(f'{type(error).__name__}: {error}'.split())[:400]
        raise ValueError(str(error) if known else f'{about} cannot be run: {text}') from error
    output, variables = shapes
    expected = (2, layer.out_size, layer.out_size, layer.out_channels)
    if getattr(output, 'shape', None) != expected:
        raise ValueError(
            f'{about} makes images {getattr(output, "shape", output)} of {images.shape}; its role'
            f' {CUSTOM_OPS[layer.op].role!r} takes {expected} (batch, height, width, channels)'
        )
    leaves = jax.tree.leaves(variables.get('params', {}))
    params = sum(int(np.prod(leaf.shape)) for leaf in leaves)
    if params != counted:
        raise ValueError(
            f'{about}: its count gives {counted:,} parameters, but its module has {params:,}'
        )
