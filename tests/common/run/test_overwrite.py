"""Overwriting a run: all of its files go, nothing else, and a kill in between does no harm."""

import json
import os
import pathlib

import pytest

from common import run
from common.run import overwrite


def made(folder, *names):
    for name in names:
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def names_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()}


@pytest.fixture
def earlier(tmp_path):
    """The directory of a run that has ended."""
    with run.open_run(tmp_path / 'run', '--npy') as directory:
        directory.writes('depth/{000000..000001}.npy', 'cloud.ply', 'checkpoints/', 'events.*')
        made(directory.path, 'depth/000000.npy', 'depth/000001.npy', 'cloud.ply', 'events.out.1')
        made(directory.path, 'checkpoints/3/state/leaf')
        directory.update(prediction={'unit': 'metre'})
        directory.finish()
    return tmp_path / 'run'


def test_nothing_of_an_overwritten_run_stays(earlier):
    with run.open_run(earlier, '--nonpy', overwrite=True) as directory:
        assert not directory.resumed and directory.record['resumed'] == []
        assert 'prediction' not in directory.record
    assert names_in(earlier) == {'.lock', 'flags.txt', 'run.json'}
    assert not (earlier / 'depth').exists() and not (earlier / 'checkpoints').exists()
    assert '--overwrite' not in (earlier / 'flags.txt').read_text()


def test_a_new_or_empty_directory_may_be_overwritten(tmp_path):
    run.check_workdir(tmp_path / 'new', overwrite=True)
    run.open_run(tmp_path / 'new', '', overwrite=True).close()
    (tmp_path / 'empty').mkdir()
    run.open_run(tmp_path / 'empty', '', overwrite=True).close()


@pytest.mark.parametrize('name', ['notes.txt', 'depth/000002.npy', 'depth/mine/a.png'])
def test_a_file_that_no_run_wrote_is_never_removed(earlier, name):
    made(earlier, name)
    before = names_in(earlier)
    for attempt in (run.check_workdir, lambda path, **more: run.open_run(path, '', **more)):
        with pytest.raises(ValueError, match=f'holds {name}, which no run wrote'):
            attempt(earlier, overwrite=True)
    assert names_in(earlier) == before
    run.open_run(earlier, '').close()  # the refusal gives the lock back


def test_what_the_run_reads_is_not_removed(earlier):
    reads = {'mask': str(earlier / 'cloud.ply'), 'checkpoint': 'default', 'poses': None}
    with pytest.raises(ValueError, match='--overwrite would remove --mask=.*cloud.ply'):
        run.check_workdir(earlier, overwrite=True, reads=reads)
    with pytest.raises(ValueError, match='--overwrite would remove --checkpoint='):
        run.open_run(earlier, '', overwrite=True, reads={'checkpoint': earlier})
    assert (earlier / 'cloud.ply').exists()
    run.check_workdir(earlier, overwrite=True, reads={'input': earlier.parent / 'clips'})


def test_links_are_removed_and_not_what_they_lead_to(earlier, tmp_path):
    made(tmp_path / 'disk', 'photo.png')
    with run.open_run(earlier, '') as directory:
        directory.writes('exported')
        (earlier / 'exported').symlink_to(tmp_path / 'disk')
    run.open_run(earlier, '', overwrite=True).close()
    assert not (earlier / 'exported').is_symlink() and (tmp_path / 'disk' / 'photo.png').exists()


def test_a_run_of_before_files_were_listed_is_overwritten_by_known_names(earlier):
    record = json.loads((earlier / 'run.json').read_text())
    del record['files']
    run.write_json(earlier / 'run.json', record)
    with pytest.raises(ValueError, match='which no run wrote'):
        run.open_run(earlier, '', overwrite=True, known=['cloud*.ply'])
    known = ['cloud*.ply', 'depth/[0-9]*.npy', 'checkpoints/', 'events.out.*']
    run.open_run(earlier, '', overwrite=True, known=known).close()
    assert names_in(earlier) == {'.lock', 'flags.txt', 'run.json'}


