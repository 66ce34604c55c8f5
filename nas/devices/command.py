"""A user's own board: a command that receives the exported network and prints what it measured."""

import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import tempfile

from nas.devices.base import DeviceError, Measurement, Network, check_at_least, with_variables
from nas.networks import onnx_export

_FIELDS = ('latency_ms', 'p10_ms', 'p90_ms', 'memory_mb', 'baseline_mb', 'repeats', 'note')


class CommandDevice:
    """Runs a command for each network, such as a script that times the file on a board.

    The command is started without a shell. Its last line on stdout has to be a JSON object with
    `latency_ms` (milliseconds for one call of the whole batch) and, if it knows them, `p10_ms`,
    `p90_ms`, `memory_mb` (peak, 10^6 bytes), `baseline_mb`, `repeats` and `note`.

    Attributes:
        name, exclusive: see `nas.devices.base.Device`.
    """

    exclusive = True  # the command may run on this machine

    def __init__(self, template: str, *, batch: int = 1, timeout: int = 600):
        """Checks the command template.

        Args:
            template: the command; `{model}` becomes the path of the ONNX file, `{batch}` the batch
                size.
            batch: images in one call.
            timeout: seconds after which the command and what it started are killed.

        Raises:
            ValueError: if the template cannot be split into words or does not name `{model}`.
        """
        check_at_least(1, batch=batch, timeout=timeout)
        try:
            self._words = shlex.split(template)
        except ValueError as error:
            raise ValueError(f'command template {template!r} cannot be read: {error}') from error
        if '{model}' not in template:
            raise ValueError(
                f'command template {template!r} does not hold {{model}}, where the path of the '
                'ONNX file is put'
            )
        self._batch, self._timeout = batch, timeout
        self.name = f'command:{template} batch={batch}'

    def measure(self, network: Network) -> Measurement:
        """Exports the network, runs the command and reads its last line. See `Device.measure`."""
        plan, variables = with_variables(network)
        with tempfile.TemporaryDirectory(prefix='pano_dppnet_') as folder:
            model = pathlib.Path(folder) / 'model.onnx'
            onnx_export.export(plan, variables, model)
            output = self._run(
                [
                    word.replace('{model}', str(model)).replace('{batch}', str(self._batch))
                    for word in self._words
                ]
            )
        return self._parse(output)

    def _run(self, arguments: list[str]) -> str:
        """Returns the command's stdout; its own session lets a kill reach all that it started."""
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors='replace',
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(
                f'command {arguments[0]!r} cannot be started: {error.strerror}'
            ) from error
        try:
            output, errors = process.communicate(timeout=self._timeout)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise DeviceError(
                    f'command {arguments[0]!r} gave no answer within {self._timeout} s'
                ) from None
            raise
        if process.returncode:
            raise DeviceError(
                f'command {arguments[0]!r} failed with exit status {process.returncode}'
                f'{_tail(errors)}'
            )
        return output

    def _parse(self, output: str) -> Measurement:
        lines = output.strip().splitlines() or ['']
        try:
            values = json.loads(lines[-1])
            if not isinstance(values, dict) or 'latency_ms' not in values:
                raise ValueError('it is no JSON object with latency_ms')
            known = {field: values[field] for field in _FIELDS if field in values}
            return Measurement(**known, batch_size=self._batch, device=self.name)
        except ValueError as error:
            reason = 'it is no JSON' if isinstance(error, json.JSONDecodeError) else error
            raise DeviceError(
                f'the last line that command {self._words[0]!r} printed is '
                f'{lines[-1][:200]!r}, which is no measurement: {reason}'
            ) from error


def _tail(errors: str) -> str:
    """The end of what a command wrote to stderr, as the end of a sentence."""
    words = ' '.join(errors.split())
    return f': {words[-400:]}' if words else ' and wrote nothing to stderr'
