"""Times equirectangular <-> cube projections beside the libraries that people use for them.

    pip install -e .[bench]
    python experiments/benchmarks/kernels/projection.py [--heights=512,1024,2048] [--repeats=15]

All methods interpolate bilinearly between an H x 2H image and six H/2 x H/2 faces, three channels.
Before the clock starts, each method prepares what depends on the shape alone: ours its
`remap.Table` (an argument of the jitted function), cv2.remap its maps, py360convert and equilib
their own caches. The methods take turns within every repeat, so that a busy machine slows all of
them alike; a time is the median over the repeats, a ratio the median of the ratios within a repeat.

A result at 2048x4096 in float32 is 100 MB of new memory, and page faults then take a third of the
time. Like the main programs, this one makes glibc keep freed memory (`common.memory`), for all
libraries alike; --nokeep_memory shows the times without that.
"""

import contextlib
import importlib.metadata
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

from common.memory import keep_memory
from pano_depth.kernels import cube, sphere

HEIGHTS = flags.DEFINE_list(
    'heights', ['512', '1024', '2048'], 'Image heights H in pixels, images are H x 2H.'
)
REPEATS = flags.DEFINE_integer('repeats', 15, 'Timed calls of every method.', lower_bound=1)
KEEP_MEMORY = flags.DEFINE_bool('keep_memory', True, 'Let glibc keep freed memory.')
MISSING = 'projection.py needs opencv and py360convert: pip install -e .[bench]'


def equirect_maps(height, face_size):
    """cv2.remap maps [6 S, S] from an image, whose columns wrap, to the faces below each other."""
    u, v = sphere.project(np.asarray(cube.face_directions(face_size)), height, 2 * height)
    columns, rows = (np.asarray(x, np.float32).reshape(6 * face_size, face_size) for x in (u, v))
    return columns, np.clip(rows, 0, height - 1)


def cube_maps(face_size, height):
    """cv2.remap maps [H, 2H] from the faces side by side, clamped at their borders."""
    rays = np.asarray(sphere.ray_directions(height, 2 * height))
    face = np.argmax(rays @ cube.FACE_AXES[:, 2].T, axis=-1)
    local = np.einsum('hwkc,hwc->hwk', cube.FACE_AXES[face], rays)
    columns, rows = (
        np.clip((local[..., k] / local[..., 2] + 1) * face_size / 2 - 0.5, 0, face_size - 1)
        for k in (0, 1)
    )
    return (columns + face * face_size).astype(np.float32), rows.astype(np.float32)


def methods_to_cube(image, face_size):
    """{name: function} that each turn one [H, 2H, 3] image into six faces."""
    import cv2
    import py360convert

    height, width = image.shape[:2]
    table, on_device = cube.equirect_to_cube_table(height, width, face_size), jax.device_put(image)
    ours = jax.jit(lambda table, x: cube.equirect_to_cube(x, face_size, table=table))
    maps = equirect_maps(height, face_size)
    return {
        'ours': lambda: ours(table, on_device).block_until_ready(),
        'cv2': lambda: cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP),
        'py360convert': lambda: py360convert.e2c(
            image, face_w=face_size, mode='bilinear', cube_format='list'
        ),
    } | _equilib('Equi2Cube', image, w_face=face_size)


