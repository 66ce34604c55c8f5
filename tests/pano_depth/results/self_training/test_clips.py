"""What is reconstructed of the clips that networks learn from."""

import pathlib

import numpy as np

from pano_depth import ReconstructConfig
from pano_depth.footage import footage as footages
from pano_depth.learning.footage_source import TrainingClip
from pano_depth.results.self_training import clips
from pano_depth.results.training import collection, found
from tests.pano_depth.results import made_footage


def test_a_take_is_reconstructed_without_the_rest_of_its_clip(tmp_path, monkeypatch):
    walk, seen = made_footage.walk(0), []
    item = found.Item('walk', 'walk', None, lambda: footages.from_clip(walk))
    clip = TrainingClip('walk', walk.frames, 1)
    whole = collection.Piece(item, clip, range(len(walk)), True)
    jobs = clips.jobs_of([whole, collection.part(whole, 2, 6)], tmp_path, ReconstructConfig())
    names = [pathlib.Path(job.workdir).name for job in jobs]
    assert [name[:4] for name in names] == ['000_', '001_'] and len(set(names)) == 2
    assert [job.config.exports.export_to for job in jobs] == [('clip',)] * 2
    look = lambda footage, *_, **__: seen.append((footage, [f.image for f in footage.frames()]))
    monkeypatch.setattr(clips, 'reconstruct', look)
    for job in jobs:
        assert clips.reconstruct_one(job) == 'no path of the camera was found'
    np.testing.assert_array_equal(seen[0][1], walk.frames)
    np.testing.assert_array_equal(seen[1][1], walk.frames[2:6])
    assert seen[1][0].name == 'walk [2:6]'
    assert all(one.poses is None and not one.has_depth for one, _ in seen)
