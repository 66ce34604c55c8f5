"""nas.devices.specs: devices by name."""

import pytest

from nas.devices import specs


@pytest.mark.parametrize(
    'spec, named',
    [
        ('xla', ('xla:', 'batch=1')),
        ('xla:cpu', ('xla:cpu', 'batch=1')),
        ('xla:cpu,batch=3', ('xla:cpu', 'batch=3')),
        ('xla,batch=2', ('xla:', 'batch=2')),
        ('profile:phone', ('profile:phone', 'estimate')),
        ('command:python -c "1:2,x" {model}', ('command:python -c "1:2,x" {model}', 'batch=1')),
        (
            'command,batch=4,timeout=5:run {model} {batch}',
            ('command:run {model} {batch}', 'batch=4'),
        ),
    ],
)
def test_the_name_says_what_was_asked_for(spec, named):
    name = specs.open_device(spec).name
    assert all(part in name for part in named)


def test_onnx_takes_threads_and_batch():
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnx')
    name = specs.open_device('onnx:threads=1,batch=2').name
    assert name.startswith('onnx:') and 'threads=1' in name and 'batch=2' in name


@pytest.mark.parametrize('kind, option', [('xla', 'repeats=7'), ('onnx', 'min_seconds=9')])
def test_how_it_times_is_a_part_of_the_identity_but_not_of_the_name(kind, option):
    if kind == 'onnx':
        pytest.importorskip('onnxruntime')
        pytest.importorskip('onnx')
    usual, other = specs.open_device(kind), specs.open_device(f'{kind}:{option}')
    assert usual.name == other.name and usual.identity != other.identity


@pytest.mark.parametrize(
    'spec, named',
    [
        ('abacus', 'abacus.*xla.*onnx.*command.*profile'),
        ('', 'unknown'),
        ('xla:vulkan', 'vulkan.*cpu, gpu, tpu'),
        ('xla:tpu', 'no tpu.*present: cpu'),
        ('xla:cpu:gpu', 'cpu:gpu'),
        ('xla:cpu,gpu', 'cannot be read'),
        ('xla:batch=x', 'batch=x.*batch=N'),
        ('xla:batch=0', 'batch is 0'),
        ('xla:depth=3', 'depth=3'),
        ('xla:batch=1,batch=2', 'batch=2'),
        ('xla:min_seconds=-1', 'min_seconds=-1'),
        ('profile', 'profile'),
        ('profile:toaster', 'toaster'),
        ('command', 'TEMPLATE'),
        ('command:run', '{model}'),
        ('command:run "{model}', 'run'),
        ('onnx:gpu', 'onnx:gpu'),
    ],
)
def test_what_cannot_be_opened_is_named_in_one_sentence(spec, named):
    with pytest.raises(ValueError, match=named) as caught:
        specs.open_device(spec)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text, expected',
    [
        ('xla', ['xla']),
        ('xla:cpu,onnx:threads=1', ['xla:cpu', 'onnx:threads=1']),
        (
            'xla,batch=4,onnx:threads=2,batch=4,profile:phone',
            ['xla,batch=4', 'onnx:threads=2,batch=4', 'profile:phone'],
        ),
        ('xla,command,batch=2:a {model}, xla,onnx', ['xla', 'command,batch=2:a {model}, xla,onnx']),
    ],
)
def test_a_list_is_split_between_devices_not_between_options(text, expected):
    assert specs.split_specs(text) == expected
