"""What a training learns from and is judged by: rooms, footage, or both."""

import dataclasses
from typing import NamedTuple

from common import parallel
from common.logs import say
from common.run import RunDirectory, check_folder, write_json
from common.stopping import Stop
from pano_depth.footage import masks
from pano_depth.footage.config import AUTO
from pano_depth.learning import sources
from pano_depth.learning.footage_source import FootageSource, TrainingClip, WithRooms
from pano_depth.learning.model import Grid, ModelConfig, init_params
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.triplets import Source
from pano_depth.reconstruction import evaluate as protocol
from pano_depth.results.training import collection, found, judge
from pano_depth.results.training.collection import Collection, Piece
from pano_depth.results.training.split import split
from pano_depth.rooms import pano_rooms

LIVE, STORED = 'live', 'stored'  # rooms alone


class Weights(NamedTuple):
    """Of the supervised losses.

    Attributes:
        truth: where depth and motion are known.
        labels: where a reconstruction found them, times its confidence.
    """

    truth: float
    labels: float

    def share(self, clip: TrainingClip) -> float:
        """Part of the larger weight that the labels of a clip get."""
        weight = self.truth if clip.labels.confidence is None else self.labels
        return weight / max(self) if weight else 0.0


class Data(NamedTuple):
    """The clips of a training; none of them where it learns from rooms and is judged by rooms.

    Attributes:
        learned: pieces to learn from.
        held_out: pieces to judge by; none: rooms judge.
        left_out: [(name, reason)] of clips that are not used.
        digests: of their content, by option.
    """

    learned: list[Piece]
    held_out: list[Piece]
    left_out: list[tuple[str, str]]
    digests: dict[str, str | None]


def check(config) -> None:
    """Refuses lists of paths and options that do not go together; opens nothing.

    Args:
        config: `TrainConfig`.

    Raises:
        ValueError: names the option.
    """
    rooms_alone = config.train_data in (LIVE, STORED)
    learn = config.loss.learn
    if learn != 'both' and rooms_alone and not config.loss.truth_weight:
        raise ValueError(
            f'--learn={learn} learns from known {learn}, but --truth_weight is 0; accepted: above 0'
        )
    for flag in ('train_data', 'eval_data'):
        text = getattr(config, flag)
        if text is None or (flag == 'train_data' and text in (LIVE, STORED)):
            continue
        try:
            paths, with_rooms = found.paths_in(text)
        except ValueError as error:
            raise ValueError(f'--{flag} is {error}') from None
        if flag == 'eval_data' and with_rooms and paths:
            raise ValueError(f'--eval_data is {text}; accepted: paths, or rooms alone')
        if {LIVE, STORED} & set(paths) and flag == 'train_data':
            raise ValueError(
                f'--train_data is {text}; {LIVE} and {STORED} stand alone, {found.ROOMS} puts live'
                ' rooms beside footage'
            )


def learns_from_footage(config) -> bool:
    """Whether `--train_data` names a path."""
    return config.train_data not in (LIVE, STORED) and bool(found.paths_in(config.train_data)[0])


def judged_by_rooms(config) -> bool:
    """Whether the test split of PanoRooms judges."""
    return config.eval_data == found.ROOMS or (
        config.eval_data is None and not learns_from_footage(config)
    )


def prepare(config, rows: int, stop: Stop | None = None, *, named: str = 'train_data') -> Data:
    """Reads the footage of a training into the cache.

    Args:
        config: `TrainConfig`.
        rows: of the images that the networks see.
        stop: request to stop.
        named: the option that names what is learned from, for messages.

    Raises:
        ValueError: there is nothing that can be used.
        Stopped: there was a request to stop.
    """
    data_dir = pano_rooms.data_folder(config.data.data_dir)
    check_folder('data_dir', str(data_dir))
    items = _items(config, named)
    read = lambda flag: collection.collect(
        items[flag],
        config.reading,
        flag=named if flag == 'train_data' else flag,
        rows=rows,
        data_dir=data_dir,
        stride=config.stride,
        masks=config.mask == AUTO,
        stop=stop,
    )
    nothing = Collection([], [], '')
    learned = read('train_data') if items['train_data'] else nothing
    judged = read('eval_data') if items['eval_data'] else nothing
    pieces, held_out = learned.pieces, judged.pieces
    if pieces and config.eval_data is None:
        pieces, held_out = split(pieces)
    left_out = [*learned.left_out, *judged.left_out]
    digests = {f'--{named}': learned.digest or None, '--eval_data': judged.digest or None}
    return Data(pieces, held_out, left_out, digests)


def _items(config, named):
    """What is named by each option, none where rooms alone are; of both before any is read."""
    items = {'train_data': [], 'eval_data': []}
    if learns_from_footage(config):
        items['train_data'] = _items_of(config, 'train_data', named)
    if config.eval_data is not None and not judged_by_rooms(config):
        items['eval_data'] = _items_of(config, 'eval_data', 'eval_data')
    learned, judged = ({item.path.resolve() for item in each} for each in items.values())
    if learned & judged:
        raise ValueError(
            f'--eval_data holds {min(learned & judged)}, which --{named} holds, too; accepted:'
            ' other footage'
        )
    return items


def _items_of(config, flag, named):
    paths, _ = found.paths_in(getattr(config, flag))
    return found.items_of(paths, config.reading, flag=named)


