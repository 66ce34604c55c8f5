"""Times our convolutions beside XLA's own and PyTorch's, layer by layer and in training steps.

    pip install -e .[bench]
    python experiments/benchmarks/kernels/convolutions.py
        [--parts=layers,networks] [--threads=2] [--output=FOLDER]

Layers are those of CondenseNet-86 and of MobileNetV2 at CIFAR size; a training step is the forward
pass, the gradients and SGD with Nesterov momentum and weight decay on one fixed batch. PyTorch runs
in both of its memory formats, with as many threads as XLA; its column is the faster of the two.

The methods take turns within every round, so that a busy machine slows all of them alike; a time is
the median over the rounds, a ratio the median of the ratios within a round. Between two calls the
process sleeps for a moment, since PyTorch's threads go on spinning after its call. A method that
has used up --seconds leaves the rounds, but not before two calls: XLA's default needs up to minutes
a step.
"""

import importlib.util
import os
import pathlib
import platform
import sys
import time

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import jax
import numpy as np
from absl import app, flags

from common import run
from common.memory import keep_memory
from experiments.benchmarks.kernels.conv_methods import (
    jax_layer,
    jax_step,
    mobilenet_like,
    torch_layer,
    torch_step,
    xla_only,
)
from nas.cells import zoo

PARTS = flags.DEFINE_multi_enum(
    'parts', ['layers', 'networks'], ['layers', 'networks'], 'What is timed.'
)
NETWORKS = flags.DEFINE_list(
    'networks',
    ['condensenet-86', 'mobilenet-like'],
    'Networks for 32x32 images: mobilenet-like or names of nas.cells.zoo.',
)
METHODS = flags.DEFINE_list(
    'methods', ['ours', 'xla', 'pytorch'], 'Methods to compare: ours, xla, pytorch.'
)
BATCH = flags.DEFINE_integer('batch', 64, 'Images in a batch.', lower_bound=1)
REPEATS = flags.DEFINE_integer('repeats', 15, 'Largest number of rounds.', lower_bound=2)
SECONDS = flags.DEFINE_float(
    'seconds', 30, 'Time that each method may use for one row.', lower_bound=0
)
THREADS = flags.DEFINE_integer(
    'threads', None, 'Cores to use; default is all that the process may use.', lower_bound=1
)
OUTPUT = flags.DEFINE_string(
    'output', None, 'Folder for convolutions.json and .md; none without it.'
)

# (kind, size, channels in, channels out, kernel, stride, groups)
LAYERS = (
    ('1x1', 32, 16, 32, 1, 1, 1),
    ('1x1', 32, 120, 32, 1, 1, 1),
    ('1x1', 16, 240, 64, 1, 1, 1),
    ('1x1', 8, 576, 128, 1, 1, 1),
    ('1x1', 32, 24, 144, 1, 1, 1),
    ('1x1', 8, 384, 64, 1, 1, 1),
    ('grouped 1x1', 32, 64, 32, 1, 1, 4),
    ('grouped 1x1', 16, 240, 64, 1, 1, 4),
    ('grouped 1x1', 8, 576, 128, 1, 1, 4),
    ('grouped 3x3', 32, 32, 8, 3, 1, 4),
    ('grouped 3x3', 16, 64, 16, 3, 1, 4),
    ('grouped 3x3', 8, 128, 32, 3, 1, 4),
    ('grouped 3x3', 32, 64, 64, 3, 1, 4),
    ('depthwise 3x3', 32, 32, 32, 3, 1, 32),
    ('depthwise 3x3', 32, 144, 144, 3, 1, 144),
    ('depthwise 3x3', 32, 144, 144, 3, 2, 144),
    ('depthwise 3x3', 16, 192, 192, 3, 1, 192),
    ('depthwise 3x3', 16, 192, 192, 3, 2, 192),
    ('depthwise 3x3', 8, 384, 384, 3, 1, 384),
    ('depthwise 3x3', 4, 576, 576, 3, 1, 576),
    ('3x3', 32, 3, 16, 3, 1, 1),
    ('3x3', 32, 64, 64, 3, 1, 1),
    ('3x3', 16, 64, 64, 3, 1, 1),
    ('3x3', 8, 128, 128, 3, 1, 1),
    ('3x3', 32, 64, 64, 3, 2, 1),
    ('3x3', 4, 128, 128, 3, 1, 1),
)


