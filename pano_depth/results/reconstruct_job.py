"""Footage in, depth of every frame and the path of the camera out: one call, one run directory."""

import dataclasses
import math
import pathlib
import shutil
import tempfile
import weakref
from typing import Literal

from common import options, parallel
from common.logs import say
from common.options import check_options, held, option
from common.run import RunDirectory, earlier_run, open_run, write_json
from common.stopping import Stop
from pano_depth.footage import masks
from pano_depth.footage.clip import Clip
from pano_depth.footage.config import FootageConfig
from pano_depth.learning import checkpoints, session, sources, spacing
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.learning.model import make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.session import LogConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction import analysis as analyses
from pano_depth.reconstruction import bundle, evaluate, infer
from pano_depth.reconstruction.bundle import BundleConfig
from pano_depth.results import inputs, predict, report
from pano_depth.results.reconstruction import Reconstruction

NEAR = 0.25  # share of the triplets that are closer than `stride`
WIDEN_FROM = 0.3  # part of the adaptation after which `reach` counts
MAX_ROWS = 512  # of the results if `output_height` is 0
ROOM = 8e9  # bytes on disk for the images that the adjustment compares
ROUND = 64  # the adjustment halves images: their rows are a multiple of this


@dataclasses.dataclass(frozen=True)
class ReconstructConfig:
    """How footage becomes depth and a path."""

    checkpoint: str = option(
        'default',
        'networks to start from: "default" (from the package), "none" (fresh ones), the workdir'
        ' of a training run, or a .npz of save_weights',
    )
    adapt: int = option(
        0,
        'steps of self-supervised training on the footage itself before predicting',
        lower_bound=0,
    )
    stride: int = option(
        0,
        'frames between two images that training compares; 0 chooses it from the footage',
        lower_bound=0,
    )
    reach: int = option(
        1,
        'with adapt: neighbours up to so many strides away are compared, once the nearest are'
        ' learned',
        lower_bound=1,
    )
    adjust: bool = option(
        True,
        'adjust the path until frames explain each other at the resolution of the results'
        ' (photometric bundle adjustment); else it is what the networks say',
    )
    every: int = option(1, 'n takes every n-th frame of the footage', lower_bound=1)
    max_frames: int = option(0, 'takes at most so many frames; 0 takes all', lower_bound=0)
    camera_height: float | None = option(
        None,
        "the camera's height over the floor in metres, which fixes the scale of the results",
        lower_bound=1e-3,
    )
    output_height: int = option(
        0, 'rows of the results; 0 takes the rows of the footage, at most 512', lower_bound=0
    )
    npy: bool = option(False, 'also write depth as float32 .npy')
    cloud_axes: Literal['y_down', 'y_up', 'z_up'] = option('y_up', 'axes of cloud.ply')
    cloud_voxel: float | None = option(
        None,
        'side of the voxels of cloud.ply in the unit of the depth; default 1 % of the median depth',
        lower_bound=1e-6,
    )
    save_weights: str | None = option(
        None, 'also write the trained networks as one .npz file, for checkpoint'
    )
    bundle: BundleConfig = held(BundleConfig(), prefix='bundle_')
    footage: FootageConfig = FootageConfig()
    model: ModelChoice = ModelChoice()
    loss: LossConfig = LossConfig()
    recipe: RecipeConfig = RecipeConfig()
    logs: LogConfig = LogConfig()

    def __post_init__(self):
        check_options(self)
        if self.output_height % 2:
            raise ValueError(f'--output_height is {self.output_height}; an even number is accepted')
        if self.checkpoint == 'none' and not self.adapt:
            raise ValueError(
                '--checkpoint=none needs --adapt=STEPS, to learn from the footage itself'
            )


