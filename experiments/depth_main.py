"""Depth and camera motion from 360-degree video: training, evaluation, prediction, export.

    python experiments/depth_main.py --flagfile=experiments/flagfiles/clip_cpu.flags --workdir=/tmp/clip
"""

import dataclasses
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # works from a checkout, from any directory

import jax
import numpy as np
import tensorflow_datasets as tfds

from common import parallel
from common.memory import keep_memory
from common.run import open_run, write_json
from common.stopping import on_signals
from experiments import depth_export, flags
from experiments.depth_flags import FLAGS
from pano_depth import evaluate, infer, media, panels, predict, report, session, sources, spacing
from pano_depth.datasets import footage as footages
from pano_depth.datasets import open_footage, pano_rooms, rooms
from pano_depth.datasets.clip import Clip
from pano_depth.model import ModelConfig, make_grid
from pano_depth.objective import LossConfig
from pano_depth.train import TrainConfig

NEAR = 0.25  # share of the triplets that are closer than --stride
WIDEN_FROM = 0.3  # part of the adaptation after which --reach counts


def _say(text):
    if parallel.is_main():
        print(text, flush=True)


def _open_run():
    if not FLAGS.workdir:
        raise ValueError('--workdir has to name a directory, new or an earlier run\'s')
    if FLAGS.save_weights:
        # Found out before the training, not after it.
        path = pathlib.Path(FLAGS.save_weights)
        if path.suffix != '.npz' or not path.parent.is_dir():
            raise ValueError(f'--save_weights is {path}; accepted is a name that ends in .npz, in a directory that exists')
    return open_run(FLAGS.workdir, flags.as_flagfile())


def _start_model(default):
    """(params or None, ModelConfig): of --checkpoint, or a fresh model of the flags.

    The parameters do not depend on the size of the faces or on how face motions are used, so that flags may change these; others have to agree.
    """
    name = FLAGS.checkpoint or default
    if name == 'none':
        return None, flags.build(ModelConfig)
    params, config = session.load_model(name)
    given = {field.name: FLAGS[field.name].value for field in dataclasses.fields(ModelConfig) if FLAGS[field.name].present}
    for field, value in given.items():
        stored = getattr(config, field)
        if field not in ('face_size', 'pose_mode') and (tuple(value) if isinstance(stored, tuple) else value) != stored:
            raise ValueError(f'--{field} is {value}, the networks of --checkpoint={name} have {stored}; leave the flag out, or take --checkpoint=none')
    config = dataclasses.replace(config, **{field: value for field, value in given.items() if field in ('face_size', 'pose_mode')})
    return jax.tree.map(np.asarray, params), config


def _open_footage():
    """The pieces of --input."""
    if FLAGS.input == 'sample':
        height = FLAGS.output_height or 128
        return [footages.from_clip(rooms.sample_clip(height=height, width=2 * height))]
    return open_footage.open_footage(FLAGS.input, stereo=FLAGS.stereo, on_bad=FLAGS.on_bad_frame, depth_scale=FLAGS.depth_scale)


def _mask():
    """--mask as [H, W] bool at its own size, or None."""
    return None if FLAGS.mask is None else session.read_mask(FLAGS.mask)


def _small_mask(mask, model):
    return None if mask is None else media.nearest(mask, 2 * model.face_size).astype(np.float32)


def _finish(run, scores):
    """Writes eval.json and prints it."""
    write_json(run.path / 'eval.json', scores)
    _say(evaluate.summary(scores))


def _report(run):
    if parallel.is_main():
        report.depth_report(run.path)
        _say(f'results are in {run.path}, report.html shows them')


def run_predict(stop):
    """--mode=predict: adapts to the footage if asked to, then writes everything it knows of it."""
    params, model = _start_model('default')
    if params is None and not FLAGS.adapt:
        raise ValueError('--mode=predict with --checkpoint=none needs --adapt=STEPS, to learn from the footage itself')
    if FLAGS.output_height % 2:
        raise ValueError(f'--output_height is {FLAGS.output_height}; an even number is accepted')
    mask, pieces = _mask(), _open_footage()
    if len(pieces) > 1:
        raise ValueError(f'input {FLAGS.input} holds {len(pieces)} clips, such as {pieces[0].name} and {pieces[1].name}; --mode=predict takes one of them')
    footage, grid, limit = pieces[0], make_grid(model), FLAGS.max_frames or None
    with tempfile.TemporaryDirectory(prefix='pano_depth_') as scratch:
        scratch = pathlib.Path(scratch)
        frames = predict.read_frames(footage, 2 * model.face_size, scratch / 'frames', stride=FLAGS.every, limit=limit)
        source = _clip_source(footage, frames) if FLAGS.adapt else None
        with _open_run() as run:
            _say(f'{footage.name}: {len(frames.images)} frames of {footage.height} x {footage.width}')
            run.update(data={'name': footage.name, 'sha256': frames.sha256, 'skipped': footage.skipped})
            if source is not None:
                run.update(stride=source.stride)
                params = _adapt(run, source, frames, params, model, grid, _small_mask(mask, model), stop)
            if parallel.is_main():
                _write_prediction(run, scratch, footage, frames, params, grid, model, mask, source, stop)
                _report(run)