def take_turns(calls, repeats, seconds):
    """Seconds {name: [rounds]} of every call after a warm-up; nan once it no longer takes part."""
    times, used = {name: [] for name in calls}, dict.fromkeys(calls, 0.0)
    for round_ in range(-1, repeats):
        if round_ >= 2 and min(used.values()) > seconds:
            break
        for name, call in calls.items():
            if round_ >= 2 and used[name] > seconds:
                times[name].append(np.nan)
                continue
            time.sleep(0.02)
            start = time.perf_counter()
            call()
            used[name] += time.perf_counter() - start
            if round_ >= 0:
                times[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in times.items()}


def summary(times):
    """{'<method>_ms', '<method>_ratio': its time / ours}, medians; of PyTorch the faster format."""
    formats = [name for name in times if name.startswith('pytorch')]
    row = {f'{name}_ms': 1e3 * float(np.nanmedian(values)) for name, values in times.items()}
    if formats:
        best = min(formats, key=lambda name: row[f'{name}_ms'])
        times = times | {'pytorch': times[best]}
        row |= {'pytorch_ms': row[f'{best}_ms'], 'pytorch_format': best.removeprefix('pytorch_')}
    for name in ('xla', 'pytorch'):
        if name in times and 'ours' in times:
            row[f'{name}_ratio'] = float(np.nanmedian(times[name] / times['ours']))
    return row


def measure_layer(layer, methods, batch, repeats, seconds):
    """One row of the first table, forward and forward + backward.

    Args:
        layer: a row of `LAYERS`.
        methods: of 'ours', 'xla', 'pytorch'.
        batch, repeats, seconds: see the flags.

    Returns:
        dict with 'layer' and, under 'forward' and 'training', the `summary`.
    """
    kind, size, inputs, outputs, kernel, stride, groups = layer
    rng, out_size = np.random.default_rng(0), (size - 1) // stride + 1
    arrays = [
        rng.standard_normal(shape, np.float32)
        for shape in (
            (batch, size, size, inputs),
            (kernel, kernel, inputs // groups, outputs),
            (batch, out_size, out_size, outputs),
        )
    ]
    row = {
        'layer': (
            f'{kind} {inputs}->{outputs} at {size}' + (f', stride {stride}' if stride > 1 else '')
        )
    }
    for name, backward in (('forward', False), ('training', True)):
        arguments, calls = (arrays, stride, kernel // 2, groups, backward), {}
        if 'ours' in methods:
            calls['ours'] = jax_layer(*arguments)
        if 'xla' in methods:
            with xla_only():
                calls['xla'] = jax_layer(*arguments)
        if 'pytorch' in methods:
            for memory_format in ('channels_last', 'contiguous_format'):
                calls[f'pytorch_{memory_format}'] = torch_layer(*arguments, memory_format)
        row[name] = summary(take_turns(calls, repeats, seconds))
    return row


def measure_network(name, methods, batch, repeats, seconds):
    """One row of the second table: training steps of one network.

    Args:
        name: 'mobilenet-like' or a network of `nas.cells.zoo` for 32x32 images.
        methods, batch, repeats, seconds: see `measure_layer`.

    Returns:
        The `summary` with 'network', 'init_seconds', 'compile_seconds', and 'compile_steps', the
        time to compile our step divided by that of the step itself.
    """
    plan = mobilenet_like() if name == 'mobilenet-like' else zoo.NETWORKS[name].plan()
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, 32, 32, 3), np.float32)
    labels = rng.integers(0, plan[-1].out_channels, batch)
    row, calls = {'network': name}, {}
    if 'ours' in methods:
        calls['ours'], facts = jax_step(plan, images, labels)
        row |= facts
    if 'xla' in methods:
        with xla_only():
            calls['xla'], facts = jax_step(plan, images, labels)
        row['xla_compile_seconds'] = facts['compile_seconds']
    if 'pytorch' in methods:
        for memory_format in ('channels_last', 'contiguous_format'):
            calls[f'pytorch_{memory_format}'] = torch_step(plan, images, labels, memory_format)
    row |= summary(take_turns(calls, repeats, seconds))
    if 'ours' in methods:
        row['compile_steps'] = 1e3 * row['compile_seconds'] / row['ours_ms']
    return row


def _cells(row, methods):
    """Times of the methods, and ours against the others: '2.0x' is twice as fast as that method."""
    texts = [f'{row[f"{name}_ms"]:.4g}' for name in methods]
    return texts + [
        f'{row[f"{name}_ratio"]:.2f}x' for name in ('xla', 'pytorch') if f'{name}_ratio' in row
    ]


