"""The compiled network on a local JAX device: CPU with all its cores, GPU or TPU."""

import jax
import numpy as np

from nas.devices.base import (
    CannotRun,
    DeviceError,
    Measurement,
    Network,
    as_model,
    check_at_least,
    cores,
    is_model,
    processor,
)
from nas.devices.timing import quietest_round

PLATFORMS = ('cpu', 'gpu', 'tpu')
# How errors of the runtime begin that come from the network; others may come from the device.
_OF_THE_NETWORK = ('INVALID_ARGUMENT', 'UNIMPLEMENTED')


def _find(platform: str) -> jax.Device:
    """The first local device of a platform, '' for JAX's own choice; else raises ValueError."""
    if platform not in ('', *PLATFORMS):
        raise ValueError(f'platform {platform!r} is unknown; accepted: {", ".join(PLATFORMS)}')
    try:
        return jax.local_devices(backend=platform or None)[0]
    except RuntimeError as error:
        present = [name for name in PLATFORMS if _present(name)]
        raise ValueError(
            f'no {platform} is there for JAX to use; present: {", ".join(present)}'
        ) from error


def _present(platform: str) -> bool:
    try:
        return bool(jax.local_devices(backend=platform))
    except RuntimeError:
        return False


def _peak_bytes(compiled) -> int | None:
    """Memory that the compiler plans for one call: arguments, results, temporaries and code."""
    plan = compiled.memory_analysis()
    if plan is None:
        return None
    return (
        plan.argument_size_in_bytes
        + plan.output_size_in_bytes
        + plan.temp_size_in_bytes
        + plan.generated_code_size_in_bytes
        - plan.alias_size_in_bytes
    )


class XlaDevice:
    """Compiles each network for one device of this machine and times calls of it.

    Attributes:
        name, identity, exclusive: see `nas.devices.base.Device`.
    """

    exclusive = True

    def __init__(
        self,
        platform: str = '',
        *,
        batch: int = 1,
        warmup: int = 3,
        repeats: int = 50,
        seconds: int = 20,
        min_seconds: int = 2,
    ):
        """Finds the device and checks the options.

        Args:
            platform: 'cpu', 'gpu' or 'tpu'; '' for the one that JAX prefers.
            batch: images in one call.
            warmup: calls before the timed ones.
            repeats: timed calls of a round.
            seconds: a slow network is timed no longer than this, but for at least five calls.
            min_seconds: rounds are repeated for this long, but no longer than `seconds`; the
                quietest one counts.

        Raises:
            ValueError: for a number out of range, or a platform that is not there.
        """
        check_at_least(1, batch=batch, warmup=warmup, repeats=repeats, seconds=seconds)
        check_at_least(0, min_seconds=min_seconds)
        self._timing = {
            'warmup': warmup,
            'repeats': repeats,
            'min_seconds': min_seconds,
            'max_seconds': seconds,
        }
        self._device = _find(platform)
        self._batch = batch
        kind = self._device.device_kind
        hardware = f'{processor()} cores={cores()}' if self._device.platform == 'cpu' else kind
        self.name = f'xla:{self._device.platform} {hardware} batch={batch} jax={jax.__version__}'
        timing = ' '.join(f'{name}={value}' for name, value in self._timing.items())
        self.identity = f'{self.name} {timing}'

    def measure(self, network: Network) -> Measurement:
        """Median and percentiles of a call, memory as compiled. See `Device.measure`."""
        function, arguments = as_model(network).compiled(self._batch)
        try:
            with jax.default_device(self._device):
                arguments = jax.device_put(tuple(arguments), self._device)
                compiled = jax.jit(function).lower(*arguments).compile()
                times = quietest_round(
                    lambda: jax.block_until_ready(compiled(*arguments)), **self._timing
                )
        except jax.errors.JaxRuntimeError as error:
            reason = ' '.join(str(error).split())[:300]
            kind = CannotRun if reason.startswith(_OF_THE_NETWORK) else DeviceError
            raise kind(f'{self.name} could not run the network: {reason}') from error
        low, median, high = np.percentile(times, (10, 50, 90)).tolist()
        peak = _peak_bytes(compiled)
        return Measurement(
            median,
            low,
            high,
            None if peak is None else peak / 1e6,
            batch_size=self._batch,
            device=self.name,
            repeats=len(times),
            note=(
                'memory is what the compiler plans for one call: weights, '
                f'{"inputs, results" if is_model(network) else "images, logits"}, temporaries and'
                ' code'
            ),
        )
