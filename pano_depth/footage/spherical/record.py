"""What a file says about its sphere, and which way is down by it."""

import dataclasses

import numpy as np

STEREO = ('mono', 'top-bottom', 'left-right', 'custom', 'right-left')


@dataclasses.dataclass(frozen=True)
class Spherical:
    """What a file says about its sphere.

    Attributes:
        projection: 'equirectangular', 'cubemap', 'mesh', or what else the file says.
        stereo: one of `STEREO`, or None where the file does not say.
        pose: yaw, pitch and roll of the projection in degrees (V2); see `down`.
        bounds: top, bottom, left and right parts of the panorama, in [0, 1], that the frame leaves
            out; all 0 for the full sphere.
        versions: the schemes in which it was found, 1, 2 or both; `write_spherical` writes these.
        xml: the text of V1 as found, or None. It is not written, since it holds the sizes of the
            old video.
        view: heading, pitch and roll in degrees of the direction in which a player begins to look
            (V1). It turns the viewer, not the panorama.
        cubemap: (layout, padding in pixels) of a `cbmp` box, or None.
        mesh: the bytes of an `mshp` box, or None.
    """

    projection: str = 'equirectangular'
    stereo: str | None = None
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bounds: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    versions: tuple[int, ...] = (1, 2)
    xml: str | None = None
    view: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cubemap: tuple[int, int] | None = None
    mesh: bytes | None = None

    @property
    def full(self):
        """Whether the frame covers the whole sphere; VR180, for example, does not."""
        return max(map(abs, self.bounds)) < 1e-3

    @property
    def down(self):
        """Which way is down in the camera frame (x right, y down, z forward), or None.

        By the specification of V2 (spherical-video-v2-rfc.md, `prhd`) the pose turns the projection
        into the world: by the yaw around up, then by the pitch counterclockwise around right, so
        that its front goes up, then by the roll clockwise around forward, so that its right side
        goes down as one looks forward. So down in the world is, in the projection,

            (sin(roll) cos(pitch), cos(roll) cos(pitch), -sin(pitch)).

        Returns:
            [3] float64 unit vector; None where pitch and roll are 0, which is what tools write
            that know nothing about the camera.
        """
        pitch, roll = np.radians(self.pose[1:])
        if max(abs(pitch), abs(roll)) < 1e-6:
            return None
        return np.array(
            [np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), -np.sin(pitch)]
        )


def mono_equirect():
    """The `Spherical` of a full panorama for one eye, in both schemes."""
    return Spherical(stereo='mono')


def as_equirect(spherical):
    """What is still true once the frames are full equirectangular panoramas of one eye.

    Args:
        spherical: `Spherical` of the frames as they were stored, or None.

    Returns:
        `Spherical` that `write_spherical` can write, with the pose and the view of the old one;
        None for None.
    """
    if spherical is None:
        return None
    return Spherical(
        stereo='mono', pose=spherical.pose, versions=spherical.versions, view=spherical.view
    )
