"""Times the depth network on cube faces with cube padding, and on equirectangular images.

    python experiments/benchmarks/kernels/speedup.py
        [--heights=64,128,256,512,1024] [--checkpoint=default] [--output=FOLDER]

An H x 2H image has 8 S^2 pixels, and a cube of the same resolution at the equator has 6 S^2, S = H
/ 2, so that the pixel count alone makes the cube 1.33 times faster; one column shows the speed-up
per pixel. The same network with zero padding shows the cost of cube padding. A training step is the
loss and its gradient to the parameters; the loss is |disparity - image|, averaged. Without
--checkpoint it is the network made by hand; of a checkpoint only the shape counts.

The three networks take turns within every repeat, so that a busy machine slows all of them alike; a
time is the median over the repeats, a ratio the median of the ratios within a repeat. Memory is the
compiler's plan for one call (arguments, results and temporaries), without the scratch space that a
convolution takes for itself.

XLA's convolutions on a CPU take that scratch space anew in every call. Above 32 MB glibc gets it
from the system and gives it back, and the page faults cost more than the arithmetic; this depends
on the shapes of a convolution, not on its work. --keep_memory makes glibc keep freed memory;
--nokeep_memory shows the times without that.
"""

import dataclasses
import os
import pathlib
import platform
import sys
import time

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from common import run
from common.memory import keep_memory
from pano_depth import load_networks
from pano_depth.learning import model

HEIGHTS = flags.DEFINE_list(
    'heights',
    ['64', '128', '256', '512', '1024'],
    'Image heights H in pixels; images are H x 2H, faces H/2.',
)
KINDS = ('inference', 'training')
PASSES = flags.DEFINE_multi_enum('passes', KINDS, KINDS, 'What is timed.')
REPEATS = flags.DEFINE_integer('repeats', 21, 'Timed calls of every network.', lower_bound=1)
SECONDS = flags.DEFINE_float(
    'seconds', 60, 'A row ends after this time, but not before three repeats.', lower_bound=0
)
CHANNELS = flags.DEFINE_list(
    'depth_channels',
    None,
    'Features by level of the depth network; default is that of ModelConfig.',
)
CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'Whose depth network is timed: "default", a workdir or a .npz.'
)
MEMORY_LIMIT = flags.DEFINE_float(
    'memory_limit', 12, 'Rows that are planned to take more than this many GB are not run.'
)
KEEP_MEMORY = flags.DEFINE_boolean(
    'keep_memory',
    True,
    'Let glibc keep freed memory, which spares page faults in every convolution.',
)
OUTPUT = flags.DEFINE_string(
    'output', None, 'Folder for speedup.json and speedup.png; none are written without it.'
)

PADDINGS = ('cube', 'zero', 'equirect')
PIXEL_RATIO = 8 / 6


