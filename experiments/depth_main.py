"""Depth and camera motion from 360-degree video: training, evaluation, prediction.

    python experiments/depth_main.py --flagfile=experiments/flagfiles/clip_cpu.flags --workdir=/tmp/clip
"""

import hashlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # works from a checkout, from any directory

import jax
import numpy as np
import tensorflow_datasets as tfds
from absl import flags as absl_flags

from common import parallel
from common.run import open_run, write_json
from experiments import flags
from pano_depth import evaluate, geometry, media, panels, predict, session, sources, spacing
from pano_depth.datasets import clip_folder, pano_rooms, rooms
from pano_depth.datasets.clip import Clip
from pano_depth.model import ModelConfig, make_grid
from pano_depth.objective import LossConfig
from pano_depth.train import TrainConfig

FLAGS = absl_flags.FLAGS

absl_flags.DEFINE_enum('mode', 'predict', ['train', 'eval', 'predict'], 'What to do.')
absl_flags.DEFINE_string('workdir', None, 'Directory of the run: new, empty, or an earlier run\'s, which then goes on.')
absl_flags.DEFINE_string('input', 'sample', 'Footage of --mode=predict and eval: an equirectangular video, a folder of images, a clip folder, '
                         '"sample" (a rendered clip) or "rooms" (the test split of PanoRooms, eval only).')
absl_flags.DEFINE_integer('adapt', 0, 'Steps of self-supervised training on the very footage before predicting.', lower_bound=0)
absl_flags.DEFINE_string('checkpoint', 'none', 'Workdir of a training run to start from, or "none".')
absl_flags.DEFINE_integer('stride', 0, 'Frames between those that are compared; 0 chooses it from the footage.', lower_bound=0)
absl_flags.DEFINE_integer('max_frames', 1000, 'At most so many frames are read.', lower_bound=1)
absl_flags.DEFINE_integer('output_height', 0, 'Rows of the results; 0 takes those of the footage, at most 512.', lower_bound=0)
absl_flags.DEFINE_bool('npy', False, 'Also write depth as float32 .npy.')
absl_flags.DEFINE_enum('cloud_axes', 'y_up', sorted(geometry.CLOUD_AXES), 'Axes of cloud.ply.')
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


def _start_model():
    """(params or None, ModelConfig): of --checkpoint, or a fresh model of the flags."""
    if FLAGS.checkpoint.lower() in ('none', ''):
        return None, flags.build(ModelConfig)
    params, config = session.load_model(FLAGS.checkpoint)
    return jax.tree.map(np.asarray, params), config


def _read_input(height):
    """The footage, at most 512 rows; without size its own."""
    if FLAGS.input == 'sample':
        return rooms.sample_clip(height=height or 128, width=2 * (height or 128))
    return clip_folder.read_clip(FLAGS.input, size=(height, 2 * height) if height else None, max_frames=FLAGS.max_frames)


def _output_height():
    if FLAGS.output_height or FLAGS.input == 'sample':
        return FLAGS.output_height
    path = pathlib.Path(FLAGS.input)
    if path.is_file() and path.suffix.lower() not in media.IMAGE_SUFFIXES:
        return min(512, media.video_info(path).height)
    return 0


def _mask(height):
    return None if FLAGS.mask is None else session.read_mask(FLAGS.mask, height)


def _finish(run, scores):
    """Writes eval.json and prints it."""
    write_json(run.path / 'eval.json', scores)
    _say(evaluate.summary(scores))


def run_predict():
    """--mode=predict: adapts to the footage if asked to, then writes everything it knows of it."""
    params, model = _start_model()
    if params is None and not FLAGS.adapt:
        raise ValueError('--mode=predict needs --checkpoint=WORKDIR of a training run, or --adapt=STEPS to learn from the footage itself')
    height = 2 * model.face_size
    if FLAGS.stride < 0 or (FLAGS.output_height and FLAGS.output_height % 2):
        raise ValueError(f'--output_height is {FLAGS.output_height}; an even number is accepted')
    mask = _mask(height)
    clip = _read_input(_output_height())
    grid = make_grid(model)
    source = _clip_source(clip, height) if FLAGS.adapt else None
    with _open_run() as run:
        _say(f'{clip.name}: {len(clip)} frames of {clip.frames.shape[1]} x {clip.frames.shape[2]}')
        run.update(data={'name': clip.name, 'sha256': hashlib.sha256(np.ascontiguousarray(clip.frames)).hexdigest()})
        if source is not None:
            run.update(stride=source.stride)
            params = session.train_in(run, source, flags.build(TrainConfig, steps=FLAGS.adapt), model, flags.build(LossConfig), grid, mask=mask,
                                      params=params, log_every=FLAGS.log_every, checkpoint_every=FLAGS.checkpoint_every, description='adapt')
        params = jax.tree.map(jax.numpy.asarray, params)
        _say('predicting')
        output = clip.frames.shape[1]
        output_mask = None if FLAGS.mask is None else session.read_mask(FLAGS.mask, output) > 0
        scores, estimate = predict.estimate_clip(clip, params, grid, model, mask=output_mask)
        facts = predict.write_results(run.path, clip, estimate, npy=FLAGS.npy, cloud_axes=FLAGS.cloud_axes, mask=output_mask, progress=_say)
        run.update(prediction=facts)
        if scores is not None:
            _finish(run, scores)
        _say(f'results are in {run.path}')


