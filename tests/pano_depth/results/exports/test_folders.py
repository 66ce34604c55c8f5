"""Folders of exports: pieces, what is refused, what is replaced, the command's option."""

import dataclasses
import json

import numpy as np
import pytest

from pano_depth.results import ReconstructConfig
from pano_depth.results.exports import ExportConfig, folders


def test_every_piece_with_a_path_gets_a_folder(clip, make_result, tmp_path):
    found = make_result(clip, tmp_path / 'depth', cuts=(3,))
    config = ExportConfig(('colmap', 'nerfstudio', 'clip'), export_views='panoramas')
    facts = folders.export(tmp_path, found, config)
    assert list(facts) == ['colmap', 'colmap_2', 'nerfstudio', 'nerfstudio_2', 'clip']
    assert facts['colmap']['frames'] == [0, 2] and facts['colmap_2']['frames'] == [3, 4]
    assert list(facts['clip']['scenes']) == ['room', 'room_2']
    for name in ('colmap', 'colmap_2'):
        assert (tmp_path / name / 'sparse' / '0' / 'points3D.bin').is_file()
        assert json.loads((tmp_path / name / 'export.json').read_text()) == facts[name]
    # Names are numbers of the footage, rows of a clip are counted in their piece.
    assert (tmp_path / 'colmap_2' / 'images' / '000003.jpg').is_file()
    assert (tmp_path / 'clip' / 'room_2' / 'rgb' / '000000.png').is_file()
    assert {path.name for path in tmp_path.iterdir()} == {'depth', *facts}


def test_only_an_earlier_export_is_replaced(room, tmp_path):
    config = ExportConfig(export_views='faces')
    folders.export_one(tmp_path / 'here', room, 'nerfstudio', config)
    assert (tmp_path / 'here' / 'images' / 'up_000000.jpg').is_file()
    (tmp_path / 'here' / 'images' / 'more.jpg').touch()
    folders.export_one(tmp_path / 'here', room, 'nerfstudio', config)
    assert not (tmp_path / 'here' / 'images' / 'more.jpg').exists()
    with pytest.raises(ValueError, match='here holds files that are no export for colmap'):
        room.save(tmp_path / 'here', format='colmap')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'letter.txt').touch()
    with pytest.raises(ValueError, match='mine holds files that are no export for clip'):
        room.save(tmp_path / 'mine', format='clip')
    with pytest.raises(ValueError, match='letter.txt is a file'):
        room.save(tmp_path / 'mine' / 'letter.txt', format='clip')
    assert {path.name for path in tmp_path.iterdir()} == {'here', 'mine'}


def test_a_link_and_the_present_folder_are_replaced(room, tmp_path, monkeypatch):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'here').symlink_to(tmp_path / 'disk')
    config = ExportConfig(export_views='panoramas')
    for folder in (tmp_path / 'here', tmp_path / 'here', '.'):
        folders.export_one(folder, room, 'colmap', config)
        assert (tmp_path / 'here').is_symlink() and (tmp_path / 'disk' / 'export.json').is_file()
        monkeypatch.chdir(tmp_path / 'disk')
    assert {path.name for path in tmp_path.iterdir()} == {'disk', 'here'}


def test_an_export_that_fails_leaves_the_earlier_one(room, tmp_path, monkeypatch):
    config = ExportConfig(export_views='panoramas')
    folders.export_one(tmp_path / 'here', room, 'colmap', config)
    before = (tmp_path / 'here' / 'export.json').read_text()

    def fail(*_, **__):
        raise OSError('no space')

    monkeypatch.setattr(folders.colmap, 'write_model', fail)
    with pytest.raises(OSError):
        folders.export_one(tmp_path / 'here', room, 'colmap', config)
    assert (tmp_path / 'here' / 'export.json').read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ['here']


def test_without_a_path_there_is_a_sentence(room, clip, make_result, tmp_path, capsys):
    alone = make_result(clip, tmp_path / 'depth')
    analysis = alone.pieces[0].analysis._replace(poses=None)
    still = type(alone)(
        alone.footage,
        dataclasses.make_dataclass('Frames', ['indices', 'times'])(np.arange(5), None),
        [alone.pieces[0]._replace(analysis=analysis)],
        alone.model,
        height=64,
        reason='the camera stands still',
    )
    facts = folders.export(tmp_path, still, ExportConfig(('colmap', 'clip')))
    assert facts == {'reason': 'the camera stands still'}
    assert 'nothing for colmap, clip: the camera stands still' in capsys.readouterr().out
    assert not (tmp_path / 'colmap').exists()
    with pytest.raises(ValueError, match='room cannot be exported: the camera stands still'):
        still.save(tmp_path / 'colmap', format='colmap')
    assert folders.export(tmp_path, room, ExportConfig()) == {}


def test_depth_that_nothing_confirms_gives_a_model_without_points(
    clip, make_result, tmp_path, capsys
):
    found = make_result(clip, tmp_path / 'depth')
    for i in range(len(clip)):
        found.pieces[0].refined.put(i, clip.depth[i], np.full_like(clip.depth[i], 0.2))
    facts = folders.export(tmp_path, found, ExportConfig(('colmap', 'nerfstudio')))
    assert facts['colmap']['faces']['points'] == facts['nerfstudio']['faces']['points'] == 0
    assert 'colmap gets no points: no depth is confirmed by a second' in capsys.readouterr().out
    lines = (tmp_path / 'colmap' / 'sparse' / '0' / 'images.txt').read_text().splitlines()
    assert lines[-1] == '64.0 32.0 -1'  # readers fail on an empty line


def test_options_name_what_is_accepted(room, tmp_path):
    assert ReconstructConfig(exports=ExportConfig(('clip',))).exports.export_to == ('clip',)
    with pytest.raises(ValueError, match="--export_to names 'blender'; accepted: colmap, nerf"):
        ExportConfig(('colmap', 'blender'))
    with pytest.raises(ValueError, match='faces_fov is 170'):
        ExportConfig(faces_fov=170)
    with pytest.raises(ValueError, match="names 'tum'; accepted: colmap"):
        room.save(tmp_path / 'here', format='tum')


@pytest.mark.parametrize(
    'name, expected',
    [('a/b:c', 'a_b_c'), ('.hidden', 'hidden'), ('...', 'scene'), ('caf\u00e9 1', 'caf\u00e9 1')],
)
def test_scenes_have_names_that_are_folders(name, expected):
    assert folders.scene_name(name) == expected