def sized(base, padding, height):
    """The configuration of a network for images of a height; ValueError if it does not fit."""
    if height % 2:
        raise ValueError('the height is odd')
    return dataclasses.replace(base, face_size=height // 2, padding=padding)


def compile_network(base, padding, height, kind):
    """Compiles one network for one image.

    Args:
        base: `ModelConfig` of the network, but for its size and padding.
        padding: 'cube', 'zero' or 'equirect'.
        height: H of the image; faces are H / 2.
        kind: 'inference' or 'training'.

    Returns:
        (call, facts): a function without arguments that waits for its result; {'megabytes',
        'compile_seconds'}.
    """
    config = sized(base, padding, height)
    grid = model.make_grid(config)
    params = jax.device_put({'depth': model.init_params(0, config)['depth']})
    images = jax.device_put(np.random.default_rng(0).random((1,) + grid.rays.shape, np.float32))

    def disparity(params, images, grid):
        return model.predict_disparity(params, images, grid, config)[0][0]

    def loss(params, images, grid):
        return jnp.abs(disparity(params, images, grid)[..., None] - images).mean()

    start = time.perf_counter()
    function = disparity if kind == 'inference' else jax.value_and_grad(loss)
    compiled = jax.jit(function).lower(params, images, grid).compile()
    seconds = time.perf_counter() - start
    plan = compiled.memory_analysis()
    size = (
        plan and plan.temp_size_in_bytes + plan.output_size_in_bytes + plan.argument_size_in_bytes
    )
    call = lambda: jax.block_until_ready(compiled(params, images, grid))
    return call, {'megabytes': size / 1e6 if size else None, 'compile_seconds': seconds}


def take_turns(calls, repeats, seconds):
    """Seconds [n] of every call after a warm-up; at most `repeats`, three if time is short."""
    times = {name: [] for name in calls}
    deadline = None
    for repeat in range(-1, repeats):
        if repeat == 0:
            deadline = time.perf_counter() + seconds
        if repeat >= 3 and time.perf_counter() > deadline:
            break
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if repeat >= 0:
                times[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in times.items()}


def measure(base, height, kind, *, repeats, seconds, memory_limit):
    """One row: the three networks at one size.

    Args:
        base, height, kind: see `compile_network`.
        repeats, seconds: see `take_turns`.
        memory_limit: in GB.

    Returns:
        dict, with 'skipped' (the reason) instead of times if a network needs too much memory.
    """
    compiled = {padding: compile_network(base, padding, height, kind) for padding in PADDINGS}
    row = {'height': height, 'kind': kind}
    for padding, (_, facts) in compiled.items():
        row |= {f'{padding}_{name}': value for name, value in facts.items()}
    needed = max((row[f'{padding}_megabytes'] or 0) / 1e3 for padding in PADDINGS)
    if needed > memory_limit:
        return row | {'skipped': f'{needed:.1f} GB planned, limit {memory_limit:g} GB'}
    times = take_turns({padding: call for padding, (call, _) in compiled.items()}, repeats, seconds)
    ratio = float(np.median(times['equirect'] / times['cube']))
    return (
        row
        | {f'{padding}_ms': 1e3 * float(np.median(times[padding])) for padding in PADDINGS}
        | {
            'repeats': len(times['cube']),
            'speedup': ratio,
            'speedup_per_pixel': ratio / PIXEL_RATIO,
            'padding_share': float(np.median(1 - times['zero'] / times['cube'])),
        }
    )


COLUMNS = (
    'image',
    'pass',
    'equirect / cube',
    'per pixel',
    'cube padding %',
    'cube ms',
    'zero ms',
    'equirect ms',
    'cube MB',
    'zero MB',
    'equirect MB',
    'compile s cube / equirect',
)


def table_row(row):
    """The Markdown line of a row of `measure`."""
    if 'skipped' in row:
        times = [f'not run: {row["skipped"]}'] + ['-'] * 5
    else:
        times = [f'{row["speedup"]:.2f}', f'{row["speedup_per_pixel"]:.2f}']
        times += [f'{100 * row["padding_share"]:.0f}']
        times += [f'{row[f"{padding}_ms"]:.1f}' for padding in PADDINGS]
    plans = [row[f'{padding}_megabytes'] for padding in PADDINGS]
    memory = ['-' if size is None else f'{size:.0f}' for size in plans]
    compiling = f'{row["cube_compile_seconds"]:.0f} / {row["equirect_compile_seconds"]:.0f}'
    cells = [f'{row["height"]}x{2 * row["height"]}', row['kind']] + times + memory + [compiling]
    return f'| {" | ".join(cells)} |'


def plot(rows, path):
    """Writes a picture of ratios and memory by image height."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    heights = sorted({row['height'] for row in rows})
    for kind, colour in zip(KINDS, ('tab:blue', 'tab:orange')):
        of_kind = [row for row in rows if row['kind'] == kind]
        speedups = [row.get('speedup', np.nan) for row in of_kind]
        left.plot([row['height'] for row in of_kind], speedups, 'o-', color=colour, label=kind)
        for padding, style in (('cube', 'o-'), ('equirect', 's--')):
            sizes = [row[f'{padding}_megabytes'] or np.nan for row in of_kind]
            label = f'{kind}, {padding}'
            right.plot([row['height'] for row in of_kind], sizes, style, color=colour, label=label)
    left.axhline(PIXEL_RATIO, color='grey', linestyle=':', label='pixel count alone, 1.33')
    left.axhline(1, color='black', linewidth=0.8)
    left.set(
        ylabel='time of equirect / time of cube', title='Speed-up by cube faces with cube padding'
    )
    right.set(ylabel='memory of one call, MB', title='Memory', yscale='log')
    for axis in (left, right):
        axis.set_xscale('log', base=2)
        axis.set_xticks(heights, [f'{height}x{2 * height}' for height in heights])
        axis.set_xlabel('equirectangular image')
        axis.legend()
    with run.atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _integers(flag):
    try:
        return tuple(int(text) for text in flag.value)
    except ValueError:
        sys.exit(f'--{flag.name} is {",".join(flag.value)}; expected whole numbers')


def main(_):
    """Measures every height and pass, prints the table, and writes it if asked to."""
    logging.set_verbosity(logging.WARNING)  # libraries log a page for a checkpoint
    heights = _integers(HEIGHTS)
    # The pose network is not run; with as many levels it accepts the same sizes.
    channels = CHANNELS.value and _integers(CHANNELS)
    options = {'depth_channels': channels, 'pose_channels': channels} if channels else {}
    try:
        base = load_networks(CHECKPOINT.value).config if CHECKPOINT.value else model.ModelConfig()
    except ValueError as error:
        sys.exit(f'--checkpoint: {error}')
    base = dataclasses.replace(base, **options)
    for height in heights:
        try:
            for padding in PADDINGS:
                sized(base, padding, height)
        except ValueError as error:
            sys.exit(f'--heights has {height}: {error}')
    kept = KEEP_MEMORY.value and keep_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    machine = {
        'machine': platform.machine(),
        'cores': cores,
        'device': jax.devices()[0].device_kind,
        'python': platform.python_version(),
        'jax': jax.__version__,
        'keep_memory': kept,
    }
    print(', '.join(f'{name} {value}' for name, value in machine.items()))
    print(f'\n| {" | ".join(COLUMNS)} |\n|{"---|" * len(COLUMNS)}')
    rows = []
    for height in heights:
        for kind in PASSES.value:
            rows.append(
                measure(
                    base,
                    height,
                    kind,
                    repeats=REPEATS.value,
                    seconds=SECONDS.value,
                    memory_limit=MEMORY_LIMIT.value,
                )
            )
            print(table_row(rows[-1]), flush=True)
    if OUTPUT.value:
        folder = pathlib.Path(OUTPUT.value)
        folder.mkdir(parents=True, exist_ok=True)
        run.write_json(folder / 'speedup.json', {'machine': machine, 'rows': rows})
        plot(rows, folder / 'speedup.png')


if __name__ == '__main__':
    app.run(main)
