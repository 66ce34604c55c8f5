"""A client of the viewer that speaks as a browser does."""

import time

import msgspec
import numpy as np
import pytest
import viser
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Client:
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
