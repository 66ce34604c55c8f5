"""The viewer: a page in the browser with the 3D view of a result and controls beside it."""

import contextlib
import functools
import io
import pathlib
import socket
import threading
import time

import numpy as np

from pano_depth.results.reconstruction import Reconstruction
from pano_depth.results.viewer.config import ViewConfig
from pano_depth.results.viewer.scene import NODES, PieceScene
from pano_depth.results.viewer.sources import open_source

_KINDS = ('colour', 'depth', 'confidence')
_DEFAULT = ViewConfig()
_BLACK = np.zeros((2, 4, 3), np.uint8)


def view(
    result: str | pathlib.Path | Reconstruction,
    *,
    port: int = _DEFAULT.port,
    host: str = _DEFAULT.host,
    points: int = _DEFAULT.view_points,
) -> 'Viewer':
    """Shows a result in the browser and returns at once; nothing is written.

    Args:
        result: a run directory, finished or in progress, or a `Reconstruction`.
        port: of the page; if it is taken, the next free one.
        host: address at which the page is served; '0.0.0.0' lets other machines see it.
        points: shown at once, at most.

    Returns:
        `Viewer`, with the address of the page; it works until `close` or the end of the process.

    Raises:
        ValueError: the package viser is missing (extra `view`), the directory holds no result, a
            file is damaged, or `host` is no address of this machine.
    """
    viser = _viser()
    ViewConfig(port=port, host=host, view_points=points)
    read = functools.partial(open_source, result)
    source = read()
    _check_host(host)
    with _silent():
        server = viser.ViserServer(host=host, port=port, label=source.name, verbose=False)
    try:
        return Viewer(server, read, source, points=points)
    except BaseException:
        server.stop()
        raise


def _silent():
    """Takes what viser prints when it starts and ends: a table of addresses."""
    return contextlib.redirect_stdout(io.StringIO())


def _viser():
    try:
        import viser
    except ImportError as error:
        raise ValueError('the viewer needs viser: pip install "pano-dppnet[view]"') from error
    return viser


