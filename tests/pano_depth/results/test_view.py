"""The 3D viewer: what a client that connects to it gets, and that the controls change it."""

import sys
import time
import urllib.request

import msgspec
import numpy as np
import pytest
import viser
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import pano_depth
from pano_depth.footage.footage import Footage, Frame
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer
from pano_depth.reconstruction.analysis import Frames
from pano_depth.reconstruction.trajectory import UnitStep
from pano_depth.results.pieces import Piece
from pano_depth.results.reconstruction import Reconstruction
from pano_depth.results.viewer import marks, points, sources
from tests.pano_depth.results import made_runs
from tests.pano_depth.results.made_runs import FRAMES, HEIGHT, make_run


class _Client:
    """What a browser keeps of the messages of the server: nodes and controls."""

    def __init__(self, port):
        name = f'viser-v{viser.__version__}'
        self._socket = connect(f'ws://127.0.0.1:{port}', subprotocols=[name], max_size=None)
        self.nodes, self.controls, self.camera = {}, {}, None
        # A browser first says where its camera is.
        where = {'wxyz': (1, 0, 0, 0), 'position': (0, 0, -3), 'look_at': (0, 0, 0)}
        lens = {'fov': 1, 'near': 0.01, 'far': 1000, 'image_height': 480, 'image_width': 640}
        self._send('ViewerCameraMessage', **where, **lens, up_direction=(0, -1, 0))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._socket.close()

    def receive(self, until, seconds=20):
        """Takes messages until a condition holds."""
        end = time.monotonic() + seconds
        while not until(self):
            assert time.monotonic() < end, (list(self.nodes), self.controls)
            try:
                self._take(self._socket.recv(timeout=0.2))
            except TimeoutError:
                continue
            except ConnectionClosed:
                pytest.fail('the viewer closed the connection')

    def _take(self, data):
        """Applies a window of messages: a zstd block of msgpack, then arrays at multiples of 8."""
        packed = int.from_bytes(data[8:16], 'little')
        content = msgspec.msgpack.decode(
            zstandard.ZstdDecompressor().decompress(data[16 : 16 + packed])
        )
        place, arrays = 16 + packed, []
        for length in content['binaryBufferLengths']:
            place += -place % 8
            arrays.append(data[place : place + length])
            place += length
        for message in content['messages']:
            self._apply(message, arrays)

    def _apply(self, message, arrays):
        kind = message['type']
        if kind == 'RemoveSceneNodeMessage':
            self.nodes.pop(message['name'], None)
        elif kind == 'SetSceneNodeVisibilityMessage':
            self.nodes.get(message['name'], {})['visible'] = message['visible']
        elif kind in ('SetPositionMessage', 'SetOrientationMessage'):
            part = 'position' if 'position' in message else 'wxyz'
            self.nodes.get(message['name'], {})[part] = message[part]
        elif kind == 'SetCameraPositionMessage':
            self.camera = message['position']
        elif 'name' in message and 'props' in message:
            props = {name: _array(value, arrays) for name, value in message['props'].items()}
            self.nodes[message['name']] = {'type': kind, **props}
        elif kind.startswith('Gui') and 'props' in message:
            self.controls[message['props'].get('label') or message['uuid']] = message

    def set(self, label, value):
        """Moves a control."""
        uuid = self.controls[label]['uuid']
        self._send('GuiUpdateMessage', uuid=uuid, updates={'value': value})

    def _send(self, kind, **content):
        self._socket.send(msgspec.msgpack.encode({'type': kind, **content}))


def _array(value, arrays):
    if isinstance(value, dict) and '__binary_index' in value:
        return np.frombuffer(arrays[value['__binary_index']], value['dtype'])
    return value


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
    with _Client(viewer.port) as client:
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
    with _Client(viewer.port) as client:
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


