"""What was decided about the layout of a file, and how ffmpeg turns it into equirect."""

import dataclasses

import numpy as np

from pano_depth.footage.spherical import Spherical


@dataclasses.dataclass(frozen=True)
class Conversion:
    """How ffmpeg turns the pictures of a file into equirect.

    Attributes:
        graph: an ffmpeg filter graph with the inputs [v0], [v1], ... and the output [out].
        height, width: of the pictures that it gives, in pixels.
        streams: the video tracks that are [v0], [v1], ...: 0 is the file's first, 1 its second,
            and 100 the first one of the first of `others`.
        others: paths of further files that belong to this one.
    """

    graph: str
    height: int
    width: int
    streams: tuple[int, ...] = (0,)
    others: tuple[str, ...] = ()

    def at(self, height):
        """The conversion for pictures that are reduced to fewer rows afterwards.

        v360 then gives twice the size that is wanted, but no less than half of its own: it looks at
        four pixels a side, so that it would leave some out. This takes a quarter of the time.

        Args:
            height: rows that are wanted in the end.
        """
        rows = min(self.height, max(2 * height, self.height // 2))
        own, smaller = f'w={self.width}:h={self.height}', f'w={2 * rows}:h={rows}'
        if own not in self.graph:
            return self
        graph = self.graph.replace(own, smaller)
        return dataclasses.replace(self, graph=graph, height=rows, width=2 * rows)


@dataclasses.dataclass(frozen=True, eq=False)
class Decision:
    """What was decided about a file.

    Attributes:
        projection: name of the layout in the file, a key of `layouts.LAYOUTS`.
        conversion: `Conversion`, or None where the pictures are equirect as they are.
        spherical: `Spherical` of the pictures that come out, always of a full equirectangular
            sphere; None where the file says nothing about one.
        notes: sentences for people: what was guessed or converted, and the flag that overrides it.
        stereo: how the pictures that come out hold two eyes: 'top_bottom', 'left_right', or None
            for one eye. A conversion takes the left eye itself and leaves None.
        valid: [height, width] bool of one eye, False where the layout shows nothing; None if all
            of it counts.
        down: [3] float64 unit vector, which way is down in the camera frame (x right, y down, z
            forward) by the pose in the metadata; None where the file does not say.
    """

    projection: str = 'equirect'
    conversion: Conversion | None = None
    spherical: Spherical | None = None
    notes: tuple[str, ...] = ()
    stereo: str | None = None
    valid: np.ndarray | None = None
    down: np.ndarray | None = None
