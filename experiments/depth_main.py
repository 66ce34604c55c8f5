"""Depth and camera motion from 360-degree video: training, evaluation, prediction.

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
from absl import flags as absl_flags

from common import parallel
from common.run import open_run, write_json
from experiments import flags
from pano_depth import cloud, evaluate, media, panels, predict, report, session, sources, spacing
from pano_depth.datasets import footage as footages
from pano_depth.datasets import open_footage, pano_rooms, rooms
from pano_depth.datasets.clip import Clip
from pano_depth.model import ModelConfig, make_grid
from pano_depth.objective import LossConfig
from pano_depth.train import TrainConfig

FLAGS = absl_flags.FLAGS
WIDEN = (0.3, 0.6)  # parts of the adaptation between which --reach comes to count

absl_flags.DEFINE_enum('mode', 'predict', ['train', 'eval', 'predict'], 'What to do.')
absl_flags.DEFINE_string('workdir', None, 'Directory of the run: new, empty, or an earlier run\'s, which then goes on.')
absl_flags.DEFINE_string('input', 'sample', 'Footage of --mode=predict and eval: an equirectangular video, an image, a folder of images, a clip '
                         'folder, RGB-D pairs, a PanoSUNCG tree, "sample" (a rendered clip) or "rooms" (the test split of PanoRooms, eval only).')
absl_flags.DEFINE_integer('adapt', 0, 'Steps of self-supervised training on the very footage before predicting.', lower_bound=0)
absl_flags.DEFINE_string('checkpoint', None, 'Networks to start from: "default" (those that come with the package; the default of predict and eval), '
                         '"none" (fresh ones; the default of train), the workdir of a training run, or a .npz of --save_weights.')
absl_flags.DEFINE_string('save_weights', None, 'Also write the trained networks as one .npz file, for --checkpoint.')
absl_flags.DEFINE_integer('stride', 0, 'Frames between those that are compared in training; 0 chooses it from the footage.', lower_bound=0)
absl_flags.DEFINE_integer('reach', 1, 'With --adapt: neighbours up to so many strides away are compared, once the nearest are understood.', lower_bound=1)
absl_flags.DEFINE_integer('every', 1, 'Takes every so-manieth frame of the footage.', lower_bound=1)
absl_flags.DEFINE_integer('max_frames', 0, 'Takes at most so many frames; 0 takes all.', lower_bound=0)
absl_flags.DEFINE_enum('stereo', None, list(footages.STEREO), 'Takes one eye, the left one, of frames that hold two.')
absl_flags.DEFINE_enum('on_bad_frame', 'refuse', list(footages.ON_BAD), 'What to do about frames that are damaged or missing: stop, or leave them out '
                       'and say so.')
absl_flags.DEFINE_float('depth_scale', None, 'Metres per unit of 16-bit depth files of --input; default 0.001.', lower_bound=1e-9)
absl_flags.DEFINE_float('camera_height', None, "The camera's height over the floor in metres, which fixes the scale of the results.", lower_bound=1e-3)
absl_flags.DEFINE_integer('output_height', 0, 'Rows of the results; 0 takes those of the footage, at most 512.', lower_bound=0)
absl_flags.DEFINE_bool('npy', False, 'Also write depth as float32 .npy.')
absl_flags.DEFINE_enum('cloud_axes', 'y_up', sorted(cloud.CLOUD_AXES), 'Axes of cloud.ply.')
absl_flags.DEFINE_float('cloud_voxel', None, 'Side of the voxels of cloud.ply in the unit of the depth; default 1 % of the median depth.', lower_bound=1e-6)
absl_flags.DEFINE_string('mask', None, 'Image whose dark pixels are left out: the tripod, the photographer.')
absl_flags.DEFINE_enum('train_data', 'live', ['live', 'stored'], 'Rooms to train on: rendered inside the step, or the stored data set.')
absl_flags.DEFINE_string('rooms', '64x128', 'Configuration of the pano_rooms data set for training and its test split for evaluation.')
absl_flags.DEFINE_string('data_dir', None, 'Where data sets are kept; default as TFDS has it.')
absl_flags.DEFINE_integer('log_every', 20, 'Steps between two lines of metrics.jsonl.', lower_bound=1)
absl_flags.DEFINE_integer('checkpoint_every', 200, 'Steps between two checkpoints.', lower_bound=1)
absl_flags.DEFINE_string('compilation_cache', '~/.cache/pano_dppnet/jax', 'Directory of compiled programs; empty for none.')
absl_flags.DEFINE_string('coordinator_address', None, 'host:port of process 0 of a multi-host run.')
absl_flags.DEFINE_integer('num_processes', None, 'Processes of a multi-host run.')
absl_flags.DEFINE_integer('process_id', None, 'Rank of this process.')
for config in (ModelConfig, LossConfig, TrainConfig):
    flags.define(config)


def _say(text):
    if parallel.is_main():
        print(text, flush=True)


def _open_run():
    if not FLAGS.workdir:
        raise ValueError('--workdir has to name a directory, new or an earlier run\'s')
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


def run_predict():
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
                params = session.train_in(run, source, flags.build(TrainConfig, steps=FLAGS.adapt), model, flags.build(LossConfig), grid,
                                          mask=_small_mask(mask, model), params=params, log_every=FLAGS.log_every,
                                          checkpoint_every=FLAGS.checkpoint_every, description='adapt')
            if parallel.is_main():
                _write_prediction(run, scratch, footage, frames, params, grid, model, mask)
                _report(run)


def _write_prediction(run, scratch, footage, frames, params, grid, model, mask):
    """Everything behind the training: analysis, files, scores."""
    if FLAGS.save_weights:
        session.save_weights(FLAGS.save_weights, params, model)
    analysis = predict.analyse(params, frames, grid, model, scratch / 'disparity', ordered=footage.ordered)
    analysis, facts = predict.fix_scale(analysis, model, camera_height=FLAGS.camera_height, mask=mask)
    facts.update(predict.write_trajectory(run.path, footage, frames, analysis, unit=facts['unit']))
    facts.update(predict.write_results(
        run.path, footage, analysis, model, height=FLAGS.output_height or min(512, footage.height), stride=FLAGS.every, npy=FLAGS.npy,
        cloud_axes=FLAGS.cloud_axes, cloud_voxel=FLAGS.cloud_voxel, mask=mask))
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
                              reach=FLAGS.reach, widen=tuple(round(part * config.steps) for part in WIDEN))


def run_train():
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
                                  checkpoint_every=FLAGS.checkpoint_every)
        if FLAGS.save_weights and parallel.is_main():
            session.save_weights(FLAGS.save_weights, params, model)
        _evaluate_rooms(run, params, model, grid)
        _report(run)


def run_eval():
    """--mode=eval: scores networks on PanoRooms' test split or on footage with truth."""
    params, model = _start_model('default')
    if params is None:
        raise ValueError('--mode=eval needs trained networks; --checkpoint=default, a workdir or a .npz of --save_weights is accepted')
    grid = make_grid(model)
    if FLAGS.input == 'rooms':
        _check_rooms(2 * model.face_size)
        with _open_run() as run:
            _evaluate_rooms(run, params, model, grid)
            _report(run)
        return
    mask, pieces = _mask(), _open_footage()
    if not any(piece.has_depth or piece.poses is not None for piece in pieces):
        raise ValueError(f'{FLAGS.input} has neither depth nor poses to evaluate against; --mode=predict needs none')
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
        middle = len(analysis.units) // 2

        def on_frame(frame, depth, position):
            if position == middle and len(self._kept) < self._count:
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


def main():
    """Runs the mode that the flags ask for."""
    if FLAGS.compilation_cache:
        cache = os.path.expanduser(FLAGS.compilation_cache)
        os.makedirs(cache, exist_ok=True)
        jax.config.update('jax_compilation_cache_dir', cache)
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    if not sys.stdout.isatty():
        tfds.disable_progress_bar()  # it would fill a log with its refreshed bars
    parallel.initialize(coordinator_address=FLAGS.coordinator_address, num_processes=FLAGS.num_processes, process_id=FLAGS.process_id)
    {'train': run_train, 'eval': run_eval, 'predict': run_predict}[FLAGS.mode]()


def run():
    """Entry point of the console script `pano-depth`."""
    flags.run(main)


if __name__ == '__main__':
    run()
