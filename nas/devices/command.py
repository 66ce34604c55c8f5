"""A user's own board: a command that receives the exported network and prints what it measured."""

import json
import pathlib
import tempfile
from typing import Any

from nas.devices.base import (
    CannotRun,
    DeviceError,
    Measurement,
    Network,
    as_model,
    check_at_least,
    is_number,
    shown,
)
from nas.devices.program import run_program
from nas.devices.words import content_of, split_words

_FIELDS = ('latency_ms', 'p10_ms', 'p90_ms', 'memory_mb', 'baseline_mb', 'repeats', 'note')


class CommandDevice:
    """Runs a command for each network, such as a script that times the file on a board.

    The command is started without a shell. Its last line on stdout is a JSON object:

    - with `latency_ms` (milliseconds for one call of the whole batch) and, if it knows them,
      `p10_ms`, `p90_ms`, `memory_mb` (peak, 10^6 bytes), `baseline_mb`, `repeats`, `note`, and `id`
      (which board it was: figures of another one are not taken for its own); any other number,
      such as `energy_mj` or `peak_w`, may be an objective; then the exit status is 0;
    - or with `error`, a text, if the board works but cannot run this network, whatever the exit
      status is: the network counts as failed.

    Everything else (the command cannot be started, fails, takes too long or prints anything else)
    says nothing about the network, since the board may be away: a search asks again.

    Attributes:
        name, identity, exclusive: see `nas.devices.base.Device`.
    """

    exclusive = True  # the command may run on this machine
    tells_more = True

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
            self._words = split_words(template)
        except ValueError as error:
            raise ValueError(f'command template {template!r} cannot be read: {error}') from error
        if '{model}' not in template:
            raise ValueError(
                f'command template {template!r} does not hold {{model}}, where the path of the '
                'ONNX file is put'
            )
        self._batch, self._timeout = batch, timeout
        self.name = f'command:{template} batch={batch}'

    @property
    def identity(self) -> str:
        """The name and the content of the files that the command names, as they are now."""
        return f'{self.name} content={content_of(self._words)}'

    def measure(self, network: Network) -> Measurement:
        """Exports the network, runs the command and reads its last line. See `Device.measure`."""
        network = as_model(network)
        with tempfile.TemporaryDirectory(prefix='pano_dppnet_') as folder:
            model = pathlib.Path(folder) / 'model.onnx'
            network.export(model)
            arguments = [
                word.replace('{model}', str(model)).replace('{batch}', str(self._batch))
                for word in self._words
            ]
            status, output, errors = run_program(arguments, timeout=self._timeout)
        return self._parse(status, output, errors)

    def _parse(self, status: int, output: str, errors: str) -> Measurement:
        """The figures in the last line of a command that has ended."""
        last = (output.strip().splitlines() or [''])[-1]
        values = _read(last)
        if isinstance(values, dict) and isinstance(values.get('error'), str):
            raise CannotRun(f'command {self._words[0]!r} cannot run it: {_line(values["error"])}')
        if status:
            ended = f'exit status {status}' if status > 0 else f'signal {-status}'
            raise DeviceError(f'command {self._words[0]!r} failed with {ended}{_tail(errors)}')
        problem = 'it is no JSON'
        if values is not None:
            problem = 'it is no JSON object with latency_ms'
        if isinstance(values, dict) and 'latency_ms' in values:
            known = {field: values[field] for field in _FIELDS if field in values}
            # Serial numbers may be whole numbers.
            board = values.get('id')
            board = str(board) if type(board) is int and abs(board) < 1 << 64 else board
            try:
                return Measurement(
                    **known,
                    batch_size=self._batch,
                    device=self.name,
                    device_id=board,
                    figures=_figures(values),
                )
            except ValueError as error:
                problem = str(error)
        raise DeviceError(
            f'the last line that command {self._words[0]!r} printed is {shown(last)}, which is no '
            f'measurement: {problem}'
        )


def _read(line: str) -> Any:
    """The JSON value of a line, None if it is none or nested too deeply to be read."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _figures(values: dict[str, Any]) -> dict[str, float]:
    """The numbers of a JSON object that are no fields of a measurement."""
    others = {name: value for name, value in values.items() if name not in (*_FIELDS, 'id')}
    return {name: float(value) for name, value in others.items() if is_number(value)}


def _line(text: str, length: int = 400) -> str:
    """The end of a text in one line that can be printed and written everywhere."""
    return ' '.join(text.encode(errors='replace').decode().split())[-length:]


def _tail(errors: str) -> str:
    """The end of what a command wrote to stderr, as the end of a sentence."""
    words = _line(errors)
    return f': {words}' if words else ' and wrote nothing to stderr'
