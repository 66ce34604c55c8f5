"""--mode=predict of `depth_main`: adapts to the footage if asked to, then writes everything it
knows of it.
"""

import pathlib
import tempfile

from absl import flags as absl_flags

from common import parallel
from experiments import flags
from experiments.depth_choice import (
    open_input,
    open_workdir,
    read_mask,
    say,
    small_mask,
    start_model,
    write_report,
    write_scores,
)
from pano_depth.footage.clip import Clip
from pano_depth.learning import session, sources, spacing
from pano_depth.learning.model import make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction import analysis as analyses
from pano_depth.reconstruction import evaluate, infer
from pano_depth.results import predict

NEAR = 0.25  # share of the triplets that are closer than --stride
WIDEN_FROM = 0.3  # part of the adaptation after which --reach counts
MAX_ROWS = 512  # of the results if --output_height does not say


def main(values: absl_flags.FlagValues, stop) -> None:
    """Predicts; `stop` is the `common.stopping.Stop` of the process."""
    params, model = start_model(values, 'default')
    if params is None and not values.adapt:
        raise ValueError(
            '--mode=predict with --checkpoint=none needs --adapt=STEPS, to learn from the footage '
            'itself'
        )
    if values.output_height % 2:
        raise ValueError(f'--output_height is {values.output_height}; an even number is accepted')
    mask, pieces = read_mask(values), open_input(values)
    if len(pieces) > 1:
        raise ValueError(
            f'input {values.input} holds {len(pieces)} clips, such as {pieces[0].name} and '
            f'{pieces[1].name}; --mode=predict takes one of them'
        )
    footage, grid = pieces[0], make_grid(model)
    with tempfile.TemporaryDirectory(prefix='pano_depth_') as scratch:
        scratch = pathlib.Path(scratch)
        frames = analyses.read_frames(
            footage,
            2 * model.face_size,
            scratch / 'frames',
            stride=values.every,
            limit=values.max_frames or None,
        )
        source = _clip_source(values, footage, frames) if values.adapt else None
        with open_workdir(values) as run:
            say(
                f'{footage.name}: {len(frames.images)} frames of {footage.height} x {footage.width}'
            )
            run.update(
                data={'name': footage.name, 'sha256': frames.sha256, 'skipped': footage.skipped}
            )
            if source is not None:
                run.update(stride=source.stride)
                params = _adapt(
                    values, run, source, frames, params, model, grid, small_mask(mask, model), stop
                )
            if parallel.is_main():
                if values.save_weights:
                    session.save_weights(values.save_weights, params, model)
                # What the adaptation taught beyond direct neighbours.
                further = () if source is None else range(1, source.reach + 1)
                distances = 1, *(source.stride * times for times in further)
                analysis = analyses.analyse(
                    params,
                    frames,
                    grid,
                    model,
                    scratch / 'disparity',
                    ordered=footage.ordered,
                    distances=distances,
                )
                _write(values, run, footage, frames, analysis, model, mask, stop)
                write_report(run)


def _clip_source(values, footage, frames):
    """The footage as training triplets at the resolution of the model."""
    if len(frames.images) < 3 or not footage.ordered:
        raise ValueError(
            f'--adapt needs at least 3 frames of a moving camera, {footage.name} has '
            f'{len(frames.images)}{"" if footage.ordered else " unrelated images"}'
        )
    config = flags.build(RecipeConfig, steps=values.adapt)
    parallel.local_examples(config.batch_size)
    stride = values.stride
    if not stride:
        stride, shift = spacing.choose_stride(frames.images)
        say(
            f'comparing frames {stride} apart: they are shifted by {shift:.2f} pixels of a 64 x 128'
            ' image beyond rotation'
        )
    return sources.ClipSource(
        Clip(footage.name, frames.images),
        stride=stride,
        batch_size=config.batch_size,
        seed=config.seed,
        reach=values.reach,
        near=NEAR,
        widen_from=round(WIDEN_FROM * config.steps),
    )


def _adapt(values, run, source, frames, params, model, grid, mask, stop):
    """Trains on the footage itself; where networks were there before, says how much better they
    explain it now.
    """
    loss = flags.build(LossConfig)

    def explain(params):
        return analyses.photometric_error(
            params, frames.images, source.stride, grid, model, loss, mask=mask
        )

    before = None if params is None else explain(params)
    if params is not None and loss.prior_weight:
        source.add_prior(infer.estimate_depth(params, frames.images, grid, model))
    params = session.train_in(
        run,
        source,
        flags.build(RecipeConfig, steps=values.adapt),
        model,
        loss,
        grid,
        mask=mask,
        params=params,
        log_every=values.log_every,
        checkpoint_every=values.checkpoint_every,
        description='adapt',
        stop=stop,
    )
    if before is not None:
        after = explain(params)
        run.update(photometric_error={'before': before, 'after': after})
        say(f'photometric error {before:.4f} before, {after:.4f} after adaptation')
    return params


def _write(values, run, footage, frames, analysis, model, mask, stop):
    """Files and scores of what is known of the footage."""
    analysis, facts = predict.fix_scale(
        analysis, model, camera_height=values.camera_height, mask=mask
    )
    facts.update(predict.write_trajectory(run.path, footage, frames, analysis, unit=facts['unit']))
    height = values.output_height or min(MAX_ROWS, footage.height)
    facts.update(
        predict.write_results(
            run.path,
            footage,
            analysis,
            model,
            height=height,
            stride=values.every,
            npy=values.npy,
            cloud_axes=values.cloud_axes,
            cloud_voxel=values.cloud_voxel,
            mask=mask,
            stop=stop,
        )
    )
    run.update(prediction=facts)
    if (footage.has_depth or footage.poses is not None) and values.every == 1:
        scores = evaluate.Scores(mask=mask)
        scores.add(footage, analysis, model)
        write_scores(run, scores.result())