def _clip_source(clip, height):
    """The footage as training triplets at the resolution of the model."""
    if len(clip) < 3:
        raise ValueError(f'--adapt needs at least 3 frames, {clip.name} has {len(clip)}')
    config = flags.build(TrainConfig, steps=FLAGS.adapt)
    parallel.local_examples(config.batch_size)
    small = np.stack([media.resize_equirect(frame, height, 2 * height) for frame in clip.frames])
    stride = FLAGS.stride
    if not stride:
        stride, shift = spacing.choose_stride(small)
        _say(f'comparing frames {stride} apart: they are shifted by {shift:.2f} pixels of a 64 x 128 image beyond rotation')
    return sources.ClipSource(Clip(clip.name, small), stride=stride, batch_size=config.batch_size, seed=config.seed)


def run_train():
    """--mode=train: learns to see rooms, then evaluates on unseen ones."""
    params, model = _start_model()
    config, loss, grid = flags.build(TrainConfig), flags.build(LossConfig), make_grid(model)
    height = 2 * model.face_size
    mask = _mask(height)
    _check_rooms(height)
    parallel.local_examples(config.batch_size)
    with _open_run() as run:
        if FLAGS.train_data == 'live':
            source = sources.LiveSource(height=height, batch_size=config.batch_size, seed=config.seed)
        else:
            _say(f'opening pano_rooms/{FLAGS.rooms}')
            source = sources.WindowSource(pano_rooms.load('train', FLAGS.rooms, FLAGS.data_dir), batch_size=config.batch_size,
                                          stride=max(1, FLAGS.stride), seed=config.seed)
        params = session.train_in(run, source, config, model, loss, grid, mask=mask, params=params, log_every=FLAGS.log_every,
                                  checkpoint_every=FLAGS.checkpoint_every)
        _evaluate_rooms(run, params, model, grid)


def run_eval():
    """--mode=eval: scores a checkpoint on PanoRooms' test split or on footage with truth."""
    params, model = _start_model()
    if params is None:
        raise ValueError('--mode=eval needs --checkpoint=WORKDIR of a training run')
    params, grid = jax.tree.map(jax.numpy.asarray, params), make_grid(model)
    if FLAGS.input == 'rooms':
        _check_rooms(2 * model.face_size)
        with _open_run() as run:
            _evaluate_rooms(run, params, model, grid)
        return
    clip = _read_input(_output_height())
    if clip.depth is None and clip.poses is None:
        raise ValueError(f'{FLAGS.input} has neither depth nor poses to evaluate against; --mode=predict needs none')
    mask = None if FLAGS.mask is None else session.read_mask(FLAGS.mask, clip.frames.shape[1]) > 0
    with _open_run() as run:
        scores, estimate = predict.estimate_clip(clip, params, grid, model, mask=mask)
        panels.clip_panels(run.path / 'panels.png', clip.frames, estimate.depth, truth=clip.depth, title=clip.name)
        _finish(run, scores)


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
    first = test_clips[0]
    prior = evaluate.blind_prior((train_clips[i].depth[::4] for i in range(len(train_clips))), first.frames.shape[1])
    shown = []

    def on_clip(clip, estimate):
        if len(shown) < 4:
            shown.append((clip.frames[len(clip) // 2], estimate.depth[len(clip) // 2], clip.depth[len(clip) // 2]))
        if len(shown) == 1:
            panels.trajectory_plot(run.path / 'trajectory.png', estimate.poses, clip.poses, title=clip.name)

    _say(f'evaluating on {len(test_clips)} test clips')
    scores = evaluate.evaluate(params, (test_clips[i] for i in range(len(test_clips))), grid, model, prior=prior, on_clip=on_clip)
    frames, depth, truth = (np.stack(parts) for parts in zip(*shown))
    panels.clip_panels(run.path / 'panels.png', frames, depth, truth=truth, title=f'pano_rooms/{FLAGS.rooms}, test scenes')
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
