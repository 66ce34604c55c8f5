"""What the modes of `depth_main` have in common: which networks and footage the flags name, what is
said at the end.
"""

import dataclasses
import pathlib

import jax
import numpy as np
from absl import flags as absl_flags

from common import parallel
from common.run import open_run, write_json
from experiments import flags
from pano_depth.footage import footage as footages
from pano_depth.footage import media, open_footage
from pano_depth.learning import session
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import evaluate
from pano_depth.results import panels, report
from pano_depth.rooms import rooms

# Fields of `ModelConfig` that parameters do not depend on.
FREE_FIELDS = ('face_size', 'pose_mode')


def say(text: str) -> None:
    """Prints a line, in the process that prints."""
    if parallel.is_main():
        print(text, flush=True)


def open_workdir(values: absl_flags.FlagValues):
    """Opens the run directory that the flags name, see `common.run.open_run`.

    Raises:
        ValueError: --workdir is missing or --save_weights cannot be written, which is found out
            before the training and not after it.
    """
    if not values.workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    if values.save_weights:
        path = pathlib.Path(values.save_weights)
        if path.suffix != '.npz' or not path.parent.is_dir():
            raise ValueError(
                f'--save_weights is {path}; accepted is a name that ends in .npz, in a '
                'directory that exists'
            )
    return open_run(values.workdir, flags.as_flagfile())


def start_model(values: absl_flags.FlagValues, default: str):
    """The networks to start from: those of --checkpoint, or fresh ones of the flags.

    Args:
        values: the flags.
        default: --checkpoint if the flag is not given; 'none' for fresh networks.

    Returns:
        (params or None, ModelConfig).

    Raises:
        ValueError: a flag differs from the networks of the checkpoint in what their parameters
            depend on.
    """
    name = values.checkpoint or default
    if name == 'none':
        return None, flags.build(ModelConfig)
    params, config = session.load_model(name)
    names = [field.name for field in dataclasses.fields(ModelConfig)]
    given = {field: values[field].value for field in names if values[field].present}
    for field, value in given.items():
        stored = getattr(config, field)
        if (
            field not in FREE_FIELDS
            and (tuple(value) if isinstance(stored, tuple) else value) != stored
        ):
            raise ValueError(
                f'--{field} is {value}, the networks of --checkpoint={name} have {stored}; leave '
                'the flag out, or take --checkpoint=none'
            )
    free = {field: value for field, value in given.items() if field in FREE_FIELDS}
    return jax.tree.map(np.asarray, params), dataclasses.replace(config, **free)


def trained_model(values: absl_flags.FlagValues, default: str):
    """`start_model` for modes that cannot do without parameters.

    Raises:
        ValueError: the flags ask for fresh networks.
    """
    params, model = start_model(values, default)
    if params is None:
        raise ValueError(
            f'--mode={values.mode} needs trained networks; --checkpoint=default, a workdir or a '
            '.npz of --save_weights is accepted'
        )
    return params, model


def open_input(values: absl_flags.FlagValues) -> list:
    """The pieces of --input, each a `Footage`."""
    if values.input == 'sample':
        height = values.output_height or 128
        return [footages.from_clip(rooms.sample_clip(height=height, width=2 * height))]
    return open_footage.open_footage(
        values.input,
        stereo=values.stereo,
        on_bad=values.on_bad_frame,
        depth_scale=values.depth_scale,
    )


def read_mask(values: absl_flags.FlagValues):
    """--mask as [H, W] bool at its own size, or None."""
    return None if values.mask is None else session.read_mask(values.mask)


def small_mask(mask, model):
    """A mask at the size of the networks' images, [H, 2H] float32, or None."""
    return None if mask is None else media.nearest(mask, 2 * model.face_size).astype(np.float32)


def write_scores(run, scores) -> None:
    """Writes eval.json and prints it."""
    write_json(run.path / 'eval.json', scores)
    say(evaluate.summary(scores))


def write_report(run) -> None:
    """Writes report.html and says where everything is."""
    if parallel.is_main():
        report.depth_report(run.path)
        say(f'results are in {run.path}, report.html shows them')


class Shown:
    """Keeps a few frames of an evaluation for its panels, and draws the first path; `on_footage` of
    `evaluate.evaluate`.
    """

    def __init__(self, run, count=4):
        """Args:
        run: the run directory.
        count: frames to keep.
        """
        self._run, self._count, self._kept, self._drawn = run, count, [], False

    def __call__(self, footage, analysis):
        if (
            not self._drawn
            and footage.poses is not None
            and len(footage.poses.rotation) == len(analysis.units)
        ):
            panels.trajectory_plot(
                self._run.path / 'trajectory.png', analysis.poses, footage.poses, title=footage.name
            )
            self._drawn = True
        shown = {len(analysis.units) // 2} if footage.ordered else range(self._count)

        def on_frame(frame, depth, position):
            if position in shown and len(self._kept) < self._count:
                self._kept.append((frame.image, depth, frame.depth))

        return on_frame

    def write(self, title):
        """Draws what was kept, as far as it is of one size."""
        kept = [entry for entry in self._kept if entry[1].shape == self._kept[0][1].shape]
        if kept:
            frames, depth, truth = (np.stack(parts) for parts in zip(*kept))
            panels.clip_panels(
                self._run.path / 'panels.png', frames, depth, truth=truth, title=title
            )
