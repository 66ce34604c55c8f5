"""nas.devices.xla: a compiled network on this machine."""

import jax
import pytest

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.devices.base import CannotRun, DeviceError
from nas.devices.xla import XlaDevice
from nas.networks import network

PLAN = plan_lib.build(Cell.parse('bn-lgconv1x1-bn_relu-gconv3x3'), SKELETONS['tiny'])


@pytest.fixture(scope='module')
def measured():
    """Measurements of the same network at batch 1 and 16."""
    return {
        batch: XlaDevice('cpu', batch=batch, warmup=1, repeats=20, min_seconds=0).measure(PLAN)
        for batch in (1, 16)
    }


def test_percentiles_are_in_order_and_the_device_is_named(measured):
    for batch, result in measured.items():
        assert 0 < result.p10_ms <= result.latency_ms <= result.p90_ms < 1e4
        assert result.batch_size == batch and result.repeats == 20 and not result.estimated
        assert f'batch={batch} ' in result.device and jax.__version__ in result.device


def test_memory_holds_weights_and_grows_with_the_images(measured):
    weights = 4e-6 * network.count_params(network.init(jax.random.key(0), PLAN, deployed=True))
    images = 4e-6 * 15 * 8 * 8 * 3
    assert measured[1].memory_mb > weights
    assert measured[16].memory_mb > measured[1].memory_mb + images


def test_a_slow_network_ends_in_time():
    device = XlaDevice('cpu', warmup=1, repeats=1_000_000, seconds=1)
    assert 5 < device.measure(PLAN).repeats < 1_000_000


def test_the_timing_is_that_of_the_options(monkeypatch):
    asked = {}
    monkeypatch.setattr(
        'nas.devices.xla.quietest_round', lambda call, **options: asked.update(options) or [1.0]
    )
    XlaDevice('cpu', warmup=1, repeats=2, seconds=4, min_seconds=3).measure(PLAN)
    assert asked == {'warmup': 1, 'repeats': 2, 'min_seconds': 3, 'max_seconds': 4}
    with pytest.raises(ValueError, match='min_seconds is -1; a whole number of at least 0'):
        XlaDevice('cpu', min_seconds=-1)


def test_platform_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match='tpu.*present: cpu') as caught:
        XlaDevice('tpu')
    assert '\n' not in str(caught.value)


def test_failure_of_the_runtime_is_no_number(monkeypatch):
    def fail(*_, **__):
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')

    device = XlaDevice('cpu')
    monkeypatch.setattr('nas.devices.xla.quietest_round', fail)
    with pytest.raises(DeviceError, match='out of memory') as caught:
        device.measure(PLAN)
    # Another program may have taken the memory.
    assert not isinstance(caught.value, CannotRun)


def test_what_the_device_cannot_compute_is_the_network_s_fault(monkeypatch):
    def fail(*_, **__):
        raise jax.errors.JaxRuntimeError('UNIMPLEMENTED: no such convolution')

    device = XlaDevice('cpu')
    monkeypatch.setattr('nas.devices.xla.quietest_round', fail)
    with pytest.raises(CannotRun, match='no such convolution'):
        device.measure(PLAN)
