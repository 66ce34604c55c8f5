"""Reconstructions of clips by the networks that are to learn from them."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from common.logs import say
from common.run import RECORD_FILE
from common.stopping import Stop
from pano_depth.footage import clip_folder
from pano_depth.footage.config import ReadingConfig
from pano_depth.results.exports.config import ExportConfig
from pano_depth.results.exports.folders import scene_name
from pano_depth.results.reconstruct_job import ReconstructConfig, reconstruct
from pano_depth.results.training import collection, found, judge
from pano_depth.results.training.collection import Piece
from pano_depth.results.training.found import Item


class Job(NamedTuple):
    """One clip to reconstruct; it can be pickled.

    Attributes:
        item: the clip.
        numbers: of its frames, if others do not belong to the take; None: all.
        name: of the take.
        workdir: of the reconstruction.
        config: its options.
    """

    item: Item
    numbers: tuple[int, ...] | None
    name: str
    workdir: str
    config: ReconstructConfig


def jobs_of(pieces: Sequence[Piece], folder: pathlib.Path, config: ReconstructConfig) -> list[Job]:
    """A job for each piece; its workdir is a folder of its number and name.

    Args:
        pieces: what networks learn from.
        folder: of the workdirs.
        config: options of the reconstructions; their clips are exported in any case.
    """
    config = dataclasses.replace(config, exports=ExportConfig(('clip',)))
    digits = max(3, len(str(len(pieces) - 1)))
    return [
        Job(
            piece.item,
            None if piece.whole else tuple(map(int, piece.numbers)),
            piece.clip.name,
            str(folder / f'{number:0{digits}d}_{scene_name(piece.clip.name)}'),
            config,
        )
        for number, piece in enumerate(pieces)
    ]


def reconstruct_one(job: Job, stop: Stop | None = None) -> str | None:
    """Reconstructs a clip, unless that has been done.

    Args:
        job: the clip.
        stop: request to stop.

    Returns:
        Why there is no result, or None.

    Raises:
        Stopped: there was a request to stop.
    """
    try:
        footage = job.item.open()
        if job.numbers is not None:
            footage = judge.of_frames(footage, job.numbers, job.name)
        # Nothing that is known already may help.
        footage = dataclasses.replace(footage, poses=None, has_depth=False, has_confidence=False)
        reconstruct(footage, job.workdir, job.config, stop=stop, again=False)
    except ValueError as error:
        return str(error)
    return None if _scenes(job.workdir) else 'no path of the camera was found'


def _scenes(workdir):
    folder = pathlib.Path(workdir) / 'clip'
    return clip_folder.list_scenes(folder) if folder.is_dir() else []


class Taught(NamedTuple):
    """What networks learn from in a round.

    Attributes:
        pieces: reconstructions with labels, and the images of clips that have none.
        clips: number of clips.
        failed: [(name, reason)] of clips without a reconstruction.
        confident: mean share of the pixels that other views confirm.
        digest: of the content of all reconstructions.
    """

    pieces: list[Piece]
    clips: int
    failed: list[tuple[str, str]]
    confident: float
    digest: str

    def summary(self) -> dict:
        """What the record of a round says."""
        return {
            'clips': self.clips,
            'reconstructed': self.clips - len(self.failed),
            'confident': self.confident,
            'failed': [{'name': name, 'reason': reason} for name, reason in self.failed],
        }


def taught(
    pieces: Sequence[Piece],
    jobs: Sequence[Job],
    reasons: Sequence[str | None],
    *,
    rows: int,
    data_dir: str | pathlib.Path,
    stride: int = 0,
    stop: Stop | None = None,
) -> Taught:
    """Collects what reconstructions found out.

    Args:
        pieces, jobs: the clips.
        reasons: what `reconstruct_one` gave for each.
        rows: of the images that the networks see.
        data_dir: where decoded reconstructions are kept.
        stride: frames between images that are compared; 0: chosen for each clip.
        stop: request to stop.

    Raises:
        ValueError: there is not one reconstruction.
    """
    failed = [(job.name, text) for job, text in zip(jobs, reasons, strict=True) if text]
    for name, reason in failed:
        say(f'{name} teaches by its images alone: {reason}')
    if len(failed) == len(jobs):
        raise ValueError(
            f'not one of {len(jobs)} clips could be reconstructed; the first, {failed[0][0]}:'
            f' {failed[0][1]}'
        )
    done = [job for job, text in zip(jobs, reasons, strict=True) if not text]
    items = found.items_of([job.workdir for job in done], ReadingConfig(), flag='input')
    labelled = collection.collect(
        items, ReadingConfig(), flag='input', rows=rows, data_dir=data_dir, stride=stride, stop=stop
    )
    # What is known of a clip from elsewhere must not help here either.
    images = lambda piece: piece._replace(clip=piece.clip._replace(labels=None))
    rest = [images(piece) for piece, text in zip(pieces, reasons, strict=True) if text]
    confident = sum(_confident(job.workdir) for job in done) / len(done)
    return Taught([*labelled.pieces, *rest], len(jobs), failed, confident, labelled.digest)


def _confident(workdir):
    record = json.loads((pathlib.Path(workdir) / RECORD_FILE).read_text())
    return record.get('prediction', {}).get('confirmed') or 0.0
