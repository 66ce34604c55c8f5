"""ONNX Runtime on this CPU with a given number of threads, in place of a phone or a board."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from common.onnx_graph import require
from nas.devices.base import (
    CannotRun,
    DeviceError,
    Measurement,
    Model,
    Network,
    as_model,
    check_at_least,
    cores,
    processor,
    shown,
)

_ROOT = pathlib.Path(__file__).resolve().parents[2]


class OnnxDevice:
    """Exports each network, checks the file against JAX, and times it in a fresh process.

    Attributes:
        name, identity, exclusive: see `nas.devices.base.Device`.
    """

    exclusive = True

    def __init__(
        self,
        *,
        threads: int = 1,
        batch: int = 1,
        warmup: int = 5,
        repeats: int = 50,
        min_seconds: int = 2,
        timeout: int = 600,
    ):
        """Checks the options and the packages.

        Args:
            threads: threads of ONNX Runtime, at most this machine's cores.
            batch: images in one call.
            warmup: calls before the timed ones.
            repeats: timed calls of a round.
            min_seconds: rounds are repeated for this long; the quietest one counts.
            timeout: seconds after which the process is killed.

        Raises:
            ValueError: for a number out of range, or if the packages are missing.
        """
        check_at_least(
            1, threads=threads, batch=batch, warmup=warmup, repeats=repeats, timeout=timeout
        )
        check_at_least(0, min_seconds=min_seconds)
        if threads > cores():
            raise ValueError(f'threads is {threads}, but this machine offers {cores()}')
        require('onnx')
        version = require('onnxruntime').__version__
        self._batch, self._timeout = batch, timeout
        self._timing = (threads, warmup, repeats, min_seconds)
        self.name = f'onnx:{processor()} threads={threads} batch={batch} onnxruntime={version}'
        self.identity = f'{self.name} warmup={warmup} repeats={repeats} min_seconds={min_seconds}'

    def measure(self, network: Network) -> Measurement:
        """Median and percentiles of a call, and peak resident memory. See `Device.measure`."""
        model = as_model(network)
        with tempfile.TemporaryDirectory(prefix='pano_dppnet_') as folder:
            values = self._measure_in(pathlib.Path(folder), model)
        note = (
            'memory is the peak resident memory of the whole process, baseline that before loading'
        )
        return Measurement(**values, batch_size=self._batch, device=self.name, note=note)

    def _measure_in(self, folder: pathlib.Path, model: Model) -> dict:
        """Writes the network and what it is fed with into a folder, and times them."""
        path, inputs = folder / 'model.onnx', folder / 'inputs.npy'
        model.export(path)
        try:
            model.verify(path)
        except ValueError as error:
            raise CannotRun(str(error)) from error
        np.save(inputs, model.inputs(self._batch), allow_pickle=False)
        return self._time(path, inputs)

    def _time(self, path: pathlib.Path, inputs: pathlib.Path) -> dict:
        """The figures that a process of its own prints."""
        command = [
            *(sys.executable, '-m', 'nas.devices.onnx_worker'),
            *(str(path), str(inputs)),
            *map(str, self._timing),
        ]
        search = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get('PYTHONPATH'))))
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=self._timeout,
                check=False,
                stdin=subprocess.DEVNULL,
                env=os.environ | {'PYTHONPATH': search},
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(f'ONNX Runtime gave no answer within {self._timeout} s') from None
        if done.returncode:
            raise DeviceError(
                f'ONNX Runtime failed with exit status {done.returncode}: '
                f'{" ".join(done.stderr.split())[-400:]}'
            )
        try:
            return json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise DeviceError(
                f'the process of ONNX Runtime printed no figures but {shown(done.stdout)}'
            ) from error
