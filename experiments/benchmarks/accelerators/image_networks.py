"""Training steps of image networks, ours and PyTorch's, and how long ours wait for JPEGs."""

import functools
import pathlib
import tempfile
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from experiments.benchmarks.accelerators import clock
from nas.cells import CELLS, NETWORKS, Skeleton, build
from nas.cells.plan import Plan
from nas.datasets.images import Images
from nas.datasets.open_images import open_images
from nas.training import batches, recipe, throughput
from nas.training.config import RecipeConfig

NAMES, BATCHES, STEPS = ('condensenet-86', 'dpp-net-panacea'), (64, 512), 20
STREAMED = 'dpp-net-panacea-imagenet'
DTYPES = ('float32', 'bfloat16')
TOY_BATCH, TOY_STEPS = 8, 3
LAYOUTS = ('channels_last', 'contiguous_format')


def plans(toy: bool) -> dict[str, Plan]:
    """Networks for images of 32 x 32 pixels by name; with `toy`, their cells in a tiny one."""
    if not toy:
        return {name: NETWORKS[name].plan() for name in NAMES}
    small = Skeleton(name='toy', size=8, classes=10, stages=(1,), growth=(4,), stem=8)
    return {name: build(CELLS[name], small) for name in ('condensenet', 'dpp-net-panacea')}


def _cases(toy):
    """(network, plan, type, batch): what a search trains first, larger batches last."""
    for batch in (TOY_BATCH,) if toy else BATCHES:
        for name, plan in plans(toy).items():
            for dtype in DTYPES:
                yield name, plan, dtype, batch


def _noise(plan, count):
    """(images uint8, labels) that fit a plan."""
    rng, (size, channels) = np.random.default_rng(0), (plan[0].out_size, plan[0].out_channels)
    images = rng.integers(0, 256, (count, size, size, channels), np.uint8)
    return images, rng.integers(0, plan[-1].out_channels, count)


def measure(seconds: float, *, toy: bool) -> Iterator[dict]:
    """Rows of our training loop: augmentation, step and optimiser, images on the device."""
    del seconds  # the time limit of the process ends the list
    for name, plan, dtype, batch in _cases(toy):
        images, labels = _noise(plan, 8 * batch)
        classes = tuple(map(str, range(plan[-1].out_channels)))
        split = Images('noise', images, labels, classes)
        config = RecipeConfig(batch_size=batch, dtype=dtype, crop=1 if toy else 4)
        row = _ours(plan, config, split, TOY_STEPS if toy else STEPS)
        facts = {'network': name, 'dtype': dtype, 'batch': batch, 'framework': 'ours'}
        row.pop('share')  # of images on the device, next to nothing
        yield facts | row


def _ours(plan, config, split, steps):
    """Times of the training loop on a split."""
    data = batches.place(split, split.statistics())
    state = recipe.init_state(plan, config, steps=config.steps(len(split)), seed=0)
    start = time.perf_counter()
    found = throughput.input_share(plan, config, data, state, seed=0, steps=steps)
    return clock.device() | {
        'step_ms': found.step_ms,
        'steps_per_second': 1e3 / found.step_ms,
        'fixed_batch_ms': found.fixed_batch_ms,
        'share': found.share,
        'all_seconds': time.perf_counter() - start,
    }


def measure_torch(seconds: float, *, toy: bool) -> Iterator[dict]:
    """Rows of the same networks in PyTorch, in its faster memory format; no augmentation.

    bfloat16 is PyTorch's autocast: parameters stay float32, as ours do. A row has `error` where
    PyTorch is missing.
    """
    try:
        import torch
    except ImportError as error:
        yield {'framework': 'PyTorch', 'error': f'PyTorch cannot be imported: {error}'}
        return
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind = torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'
    cases = list(_cases(toy))
    each = seconds / (2 * len(LAYOUTS) * len(cases))
    for name, plan, dtype, batch in cases:
        times = {
            layout: _torch_step_ms(plan, batch, dtype, layout, device, each) for layout in LAYOUTS
        }
        layout = min(times, key=times.get)
        yield {
            'network': name,
            'dtype': dtype,
            'batch': batch,
            'framework': 'PyTorch',
            'version': torch.__version__,
            'backend': device.type,
            'device': kind,
            'format': layout,
            'step_ms': times[layout],
            'steps_per_second': 1e3 / times[layout],
        }


def _torch_step_ms(plan, batch, dtype, layout, device, seconds):
    """Milliseconds of a step: forward, gradients, SGD with Nesterov momentum and weight decay."""
    import torch

    from experiments.benchmarks.kernels.torch_network import TorchNetwork

    layout = getattr(torch, layout)
    network = TorchNetwork(plan).to(device=device, memory_format=layout).train()
    optimiser = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    images, labels = _noise(plan, batch)
    images = torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255))
    images = images.to(device=device, memory_format=layout)
    labels = torch.from_numpy(labels).to(device)
    cast = functools.partial(
        torch.autocast, device.type, dtype=torch.bfloat16, enabled=dtype == 'bfloat16'
    )

    def call():
        optimiser.zero_grad(set_to_none=True)
        with cast():
            loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimiser.step()
        return loss

    wait = lambda loss: loss.item()
    for _ in range(3):
        wait(call())
    return 1e3 * clock.repeated(call, seconds, most=100, wait=wait)[0]


def waiting(seconds: float, *, toy: bool) -> Iterator[dict]:
    """One row: how long steps wait for JPEGs that threads decode."""
    del seconds
    plan = plans(True)['condensenet'] if toy else NETWORKS[STREAMED].plan()
    size, batch = plan[0].out_size, TOY_BATCH if toy else 64
    with tempfile.TemporaryDirectory() as folder:
        _write_jpegs(pathlib.Path(folder), 4 * batch, (40, 30) if toy else (500, 375))
        split = open_images(f'folder:{folder},stream', size=size, channels=3).train
        row = _ours(plan, RecipeConfig(batch_size=batch), split, TOY_STEPS if toy else STEPS)
    yield {'input': f'JPEGs, decoded to {size} pixels', 'batch': batch} | row


def _write_jpegs(folder, count, size):
    """Images of soft noise, which compress about as photographs do, in two classes."""
    rng = np.random.default_rng(0)
    for split, some in (('train', count), ('val', 4)):
        for i in range(some):
            path = folder / split / 'ab'[i % 2] / f'{i}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(0, 256, (size[1] // 5, size[0] // 5, 3), np.uint8)
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
