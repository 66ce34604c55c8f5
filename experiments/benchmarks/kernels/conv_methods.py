"""One convolution, and one training step, as each of the compared methods computes it."""

import functools
import time
from unittest import mock

import jax
import numpy as np
import optax

from common.layers import conv
from nas.cells import zoo
from nas.networks import network as network_lib


def mobilenet_like():
    """Plan of MobileNetV2 for 32x32 images, with two strides fewer."""
    return zoo.mobilenet_v2(32, 10, strides=(1, 1, 1, 2, 2, 1, 2, 1))


def xla_only():
    """Within this context, convolutions are traced with XLA's own lowering."""
    return mock.patch.object(conv, 'pick_lowering', lambda *unused_args, **unused_kwargs: 'xla')


def jax_layer(arrays, stride, padding, groups, backward):
    """The compiled layer, with the lowering that is picked while this is called."""

    def forward(x, w):
        return conv.conv_general_dilated(
            x,
            w,
            (stride,) * 2,
            ((padding, padding),) * 2,
            feature_group_count=groups,
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )

    def both(x, w, dy):
        y, pullback = jax.vjp(forward, x, w)
        return y, pullback(dy)

    function, arguments = (both, arrays) if backward else (forward, arrays[:2])
    arguments = jax.device_put(arguments)
    compiled = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(compiled(*arguments))


def torch_layer(arrays, stride, padding, groups, backward, memory_format):
    """The layer by PyTorch, as a function without arguments; `memory_format` is of `torch`."""
    import torch

    x, w, dy = (
        torch.from_numpy(np.ascontiguousarray(array.transpose(axes)))
        for array, axes in zip(arrays, ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)))
    )
    x, dy = (array.contiguous(memory_format=getattr(torch, memory_format)) for array in (x, dy))
    x.requires_grad_(backward), w.requires_grad_(backward)

    def call():
        y = torch.nn.functional.conv2d(x, w, None, stride, padding, 1, groups)
        return torch.autograd.grad(y, (x, w), dy) if backward else y

    return call


def jax_step(plan, images, labels):
    """The compiled training step of a plan's network, with the lowerings picked during this call.

    Args:
        plan: the layer records.
        images: [B, H, W, C] float32.
        labels: int [B].

    Returns:
        (call, facts): a function that makes one step and waits for it; {'init_seconds',
        'compile_seconds'}.
    """
    network = network_lib.Network(plan)
    start = time.perf_counter()
    variables = network_lib.init(jax.random.key(0), plan)
    facts = {'init_seconds': time.perf_counter() - start}
    optimiser = optax.chain(
        optax.add_decayed_weights(1e-4), optax.sgd(0.1, momentum=0.9, nesterov=True)
    )

    def loss(params, rest, images, labels):
        logits, updated = network.apply(
            {'params': params} | rest, images, train=True, mutable=['batch_stats']
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), updated

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(variables, state, images, labels):
        rest = {name: tree for name, tree in variables.items() if name != 'params'}
        slope = jax.value_and_grad(loss, has_aux=True)
        (_, updated), gradient = slope(variables['params'], rest, images, labels)
        updates, state = optimiser.update(gradient, state, variables['params'])
        return rest | updated | {'params': optax.apply_updates(variables['params'], updates)}, state

    state = jax.device_put((variables, jax.jit(optimiser.init)(variables['params'])))
    batch = jax.device_put((images, labels))
    start = time.perf_counter()
    compiled = step.lower(*state, *batch).compile()
    facts['compile_seconds'] = time.perf_counter() - start

    def call():
        nonlocal state
        state = jax.block_until_ready(compiled(*state, *batch))

    return call, facts


def torch_step(plan, images, labels, memory_format):
    """The same training step in PyTorch; `memory_format` is the name of one of PyTorch's."""
    import torch

    from experiments.benchmarks.kernels import torch_network

    network = (
        torch_network.TorchNetwork(plan).to(memory_format=getattr(torch, memory_format)).train()
    )
    optimiser = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    images = torch.from_numpy(images.transpose(0, 3, 1, 2))
    images = images.contiguous(memory_format=getattr(torch, memory_format))
    labels = torch.from_numpy(labels)

    def call():
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    return call
