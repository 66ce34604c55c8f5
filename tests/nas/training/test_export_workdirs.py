"""An export refuses the workdir of an unrelated run, before it opens the network."""

import pytest

from common.run import open_run
from nas.training.config import ExportTrainedConfig
from nas.training.export_job import export_trained


@pytest.mark.parametrize(
    'flags, named',
    [
        ('--mode=search\n--seed=0\n', 'a run with --mode=search, not --mode=export'),
        ('--seed=0\n', 'a run with no --mode, not --mode=export'),
        ('--mode=train\n--cell=bn-conv1x1\n', 'a run with --mode=train, not --mode=export'),
        ('--mode=predict\n--input=clip.mp4\n', 'a run with --mode=predict, not --mode=export'),
        ('--mode=export\n--checkpoint=other\n', 'an export with --checkpoint=other'),
        # pano-depth has an export, too, with some options of the same names.
        (
            '--mode=export\n--checkpoint=trained\n--height=64\n',
            'with --height, which is no export of nas-search',
        ),
    ],
)
def test_workdirs_of_other_runs_stay_as_they_are(flags, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_run(tmp_path / 'run', flags) as run:
        run.writes('model.onnx')
        (run.path / 'model.onnx').write_text('mine')
        run.finish()
    before = {path.name: path.read_bytes() for path in (tmp_path / 'run').iterdir()}
    with pytest.raises(ValueError, match=named) as error:
        export_trained(ExportTrainedConfig(checkpoint='trained'), 'run')
    assert '\n' not in str(error.value)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / 'run').iterdir()}
    # To overwrite is to agree; then the network is missing, and again nothing is touched.
    with pytest.raises(ValueError, match=r'trained.network.json does not exist'):
        export_trained(ExportTrainedConfig(checkpoint='trained'), 'run', overwrite=True)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / 'run').iterdir()}


def test_the_networks_own_workdir_has_to_be_that_of_a_training(tmp_path):
    with open_run(tmp_path / 'run', '--mode=search\n') as run:
        run.finish()
    for checkpoint in (None, str(tmp_path / 'run')):
        for overwrite in (False, True):
            with pytest.raises(ValueError, match='with --mode=search, which is no training'):
                config = ExportTrainedConfig(checkpoint=checkpoint)
                export_trained(config, tmp_path / 'run', overwrite=overwrite)
