"""A reconstruction in progress: read, survey, adapt, predict, find path and depth, write, score."""

import dataclasses
import os

from common import parallel
from common.logs import Progress, say
from common.run import RunDirectory
from pano_depth.footage import masks
from pano_depth.learning import checkpoints
from pano_depth.learning.model import make_grid
from pano_depth.reconstruction import analysis as analyses
from pano_depth.reconstruction import infer, validity
from pano_depth.results.files.fusion import file_name
from pano_depth.results.pieces import Piece, in_order
from pano_depth.results.reconstruction import Reconstruction
from pano_depth.results.steps import adaptation, known, looks, scores, unit, world, writing
from pano_depth.results.steps.geometry import Geometry, rows_that_fit
from pano_depth.results.steps.hidden import Hidden, say_of_frames

MAX_ROWS = 512  # of the results if `output_height` is 0


class Steps:
    """A reconstruction in progress: networks, frames and what is known of them."""

    def __init__(self, config, footage, mask, scratch, stop, *, check=lambda rows: None):
        """Loads networks and frames and checks everything that can be checked before the work.

        `check` is called with the rows that the networks see, before the frames are read.
        """
        self.config, self.footage, self.mask, self.stop = config, footage, mask, stop
        self.scratch = scratch
        self.params, self.model = checkpoints.start_model(config.checkpoint, config.model)
        self.grid = make_grid(self.model)
        self.recipe = dataclasses.replace(config.recipe, steps=max(1, config.adapt))
        self.rows, names = 2 * self.model.face_size, {}
        check(self.rows)
        self.frames = self._read(self.rows, looks.with_names(footage, names), config.max_frames)
        self._sizes = {self.rows: self.frames}
        say_of_frames(self.frames.valid)
        self.known = None
        if config.poses is not None:
            self.known = known.read(
                config.poses,
                footage,
                self.frames.indices,
                names,
                gaps=config.refine_poses,
                camera_height=config.camera_height,
                times=self.frames.times,
            )
        self.survey = looks.pieces_of(
            config.ordered, footage, self.frames.indices, self.images, known=self.known is not None
        )
        looked = self._sizes.get(looks.rows_of(footage), self.frames)
        self.bars = looks.bars_of(config.footage.mask, looked.images)
        if self.bars is not None and self.bars.mask is not None:
            self.mask = self.bars.mask
        self.hidden = Hidden(self.mask, self.valid, scratch, self.bars)
        self.order = in_order(self.survey.pieces, self.survey.moving)
        self.source = None
        if config.adapt:
            longest = self.survey.pieces[self.order[0]]
            self.source = adaptation.clip_source(
                config, self.recipe, footage, self.frames, self.survey, longest
            )

    def _read(self, rows, footage, limit):
        """`Frames` with so many rows, in a file."""
        return analyses.read_frames(
            footage,
            rows,
            self.scratch / f'rows_{rows}',
            stride=self.config.every,
            limit=limit or None,
            mask=self.mask,
        )

    def _sized(self, rows):
        """The frames with so many rows."""
        if rows not in self._sizes:
            self._sizes[rows] = self._read(rows, self.footage, len(self.frames.images))
        return self._sizes[rows]

    def images(self, rows):
        """The frames with so many rows, [N, rows, 2 rows, 3], mapped from a file."""
        return self._sized(rows).images

    def valid(self, rows):
        """What of them counts, [N, rows, 2 rows], mapped from a file; None for everything."""
        return None if self.frames.valid is None else self._sized(rows).valid

    def run(self, run: RunDirectory, *, writes: bool) -> Reconstruction | None:
        """Adapts, predicts, and writes files if asked to; None in all but the first process."""
        footage, frames, source = self.footage, self.frames, self.source
        say(f'{footage.name}: {len(frames.images)} frames of {footage.height} x {footage.width}')
        if self.survey.reason:
            say(self.survey.reason)
        run.update(
            data={
                'name': footage.name,
                'sha256': frames.sha256,
                'skipped': footage.skipped,
                'notes': footage.notes,
            },
            survey={'kind': self.survey.kind, 'reason': self.survey.reason, **self.survey.facts},
        )
        if source is not None:
            run.writes('checkpoints/', 'metrics.jsonl', 'events.out.tfevents.*')
            run.update(stride=source.stride)
            self._adapt(run)
        if not parallel.is_main():
            return None
        if self.config.save_weights:
            run.writes(os.path.abspath(self.config.save_weights))
            checkpoints.save_weights(self.config.save_weights, self.params, self.model)
        temporary = [file_name('refining', number, '/') for number in range(len(self.order))]
        run.writes(*temporary, keep=False)
        result = self._predict(run.path if writes else self.scratch)
        if writes:
            writing.write(run, result, self.config, self.stop)
        run.update(prediction=result.facts)
        self._score(result)
        if writes:
            writing.write_scores(run, result)
        for piece in result.pieces:
            if piece.refined is not None:
                piece.refined.forget()
        run.finish()
        return result

    def _adapt(self, run):
        """Trains on the longest piece."""
        part = slice(*self.survey.pieces[self.order[0]])
        counts = mask = masks.mask_of_rows(self.mask, self.rows)
        if self.frames.valid is not None:
            counts = self.hidden.of_piece(part).mask(self.rows)
        self.params = adaptation.adapt(
            run,
            self.params,
            self.source,
            self.frames.images[part],
            self.config,
            self.recipe,
            self.model,
            self.grid,
            mask=mask,
            counts=counts,
            stop=self.stop,
        )

    def _analyses(self):
        """What the networks say of each piece, in order of time."""
        # What the adaptation taught beyond direct neighbours.
        further = () if self.source is None else range(1, self.source.reach + 1)
        distances = (1, *(self.source.stride * times for times in further))
        pieces, moving = self.survey.pieces, self.survey.moving
        alone = not any(moving) or len(self.frames.images) == 1
        whole = analyses.analyse(
            self.params,
            self.frames,
            self.grid,
            self.model,
            self.scratch / 'disparity',
            ordered=moving == [True],
            distances=distances,
            mask=self._unseen(slice(0, len(self.frames.images))),
            views=alone,
        )
        if len(pieces) == 1:
            return [whole]
        return [
            self._analysis_of(slice(*piece), whole, distances if moves else None)
            for piece, moves in zip(pieces, moving, strict=True)
        ]

    def _unseen(self, part):
        """What is hidden from the networks: what was hidden when they learned from the footage."""
        if self.source is None:
            return None
        found = self.hidden.of_piece(part).mask(self.rows)
        if found is None or found.ndim == 3:
            return found
        return validity.of_frame(found, 0, self.rows)

    def _analysis_of(self, part, whole, distances):
        """What the networks say of a piece; its disparity stays where the whole has it."""
        disparity, units = whole.disparity[part], whole.units[part]
        if distances is None and whole.spread is not None:
            return infer.Analysis(disparity, units, None, None, whole.spread[part])
        # Of a piece without a path each image is seen through several views.
        kept = self.scratch / f'spread{part.start}'
        spread = analyses.mapped(kept, disparity.shape) if distances is None else None
        with Progress(len(units), unit='frame', description='predicting') as progress:
            return infer.analyse(
                self.params,
                self.frames.images[part],
                self.grid,
                self.model,
                ordered=distances is not None,
                distances=distances or (1,),
                mask=self._unseen(part),
                out=disparity,
                spread=spread,
                on_frames=progress.update,
            )

    def _predict(self, folder) -> Reconstruction:
        """What is known of all frames; `folder` keeps refined depth."""
        found = self._analyses()
        height = self.config.output_height or min(MAX_ROWS, self.footage.height)
        geometry = Geometry(
            self.config,
            self.images,
            self.model,
            self.hidden,
            self.stop,
            looked=looks.rows_of(self.footage),
            adjusted=rows_that_fit(height, len(self.frames.images), self.scratch),
            height=height,
        )
        pieces, of_pieces = [], []
        for number, i in enumerate(self.order):
            bounds, facts = self.survey.pieces[i], {}
            if self.survey.moving[i]:
                refining = folder / file_name('refining', number, '')
                piece, facts = geometry.solve(bounds, found[i], self.known, refining)
            else:
                hidden = self.hidden.of_piece(slice(*bounds))
                piece, facts = (
                    Piece(*bounds, found[i], mask=hidden.mask(height)),
                    hidden.facts(height),
                )
            down = self._down(piece)
            piece, scale = self._scaled(piece, down)
            if down is not None:
                piece, more = world.in_world(piece, self.config.world, down)
                scale = scale | more
            pieces.append(piece)
            of_pieces.append(facts | scale)
        self.alone = [found[i] for i in self.order]
        result = Reconstruction(
            self.footage,
            self.frames,
            pieces,
            self.model,
            height=height,
            stride=self.config.every,
            unit=of_pieces[0]['unit'],
            reason=self.survey.reason,
            axes=self._axes(),
        )
        result.of_pieces = of_pieces
        result.facts.update(of_pieces[0])
        return result

    def _axes(self):
        """Axes of the files: of the path, and of the cloud."""
        axes = self.config.axes
        return {'trajectory': axes or 'y_down', 'cloud': axes or self.config.cloud_axes}

    def _down(self, piece):
        """Which way is down in the world of a piece; None without a path."""
        if not piece.has_path:
            return None
        first = int(self.frames.indices[piece.start])
        times = self.frames.times
        if times is not None:
            times = times[piece.start : piece.stop]
        return world.find_down(piece, self.footage, first, self.model, times=times)

    def _scaled(self, piece, down):
        """(a piece in its last unit, facts about it)."""
        height = self.config.camera_height
        # A single frame has no parallax that could bring its depth into the unit of its pose.
        if self.known is not None and height is None and len(self.frames.images) > 1:
            return piece, known.scale_of(self.config.poses, self.known)
        analysis, facts = unit.fix_scale(
            piece.analysis,
            self.model,
            camera_height=height,
            mask=piece.mask,
            refined=piece.refined,
            down_of=None if height is None else world.down_of(piece, down, self.model),
        )
        return piece._replace(analysis=analysis), facts

    def _score(self, result):
        """Compares the result with the truth, where there is one for every frame."""
        footage = self.footage
        if (footage.has_depth or footage.poses is not None) and self.config.every == 1:
            more = {'adjustment', 'poses', 'confirmed'}
            geometric = any(more & set(facts) for facts in result.of_pieces)
            result.scores = scores.of_result(result, self.alone if geometric else None, self.mask)
