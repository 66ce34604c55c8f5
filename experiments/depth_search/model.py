"""A depth network as the devices of `nas` measure it: from panorama to depth, as it is deployed."""

import functools
from collections.abc import Callable

import numpy as np

from common.run import digest_of
from pano_depth.learning.cells import build
from pano_depth.learning.model import ModelConfig
from pano_depth.results import export

# Counted up when networks are deployed in another way, so that earlier measurements do not count.
DEPLOYED = 1


class DepthModel:
    """A depth network with random weights, see `nas.devices.base.Model`.

    Attributes:
        fingerprint: of its layers, its padding and the size of the panorama.
    """

    def __init__(self, config: ModelConfig, panorama_height: int):
        """Takes a network.

        Args:
            config: of the networks; the pose network does not count.
            panorama_height: rows of the panorama that goes in and of the depth that comes out.

        Raises:
            ValueError: the height is no multiple of what the network sees.
        """
        self._config, self._height = config, export.rows_of(config, panorama_height)
        size = config.padding, config.face_size, self._height
        self.fingerprint = f'depth:{digest_of(DEPLOYED, repr(build.build(config)), *size)}'

    @functools.cached_property
    def _params(self):
        return export.random_params(self._config)

    def inputs(self, batch: int) -> np.ndarray:
        """Panoramas [batch, H, 2H, 3] float32 in [0, 1]."""
        size = (batch, self._height, 2 * self._height, 3)
        return np.random.default_rng(0).random(size, np.float32)

    def compiled(self, batch: int) -> tuple[Callable, tuple]:
        """(function, arguments) of one call from panoramas to depth."""
        network = export.deployed(self._params, self._config, self._height)
        return network.function, (network.weights, self.inputs(batch))

    def export(self, path) -> None:
        """Writes the ONNX file. Raises ValueError if a package is missing."""
        export.write_onnx(path, self._params, self._config, self._height)

    def verify(self, path) -> None:
        """Compares the ONNX file with JAX. Raises ValueError if they differ."""
        export.verify_onnx(path, self._params, self._config, self._height)
