"""Which files below a folder are images, with links, odd names and leavings of tools."""

import os

import pytest

from nas.datasets.files import walk
from nas.datasets.open_images import open_images, path_of
from tests.nas.datasets.test_image_folder import files, png, write_folder


def test_links_are_followed_but_not_in_circles(tmp_path):
    write_folder(tmp_path / 'data', files(splits=('',)))
    write_folder(tmp_path / 'else', {'ants/0.png': png(9)})
    (tmp_path / 'data/ant/more').symlink_to(tmp_path / 'else/ants')
    (tmp_path / 'data/ant/again').symlink_to(tmp_path / 'data/ant')
    (tmp_path / 'data/cat/up').symlink_to(tmp_path / 'data')
    found = walk(tmp_path / 'data')
    assert sorted(found.names) == sorted([*files(splits=('',)), 'ant/more/0.png'])
    (tmp_path / 'linked').symlink_to(tmp_path / 'data')
    assert sorted(walk(tmp_path / 'linked').names) == sorted(found.names)


@pytest.mark.parametrize('stream', ['', ',stream'])
def test_a_link_to_nothing_is_named_before_anything_is_decoded(tmp_path, stream):
    spec = write_folder(tmp_path, files(splits=('',)))
    (tmp_path / 'ant/lost.png').symlink_to(tmp_path / 'nowhere.png')
    with pytest.raises(ValueError, match='image ant/lost.png is a link to nothing'):
        open_images(spec + stream, size=4)


@pytest.mark.parametrize('target', ['nowhere', 'wolf'])
def test_a_class_on_a_disk_that_is_not_there_is_named(tmp_path, target):
    write_folder(tmp_path, files(splits=('',)))
    (tmp_path / 'notes.txt').symlink_to('nowhere')
    assert len(walk(tmp_path).folders) == 2
    (tmp_path / 'wolf').symlink_to(target)
    with pytest.raises(ValueError, match='wolf is a link to nothing'):
        walk(tmp_path)


def test_what_tools_leave_behind_is_no_class_and_other_formats_are_said(tmp_path):
    more = {'__MACOSX/cat/._0.png': b'x', '.cache/a.png': b'x', '@eaDir/cat/0.jpg': b'x'}
    more |= {'cat/live.HEIC': b'x', 'cat/other.heic': b'x', 'ant/notes.txt': b'x'}
    data = open_images(write_folder(tmp_path, files(splits=('',)) | more), size=4)
    assert data.train.classes == ('ant', 'cat') and len(data.train) == 8
    assert 'files that are not read: 2 .heic' in data.note
    with pytest.raises(ValueError, match='holds no images; files that are not read: 1 .heic'):
        open_images(write_folder(tmp_path / 'phone', {'cat/0.heic': b'x'}), size=4)


@pytest.mark.parametrize('name', ['my photos', 'été 日本', 'a:b', 'x,stream y', "it's"])
@pytest.mark.parametrize('stream', ['', ',stream'])
def test_odd_names_of_folders(tmp_path, name, stream, monkeypatch):
    contents = {path.replace('cat', f'{name} 2'): data for path, data in files().items()}
    write_folder(tmp_path / name, contents)
    monkeypatch.setenv('HOME', str(tmp_path))
    for place in (tmp_path / name, f'~/{name}'):
        data = open_images(f'folder:{place}{stream}', size=4)
        assert set(data.train.classes) == {'ant', f'{name} 2'} and len(data.test) == 10


@pytest.mark.parametrize('end', ['', ',stream', ',background=black', ',background=red,stream'])
def test_the_path_of_a_data_set_is_found_in_its_text(end):
    assert path_of(f'folder:/a: b, c{end}') == '/a: b, c'


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write_folder(tmp_path, files(splits=('',)))
    listed = os.scandir

    def scandir(path):
        if str(path).endswith('cat'):
            raise PermissionError(13, 'Permission denied')
        return listed(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    with pytest.raises(ValueError, match='folder cat cannot be read: Permission denied'):
        walk(tmp_path)
