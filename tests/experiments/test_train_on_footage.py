"""`pano-depth --mode=train --train_data=PATH,rooms` as a user runs it."""

import json
import subprocess
import sys

import pytest

from pano_depth.footage.clip_folder import write_clip_folder
from tests.experiments.test_depth_main import ENVIRONMENT, ROOT
from tests.pano_depth.results import made_footage

pytestmark = pytest.mark.slow
COMMAND = (
    '--mode=train',
    '--train_data=footage,rooms',
    '--data_dir=data',
    '--workdir=run',
    '--steps=2',
    '--batch_size=1',
    '--face_size=16',
    '--depth_channels=8,8',
    '--pose_channels=8,8',
    '--pyramid=1',
    '--ssim_weight=0',
    '--compilation_cache=',
)


def test_clips_and_rooms_teach_together(tmp_path):
    for scene in range(2):
        clip = made_footage.walk(scene)
        write_clip_folder(tmp_path / 'footage', clip)
    (tmp_path / 'footage' / clip.name / 'poses.txt').write_text('no poses')
    done = subprocess.run(
        [sys.executable, str(ROOT / 'experiments' / 'depth_main.py'), *COMMAND],
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f'left out: footage/{clip.name}: ' in done.stdout
    assert 'held out: the last 3 of the 8 frames' in done.stdout
    record = json.loads((tmp_path / 'run' / 'run.json').read_text())
    assert [one['frames'] for one in record['clips']] == [5, 3] and len(record['left_out']) == 1
    scores = json.loads((tmp_path / 'run' / 'eval.json').read_text())
    assert scores['frames'] == 3 and set(scores['photometric_error']) == {'before', 'after'}
    assert scores['depth']['plain']['abs_rel'] > 0 and scores['pose']['rotation_deg'] >= 0
    assert '--train_data=footage,rooms' in (tmp_path / 'run' / 'flags.txt').read_text().split('\n')
