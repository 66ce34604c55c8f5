"""The configuration of measurements, which loads no JAX."""

import dataclasses

from common.options import WRITTEN, option


@dataclasses.dataclass(frozen=True)
class MeasureConfig:
    """Devices, and the directory of their measurements."""

    device: tuple[str, ...] = option(
        (),
        'device to measure on: xla, xla:gpu,batch=64, onnx:threads=1, profile:phone,'
        ' "command:TEMPLATE" with {model} and {batch}, ...; --mode=cost takes several, with commas'
        ' or by repeating the flag; with --benchmark: NAME of a latency column lat_NAME',
        repeated=True,
    )
    measurement_cache: str = option(
        '~/.cache/pano_dppnet/measurements',
        'directory that keeps measurements, so that nothing is measured twice; empty for none',
        path=WRITTEN,
    )
    remeasure: bool = option(
        False, 'measure again what the directory of measurements knows, and keep the new figures'
    )
