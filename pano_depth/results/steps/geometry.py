"""What geometry finds about a piece of footage: what moves along, the path, refined depth."""

import math
import pathlib
import shutil
from collections.abc import Callable

import numpy as np

from common.logs import say
from common.stopping import Stop
from pano_depth.footage.config import AUTO
from pano_depth.footage.poses.known_poses import KnownPoses
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import analysis as analyses
from pano_depth.reconstruction import bundle, infer, stationary, sweep, validity
from pano_depth.results import refined as refinement
from pano_depth.results.pieces import Piece
from pano_depth.results.steps import known as known_poses
from pano_depth.results.steps.hidden import Hidden

ROOM = 8e9  # bytes on disk for the images that the adjustment compares
ROUND = 64  # the adjustment halves images: their rows are a multiple of this
COMPARED = 200  # frames whose distances tell the unit of an adjusted path


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


class Geometry:
    """Mask, path and depth of pieces, from images at the resolution of the results."""

    def __init__(
        self,
        config,
        images: Callable[[int], np.ndarray],
        model: ModelConfig,
        hidden: Hidden,
        stop: Stop,
        *,
        looked: int,
        adjusted: int,
        height: int,
    ):
        """Keeps the parts.

        Args:
            config: `ReconstructConfig`.
            images: function of a number of rows that gives all frames [N, rows, 2 rows, 3].
            model: of the networks.
            hidden: what does not count.
            stop: request to stop.
            looked, adjusted, height: rows at which masks are found, paths adjusted, depth refined.
        """
        self.config, self._images, self.model, self.stop = config, images, model, stop
        self._mask_of, self._looked, self._rows, self._height = hidden, looked, adjusted, height

    def solve(
        self,
        bounds: tuple[int, int],
        analysis: infer.Analysis,
        known: KnownPoses | None,
        folder: pathlib.Path,
    ) -> tuple[Piece, dict]:
        """What is found about a piece of a moving camera.

        Args:
            bounds: position of its first frame, and of the frame after its last.
            analysis: what the networks say.
            known: its known poses, or None.
            folder: keeps refined depth.

        Returns:
            (piece, facts about it for `run.json`).
        """
        part, facts, config = slice(*bounds), {}, self.config
        several = len(analysis.units) > 1
        if known is not None:
            analysis, facts['poses'] = self._known(part, analysis, known)
        depth, along = analyses.depth_of_all(analysis, self.model), None
        if config.footage.mask == AUTO:
            along = self._along(part, analysis, depth)
        hidden = self._mask_of.of_piece(part, along)
        facts |= hidden.facts(self._height)
        believed = known is not None
        if several and (config.refine_poses if believed else config.adjust):
            path, scale, facts['adjustment'] = self._adjusted(part, analysis, depth, hidden, known)
            analysis = infer.scaled(analysis._replace(poses=path), scale)
            depth = depth * np.float32(scale)
            believed = believed or 'reason' not in facts['adjustment']
        refined = None
        if several and believed and config.refine == 'auto':
            refined = self._refined(part, analysis, depth, hidden, folder)
            facts['confirmed'] = refined.confirmed()
            say(f'refined: other views confirm {facts["confirmed"]:.0%} of the pixels')
        return Piece(*bounds, analysis, refined, hidden.mask(self._height)), facts

    def _known(self, part, analysis, known):
        """(analysis along the known path and in its unit, facts)."""
        poses = Motion(known.poses.rotation[part], known.poses.translation[part])
        if len(analysis.units) == 1:
            return analysis._replace(poses=poses), known.facts
        images = self._images(2 * self.model.face_size)[part]
        depth = analyses.depth_of_all(analysis, self.model)
        analysis, factors = known_poses.in_unit_of(analysis, poses, images, depth)
        say(
            f'known poses of {known.facts["poses"]} places, matched to the frames by'
            f' {known.facts["matched_by"]}'
        )
        return analysis, known.facts | {'depth_factor': float(np.median(factors))}

    def _along(self, part, analysis, depth):
        """What moves along with the camera."""
        images = self._images(self._looked)[part]
        known = self._mask_of.of_piece(part).mask(self._looked)
        found = stationary.find(images, analysis.poses, depth, mask=known)
        if found.share > 0:
            say(f'mask: {found.reason}')
        return found

    def _adjusted(self, part, analysis, depth, hidden, known):
        """(path by which frames explain each other, factor of its unit and the depth's, facts)."""
        try:
            found = bundle.adjust(
                self._images(self._rows)[part],
                analysis.poses,
                depth,
                mask=hidden.mask(self._rows),
                config=self.config.bundle,
            )
        except ValueError as error:
            say(f'the path is what {"the file says" if known else "the networks say"}: {error}')
            return analysis.poses, 1.0, {'reason': str(error)}
        say(
            f'path adjusted over {len(found.keyframes)} keyframes of {self._rows} x'
            f' {2 * self._rows}: grey values differ by {found.residual:.4f} in the mean (root mean'
            ' square)'
        )
        facts = {
            'keyframes': len(found.keyframes),
            'height': self._rows,
            'residual': found.residual,
            'residual_before': found.before,
        }
        # The adjustment keeps the unit of the depth; a known path tells it better.
        scale = 1.0 if known is None else unit_of(found.poses, known.poses, known.known)
        return found.poses, scale, facts

    def _refined(self, part, analysis, depth, hidden, folder):
        """Depth of all frames by geometry, at the size of the results."""
        config, images = self.config, self._images(self._height)[part]
        mask = hidden.mask(self._height)
        found = sweep.Sweep(
            images, analysis.poses, depth, mask=mask, fill=config.fill, config=config.sweep
        )
        settings = f'{self._height} {config.fill} {config.sweep} {validity.digest(mask)}'
        key = refinement.key_of(analysis.poses, depth, settings)
        middle = infer.median_depth(analysis)
        return refinement.refine_all(found, folder, key, len(images), middle, self.stop)


def unit_of(poses: Motion, known: Motion, counts: np.ndarray) -> float:
    """The factor between the lengths of two paths, whatever their worlds.

    Args:
        poses, known: [N] camera to world.
        counts: [N] bool, frames to compare.

    Returns:
        known / poses: the median over pairs of frames that are far apart.
    """
    some = np.flatnonzero(counts)
    some = some[np.unique(np.linspace(0, len(some) - 1, min(COMPARED, len(some))).astype(int))]
    one, other = np.triu_indices(len(some), 1)
    apart = [
        np.linalg.norm(path.translation[some[one]] - path.translation[some[other]], axis=-1)
        for path in (poses, known)
    ]
    usable = (apart[0] > 0) & (apart[1] > 0) & (apart[1] >= np.median(apart[1]))
    return float(np.median(apart[1][usable] / apart[0][usable])) if usable.any() else 1.0
