"""Networks learn from the footage itself: what they compare, and what it brought."""

from common import parallel
from common.logs import say
from common.run import RunDirectory
from common.stopping import Stop
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import Footage
from pano_depth.learning import session, sources, spacing
from pano_depth.learning.model import Grid, ModelConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction import analysis as analyses
from pano_depth.reconstruction import infer
from pano_depth.reconstruction.survey import Survey

NEAR = 0.25  # share of the triplets that are closer than `stride`
WIDEN_FROM = 0.3  # part of the adaptation after which `reach` counts


def clip_source(
    config, recipe: RecipeConfig, footage: Footage, frames: analyses.Frames, survey: Survey, longest
) -> sources.ClipSource | None:
    """The longest piece as training triplets at the resolution of the networks.

    Args:
        config: `ReconstructConfig`.
        recipe: how networks are trained.
        footage: the footage.
        frames: all of its frames.
        survey: the pieces of the footage.
        longest: (position of the first frame of that piece, of the frame after its last).

    Returns:
        None where the camera stands and there are networks to start from.

    Raises:
        ValueError: the footage does not show a moving camera, or has too few frames.
    """
    if survey.kind == 'still' and config.checkpoint != 'none':
        say(f'no adaptation: {survey.reason}')
        return None
    part = slice(*longest)
    images = frames.images[part]
    if len(images) < 3 or survey.kind != 'moving':
        why = f': {survey.reason}' if survey.reason else ''
        raise ValueError(
            f'--adapt needs at least 3 frames of a moving camera, {footage.name} has'
            f' {len(images)}{" unrelated images" if survey.kind == "unrelated" else ""}{why}'
        )
    if len(survey.pieces) > 1:
        say(f'learning from frames {longest[0]} to {longest[1] - 1}, the longest piece with a path')
    parallel.local_examples(recipe.batch_size)
    stride = config.stride
    if not stride:
        stride, shift = spacing.choose_stride(images)
        say(
            f'comparing frames {stride} apart: they are shifted by {shift:.2f} pixels of a'
            ' 64 x 128 image beyond rotation'
        )
    return sources.ClipSource(
        Clip(footage.name, images),
        stride=stride,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        reach=config.reach,
        near=NEAR,
        widen_from=round(WIDEN_FROM * recipe.steps),
        valid=None if frames.valid is None else frames.valid[part],
    )


def adapt(
    run: RunDirectory,
    params: dict | None,
    source: sources.ClipSource,
    images,
    config,
    recipe: RecipeConfig,
    model: ModelConfig,
    grid: Grid,
    *,
    mask,
    counts,
    stop: Stop,
) -> dict:
    """Trains on the footage itself, and compares the photometric error before and after.

    Args:
        run: keeps checkpoints and figures.
        params: networks to start from; None for fresh ones.
        source: what they learn from.
        images: [N, H, 2H, 3] uint8, the frames of the source.
        config: `ReconstructConfig`.
        recipe, model, grid: how networks are trained, and what they are.
        mask: [H, 2H] of floats, 0 where no frame counts, or None.
        counts: what counts in each frame for the comparison: as `mask`, or one for each frame.
        stop: request to stop.

    Returns:
        The trained networks.

    Raises:
        Stopped: there was a request to stop.
    """

    def explain(params):
        return analyses.photometric_error(
            params, images, source.stride, grid, model, config.loss, mask=counts
        )

    before = None if params is None else explain(params)
    if params is not None and config.loss.prior_weight:
        source.add_prior(infer.estimate_depth(params, images, grid, model))
    params = session.train_in(
        run,
        source,
        recipe,
        model,
        config.loss,
        grid,
        mask=mask,
        params=params,
        logs=config.logs,
        description='adapt',
        stop=stop,
    )
    if before is not None:
        after = explain(params)
        run.update(photometric_error={'before': before, 'after': after})
        say(f'photometric error {before:.4f} before, {after:.4f} after adaptation')
    return params
