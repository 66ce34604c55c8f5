"""The network of a plan as devices take it: a call to compile, a file to export."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from nas.cells.fingerprint import plan_hash
from nas.cells.plan import Plan
from nas.networks import network, onnx_export


@dataclasses.dataclass(frozen=True, eq=False)
class PlanModel:
    """The deployed network of a plan; has the methods of `nas.devices.base.Model`.

    Attributes:
        plan: the layer records.
        variables: of the deployed network.
    """

    plan: Plan
    variables: Any

    @classmethod
    def random(cls, plan: Plan) -> 'PlanModel':
        """The network of a plan with random weights."""
        return cls(plan, network.init(jax.random.key(0), plan, deployed=True))

    @property
    def fingerprint(self) -> str:
        """What measurements of the network depend on: its plan, not its weights."""
        return plan_hash(self.plan)

    def inputs(self, batch: int) -> np.ndarray:
        """Random images in [0, 1], float32 [batch, H, W, C]."""
        image = self.plan[0]
        shape = (batch, image.out_size, image.out_size, image.out_channels)
        return np.random.default_rng(0).random(shape, np.float32)

    def compiled(self, batch: int) -> tuple[Callable, tuple]:
        """Returns (function, arguments) of one call of a whole batch, to be compiled."""
        apply = network.Network(self.plan, deployed=True).apply
        return apply, (self.variables, self.inputs(batch))

    def export(self, path) -> None:
        """Writes the ONNX file. Raises ValueError as `onnx_export.export`."""
        onnx_export.export(self.plan, self.variables, path)

    def verify(self, path) -> None:
        """Raises ValueError if the ONNX file computes something else than JAX."""
        onnx_export.verify(path, self.plan, self.variables)