def test_points_lie_where_all_pixels_of_the_frame_do(folder):
    source = sources.open_source(folder)
    found = points.of_frame(source, 1, 1, count=2000, image=source.image(5))
    whole = made_runs.points(5)
    gaps = np.linalg.norm(found.points[:, None] - whole[None], axis=-1).min(axis=1)
    assert len(found.points) > 1000 and gaps.max() < 1e-3
    # By area of the sphere: as many above 30 degrees as below down to the horizon, by sin.
    up = -(found.points - made_runs.poses().translation[5])[:, 1] / 3.25
    assert abs((up > 0.5).mean() - (1 - 0.5) / (1 + np.sin(np.pi / 4))) < 0.05
    right = found.colours[:, 0] > found.colours[:, 1].astype(int) + 60
    assert 0.4 < right.mean() < 0.6 and (found.confidence[right] < 0.3).all()


def test_the_ball_wears_the_panorama_where_it_was_seen():
    image = np.zeros((HEIGHT, 2 * HEIGHT, 3), np.uint8)
    image[:, HEIGHT : HEIGHT + HEIGHT // 2] = (250, 0, 0)  # from straight ahead to the right
    ball = marks.ball(image, 0.5)
    np.testing.assert_allclose(np.linalg.norm(ball.vertices, axis=-1), 0.5)
    picture = np.asarray(ball.visual.material.emissiveTexture)
    rows = np.clip(((1 - ball.visual.uv[:, 1]) * HEIGHT).astype(int), 0, HEIGHT - 1)
    columns = np.clip((ball.visual.uv[:, 0] * 2 * HEIGHT).astype(int), 0, 2 * HEIGHT - 1)
    x, _, z = ball.vertices.T
    inside = np.minimum(x, z) > 0.1
    assert (picture[rows, columns][inside, 0] > 200).all()
    assert (picture[rows, columns][np.minimum(x, z) < -0.1, 0] < 50).all()
    front = marks.front(image, 16)
    assert (front[:, 9:, 0] > 200).all() and (front[:, :7, 0] < 50).all()


def _result():
    """A reconstruction whose depth is known: a sphere of radius 2 around each camera."""
    poses = made_runs.poses()

    def read(size, start, stride):
        for index in range(start, FRAMES, stride):
            yield Frame(index, f'{index}', made_runs.image(index))

    footage = Footage('walk', HEIGHT, 2 * HEIGHT, 10.0, FRAMES, read)
    disparity = np.ones((FRAMES, 1, HEIGHT, 2 * HEIGHT), np.float32)
    # The networks' grid has the size of the images, so that depth is its inverse.
    config = ModelConfig(
        face_size=HEIGHT // 2, padding='equirect', depth_channels=(4, 4), pose_channels=(4,)
    )
    steps = UnitStep(np.zeros(FRAMES - 1), np.full(FRAMES - 1, 0.01))
    analysis = infer.Analysis(disparity, np.full(FRAMES, 2.0), poses, steps)
    frames = Frames(None, np.arange(FRAMES), '')
    return Reconstruction(
        footage, frames, [Piece(0, FRAMES, analysis)], config, height=HEIGHT, unit='metre'
    )


def test_a_result_in_memory_looks_like_its_files(tmp_path):
    result = _result()
    result.save(tmp_path / 'saved')
    memory, files = sources.open_source(result), sources.open_source(tmp_path / 'saved')
    np.testing.assert_allclose(
        memory.pieces[0].poses.translation, files.pieces[0].poses.translation, atol=1e-6
    )
    np.testing.assert_allclose(memory.cloud(0)[0], files.cloud(0)[0], atol=1e-5)
    assert memory.numbers == files.numbers and memory.pieces[0].frames == files.pieces[0].frames
    shown = range(1, FRAMES, 2)
    ours, theirs = (sources.images_of(source, shown) for source in (memory, files))
    assert list(ours) == list(theirs) == [1, 3, 5]
    assert np.abs(ours[3].astype(int) - theirs[3]).mean() < 6
    ours, theirs = (points.of_piece(source, 0, count=600) for source in (memory, files))
    np.testing.assert_allclose(ours.points, theirs.points, atol=2e-3)
    np.testing.assert_allclose(ours.depth, 2, atol=2e-3)
    opened = pano_depth.view(result, port=18080, points=1000)
    try:
        opened.controls['frame'].value = 5
        ball = opened.server.scene.get_handle_by_name('/panorama')
        np.testing.assert_allclose(ball.position, made_runs.poses().translation[5], atol=1e-6)
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
