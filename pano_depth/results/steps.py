"""The steps of a reconstruction: read, adapt, predict, adjust, refine, write, score."""

import dataclasses
import math
import pathlib
import shutil

from common import parallel
from common.logs import say
from common.run import RunDirectory, write_json
from pano_depth.footage import masks
from pano_depth.footage.clip import Clip
from pano_depth.learning import checkpoints, session, sources, spacing
from pano_depth.learning.model import make_grid
from pano_depth.reconstruction import analysis as analyses
from pano_depth.reconstruction import bundle, evaluate, infer, sweep
from pano_depth.results import predict, report
from pano_depth.results import refined as refinement
from pano_depth.results.reconstruction import Reconstruction

NEAR = 0.25  # share of the triplets that are closer than `stride`
WIDEN_FROM = 0.3  # part of the adaptation after which `reach` counts
MAX_ROWS = 512  # of the results if `output_height` is 0
ROOM = 8e9  # bytes on disk for the images that the adjustment compares
ROUND = 64  # the adjustment halves images: their rows are a multiple of this


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


class Steps:
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
        result = self._predict(run.path if writes else self.scratch)
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
        if result.refined is not None:
            result.refined.forget()
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

    def _predict(self, folder) -> Reconstruction:
        """What is known of all frames, in one unit; `folder` keeps refined depth."""
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
        self.alone, found, refined = analysis, {}, None
        height = self.config.output_height or min(MAX_ROWS, self.footage.height)
        if self.config.adjust and analysis.poses is not None and len(analysis.units) > 1:
            analysis, found = self._adjusted(analysis, height)
            if 'reason' not in found['adjustment'] and self.config.refine == 'auto':
                refined = self._refined(analysis, height, folder)
                found['confirmed'] = refined.confirmed()
                say(f'refined: other views confirm {found["confirmed"]:.0%} of the pixels')
        analysis, facts = predict.fix_scale(
            analysis,
            self.model,
            camera_height=self.config.camera_height,
            mask=self.mask,
            refined=refined,
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
            refined=refined,
        )
        result.facts.update(facts, **found)
        return result

    def _images(self, rows):
        """The frames with so many rows, in a file."""
        return analyses.read_frames(
            self.footage,
            rows,
            self.scratch / f'rows_{rows}',
            stride=self.config.every,
            limit=len(self.frames.images),
        ).images

    def _adjusted(self, analysis, height):
        """(analysis with the path by which frames explain each other, facts about it)."""
        rows = rows_that_fit(height, len(self.frames.images), self.scratch)
        self.large = self._images(rows)
        depth = analyses.depth_of_all(analysis, self.model)
        try:
            found = bundle.adjust(
                self.large, analysis.poses, depth, mask=self.mask, config=self.config.bundle
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

    def _refined(self, analysis, height, folder):
        """Depth of all frames by geometry, at the size of the results."""
        images = self.large if self.large.shape[1] == height else self._images(height)
        depth = analyses.depth_of_all(analysis, self.model)
        config = self.config
        found = sweep.Sweep(
            images, analysis.poses, depth, mask=self.mask, fill=config.fill, config=config.sweep
        )
        key = refinement.key_of(analysis.poses, depth, f'{height} {config.fill} {config.sweep}')
        middle = infer.median_depth(analysis)
        return refinement.refine_all(
            found, folder / 'refining', key, len(images), middle, self.stop
        )

    def _score(self, result):
        """Compares the result with the truth, where there is one for every frame."""
        footage = self.footage
        if (footage.has_depth or footage.poses is not None) and self.config.every == 1:
            refined = None
            if result.refined is not None:
                refined = lambda position: (result.depth(position), result.confidence(position))
            result.scores = self._scores(result.analysis, refined)
            if 'adjustment' in result.facts:
                alone = self._scores(self.alone)
                result.scores['networks'] = {name: alone[name] for name in ('depth', 'pose')}

    def _scores(self, analysis, refined=None):
        scores = evaluate.Scores(mask=self.mask)
        scores.add(self.footage, analysis, self.model, refined=refined)
        return scores.result()

    def _finish(self, run, result):
        """Writes scores and the report."""
        if result.scores is not None:
            write_json(run.path / 'eval.json', result.scores)
            say(evaluate.summary(result.scores))
        report.depth_report(run.path)
        say(f'results are in {run.path}, report.html shows them')
