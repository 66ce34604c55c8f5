"""The panoramas of a COLMAP model: images that are panoramas, or views that were cut from them.

Views are accepted from COLMAP's own script `panorama_sfm.py`, which cuts panoramas into
`pano_camera0/NAME`, `pano_camera1/NAME` and so on, and from the exports of this package, whose
faces of a cube are called `front_NAME`, `right_NAME` and so on. How these views are turned in the
panorama is known, and the model has to agree with it.
"""

import re

import numpy as np
from scipy.spatial.transform import Rotation

from pano_depth.footage.poses.colmap_model import PANORAMA, PosedImages
from pano_depth.kernels import cube
from pano_depth.kernels.rigid import Motion

# Pitches of the views in degrees, by the two layouts of panorama_sfm.py.
_LAYOUTS = ((-35, 0, 35), (0,))
_SCRIPT, _CUBE = 'views of panorama_sfm.py', 'faces of a cube'
_ACCEPTED = (
    f'images of an {PANORAMA} camera, the views pano_camera0/NAME, pano_camera1/NAME, ... that '
    f"COLMAP's panorama_sfm.py cuts, or the faces {cube.FACES[0]}_NAME, {cube.FACES[1]}_NAME, ... "
    'of a cube'
)


def panoramas(images, path):
    """The panoramas of a COLMAP model.

    Args:
        images: `PosedImages` of the model.
        path: what messages call the model.

    Returns:
        `PosedImages` of one image a panorama and a sentence on what they are. Views are joined:
        their name is that of the panorama. Other images beside panoramas are left out.

    Raises:
        ValueError: the model holds neither panoramas nor views that are known.
    """
    kept = [i for i, camera in enumerate(images.cameras) if camera == PANORAMA]
    if kept:
        found = PosedImages(
            [images.names[i] for i in kept],
            [PANORAMA] * len(kept),
            Motion(images.poses.rotation[kept], images.poses.translation[kept]),
        )
        others = len(images.names) - len(kept)
        return found, PANORAMA + (f', {others} other images left out' if others else '')
    cuts = [re.fullmatch(r'(?:.*/)?pano_camera(\d+)/(.+)', name) for name in images.names]
    if all(cuts):
        layouts = [_views(pitches) for pitches in _LAYOUTS]
        numbers = [int(cut[1]) for cut in cuts]
        return _join_views(images, numbers, [cut[2] for cut in cuts], layouts, _SCRIPT, path)
    words = '|'.join(cube.FACES)
    sides = [re.fullmatch(rf'(?:.*/)?({words})_(.+)', name) for name in images.names]
    if all(sides):
        numbers = [cube.FACES.index(side[1]) for side in sides]
        layouts = [cube.FACE_AXES.astype(np.float64)]
        return _join_views(images, numbers, [side[2] for side in sides], layouts, _CUBE, path)
    odd = (cuts if any(cuts) else sides).index(None)
    raise ValueError(
        f'{path} holds no panorama: image {images.names[odd]} has a camera of the model '
        f'{images.cameras[odd]}; accepted: {_ACCEPTED}'
    )


def _views(pitches):
    """Rotations [V, 3, 3] from the panorama into the views of panorama_sfm.py."""
    # Rows of views are a quarter turn apart; those that look up are shifted by half of it.
    turns = [(-pitch, -(yaw + 45 * (pitch > 0))) for pitch in pitches for yaw in (0, 90, 180, 270)]
    return Rotation.from_euler('XY', turns, degrees=True).as_matrix()


def _join_views(images, numbers, names, layouts, kind, path):
    """`PosedImages` of the panoramas that views were cut from, and what they are.

    Args:
        images: `PosedImages` of the views.
        numbers: of each view in the layout.
        names: of the panorama of each view.
        layouts: rotations [V, 3, 3] from the panorama into its views, as they may be.
        kind: what the views are called.
        path: of the model, for messages.
    """
    first = {}
    for i, name in enumerate(names):
        first.setdefault(name, i)
    kept, of_first = list(first.values()), [first[name] for name in names]
    centre = images.poses.translation
    apart = np.abs(centre - centre[of_first]).max()
    together = len(kept) < len(names) and apart <= 1e-3 * np.ptp(centre, axis=0).max() + 1e-9
    for views in layouts:
        if not together or max(numbers) >= len(views):
            continue
        # All views of a panorama have to tell the same rotation of it.
        rotation = images.poses.rotation @ views[numbers]
        turn = Rotation.from_matrix(np.swapaxes(rotation, -1, -2) @ rotation[of_first])
        if turn.magnitude().max() < 2e-3:
            found = PosedImages(
                list(first), [images.cameras[i] for i in kept], Motion(rotation[kept], centre[kept])
            )
            return found, f'{len(names)} {kind}, {len(views)} a panorama'
    raise ValueError(
        f'{path} holds views {images.names[0]}, ... that are not turned as {kind}, so that the axes'
        f' of their panorama are unknown; accepted: {_ACCEPTED}'
    )