def _check_host(host):
    """Raises ValueError for an address at which nothing can be served: viser would wait."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(address)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f'--host={host} is no address of this machine ({error}); accepted: 127.0.0.1 for this'
            ' machine alone, 0.0.0.0 for the network'
        ) from error


class Viewer:
    """A page that shows a result; made by `view`.

    Attributes:
        server: `viser.ViserServer`, to which further nodes can be added.
        host, port: where it is served.
        controls: handles of the controls by name: piece, frame, cloud, one_frame, size, least,
            path, panorama.
    """

    def __init__(self, server, read, source, *, points: int):
        """Draws the first piece.

        Args:
            server: a running `viser.ViserServer`.
            read: function that opens the source again.
            source: `StoredRun` or `OfResult`.
            points: of a cloud, at most.
        """
        self.server, self.host, self.port = server, server.get_host(), server.get_port()
        self._read, self._source, self._points = read, source, points
        self._lock, self._closed, self._shown = threading.RLock(), False, None
        server.scene.set_up_direction('-y')
        # The button would send the scene to a server elsewhere.
        server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        self._build()
        server.on_client_connect(lambda client: self._scene.look_from_behind(client.camera))

    def __repr__(self) -> str:
        """One line with the address."""
        return f'Viewer({self._source.name!r} at {self.url})'

    @property
    def url(self) -> str:
        """The address of the page."""
        host = {'0.0.0.0': 'localhost', '::': 'localhost'}.get(self.host, self.host)
        return f'http://{f"[{host}]" if ":" in host else host}:{self.port}'

    def wait(self) -> None:
        """Serves the page until Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
        self.close()

    def close(self) -> None:
        """Ends the page."""
        self._closed = True
        self._filling.join(timeout=5)
        with _silent():
            self.server.stop()

    def reload(self) -> None:
        """Reads the source again: of a run in progress there may be more."""
        with self._lock:
            self._source = self._read()
            self.server.gui.reset()
            self._build()

    def _build(self):
        """Makes the controls and draws the first piece."""
        gui, source = self.server.gui, self._source
        unit = 'metres' if source.unit == 'metre' else 'units of the run (no known scale)'
        gui.add_markdown(f'{len(source.numbers)} frames; lengths in {unit}')
        gui.set_panel_label(source.name)
        made = self.controls = {}
        titles = [self._title(i) for i in range(len(source.pieces))]
        made['piece'] = gui.add_dropdown('Piece', titles, visible=len(titles) > 1)
        made['frame'] = gui.add_slider('Frame', 0, 1, 1, 0)
        self._picture = gui.add_image(_BLACK, label='Panorama', format='jpeg', visible=False)
        made['cloud'] = gui.add_dropdown('Cloud by', _KINDS)
        made['one_frame'] = gui.add_checkbox('This frame only', False)
        made['size'] = gui.add_slider('Point size', 0.2, 4.0, 0.1, 1.0)
        made['least'] = gui.add_slider(
            'Least confidence',
            0.0,
            1.0,
            0.05,
            0.0,
            hint='Not of the whole cloud by colour, which is cloud.ply as it is',
        )
        made['path'] = gui.add_checkbox('Path and cameras', True)
        made['panorama'] = gui.add_checkbox('Panorama as a ball', True)
        stand = gui.add_button('Stand at this frame')
        again = gui.add_button('Read again', hint='Of a run in progress there may be more')
        self._said = gui.add_markdown('')
        self._show_piece()
        jobs = dict.fromkeys(('cloud', 'one_frame', 'size', 'least'), self._show_cloud)
        jobs |= dict.fromkeys(('path', 'panorama'), self._show_marks)
        jobs |= {'piece': self._show_piece, 'frame': self._show_frame}
        for name, job in jobs.items():
            made[name].on_update(lambda _, job=job: self._attempt(job))
        stand.on_click(lambda event: self._stand(event.client.camera))
        again.on_click(lambda _: self._attempt(self.reload))

    def _attempt(self, job):
        """Does what a control asks for; the page says which file is damaged or missing."""
        try:
            job()
        except ValueError as error:
            self._said.content = str(error)

    def _title(self, number):
        frames = self._source.pieces[number].frames
        if not len(frames):
            return f'piece {number + 1}'
        first, last = (self._source.numbers[i] for i in (frames[0], frames[-1]))
        return f'piece {number + 1}: frames {first} to {last}'

    def _at(self):
        """The place of the chosen frame in its piece."""
        return min(int(self.controls['frame'].value), max(0, self._scene.count - 1))

    def _show_piece(self):
        with self._lock:
            number = self.controls['piece'].options.index(self.controls['piece'].value)
            self.server.scene.reset()
            self.server.scene.set_up_direction('-y')
            self._scene = PieceScene(self.server, self._source, number, most=self._points)
            slider = self.controls['frame']
            slider.max, slider.disabled = max(1, self._scene.count - 1), self._scene.count < 2
            slider.value = 0
            self.controls['least'].value = self._scene.least
            self._scene.draw_path(self._go_to)
            self._show_frame(whole=True)
            self._show_marks()
            self._filling = threading.Thread(
                target=self._attempt, args=(self._show_pictures,), daemon=True
            )
            self._filling.start()

    def _show_pictures(self):
        """Fills in, in a thread, what nobody has to wait for."""
        scene = self._scene
        if scene.piece.poses is not None:
            goes_on = lambda: self._scene is scene and not self._closed
            scene.draw_pictures(goes_on, self._lock)

    def _stand(self, camera):
        """Lets a browser look around in the ball, in which the cameras would be in the way."""
        self.controls['path'].value, self.controls['panorama'].value = False, True
        self._scene.stand(camera, self._at())

    def _go_to(self, at):
        self.controls['frame'].value = at

    def _show_frame(self, *, whole=False):
        """Shows the chosen frame; with `whole` the cloud is drawn, even if it is not of it."""
        with self._lock:
            # A slider that is dragged asks for many frames, of which the last one counts.
            wanted = (self._scene, self._at())
            if wanted == self._shown and not whole:
                return
            self._shown = wanted
            image = self._scene.draw_panorama(self._at())
            self._picture.visible = image is not None
            if image is not None:
                self._picture.image = image
                number = self._source.numbers[self._scene.piece.frames[self._at()]]
                self._picture.label = f'Frame {number}'
            self._show_marks()
            if whole or self.controls['one_frame'].value or self._scene.piece.poses is None:
                self._show_cloud()

    def _show_cloud(self):
        with self._lock:
            made = self.controls
            one = made['one_frame'].value or self._scene.piece.poses is None
            count = self._scene.draw_cloud(
                made['cloud'].value,
                self._at() if one and self._scene.count else None,
                least=made['least'].value,
                size=made['size'].value,
            )
            self._said.content = f'{count:,} points'

    def _show_marks(self):
        with self._lock:
            for name, control in (('path', 'path'), ('cameras', 'path'), ('panorama', 'panorama')):
                node = self.server.scene.get_handle_by_name(NODES[name])
                if node is not None:
                    node.visible = self.controls[control].value
