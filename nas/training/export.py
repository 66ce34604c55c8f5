"""Trained classification networks as files, from pixels to logits.

The files take raw images and normalise them by the mean and deviation of the training split, so
that their users need to know only the order of the classes. Learned groups are exported in the
deployed form (`nas.networks.convert`), and the files are compared with the masked network that was
trained.
"""

import json
from collections.abc import Mapping

import numpy as np

from common import export
from common.onnx_graph import OnnxGraph, Port, require, save_model
from nas.cells.plan import Plan
from nas.networks import network as network_lib
from nas.networks import onnx_export
from nas.training.trained import Trained

_EXAMPLES = 2  # images on which files are compared with the network


def exportable(trained: Trained, *, pixels: str = 'float32') -> export.Exportable:
    """Describes a trained network for `common.export.write`.

    Args:
        trained: by `nas.training.trained.load_trained`.
        pixels: type of the images: 'float32' in [0, 1] or 'uint8'.

    Returns:
        images [batch, size, size, channels] -> logits [batch, classes] float32.

    Raises:
        ValueError: unknown `pixels`, or learned groups that are not fully condensed yet.
    """
    meta, plan, deployed = trained.meta, trained.plan, trained.deployed()
    size, channels = plan[0].out_size, plan[0].out_channels
    colours = {1: 'grey', 3: 'RGB'}[channels]
    images = export.pixel_port(
        onnx_export.INPUT,
        (size, size, channels),
        pixels,
        f'batch, row from the top, column, channel ({colours})',
    )
    logits = Port(
        onnx_export.OUTPUT,
        (plan[-1].out_channels,),
        'float32',
        'one number for each of `classes`; their softmax are the probabilities',
    )
    mean, std = (np.asarray(meta[name], np.float32) for name in ('mean', 'std'))
    rng = np.random.default_rng(0)
    example = rng.integers(0, 256, (_EXAMPLES, *images.shape)).astype(np.uint8)

    def apply(variables, *, deployed):
        net = network_lib.Network(plan, deployed=deployed)
        return lambda images: net.apply(variables, (export.unit_range(images) - mean) / std)

    return export.Exportable(
        function=apply(deployed, deployed=True),
        reference=apply(trained.variables, deployed=False),
        write_onnx=lambda path, facts: _write_onnx(path, plan, deployed, images, mean, std, facts),
        input=images,
        output=logits,
        example=example if pixels == 'uint8' else np.float32(example / 255),
        facts={
            'network': meta['name'],
            'classes': json.dumps(meta['classes']),
            'preprocessing': (
                f'inside the file: {"x / 255, then " * (pixels == "uint8")}(x - mean) / std '
                f'by channel, mean {mean.tolist()}, std {std.tolist()}; outside: '
                f'{trained.preparation.sentence(size, channels)}'
            ),
            'data': meta['data'],
        },
    )


def _write_onnx(
    path,
    plan: Plan,
    variables: dict,
    images: Port,
    mean: np.ndarray,
    std: np.ndarray,
    facts: Mapping[str, str],
) -> None:
    """Writes the file of `nas.networks.onnx_export` with the normalisation put in front."""
    onnx_export.export(plan, variables, path)
    model, front = require('onnx').load(str(path)), OnnxGraph()
    x = front.node('Sub', front.unit_range(images), front.constant(mean, 'mean'))
    x = front.node('Div', x, front.constant(std, 'std'))
    graph = model.graph
    for node in graph.node:
        node.input[:] = [x if name == images.name else name for name in node.input]
    nodes = [*front.nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(front.weights)
    element = require('onnx').helper.np_dtype_to_tensor_dtype(np.dtype(images.dtype))
    graph.input[0].type.tensor_type.elem_type = element
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key == 'plan_sha256'}
    save_model(model, path, {**kept, **facts})
