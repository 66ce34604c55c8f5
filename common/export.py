"""Networks as files for other runtimes: ONNX and StableHLO, checked before they are kept.

An `Exportable` is a JAX function of one array with everything a user of the file has to know.
`write` puts it into `model.onnx` and `model.stablehlo`, loads each file back, compares its results
with those of JAX and keeps it only if they agree; `export.json` beside them describes input and
output. The StableHLO file is what `jax.export.deserialize` reads.

Needs the packages of the extra `export`.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export
from jax.extend import core

from common.export_config import RECORD_FILE
from common.onnx_graph import BATCH, Port, require
from common.run import atomic_path, write_json

# What each format needs besides JAX.
FORMATS = {'onnx': ('onnx', 'onnxruntime'), 'stablehlo': ('flatbuffers',)}
PLATFORMS = ('cpu', 'cuda', 'tpu')
# Images go in as they are in files, or as they are in this project.
PIXELS = {'float32': '0 to 1', 'uint8': '0 to 255'}
TOLERANCE = 1e-4


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Checks the names of formats and that their packages are installed; returns each name once.

    Raises:
        ValueError: none is named, one does not exist, or a package is missing.
    """
    names = tuple(dict.fromkeys(names))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ValueError(
            f'format is {",".join(unknown) or "empty"}; accepted: {", ".join(FORMATS)}'
        )
    for name in names:
        for package in FORMATS[name]:
            require(package)
    return names


@dataclasses.dataclass(frozen=True)
class Exportable:
    """A network with everything that its users have to know.

    Attributes:
        function: JAX function from an array of the input port to one of the output port.
        reference: the function as it was trained; files are compared with its results.
        write_onnx: `(path, facts) -> None` writes the function as an ONNX file with these facts in
            its metadata.
        input, output: its ports.
        example: [B, ...] images on which the comparison is made.
        facts: text by name, for the metadata of the ONNX file and for export.json.
    """

    function: Callable[[jax.Array], jax.Array]
    reference: Callable[[jax.Array], jax.Array]
    write_onnx: Callable[[pathlib.Path, Mapping[str, str]], None]
    input: Port
    output: Port
    example: np.ndarray
    facts: Mapping[str, str]

    def metadata(self) -> dict[str, str]:
        """What stands in the metadata of a file: the facts, after those of both ports."""
        return {'input': str(self.input), 'output': str(self.output), **self.facts}


def pixel_port(name: str, shape: tuple[int, ...], pixels: str, meaning: str) -> Port:
    """The port of images of a type in `PIXELS`. Raises ValueError for another one."""
    if pixels not in PIXELS:
        raise ValueError(f'pixels is {pixels!r}; accepted: {", ".join(PIXELS)}')
    return Port(name, shape, pixels, f'{meaning}; values {PIXELS[pixels]}')


def unit_range(images: jax.Array) -> jax.Array:
    """Images of a type in `PIXELS` as float32 in [0, 1]; `OnnxGraph.unit_range` is the same."""
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images


def write_stablehlo(function: Callable[[jax.Array], jax.Array], input: Port, path) -> None:
    """Writes a JAX function as one program for the platforms in `PLATFORMS` and any batch.

    Matrix products and convolutions are in full float32 on every platform, so that a check on one
    holds on the others.

    Args:
        function: of an array of the input port.
        input: what goes in.
        path: the file.
    """
    (batch,) = jax_export.symbolic_shape(BATCH)
    images = jax.ShapeDtypeStruct((batch, *input.shape), np.dtype(input.dtype))
    # `common.layers.conv` looks at the default device. For an accelerator it takes XLA's own
    # convolution, which every platform has; the fastest choice for this machine's CPU would be slow
    # elsewhere.
    with jax.default_device('tpu'), jax.default_matmul_precision('highest'):
        traced = core.jaxpr_as_fun(jax.make_jaxpr(function)(images))
    program = jax.jit(lambda images: traced(images)[0])
    exported = jax_export.export(program, platforms=PLATFORMS)(images)
    pathlib.Path(path).write_bytes(exported.serialize())