def _adapt(run, source, frames, params, model, grid, mask, stop):
    """Trains on the footage itself; where networks were there before, says how much better they explain it now."""
    loss = flags.build(LossConfig)
    explain = lambda params: predict.photometric_error(params, frames.images, source.stride, grid, model, loss, mask=mask)
    before = None if params is None else explain(params)
    if params is not None and loss.prior_weight:
        source.add_prior(infer.estimate_depth(params, frames.images, grid, model))
    params = session.train_in(run, source, flags.build(TrainConfig, steps=FLAGS.adapt), model, loss, grid, mask=mask, params=params,
                              log_every=FLAGS.log_every, checkpoint_every=FLAGS.checkpoint_every, description='adapt', stop=stop)
    if before is not None:
        after = explain(params)
        run.update(photometric_error={'before': before, 'after': after})
        _say(f'photometric error {before:.4f} before, {after:.4f} after adaptation')
    return params


def _write_prediction(run, scratch, footage, frames, params, grid, model, mask, source, stop):
    """Everything behind the training: analysis, files, scores."""
    if FLAGS.save_weights:
        session.save_weights(FLAGS.save_weights, params, model)
    # What the adaptation taught beyond direct neighbours.
    distances = (1,) if source is None else (1, *(source.stride * (1 + further) for further in range(source.reach)))
    analysis = predict.analyse(params, frames, grid, model, scratch / 'disparity', ordered=footage.ordered, distances=distances)
    analysis, facts = predict.fix_scale(analysis, model, camera_height=FLAGS.camera_height, mask=mask)
    facts.update(predict.write_trajectory(run.path, footage, frames, analysis, unit=facts['unit']))
    facts.update(predict.write_results(
        run.path, footage, analysis, model, height=FLAGS.output_height or min(512, footage.height), stride=FLAGS.every, npy=FLAGS.npy,
        cloud_axes=FLAGS.cloud_axes, cloud_voxel=FLAGS.cloud_voxel, mask=mask, stop=stop))
    run.update(prediction=facts)
    if (footage.has_depth or footage.poses is not None) and FLAGS.every == 1:
        scores = evaluate.Scores(mask=mask)
        scores.add(footage, analysis, model)
        _finish(run, scores.result())


def _clip_source(footage, frames):
    """The footage as training triplets at the resolution of the model."""
    if len(frames.images) < 3 or not footage.ordered:
        raise ValueError(f'--adapt needs at least 3 frames of a moving camera, {footage.name} has '
                         f'{len(frames.images)}{"" if footage.ordered else " unrelated images"}')
    config = flags.build(TrainConfig, steps=FLAGS.adapt)
    parallel.local_examples(config.batch_size)
    stride = FLAGS.stride
    if not stride:
        stride, shift = spacing.choose_stride(frames.images)
        _say(f'comparing frames {stride} apart: they are shifted by {shift:.2f} pixels of a 64 x 128 image beyond rotation')
    return sources.ClipSource(Clip(footage.name, frames.images), stride=stride, batch_size=config.batch_size, seed=config.seed,
                              reach=FLAGS.reach, near=NEAR, widen_from=round(WIDEN_FROM * config.steps))


def run_train(stop):
    """--mode=train: learns to see rooms, then evaluates on unseen ones."""
    params, model = _start_model('none')
    config, loss, grid = flags.build(TrainConfig), flags.build(LossConfig), make_grid(model)
    height = 2 * model.face_size
    mask = _small_mask(_mask(), model)
    _check_rooms(height)
    parallel.local_examples(config.batch_size)
    with _open_run() as run:
        if FLAGS.train_data == 'live':
            source = sources.LiveSource(height=height, batch_size=config.batch_size, seed=config.seed)
        else:
            _say(f'opening pano_rooms/{FLAGS.rooms}')
            source = sources.WindowSource(pano_rooms.load('train', FLAGS.rooms, FLAGS.data_dir), batch_size=config.batch_size,
                                          stride=max(1, FLAGS.stride), seed=config.seed,
                                          with_truth=loss.truth_weight > 0)
        params = session.train_in(run, source, config, model, loss, grid, mask=mask, params=params, log_every=FLAGS.log_every,
                                  checkpoint_every=FLAGS.checkpoint_every, stop=stop)
        if FLAGS.save_weights and parallel.is_main():
            session.save_weights(FLAGS.save_weights, params, model)
        _evaluate_rooms(run, params, model, grid)
        _report(run)


