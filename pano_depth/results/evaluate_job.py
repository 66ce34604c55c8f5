"""Scores networks on footage with truth, or on the test split of PanoRooms, in a run directory."""

import dataclasses
import pathlib

import numpy as np

from common import options, parallel
from common.logs import say
from common.options import READ, WRITTEN, option
from common.run import (
    RunDirectory,
    check_folder,
    check_inputs,
    digest_of_tree,
    open_run,
    write_json,
)
from pano_depth.footage import footage as footages
from pano_depth.footage import masks
from pano_depth.footage.config import FootageConfig
from pano_depth.learning import checkpoints
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.learning.model import Grid, ModelConfig, make_grid
from pano_depth.reconstruction import evaluate as protocol
from pano_depth.results import inputs, panels, report, workdirs
from pano_depth.rooms import blind, pano_rooms

ROOMS = 'rooms'


@dataclasses.dataclass(frozen=True)
class RoomsConfig:
    """The rooms for training and for evaluation."""

    rooms: str = option(
        '64x128',
        'configuration of the pano_rooms data set for training and its test split for evaluation',
    )
    data_dir: str | None = option(
        None, 'directory of data sets; default: the directory of TFDS', path=WRITTEN
    )


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How networks are scored."""

    checkpoint: str = option(
        'default',
        'networks to score: "default" (from the package), the workdir of a training run, or a'
        ' .npz of save_weights',
        path=READ,
    )
    footage: FootageConfig = FootageConfig()
    model: ModelChoice = ModelChoice()
    data: RoomsConfig = RoomsConfig()


def evaluate(
    footage,
    workdir: str | pathlib.Path | None = None,
    config: EvaluateConfig = EvaluateConfig(),
    *,
    overwrite: bool = False,
) -> dict:
    """Scores depth and motion next to trivial predictors.

    Args:
        footage: 'rooms' for the test split of PanoRooms, or anything with depth or poses as for
            `reconstruct`, of one clip or of several.
        workdir: directory of the run, which gets `eval.json`, pictures and a report; None writes
            nothing.
        config: options of the evaluation.
        overwrite: whether files of an earlier run in the workdir, whatever it was, are removed.

    Returns:
        What `eval.json` holds: {'depth', 'pose', 'baselines', 'protocol', 'frames'}.

    Raises:
        ValueError: nothing to score against, an option that does not fit, or a workdir of another
            run: of other options, or of the same names with other content.
    """
    config = options.expand_paths(config)
    beside = {'mode': 'eval', 'input': inputs.name_of(footage)}
    opening = workdirs.opening(config, overwrite=overwrite, input=beside['input'])
    _, record = workdirs.check(
        workdir, config, opening, what='evaluation', free={'data_dir'}, **beside
    )
    on_rooms = isinstance(footage, str) and footage == ROOMS
    if on_rooms:
        check_rooms(config.data.rooms)
        check_folder('data_dir', config.data.data_dir)
    else:
        pieces = inputs.open_input(footage, config.footage)
        if not any(piece.has_depth or piece.poses is not None for piece in pieces):
            raise ValueError(
                f'{inputs.name_of(footage) or pieces[0].name} has neither depth nor poses to'
                ' evaluate against; --mode=predict needs none'
            )
    params, model = checkpoints.trained_model(config.checkpoint, config.model)
    grid = make_grid(model)
    if workdir is None:
        if on_rooms:
            return score_rooms(None, config.data, params, model, grid)
        return _score_footage(None, pieces, config, params, model, grid)
    text = options.flagfile(config, workdir=workdir, **beside)
    reading = Reading(config, () if on_rooms else pieces, params, model)
    # What has been read before is compared before anything is computed.
    if record.get('inputs'):
        check_inputs(record, reading.digests(), workdir=workdir, what='evaluation')
    with open_run(workdir, text, **opening) as run:
        if on_rooms:
            scores = score_rooms(run, config.data, params, model, grid)
        else:
            scores = _score_footage(run, reading.footage, config, params, model, grid)
        run.update(inputs=reading.digests())
        finish(run)
    return scores


class Reading:
    """What an evaluation reads: its footage, of which the first reading makes digests.

    Attributes:
        footage: the pieces of footage; none for rooms.
    """

    def __init__(self, config: EvaluateConfig, pieces, params: dict, model: ModelConfig):
        """Starts without having read anything.

        Args:
            config: options of the evaluation.
            pieces: of footage, none for rooms.
            params, model: the networks.
        """
        self._contents = [inputs.Content(piece) for piece in pieces]
        self._rows = 2 * model.face_size
        self._known = {'--checkpoint': digest_of_tree(params, model)}
        self.footage = [content.footage for content in self._contents]
        if pieces:
            self._known |= inputs.digest_of_mask(config.footage)
        else:
            self._known['--rooms'] = str(pano_rooms.PanoRooms.VERSION)

    def digests(self) -> dict[str, str | None]:
        """Digests by what people call the input; reads footage that has not been read yet."""
        for content in self._contents:
            content.read((self._rows, 2 * self._rows))
        found = [content.digests() for content in self._contents]
        return self._known | (inputs.joined(found) if found else {})


def _score_footage(run, pieces, config, params, model, grid):
    """Scores footage with truth, and writes into the run directory if there is one."""
    path = config.footage.mask_path
    mask = None if path is None else masks.read_mask(path)
    shown = Shown(run)
    scores = protocol.evaluate(params, pieces, grid, model, mask=mask, on_footage=shown)
    name = pieces[0].name if len(pieces) == 1 else f'{len(pieces)} clips'
    if run is not None:
        shown.write(name)
        skipped = [entry for piece in pieces for entry in piece.skipped]
        run.update(
            data={'name': name, 'pieces': [piece.name for piece in pieces], 'skipped': skipped}
        )
        run.writes('eval.json')
        write_json(run.path / 'eval.json', scores)
    say(protocol.summary(scores))
    return scores


def check_rooms(name: str, rows: int = 0) -> None:
    """Refuses rooms that do not exist or are smaller than what networks see.

    Args:
        name: configuration of the data set.
        rows: least number of rows of its images.

    Raises:
        ValueError: there are no such rooms, or they have fewer rows.
    """
    configs = {config.name: config for config in pano_rooms.PanoRooms.BUILDER_CONFIGS}
    if name not in configs:
        raise ValueError(f'--rooms is {name!r}; accepted are {", ".join(configs)}')
    if configs[name].height < rows:
        raise ValueError(
            f'--rooms={name} has {configs[name].height} rows; --face_size={rows // 2} needs at'
            f' least {rows}'
        )


def score_rooms(
    run: RunDirectory | None, data: RoomsConfig, params: dict, model: ModelConfig, grid: Grid
) -> dict:
    """Scores the test split next to trivial predictors.

    The image-blind predictor knows the training split.

    Args:
        run: gets `eval.json` and pictures, if there is one.
        data: which rooms.
        params, model, grid: the networks.

    Returns:
        What `eval.json` holds.
    """
    name = f'pano_rooms/{data.rooms}'
    say(f'opening {name}, rendered on first use')
    train, test = (pano_rooms.load(split, data.rooms, data.data_dir) for split in ('train', 'test'))
    prior = blind.blind_prior(
        (depth for i in range(len(train)) for depth in train[i].depth[::4]), test[0].frames.shape[1]
    )
    say(f'evaluating on {len(test)} test clips')
    shown = Shown(run)
    clips = (footages.from_clip(test[i]) for i in range(len(test)))
    scores = protocol.evaluate(params, clips, grid, model, prior=prior, on_footage=shown)
    if run is not None:
        run.update(data={'name': name, 'version': str(pano_rooms.PanoRooms.VERSION)})
        shown.write(f'{name}, test scenes')
        run.writes('eval.json')
        write_json(run.path / 'eval.json', scores)
    say(protocol.summary(scores))
    return scores


def finish(run: RunDirectory) -> None:
    """Writes the report and says where everything is."""
    run.writes(report.REPORT_FILE)
    if parallel.is_main():
        report.depth_report(run.path)
        run.finish()
        say(f'results are in {run.path}, report.html shows them')


class Shown:
    """Keeps a few frames of an evaluation for its panels, and draws the first path.

    It is an `on_footage` of `reconstruction.evaluate.evaluate`.
    """

    def __init__(self, run: RunDirectory | None, count: int = 4):
        """Starts without frames.

        Args:
            run: the run directory, or None to show nothing at all.
            count: frames to keep.
        """
        self._run, self._count, self._kept, self._drawn = run, count, [], False

    def __call__(self, footage, analysis):
        """Draws the first path; returns an `on_frame` that keeps frames with their truth."""
        if self._run is None:
            return None
        known = footage.poses is not None and len(footage.poses.rotation) == len(analysis.units)
        if known and not self._drawn:
            self._run.writes('trajectory.png')
            panels.trajectory_plot(
                self._run.path / 'trajectory.png', analysis.poses, footage.poses, title=footage.name
            )
            self._drawn = True
        shown = {len(analysis.units) // 2} if footage.ordered else range(self._count)

        def on_frame(frame, depth, position):
            if position in shown and len(self._kept) < self._count:
                self._kept.append((frame.image, depth, frame.depth))

        return on_frame

    def write(self, title: str) -> None:
        """Draws the kept frames that are as large as the first one."""
        kept = [entry for entry in self._kept if entry[1].shape == self._kept[0][1].shape]
        if kept:
            frames, depth, truth = (np.stack(parts) for parts in zip(*kept, strict=True))
            self._run.writes('panels.png')
            panels.clip_panels(
                self._run.path / 'panels.png', frames, depth, truth=truth, title=title
            )