def test_a_damaged_record_can_be_overwritten(earlier):
    (earlier / 'run.json').write_text('{"started"')
    with pytest.raises(ValueError, match='is not the JSON of an earlier run'):
        run.earlier_run(earlier)
    assert run.earlier_run(earlier, overwrite=True) == (None, {})
    known = ['cloud*.ply', 'depth/*', 'checkpoints/', 'events.out.*']
    run.open_run(earlier, '', overwrite=True, known=known).close()
    assert names_in(earlier) == {'.lock', 'flags.txt', 'run.json'}


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize('survived', range(7))
def test_killed_while_removing_it_is_an_empty_directory_to_any_command(
    earlier, survived, monkeypatch
):
    """Each change on disk once is the last one that is made."""
    left = [survived]

    def dying(function):
        def call(*given, **more):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return function(*given, **more)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(overwrite, 'remove', dying(overwrite.remove))
        patch.setattr(overwrite, 'write_json', dying(overwrite.write_json))
        patch.setattr(pathlib.Path, 'unlink', dying(pathlib.Path.unlink))
        with pytest.raises(Killed):
            run.open_run(earlier, '--nonpy', overwrite=True)
    flags, record = run.earlier_run(earlier)
    if survived:
        assert (flags, record) == (None, {})
    else:
        assert flags == '--npy\n' and run.Names(record['files']).missing(earlier) is None
    with run.open_run(earlier, '--nonpy', overwrite=not survived) as directory:
        assert not directory.resumed
    assert names_in(earlier) == {'.lock', 'flags.txt', 'run.json'}


def test_a_run_that_goes_on_keeps_what_it_writes_again_and_drops_the_rest(earlier):
    with run.open_run(earlier, '--npy') as directory:
        assert directory.record['finished'] is None
        directory.writes('depth/{000000..000001}.npy', 'report.html')
        directory.writes('refining/', keep=False)
        made(earlier, 'refining/depth')
        # Until it has ended, files of both belong to it.
        assert {'cloud.ply', 'refining/', 'report.html'} <= set(directory.record['files'])
        directory.finish()
        assert directory.record['finished']
    assert names_in(earlier) == {
        '.lock',
        'flags.txt',
        'run.json',
        'depth/000000.npy',
        'depth/000001.npy',
    }
    files = json.loads((earlier / 'run.json').read_text())['files']
    assert files == ['depth/{000000..000001}.npy', 'flags.txt', 'run.json']


def test_paths_outside_are_not_files_of_the_run(earlier):
    with run.open_run(earlier, '') as directory:
        directory.writes(str(earlier / 'weights.npz'), str(earlier.parent / 'other.npz'))
        directory.writes(str(earlier / '*.txt'))
        listed = directory.record['files']
    assert 'weights.npz' in listed and not any('other' in name for name in listed)
    made(earlier, '*.txt', 'mine.txt')
    with pytest.raises(ValueError, match='holds mine.txt, which no run wrote'):
        run.open_run(earlier, '', overwrite=True)


def test_workdirs_are_refused_before_the_work(earlier, tmp_path, monkeypatch):
    made(tmp_path, 'file')
    made(tmp_path, 'photos/a.png')
    made(tmp_path, 'home/.bashrc')
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(tmp_path / 'photos')
    for workdir, message in [
        ('.', 'holds a.png but no earlier run'),
        ('~', 'holds .bashrc but no earlier run'),
        ('/', 'but no earlier run'),
        (tmp_path / 'file', 'cannot be written: it is a file'),
        (tmp_path / 'file' / 'below', 'cannot be written: .*file is a file'),
        (tmp_path / 'photos', 'holds a.png but no earlier run'),
        ('', 'workdir is empty'),
    ]:
        for afresh in (False, True):
            with pytest.raises(ValueError, match=message):
                run.check_workdir(workdir, overwrite=afresh)
    run.check_workdir(earlier)
    run.check_workdir(tmp_path / 'new' / 'deep')
    assert not (tmp_path / 'new').exists()
    with run.open_run(earlier, ''), pytest.raises(ValueError, match='in use by another run'):
        run.check_workdir(earlier)
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    with pytest.raises(ValueError, match='cannot be written: .* is read-only'):
        run.check_workdir(tmp_path / 'new')
