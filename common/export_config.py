"""Which files an export writes, known without JAX."""

import dataclasses
from typing import Literal

from common.options import option

RECORD_FILE = 'export.json'
# What exports of all formats write into their workdir.
FILES = ('model.onnx', 'model.stablehlo', RECORD_FILE)


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What is written; the same for every network."""

    format: tuple[str, ...] = option(('onnx',), 'files of --mode=export: onnx, stablehlo or both')
    pixels: Literal['float32', 'uint8'] = option(
        'float32', 'what images the files take: float32 from 0 to 1, or uint8 from 0 to 255'
    )
