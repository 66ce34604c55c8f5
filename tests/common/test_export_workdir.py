"""The workdir of an export: a run of its own, or that of the training, whose record lists it."""

import json

import pytest

from common.export_config import ExportConfig
from common.export_workdir import check_destination, destination
from common.run import open_run


def test_destination_is_a_run_of_its_own(tmp_path):
    workdir = str(tmp_path / 'new')
    with destination(workdir, 'default', ExportConfig()) as folder:
        assert folder == tmp_path / 'new'
        (folder / 'export.json').write_text('{}')
    flags = (tmp_path / 'new' / 'flags.txt').read_text().splitlines()
    assert {'--mode=export', '--format=onnx', f'--workdir={workdir}'} <= set(flags)
    record = json.loads((tmp_path / 'new' / 'run.json').read_text())
    assert record['files'] == ['export.json', 'flags.txt', 'run.json'] and record['finished']


def test_another_export_is_refused_unless_it_overwrites(tmp_path):
    other = ExportConfig(pixels='uint8')
    with destination(str(tmp_path), 'default', ExportConfig()) as folder:
        (folder / 'model.onnx').write_text('earlier')
    with pytest.raises(ValueError, match='an export with --pixels=float32, not --pixels=uint8'):
        check_destination(str(tmp_path), 'default', other)
    check_destination(str(tmp_path), 'default', other, overwrite=True)
    with destination(str(tmp_path), 'default', other, overwrite=True):
        assert not (tmp_path / 'model.onnx').exists()


def test_record_of_the_training_survives_an_export_into_its_workdir(tmp_path):
    (tmp_path / 'flags.txt').write_text('--mode=train\n')
    own = str(tmp_path), f'{tmp_path}/../{tmp_path.name}', ExportConfig()
    with destination(*own) as folder:
        assert folder.samefile(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['flags.txt']
    assert (tmp_path / 'flags.txt').read_text() == '--mode=train\n'


def test_an_export_into_a_training_replaces_the_one_before_it(tmp_path):
    with open_run(tmp_path, '--mode=train') as run:
        run.writes('train.json')
        own = str(tmp_path), str(tmp_path), ExportConfig()
        with pytest.raises(ValueError, match='a training that has not ended'):
            check_destination(*own)
        with pytest.raises(ValueError, match='a training that has not ended'):
            destination(*own).__enter__()
        (tmp_path / 'train.json').write_text('{}')
        run.finish()
    for name in ('onnx', 'stablehlo'):
        config = ExportConfig(format=(name,))
        with destination(str(tmp_path), str(tmp_path), config) as folder:
            (folder / f'model.{name}').write_text(name)
            (folder / 'export.json').write_text(name)
    # Of the first export, nothing is left beside the second one.
    assert {path.name for path in tmp_path.glob('model.*')} == {'model.stablehlo'}
    files = json.loads((tmp_path / 'run.json').read_text())['files']
    assert files == ['export.json', 'flags.txt', 'model.stablehlo', 'run.json', 'train.json']


def test_a_failed_export_leaves_the_one_before_it_in_the_record(tmp_path):
    with open_run(tmp_path, '--mode=train') as run:
        run.finish()
    record = lambda: json.loads((tmp_path / 'run.json').read_text())
    with destination(str(tmp_path), str(tmp_path), ExportConfig()):
        (tmp_path / 'model.onnx').write_text('first')
    before = record()
    with (
        pytest.raises(ValueError, match='differ'),
        destination(str(tmp_path), str(tmp_path), ExportConfig(format=('stablehlo',))),
    ):
        assert 'model.stablehlo' in record()['files']
        raise ValueError('results differ')
    assert record() == before and (tmp_path / 'model.onnx').read_text() == 'first'


def test_destination_has_to_be_named():
    with pytest.raises(ValueError, match='--workdir'), destination(None, 'default', ExportConfig()):
        pass
