"""COLMAP on a folder of images, in a process of its own: python colmap_worker.py FOLDER.

`images/` holds panoramas, or `images/cam00/` and so on the perspective views of a rig whose
`views.json` says how they look. Writes `poses.json`: {image: [rotation, position], camera to
world} of the panoramas that are registered, and the seconds of each stage. It imports no JAX:
pycolmap 4.2 crashed in a process that held it.
"""

import json
import pathlib
import sys
import time

import numpy as np
import pycolmap


def reconstruct(folder: pathlib.Path) -> dict:
    """Runs COLMAP from features to poses.

    Args:
        folder: with `images`, and `views.json` for a rig.
    """
    views = folder / 'views.json'
    rig = json.loads(views.read_text()) if views.exists() else None
    images, database = folder / 'images', folder / 'database.db'
    clock, seconds = time.monotonic(), {}
    reader = pycolmap.ImageReaderOptions()
    if rig is None:
        reader.camera_model = 'EQUIRECTANGULAR'
        mode = pycolmap.CameraMode.SINGLE
    else:
        reader.camera_model = 'PINHOLE'
        reader.camera_params = ','.join(map(str, rig['params']))
        mode = pycolmap.CameraMode.PER_FOLDER
    pycolmap.extract_features(database, images, camera_mode=mode, reader_options=reader)
    seconds['features'] = time.monotonic() - clock
    matching = pycolmap.FeatureMatchingOptions()
    if rig is not None:
        _apply_rig(rig, database)
        matching.rig_verification = True
        matching.skip_image_pairs_in_same_frame = True
    pycolmap.match_exhaustive(database, matching_options=matching)
    seconds['matching'] = time.monotonic() - clock
    options = pycolmap.IncrementalPipelineOptions()
    if rig is not None:
        # What the views look like is known exactly.
        options.ba_refine_sensor_from_rig = False
        options.ba_refine_focal_length = False
        options.ba_refine_extra_params = False
    found = pycolmap.incremental_mapping(database, images, folder / 'model', options)
    seconds['mapping'] = time.monotonic() - clock
    best = max(found.values(), key=lambda model: model.num_reg_images(), default=None)
    return {'poses': {} if best is None else _poses(best, rig), 'seconds': seconds}


def _apply_rig(rig, database):
    cameras = [
        pycolmap.RigConfigCamera(
            ref_sensor=number == 0,
            image_prefix=f'cam{number:02d}/',
            cam_from_rig=None
            if number == 0
            else pycolmap.Rigid3d(pycolmap.Rotation3d(np.array(rotation)), np.zeros(3)),
        )
        for number, rotation in enumerate(rig['from_first'])
    ]
    with pycolmap.Database.open(database) as opened:
        pycolmap.apply_rig_config([pycolmap.RigConfig(cameras=cameras)], opened)


def _poses(model, rig):
    """{name: [rotation, position]} of panoramas, camera to world."""
    found = {}
    for image in model.images.values():
        prefix, _, name = image.name.rpartition('/')
        if not image.has_pose or (rig is not None and prefix != 'cam00'):
            continue
        pose = image.cam_from_world().inverse()
        found[name] = [
            np.asarray(pose.rotation.matrix()).tolist(),
            np.asarray(pose.translation).tolist(),
        ]
    return found


if __name__ == '__main__':
    workplace = pathlib.Path(sys.argv[1])
    result = reconstruct(workplace)
    (workplace / 'poses.json').write_text(json.dumps(result))