def compute(function: Callable, images: np.ndarray) -> np.ndarray:
    """Results of a JAX function in full float32."""
    with jax.default_matmul_precision('highest'):
        # An optimised program compiles twice as long, which a single call does not repay.
        compiled = jax.jit(function).lower(images).compile({'xla_backend_optimization_level': 0})
    return np.asarray(compiled(images))


def run_file(path, images: np.ndarray) -> np.ndarray:
    """Loads an exported file and runs it, in ONNX Runtime on the CPU or in JAX.

    Args:
        path: a file that ends in .onnx or .stablehlo.
        images: [B, ...] of its input.

    Returns:
        [B, ...].

    Raises:
        ValueError: if a package is missing.
    """
    path = pathlib.Path(path)
    if path.suffix == '.onnx':
        session = require('onnxruntime').InferenceSession(
            str(path), providers=['CPUExecutionProvider']
        )
        return session.run(None, {session.get_inputs()[0].name: images})[0]
    require('flatbuffers')
    return compute(jax_export.deserialize(bytearray(path.read_bytes())).call, images)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, divided by a largest value above 1; infinite if the shapes differ."""
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def write(
    model: Exportable,
    folder,
    formats: Sequence[str],
    *,
    source: Mapping[str, Any],
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Writes a network in some formats, and export.json: all files, or none if one is wrong.

    Args:
        model: the network.
        folder: an existing directory.
        formats: names in `FORMATS`.
        source: where the network comes from, for export.json: its checkpoint, step ...
        tolerance: largest difference between a loaded file and JAX that is accepted, relative to
            the largest result if that is above 1.

    Returns:
        What export.json holds: {'input', 'output', 'facts', 'source', 'files': {name: {'bytes',
        'difference', 'platforms', 'checked_on'}}, 'tolerance', 'versions'}.

    Raises:
        ValueError: unknown format, missing package, or a file whose results differ from JAX's.
    """
    formats, folder = check_formats(formats), pathlib.Path(folder)
    facts, files = model.metadata(), {}
    expected = compute(model.reference, model.example)
    with contextlib.ExitStack() as kept:
        for name in formats:
            path = folder / f'model.{name}'
            temporary = kept.enter_context(atomic_path(path))
            if name == 'onnx':
                model.write_onnx(temporary, facts)
            else:
                write_stablehlo(model.function, model.input, temporary)
            apart = difference(run_file(temporary, model.example), expected)
            if not apart <= tolerance:
                raise ValueError(
                    f'{path} is not written, since its results differ from those of JAX by '
                    f'{apart:.2g}; accepted is {tolerance:g}'
                )
            onnx = name == 'onnx'
            files[path.name] = {
                'bytes': temporary.stat().st_size,
                'difference': apart,
                'platforms': ['any ONNX runtime'] if onnx else PLATFORMS,
                'checked_on': 'cpu' if onnx else jax.default_backend(),
            }
    packages = ['jax', *(package for name in formats for package in FORMATS[name])]
    port = lambda port: {**dataclasses.asdict(port), 'shape': [BATCH, *port.shape]}
    record = {
        'input': port(model.input),
        'output': port(model.output),
        'facts': facts,
        'source': source,
        'files': files,
        'tolerance': tolerance,
        'versions': {name: require(name).__version__ for name in packages},
    }
    write_json(folder / RECORD_FILE, record)
    return record


def summary(record: Mapping[str, Any]) -> str:
    """A line for each file of a record of `write`."""
    return '\n'.join(
        f'{name}: {facts["bytes"] / 1e3:,.0f} kB; loaded back it differs from JAX by '
        f'{facts["difference"]:.1e} (accepted: {record["tolerance"]:g})'
        for name, facts in record['files'].items()
    )
