"""The 3D viewer: what a client that connects to it gets, and that the controls change it."""

import sys
import urllib.request

import numpy as np
import pytest

import pano_depth
from tests.pano_depth.results import made_runs
from tests.pano_depth.results.made_runs import make_run
from tests.pano_depth.results.viewer.client import Client


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('view') / 'run', pieces=True, turn='z_up')


@pytest.fixture
def viewer(folder):
    opened = pano_depth.view(folder, port=18080, points=3000)
    yield opened
    opened.close()


def _count(client):
    return len(client.nodes['/cloud']['points']) // 3


def _complete(client):
    return {'/cloud', '/panorama', '/path', '/cameras/000003'} <= set(client.nodes)


def test_a_client_gets_the_scene_and_the_slider_changes_it(viewer, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    with urllib.request.urlopen(viewer.url) as page:
        assert page.status == 200 and b'<html' in page.read().lower()
    with Client(viewer.port) as client:
        client.receive(_complete)
        cameras = [f'/cameras/{i:06d}' for i in range(4)]
        assert {'/cloud', '/panorama', '/path', '/cameras', *cameras} <= set(client.nodes)
        # The cloud of the run, in the axes of the package although the file has others.
        where = client.nodes['/cloud']['points'].reshape(-1, 3)
        np.testing.assert_allclose(where, made_runs.CLOUD, atol=1e-6)
        assert {'Frame', 'Cloud by', 'Point size', 'Piece'} <= set(client.controls)
        client.receive(lambda client: 'position' in client.nodes['/cameras/000003'])
        np.testing.assert_allclose(
            client.nodes['/cameras/000003']['position'], made_runs.poses().translation[3], atol=1e-6
        )
        client.set('Frame', 2)
        there = made_runs.poses().translation[2]
        at = lambda: client.nodes['/panorama'].get('position', (9, 9, 9))
        client.receive(lambda client: np.allclose(at(), there, atol=1e-6))
        client.set('This frame only', True)
        client.receive(lambda client: _count(client) > 1000)
        first = client.nodes['/cloud']['points'].reshape(-1, 3)
        np.testing.assert_allclose(np.linalg.norm(first - there, axis=-1), 2.5, atol=1e-3)
        client.set('Frame', 3)
        client.receive(
            lambda client: not np.array_equal(client.nodes['/cloud']['points'], first.ravel())
        )
        # A browser starts behind and above the path, and may stand on it.
        assert client.camera[1] < 0 and client.camera[2] < 0
        client.set('Stand at this frame', True)
        there = made_runs.poses().translation[3]
        client.receive(lambda client: np.allclose(client.camera, there, atol=1e-6))
        client.set('Piece', client.controls['Piece']['props']['options'][1])
        client.receive(lambda client: '/cameras/000005' in client.nodes)
        assert '/cameras/000003' not in client.nodes
    assert {path: path.stat().st_mtime_ns for path in folder.rglob('*')} == before


def test_colours_tell_depth_and_confidence(viewer):
    with Client(viewer.port) as client:
        client.receive(_complete)
        client.set('Cloud by', 'confidence')
        client.receive(lambda client: _count(client) > 500)
        sure = _count(client)
        # Half of the sphere is seen with a confidence of 1, the other half with 0.2.
        assert len(np.unique(client.nodes['/cloud']['colors'].reshape(-1, 3), axis=0)) == 1
        client.set('Least confidence', 0.0)
        client.receive(lambda client: _count(client) > 1.5 * sure)
        assert len(np.unique(client.nodes['/cloud']['colors'].reshape(-1, 3), axis=0)) == 2
        client.set('Cloud by', 'depth')
        shades = lambda: np.unique(client.nodes['/cloud']['colors'].reshape(-1, 3), axis=0)
        client.receive(lambda client: len(shades()) == 4)  # four frames, a sphere each
        size = client.nodes['/cloud']['point_size']
        client.set('Point size', 2.0)
        client.receive(lambda client: client.nodes['/cloud']['point_size'] > 1.9 * size)


def test_marks_can_be_hidden(viewer):
    viewer.controls['path'].value = False
    viewer.controls['panorama'].value = False
    seen = lambda name: viewer.server.scene.get_handle_by_name(name).visible
    assert not seen('/path') and not seen('/cameras') and not seen('/panorama') and seen('/cloud')
    viewer.controls['frame'].value = 1
    assert not seen('/panorama')  # the new ball is as hidden as the old one


def test_two_viewers_get_ports_of_their_own(viewer, folder):
    other = pano_depth.view(folder, port=viewer.port)
    try:
        assert other.port != viewer.port and str(other.port) in repr(other)
    finally:
        other.close()


def test_a_run_in_progress_and_what_is_read_again(tmp_path):
    folder = make_run(tmp_path / 'run', finished=False)
    (folder / 'depth' / '000005.png').unlink()
    opened = pano_depth.view(folder, port=18080, points=2000)
    try:
        assert opened.controls['frame'].max == 4
        count = len(opened.server.scene.get_handle_by_name('/cloud').points)
        assert count > 500  # from depth images: there is no cloud yet
        (folder / 'depth' / '000005.png').write_bytes((folder / 'depth/000004.png').read_bytes())
        opened.reload()
        assert opened.controls['frame'].max == 5
        (folder / 'depth' / '000002.png').write_bytes(b'damaged')
        opened.controls['frame'].value = 2
        assert '000002.png' in opened._said.content
        opened.controls['frame'].value = 3
        ball = opened.server.scene.get_handle_by_name('/panorama')
        np.testing.assert_allclose(ball.position, made_runs.poses().translation[3], atol=1e-6)
    finally:
        opened.close()


def test_what_cannot_be_shown_is_said(tmp_path, folder, monkeypatch):
    for arguments, message in [
        ({'result': tmp_path}, 'holds no result of a reconstruction'),
        ({'result': tmp_path / 'absent'}, 'absent is no directory'),
        ({'result': folder, 'port': 70000}, 'port is 70000'),
        ({'result': folder, 'host': '203.0.113.7'}, '--host=203.0.113.7 is no address'),
    ]:
        with pytest.raises(ValueError, match=message):
            pano_depth.view(arguments.pop('result'), **arguments)
    monkeypatch.setitem(sys.modules, 'viser', None)
    with pytest.raises(ValueError, match=r'pip install "pano-dppnet\[view\]"'):
        pano_depth.view(tmp_path / 'absent')