def _columns(methods, suffix=''):
    ratios = [f'{name} / ours' for name in ('xla', 'pytorch') if {name, 'ours'} <= set(methods)]
    return [f'{name} ms' + suffix for name in methods] + [name + suffix for name in ratios]


def _line(cells):
    return f'| {" | ".join(cells)} |'


def layer_lines(methods, rows):
    """The first table, a generator of Markdown lines; `rows` may be one too."""
    columns = ['layer', *_columns(methods), *_columns(methods, ', fwd+bwd')]
    yield _line(columns)
    yield '|' + '---|' * len(columns)
    for row in rows:
        yield _line(
            [row['layer'], *_cells(row['forward'], methods), *_cells(row['training'], methods)]
        )


def network_lines(methods, rows):
    """The second table, likewise."""
    ours = ['init s', 'compile s', 'compile / step'] if 'ours' in methods else []
    columns = ['training step', *_columns(methods), *ours]
    yield _line(columns)
    yield '|' + '---|' * len(columns)
    for row in rows:
        extra = [
            f'{row[name]:.2g}'
            for name in ('init_seconds', 'compile_seconds', 'compile_steps')
            if name in row
        ]
        yield _line([row['network'], *_cells(row, methods), *extra])


def _check_flags():
    for name in METHODS.value:
        if name not in ('ours', 'xla', 'pytorch'):
            sys.exit(f'--methods has {name!r}; accepted are ours, xla, pytorch')
    for name in NETWORKS.value:
        if name != 'mobilenet-like' and (
            name not in zoo.NETWORKS or zoo.NETWORKS[name].input[0] != 32
        ):
            accepted = [key for key, network in zoo.NETWORKS.items() if network.input[0] == 32]
            sys.exit(f'--networks has {name!r}; accepted are mobilenet-like, {", ".join(accepted)}')
    if 'pytorch' in METHODS.value and importlib.util.find_spec('torch') is None:
        sys.exit(
            'convolutions.py compares with PyTorch, which is not installed: '
            "pip install 'pano-dppnet[bench]', or leave it out with --methods=ours,xla"
        )


def _set_threads(count):
    """Lets XLA and PyTorch use `count` cores, None for all; returns how many that are."""
    cores = (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, 'sched_getaffinity')
        else range(os.cpu_count())
    )
    if count and count < len(cores):
        if not hasattr(os, 'sched_setaffinity'):
            sys.exit('--threads needs sched_setaffinity, which this system does not have')
        # XLA's pool has a thread for every core that the process may use when it starts.
        os.sched_setaffinity(0, cores[:count])
    return min(count or len(cores), len(cores))


def main(_):
    """Measures the parts that the flags name, prints the tables, and writes them if asked to."""
    _check_flags()
    threads = _set_threads(THREADS.value)
    machine = {
        'machine': platform.machine(),
        'threads': threads,
        'keep_memory': keep_memory(),
        'device': jax.devices()[0].device_kind,
        'batch': BATCH.value,
        'python': platform.python_version(),
        'jax': jax.__version__,
    }
    if 'pytorch' in METHODS.value:
        import torch

        torch.set_num_threads(threads)
        machine['torch'] = torch.__version__
    result = {'machine': machine}
    lines = [', '.join(f'{name} {value}' for name, value in machine.items()), '']
    print(*lines, sep='\n')
    options = (METHODS.value, BATCH.value, REPEATS.value, SECONDS.value)
    tables = {
        'layers': (measure_layer, LAYERS, layer_lines),
        'networks': (measure_network, NETWORKS.value, network_lines),
    }
    for part in PARTS.value:
        measure, cases, as_lines = tables[part]
        rows = result[part] = []
        measured = (rows.append(measure(case, *options)) or rows[-1] for case in cases)
        for line in as_lines(METHODS.value, measured):
            print(line, flush=True)
            lines.append(line)
        print()
        lines.append('')
    if OUTPUT.value:
        folder = pathlib.Path(OUTPUT.value)
        folder.mkdir(parents=True, exist_ok=True)
        run.write_json(folder / 'convolutions.json', result)
        with run.atomic_path(folder / 'convolutions.md') as temporary:
            temporary.write_text('\n'.join(lines))


if __name__ == '__main__':
    app.run(main)