def methods_to_equirect(faces, height):
    """{name: function} that each turn six [S, S, 3] faces into one image."""
    import cv2
    import py360convert

    size, width = faces.shape[1], 2 * height
    table, on_device = cube.cube_to_equirect_table(size, height, width), jax.device_put(faces)
    ours = jax.jit(lambda table, x: cube.cube_to_equirect(x, height, width, table=table))
    maps, strip = cube_maps(size, height), np.ascontiguousarray(np.concatenate(list(faces), axis=1))
    return {
        'ours': lambda: ours(table, on_device).block_until_ready(),
        'cv2': lambda: cv2.remap(strip, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        'py360convert': lambda: py360convert.c2e(
            list(faces), h=height, w=width, mode='bilinear', cube_format='list'
        ),
    } | _equilib('Cube2Equi', strip, height=height, width=width)


def _equilib(name, image, **shape):
    """The method of the `equilib` package, where it is installed; it wants channels first."""
    try:
        import equilib
    except ImportError:
        return {}
    planes = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    if name == 'Equi2Cube':
        run = equilib.Equi2Cube(cube_format='list', mode='bilinear', **shape)
        return {'equilib': lambda: run(equi=planes, rots={'roll': 0.0, 'pitch': 0.0, 'yaw': 0.0})}
    run = equilib.Cube2Equi(cube_format='horizon', mode='bilinear', **shape)
    return {'equilib': lambda: run(cubemap=planes)}


def measure(methods, repeats):
    """Milliseconds [repeats] of every method, called in turn, after two warm-up calls of each."""
    times = {name: [] for name in methods}
    for repeat in range(-2, repeats):
        for name, function in methods.items():
            start = time.perf_counter()
            function()
            if repeat >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: np.array(values) for name, values in times.items()}


def describe_machine():
    """One line: processor, cores, versions."""
    import cv2

    versions = [
        f'python {platform.python_version()}',
        f'cv2 {cv2.__version__} ({cv2.getNumThreads()} threads)',
    ]
    for package in ('jax', 'jaxlib', 'numpy', 'py360convert', 'pyequilib'):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f'{package} {importlib.metadata.version(package)}')
    versions.append(f'GLIBC_TUNABLES={os.environ.get("GLIBC_TUNABLES", "")!r}')
    return (
        f'{platform.machine()}, {os.cpu_count()} cores, {jax.devices()[0].device_kind}; '
        + ', '.join(versions)
    )


def main(_):
    """Measures both directions at every height, and prints a line of times each."""
    if KEEP_MEMORY.value:
        keep_memory()
    if not all(map(importlib.util.find_spec, ('cv2', 'py360convert'))):
        sys.exit(MISSING)
    try:
        heights = [int(text) for text in HEIGHTS.value]
        valid = all(height >= 2 and height % 2 == 0 for height in heights)
    except ValueError:
        valid = False
    if not valid:
        sys.exit(f'--heights is {",".join(HEIGHTS.value)}; accepted are even numbers of pixels')
    print(describe_machine())
    print(
        f'{"direction":<18}{"image":<12}{"type":<9}'
        + ''.join(f'{name:>14}' for name in ('ours ms', 'cv2 ms', 'py360 ms', 'equilib ms'))
        + f'{"ours/cv2":>10}{"ours/py360":>12}{"ours/equilib":>14}'
    )
    rng = np.random.default_rng(0)
    for direction, make in (
        ('equirect -> cube', methods_to_cube),
        ('cube -> equirect', methods_to_equirect),
    ):
        for height in heights:
            for dtype in ('float32', 'uint8'):
                shape, other = (
                    ((height, 2 * height, 3), height // 2)
                    if make is methods_to_cube
                    else ((6, height // 2, height // 2, 3), height)
                )
                image = rng.integers(0, 256, shape, dtype=np.uint8)
                times = measure(
                    make(
                        image if dtype == 'uint8' else image.astype(np.float32) / np.float32(255),
                        other,
                    ),
                    REPEATS.value,
                )
                others = ('cv2', 'py360convert', 'equilib')
                cells = [
                    f'{np.median(times[name]):14.2f}' if name in times else f'{"-":>14}'
                    for name in ('ours',) + others
                ]
                ratios = [
                    (
                        f'{np.median(times["ours"] / times[name]):{width}.2f}'
                        if name in times
                        else f'{"-":>{width}}'
                    )
                    for name, width in zip(others, (10, 12, 14))
                ]
                print(
                    f'{direction:<18}{f"{height}x{2 * height}":<12}{dtype:<9}'
                    + ''.join(cells + ratios),
                    flush=True,
                )


if __name__ == '__main__':
    app.run(main)