def run_eval():
    """--mode=eval: scores networks on PanoRooms' test split or on footage with truth."""
    pieces = None
    if FLAGS.input != 'rooms':
        pieces = _open_footage()
        if not any(piece.has_depth or piece.poses is not None for piece in pieces):
            raise ValueError(f'{FLAGS.input} has neither depth nor poses to evaluate against; --mode=predict needs none')
    params, model = _start_model('default')
    if params is None:
        raise ValueError('--mode=eval needs trained networks; --checkpoint=default, a workdir or a .npz of --save_weights is accepted')
    grid = make_grid(model)
    if pieces is None:
        _check_rooms(2 * model.face_size)
        with _open_run() as run:
            _evaluate_rooms(run, params, model, grid)
            _report(run)
        return
    mask = _mask()
    with _open_run() as run:
        shown = _Shown(run)
        scores = evaluate.evaluate(params, pieces, grid, model, mask=mask, on_footage=shown)
        shown.write(FLAGS.input)
        run.update(data={'name': FLAGS.input, 'pieces': [piece.name for piece in pieces], 'skipped': [entry for piece in pieces for entry in piece.skipped]})
        _finish(run, scores)
        _report(run)


class _Shown:
    """Keeps a few frames of an evaluation for its panels, and draws the first path."""

    def __init__(self, run, count=4):
        self._run, self._count, self._kept, self._drawn = run, count, [], False

    def __call__(self, footage, analysis):
        if not self._drawn and footage.poses is not None and len(footage.poses.rotation) == len(analysis.units):
            panels.trajectory_plot(self._run.path / 'trajectory.png', analysis.poses, footage.poses, title=footage.name)
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
            panels.clip_panels(self._run.path / 'panels.png', frames, depth, truth=truth, title=title)


def _check_rooms(height):
    names = {config.name: config for config in pano_rooms.PanoRooms.BUILDER_CONFIGS}
    if FLAGS.rooms not in names:
        raise ValueError(f'--rooms is {FLAGS.rooms!r}; accepted are {", ".join(names)}')
    if FLAGS.train_data == 'stored' and names[FLAGS.rooms].height < height:
        raise ValueError(f'--rooms={FLAGS.rooms} has {names[FLAGS.rooms].height} rows; --face_size={height // 2} needs at least {height}')


def _evaluate_rooms(run, params, model, grid):
    """Scores on the test split beside the trivial predictors; the blind one knows the training split."""
    _say(f'opening pano_rooms/{FLAGS.rooms}, rendered on first use')
    run.update(data={'name': f'pano_rooms/{FLAGS.rooms}', 'version': str(pano_rooms.PanoRooms.VERSION), 'train': FLAGS.train_data})
    train_clips, test_clips = (pano_rooms.load(split, FLAGS.rooms, FLAGS.data_dir) for split in ('train', 'test'))
    prior = evaluate.blind_prior((depth for i in range(len(train_clips)) for depth in train_clips[i].depth[::4]), test_clips[0].frames.shape[1])
    _say(f'evaluating on {len(test_clips)} test clips')
    shown = _Shown(run)
    scores = evaluate.evaluate(params, (footages.from_clip(test_clips[i]) for i in range(len(test_clips))), grid, model, prior=prior, on_footage=shown)
    shown.write(f'pano_rooms/{FLAGS.rooms}, test scenes')
    _finish(run, scores)


def run_export():
    """--mode=export: the depth network as files for other runtimes."""
    checkpoint = FLAGS.checkpoint or depth_export.default_checkpoint(FLAGS.workdir)
    params, model = _start_model(checkpoint)
    if params is None:
        raise ValueError('--mode=export needs trained networks; --checkpoint=default, a workdir or a .npz of --save_weights is accepted')
    _say(depth_export.export_depth(params, model, checkpoint, FLAGS))


def main():
    """Runs the mode that the flags ask for."""
    if FLAGS.compilation_cache:
        cache = os.path.expanduser(FLAGS.compilation_cache)
        os.makedirs(cache, exist_ok=True)
        jax.config.update('jax_compilation_cache_dir', cache)
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    if not sys.stdout.isatty():
        tfds.disable_progress_bar()  # it would fill a log with its refreshed bars
    keep_memory()
    parallel.initialize(coordinator_address=FLAGS.coordinator_address, num_processes=FLAGS.num_processes, process_id=FLAGS.process_id)
    with on_signals() as stop:
        modes = {'train': lambda: run_train(stop), 'eval': run_eval, 'predict': lambda: run_predict(stop), 'export': run_export}
        modes[FLAGS.mode]()
        parallel.wait_for_all()


def run():
    """Entry point of the console script `pano-depth`."""
    flags.run(main)


if __name__ == '__main__':
    run()
