"""What stands in the 3D view of a piece: path, cameras, the panorama of one frame, points."""

import numpy as np
from scipy.spatial.transform import Rotation

from pano_depth.results import panels
from pano_depth.results.viewer import marks, points
from pano_depth.results.viewer.sources import evenly, pose_of

FRUSTA = 24  # cameras that are drawn with their picture, at most
SURE = 0.5  # confidence of refined depth that another view confirms
ENOUGH = 0.1  # share of pixels that has to be so sure
NODES = {'path': '/path', 'cameras': '/cameras', 'panorama': '/panorama', 'cloud': '/cloud'}


class PieceScene:
    """The nodes of one piece.

    Attributes:
        number: of the piece.
        middle: its median depth, by which marks get their size.
        limits: depths at the ends of the colour scale.
        least: confidence that leaves the points to which other views agree, or 0 if hardly any do.
    """

    def __init__(self, server, source, number: int, *, most: int):
        """Measures the piece; `draw_path` and the others make the nodes.

        Args:
            server: `viser.ViserServer`.
            source: `StoredRun` or `OfResult`.
            number: of the piece.
            most: points of a cloud, at most.
        """
        self._scene, self._source, self.number, self._most = server.scene, source, number, most
        self.piece = source.pieces[number]
        self._sampled, self._fused, self._cameras = None, None, {}
        frames = self.piece.frames
        shown = [source.depth(i)[::4, ::4] for i in evenly(frames, 8)]
        found = np.concatenate([depth[depth > 0] for depth in shown]) if shown else np.zeros(0)
        self.limits = panels.depth_range(found)
        self.middle = float(np.median(found)) if found.size else 1.0
        sure = [source.confidence(i) for i in evenly(frames, 8)]
        sure = np.concatenate([one[::4, ::4].ravel() for one in sure if one is not None] or [[0]])
        self.least = SURE if (sure >= SURE).mean() > ENOUGH else 0.0

    @property
    def count(self) -> int:
        """Number of frames that can be shown."""
        return len(self.piece.frames)

    def draw_path(self, on_click) -> None:
        """The path as a line from orange to violet, and cameras that can be clicked.

        Args:
            on_click: function of the place of a frame in the piece, called when its camera is
                clicked.
        """
        if self.piece.poses is None:
            return
        where = self.piece.poses.translation
        share = np.linspace(0, 1, len(where))[:, None]
        colours = np.rint([255, 170, 40] + share * [-50, -90, 215]).astype(np.uint8)
        if len(where) > 1:
            self._scene.add_line_segments(
                NODES['path'],
                np.stack([where[:-1], where[1:]], axis=1).astype(np.float32),
                np.stack([colours[:-1], colours[1:]], axis=1),
            )
        shown = evenly(self.piece.frames, FRUSTA)
        self._scene.add_frame(NODES['cameras'], show_axes=False)
        for position in shown:
            at = position - self.piece.frames[0]
            camera = self._scene.add_camera_frustum(
                f'{NODES["cameras"]}/{self._source.numbers[position]:06d}',
                fov=np.pi / 2,
                aspect=1.0,
                scale=self._size(shown),
                color=tuple(int(value) for value in colours[min(at, len(where) - 1)]),
                **self._placed(at),
            )
            camera.on_click(lambda event, at=at: on_click(at))
            self._cameras[position] = camera

    def draw_pictures(self, goes_on, lock) -> None:
        """Gives the cameras what they see to the front, which takes one pass over the video.

        Args:
            goes_on: function that says whether this piece is still shown.
            lock: held by whoever shows another piece, whose cameras are gone then.
        """
        shown = evenly(self.piece.frames, FRUSTA)
        for position, image in self._source.some_images(shown):
            seen = marks.front(image)
            with lock:
                if not goes_on():
                    return
                self._cameras[position].image = seen

    def _size(self, shown):
        """Depth of the drawn cameras: they do not hide each other, and are seen from outside."""
        places = np.stack([pose_of(self.piece, i - self.piece.frames[0])[1] for i in shown])
        steps = np.linalg.norm(np.diff(places, axis=0), axis=-1)
        near = float(np.median(steps)) if len(steps) else self.middle
        return float(np.clip(0.5 * near, 0.01 * self.middle, 0.08 * self.middle))

    def _placed(self, at):
        """Orientation and place of a frame, as viser takes them."""
        rotation, translation = pose_of(self.piece, at)
        quaternion = Rotation.from_matrix(rotation).as_quat(canonical=True)
        return {'wxyz': np.roll(quaternion, 1), 'position': translation}

    def draw_panorama(self, at: int) -> np.ndarray | None:
        """A ball at a frame that wears its panorama, or its depth as long as there is no image.

        Returns:
            The picture [h, 2h, 3] uint8, or None if there is no frame.
        """
        if not self.count:
            return None
        position = self.piece.frames[at]
        image = self._source.image(position)
        if image is None:
            image = panels.depth_colors(
                self._source.depth(position), low=self.limits[0], high=self.limits[1]
            )
        self._scene.add_mesh_trimesh(
            NODES['panorama'], marks.ball(image, 0.06 * self.middle), **self._placed(at)
        )
        return image

    def draw_cloud(self, kind: points.Kind, at: int | None, *, least: float, size: float) -> int:
        """The points of the piece, or of one frame.

        Args:
            kind: what the colour tells.
            at: place of the one frame, or None for all. All by colour is the cloud of the run.
            least: points of less confidence are left out, but of the cloud of the run.
            size: of the points; 1 leaves few holes.

        Returns:
            The number of points.
        """
        found = self._fused_cloud() if kind == 'colour' and at is None else None
        if found is None:
            found = self._samples(kind, at, least)
        where, colours = found
        self._scene.add_point_cloud(
            NODES['cloud'],
            where,
            colours,
            point_size=size * self._point_size(where),
            point_shape='circle',
            precision='float32',
        )
        return len(where)

    def _point_size(self, where):
        """Side of a point of a cloud that leaves few holes."""
        if not len(where):
            return 0.01 * self.middle
        distance = np.linalg.norm(where - np.median(where, axis=0), axis=-1)
        return max(0.8 * float(np.percentile(distance, 75)) / len(where) ** 0.5, 1e-6)

    def _fused_cloud(self):
        """(points, colours) of the cloud of the run, thinned; None without one."""
        if self._fused is None:
            found = self._source.cloud(self.number)
            if found is None:
                return None
            self._fused = points.thinned(*found, self._most)
        return self._fused

    def _samples(self, kind, at, least):
        """(points, colours) from depth images."""
        if not self.count:
            return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
        if at is None and self.piece.poses is None:
            at = 0  # frames without a path have no common world
        if at is not None:
            image = self._source.image(self.piece.frames[at])
            found = points.of_frame(self._source, self.number, at, count=self._most, image=image)
        else:
            if self._sampled is None:
                self._sampled = points.of_piece(self._source, self.number, count=self._most)
            found = self._sampled
        found = points.chosen(found, found.confidence >= least)
        return found.points, points.coloured(found, kind, self.limits)

    def stand(self, camera, at: int) -> None:
        """Puts the camera of a browser where a frame was taken, looking ahead.

        Args:
            camera: `viser.CameraHandle`.
            at: place of the frame in the piece.
        """
        placed = self._placed(at)
        camera.position, camera.wxyz = placed['position'], placed['wxyz']

    def look_from_behind(self, camera) -> None:
        """Puts the camera of a browser behind and above the first frame.

        It stays near, so that the ceiling of a room does not hide the rest.

        Args:
            camera: as for `stand`.
        """
        rotation, translation = pose_of(self.piece, 0)
        camera.up_direction = (0.0, -1.0, 0.0)
        camera.position = translation + rotation @ (self.middle * np.array([0.25, -0.4, -0.8]))
        camera.look_at = translation + rotation @ (self.middle * np.array([0, 0, 0.3]))