def source_of(config, data: Data, rows: int) -> tuple[Source, LossConfig]:
    """The source of the training triplets, and the losses with the weight of what it knows.

    Args:
        config: `TrainConfig`.
        data: its clips.
        rows: of the images that the networks see.

    Raises:
        ValueError: nothing knows the depth that `truth_weight` is for.
    """
    recipe = config.recipe
    drawn = {'batch_size': recipe.batch_size, 'seed': recipe.seed}
    if config.train_data == STORED:
        say(f'opening pano_rooms/{config.data.rooms}')
        return sources.WindowSource(
            pano_rooms.load('train', config.data.rooms, config.data.data_dir),
            stride=max(1, config.stride),
            with_truth=config.loss.truth_weight > 0,
            **drawn,
        ), config.loss
    style = pano_rooms.style_of(config.data.rooms)
    alone = config.loss.learn == 'depth' and not data.learned
    live = sources.LiveSource(height=rows, style=style, alone=alone, **drawn)
    if not data.learned:
        return live, config.loss
    rooms = found.paths_in(config.train_data)[1]
    weights = Weights(config.loss.truth_weight, config.label_weight)
    clips = [_with_share(piece.clip, weights) for piece in data.learned]
    taught = [clip for clip in clips if clip.labels is not None]
    if weights.truth and not rooms and all(clip.labels.confidence is not None for clip in taught):
        raise ValueError(
            f'--truth_weight is {weights.truth}, but no clip of --train_data has depth and poses;'
            ' accepted: 0, or clips with both'
        )
    frames = sum(len(clip.frames) for clip in clips)
    say(
        f'learning from {frames} frames of {len(clips)} clips'
        + (f', {len(taught)} of which have depth and poses to learn from' if taught else '')
    )
    known = max(weights) if taught or (rooms and weights.truth) else 0.0
    learn = config.loss.learn
    if learn != 'both' and not known:
        raise ValueError(
            f'--learn={learn} learns from known {learn}, but no clip of --train_data has it;'
            ' accepted: workdirs of reconstructions, clips with depth and poses, or --learn=both'
        )
    loss = dataclasses.replace(config.loss, truth_weight=known)
    footage = FootageSource(clips, **drawn)
    if not rooms:
        return footage, loss
    share = weights.truth / known if known else 0.0
    return WithRooms(footage, live, config.rooms_share, truth_share=share), loss


def _with_share(clip, weights):
    """A clip whose labels have their share of the weight, or none if it is 0."""
    if clip.labels is None:
        return clip
    share = weights.share(clip)
    return clip._replace(labels=clip.labels._replace(share=share) if share else None)


class Judgement:
    """Judges networks by held-out footage before and after their training."""

    def __init__(
        self, run: RunDirectory, config, data: Data, grid: Grid, model: ModelConfig, mask, rows: int
    ):
        """Takes note of what the judgement needs.

        Args:
            run: the run directory.
            config: `TrainConfig`.
            data: clips of the training.
            grid, model: of the networks.
            mask: [h, 2h] bool, where frames count; or None.
            rows: of the images that the networks see.
        """
        self._run, self._config, self._data = run, config, data
        self._grid, self._model, self._mask = grid, model, mask
        self._rows = rows

    def error(self, params: dict) -> float:
        """The photometric error of networks."""
        return judge.photometric_error(
            params,
            self._data.held_out,
            self._grid,
            self._model,
            self._config.loss,
            mask=masks.mask_of_rows(self._mask, self._rows),
        )

    def before(self, params: dict | None) -> None:
        """Judges the networks that training starts from; an interrupted run has done so."""
        if 'photometric_error' not in self._run.record:
            params = (
                init_params(self._config.recipe.seed, self._model) if params is None else params
            )
            self._run.update(photometric_error={'before': self.error(params)})

    def after(self, params: dict, shown) -> dict:
        """Judges the trained networks, and writes `eval.json`.

        Args:
            params: {'depth', 'pose'} parameters.
            shown: `evaluate_job.Shown`.
        """
        errors = {**self._run.record['photometric_error'], 'after': self.error(params)}
        held_out = self._data.held_out
        scores = judge.scores(
            params, held_out, self._grid, self._model, mask=self._mask, on_footage=shown
        )
        name = f'{len(held_out)} held-out clip{"s" * (len(held_out) != 1)}'
        if scores is not None:
            shown.write(name)
            say(protocol.summary(scores))
        frames = sum(len(piece.clip.frames) for piece in held_out)
        found = {'frames': frames} if scores is None else scores
        found |= {'photometric_error': errors, 'clips': len(held_out)}
        self._run.update(data={'name': name}, photometric_error=errors)
        self._run.writes('eval.json')
        if parallel.is_main():
            write_json(self._run.path / 'eval.json', found)
        say(
            f'photometric error on {name}: {errors["before"]:.4f} before,'
            f' {errors["after"]:.4f} after the training'
        )
        return found


def listing(data: Data) -> dict:
    """What run.json says of the clips."""
    if not data.learned and not data.held_out:
        return {}
    learned = collection.listing(data.learned, held_out=False)
    out = [{'name': name, 'reason': reason} for name, reason in data.left_out]
    return {'clips': learned + collection.listing(data.held_out, held_out=True), 'left_out': out}