def reconstruct(
    footage,
    workdir: str | pathlib.Path | None = None,
    config: ReconstructConfig = ReconstructConfig(),
    *,
    stop: Stop | None = None,
) -> Reconstruction | None:
    """Depth of every frame and the path of the camera, in one unit.

    Args:
        footage: a path (an equirectangular video, an image, a folder of images, a clip folder,
            RGB-D pairs), 'sample' for the rendered sample clip, a `Footage`, or frames
            [N, H, 2H, 3] uint8.
        workdir: directory of the run: a new one, or the directory of the same run, which then goes
            on. All results are written into it, see README. None writes nothing; intermediate files
            are in a temporary directory as long as the result exists.
        config: options of the reconstruction.
        stop: request to stop, see `common.stopping`; None: never.

    Returns:
        `Reconstruction`; None in all but the first process of a multi-host run.

    Raises:
        ValueError: unusable footage, an option that does not fit, or a workdir of another run.
        Stopped: there was a request to stop; the same call goes on later.
    """
    inputs.check_weights_path(config.save_weights)
    beside = {'mode': 'predict', 'input': inputs.name_of(footage)}
    if workdir is not None:
        earlier = earlier_run(workdir)
        options.check_same(earlier[0], config, workdir=workdir, what='prediction', **beside)
    mask = None if config.footage.mask is None else masks.read_mask(config.footage.mask)
    pieces = inputs.open_input(footage, config.footage, sample_rows=config.output_height)
    if len(pieces) > 1:
        raise ValueError(
            f'input {footage} holds {len(pieces)} clips, such as {pieces[0].name} and'
            f' {pieces[1].name}; one of them is accepted'
        )
    scratch = tempfile.TemporaryDirectory(prefix='pano_depth_')
    result = None
    try:
        job = _Job(config, pieces[0], mask, pathlib.Path(scratch.name), stop or Stop())
        if workdir is None:
            place = pathlib.Path(scratch.name) / 'run'
        else:
            place = workdir
            _check_data(earlier[1], job.frames.sha256, workdir)
        text = options.flagfile(config, workdir=workdir, **beside)
        with open_run(place, text) as run:
            result = job.run(run, writes=workdir is not None)
    finally:
        if result is None:
            scratch.cleanup()
        else:
            # Files that are mapped into memory stay as long as the result.
            weakref.finalize(result, scratch.cleanup)
    return result


