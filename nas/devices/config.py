"""Where networks are measured, known without JAX."""

import dataclasses

from common.options import option


@dataclasses.dataclass(frozen=True)
class MeasureConfig:
    """Devices, and where their measurements are kept."""

    device: tuple[str, ...] = option(
        (),
        'device to measure on: xla, xla:gpu,batch=64, onnx:threads=1, profile:phone,'
        ' "command:TEMPLATE" with {model} and {batch}, ...; --mode=cost takes several, with commas'
        ' or by repeating the flag; with --benchmark: the NAME of a column lat_NAME',
        repeated=True,
    )
    measurement_cache: str = option(
        '~/.cache/pano_dppnet/measurements',
        'directory of what was measured before, which is not measured again; empty for none',
    )
