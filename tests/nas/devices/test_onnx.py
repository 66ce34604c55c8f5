"""nas.devices.onnx: timing in ONNX Runtime, in a process of its own."""

import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.devices.base import CannotRun, DeviceError, cores
from nas.devices.onnx import OnnxDevice
from nas.networks import network, onnx_export

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

ROOT = pathlib.Path(__file__).parents[3]
PLAN = plan_lib.build(Cell.parse('bn-conv3x3'), SKELETONS['tiny'])


@pytest.fixture(scope='module')
def variables():
    return network.init(jax.random.key(0), PLAN, deployed=True)


def test_figures_are_those_of_a_small_fresh_process(variables):
    ballast = np.ones(
        80_000_000, np.float32
    )  # this process holds 320 MB more than the measured one may
    result = OnnxDevice(threads=1, batch=2, repeats=20).measure((PLAN, variables))
    del ballast
    assert 0 < result.p10_ms <= result.latency_ms <= result.p90_ms < 1e3
    assert 5 < result.baseline_mb < result.memory_mb < 320
    assert (result.batch_size, result.repeats, result.estimated) == (2, 20, False)
    assert 'threads=1' in result.device and 'onnxruntime=' in result.device


def test_the_worker_gets_the_options(variables, monkeypatch):
    asked = []

    def run(command, **_):
        asked.extend(map(int, command[-4:]))
        return subprocess.CompletedProcess(command, 0, '{"latency_ms": 1}', '')

    monkeypatch.setattr('nas.devices.onnx.subprocess.run', run)
    OnnxDevice(threads=1, batch=2, warmup=3, repeats=4, min_seconds=5).measure((PLAN, variables))
    assert asked == [1, 3, 4, 5]
    with pytest.raises(ValueError, match='min_seconds is -1; a whole number of at least 0'):
        OnnxDevice(min_seconds=-1)


def test_worker_loads_no_jax():
    script = (
        'import sys; sys.path.insert(0, sys.argv[1]); import nas.devices.onnx_worker; '
        'sys.exit(bool({"jax", "flax", "onnx"} & set(sys.modules)))'
    )
    assert subprocess.run([sys.executable, '-c', script, str(ROOT)], check=False).returncode == 0


def test_a_file_that_differs_from_jax_is_not_timed(variables, monkeypatch):
    export = onnx_export.export

    def export_wrongly(plan, variables, path):
        export(plan, jax.tree.map(lambda leaf: leaf * 1.1, variables), path)

    monkeypatch.setattr(onnx_export, 'export', export_wrongly)
    with pytest.raises(CannotRun, match='differ'):
        OnnxDevice().measure((PLAN, variables))


def test_a_crash_of_the_runtime_is_no_number(variables, monkeypatch):
    monkeypatch.setattr(onnx_export, 'verify', lambda path, *_: path.write_bytes(b'no model'))
    with pytest.raises(DeviceError, match='ONNX Runtime failed with exit status 1'):
        OnnxDevice().measure((PLAN, variables))


def test_a_worker_that_prints_nothing_is_no_number(variables, monkeypatch):
    done = subprocess.CompletedProcess([], 0, stdout='', stderr='')
    monkeypatch.setattr('nas.devices.onnx.subprocess.run', lambda *_, **__: done)
    with pytest.raises(DeviceError, match="printed no figures but ''"):
        OnnxDevice().measure((PLAN, variables))


def test_more_threads_than_cores_are_refused():
    with pytest.raises(ValueError, match=f'threads is {cores() + 1}'):
        OnnxDevice(threads=cores() + 1)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ValueError, match=r'onnxruntime is missing.*pano-dppnet\[export\]'):
        OnnxDevice()