def rows_that_fit(height: int, count: int, folder: pathlib.Path) -> int:
    """Rows of the images that the adjustment compares: their file must not fill the disk.

    Args:
        height: rows of the results, which are wanted.
        count: number of frames.
        folder: where the file lies.

    Returns:
        A multiple of 64, unless `height` is below 64.
    """
    room = min(ROOM, shutil.disk_usage(folder).free / 2)
    fits = int(math.sqrt(room / (6 * count)))
    return max(min(height, fits) // ROUND * ROUND, min(height, ROUND))


def _check_data(record, sha256, workdir):
    """Raises ValueError if an earlier run's footage had the same name but other images."""
    known = (record.get('data') or {}).get('sha256')
    if known not in (None, sha256):
        raise ValueError(
            f'workdir {workdir} holds a prediction of other footage: the images of the input have'
            ' changed; other footage needs another --workdir'
        )


class _Job:
    """A reconstruction in progress: networks, frames and what is known of them."""

    def __init__(self, config, footage, mask, scratch, stop):
        """Loads networks and frames and checks everything that can be checked before the work."""
        self.config, self.footage, self.mask, self.stop = config, footage, mask, stop
        self.scratch = scratch
        self.params, self.model = checkpoints.start_model(config.checkpoint, config.model)
        self.grid = make_grid(self.model)
        self.recipe = dataclasses.replace(config.recipe, steps=max(1, config.adapt))
        self.frames = analyses.read_frames(
            footage,
            2 * self.model.face_size,
            scratch / 'frames',
            stride=config.every,
            limit=config.max_frames or None,
        )
        self.source = self._clip_source() if config.adapt else None

    def _clip_source(self):
        """The footage as training triplets at the resolution of the networks."""
        footage, images = self.footage, self.frames.images
        if len(images) < 3 or not footage.ordered:
            raise ValueError(
                f'--adapt needs at least 3 frames of a moving camera, {footage.name} has'
                f' {len(images)}{"" if footage.ordered else " unrelated images"}'
            )
        parallel.local_examples(self.recipe.batch_size)
        stride = self.config.stride
        if not stride:
            stride, shift = spacing.choose_stride(images)
            say(
                f'comparing frames {stride} apart: they are shifted by {shift:.2f} pixels of a'
                ' 64 x 128 image beyond rotation'
            )
        return sources.ClipSource(
            Clip(footage.name, images),
            stride=stride,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            reach=self.config.reach,
            near=NEAR,
            widen_from=round(WIDEN_FROM * self.recipe.steps),
        )

    def run(self, run: RunDirectory, *, writes: bool) -> Reconstruction | None:
        """Adapts, predicts, and writes files if asked to; None in all but the first process."""
        footage, frames, source = self.footage, self.frames, self.source
        say(f'{footage.name}: {len(frames.images)} frames of {footage.height} x {footage.width}')
        run.update(data={'name': footage.name, 'sha256': frames.sha256, 'skipped': footage.skipped})
        if source is not None:
            run.update(stride=source.stride)
            self._adapt(run)
        if not parallel.is_main():
            return None
        if self.config.save_weights:
            checkpoints.save_weights(self.config.save_weights, self.params, self.model)
        result = self._predict()
        if writes:
            result.facts.update(
                predict.write_all(
                    run.path,
                    result,
                    npy=self.config.npy,
                    cloud_axes=self.config.cloud_axes,
                    cloud_voxel=self.config.cloud_voxel,
                    stop=self.stop,
                )
            )
        run.update(prediction=result.facts)
        self._score(result)
        if writes:
            self._finish(run, result)
        return result

    def _adapt(self, run):
        """Trains on the footage itself, and compares the photometric error before and after."""
        source, loss, model, grid = self.source, self.config.loss, self.model, self.grid
        mask = masks.mask_of_rows(self.mask, 2 * model.face_size)
        images = self.frames.images

        def explain(params):
            return analyses.photometric_error(
                params, images, source.stride, grid, model, loss, mask=mask
            )

        before = None if self.params is None else explain(self.params)
        if self.params is not None and loss.prior_weight:
            source.add_prior(infer.estimate_depth(self.params, images, grid, model))
        self.params = session.train_in(
            run,
            source,
            self.recipe,
            model,
            loss,
            grid,
            mask=mask,
            params=self.params,
            logs=self.config.logs,
            description='adapt',
            stop=self.stop,
        )
        if before is not None:
            after = explain(self.params)
            run.update(photometric_error={'before': before, 'after': after})
            say(f'photometric error {before:.4f} before, {after:.4f} after adaptation')

    def _predict(self) -> Reconstruction:
        """What is known of all frames, in one unit."""
        # What the adaptation taught beyond direct neighbours.
        further = () if self.source is None else range(1, self.source.reach + 1)
        analysis = analyses.analyse(
            self.params,
            self.frames,
            self.grid,
            self.model,
            self.scratch / 'disparity',
            ordered=self.footage.ordered,
            distances=(1, *(self.source.stride * times for times in further)),
        )
        self.alone, found = analysis, {}
        height = self.config.output_height or min(MAX_ROWS, self.footage.height)
        if self.config.adjust and analysis.poses is not None and len(analysis.units) > 1:
            analysis, found = self._adjusted(analysis, height)
        analysis, facts = predict.fix_scale(
            analysis, self.model, camera_height=self.config.camera_height, mask=self.mask
        )
        result = Reconstruction(
            self.footage,
            self.frames,
            analysis,
            self.model,
            height=height,
            stride=self.config.every,
            mask=self.mask,
            unit=facts['unit'],
        )
        result.facts.update(facts, **found)
        return result

    def _adjusted(self, analysis, height):
        """(analysis with the path by which frames explain each other, facts about it)."""
        rows = rows_that_fit(height, len(self.frames.images), self.scratch)
        large = analyses.read_frames(
            self.footage,
            rows,
            self.scratch / 'large',
            stride=self.config.every,
            limit=len(self.frames.images),
        )
        depth = analyses.depth_of_all(analysis, self.model)
        try:
            found = bundle.adjust(
                large.images, analysis.poses, depth, mask=self.mask, config=self.config.bundle
            )
        except ValueError as error:
            say(f'the path is what the networks say: {error}')
            return analysis, {'adjustment': {'reason': str(error)}}
        say(
            f'path adjusted over {len(found.keyframes)} keyframes of {rows} x {2 * rows}: grey'
            f' values differ by {found.residual:.4f} in the mean (root mean square)'
        )
        facts = {
            'keyframes': len(found.keyframes),
            'height': rows,
            'residual': found.residual,
            'residual_before': found.before,
        }
        return analysis._replace(poses=found.poses), {'adjustment': facts}

    def _score(self, result):
        """Compares the result with the truth, where there is one for every frame."""
        footage = self.footage
        if (footage.has_depth or footage.poses is not None) and self.config.every == 1:
            scores = evaluate.Scores(mask=self.mask)
            scores.add(footage, result.analysis, self.model)
            result.scores = scores.result()
            if 'adjustment' in result.facts:
                # The depth is the networks'; its scale does not enter the scores.
                result.scores['networks'] = {
                    'depth': result.scores['depth'],
                    'pose': self._pose_alone(),
                }

    def _pose_alone(self):
        """Scores of the path that the networks alone predict, or None without a true one."""
        if self.footage.poses is None:
            return None
        scores = evaluate.Scores(mask=self.mask)
        scores.add(dataclasses.replace(self.footage, has_depth=False), self.alone, self.model)
        return scores.result()['pose']

    def _finish(self, run, result):
        """Writes scores and the report."""
        if result.scores is not None:
            write_json(run.path / 'eval.json', result.scores)
            say(evaluate.summary(result.scores))
        report.depth_report(run.path)
        say(f'results are in {run.path}, report.html shows them')
