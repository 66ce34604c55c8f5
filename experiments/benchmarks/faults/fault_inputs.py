"""Faults of the input: damaged files, impossible numbers, and killed helper processes.

Each fault is a function of (`fault_bench.Bench`, number of trials) that yields a `Trial` each time.
A job that refuses its input leaves no workdir; a job that may skip frames (`--on_bad_frame=skip`)
names the skipped ones.
"""

import contextlib
import json
import math
import os
import shutil
import signal

import numpy as np

from experiments.benchmarks.faults import fault_jobs
from experiments.benchmarks.faults.fault_bench import Trial, one_sentence
from experiments.benchmarks.faults.fault_jobs import damaged_files
from experiments.benchmarks.faults.fault_trials import truncate
from nas.search.evaluations import read_records
from pano_depth.footage import video

NEVER = '--learning_rate=1e30'  # the numbers overflow within a few steps


def _clip_with(bench, damage):
    """Copies the clip folder; returns the copy and the result of `damage(folder, frame)`."""
    folder = bench.new_folder() / 'scene'
    shutil.copytree(bench.clip_folder, folder)
    return folder, damage(folder, bench.rng.randrange(1, len(bench.clip)))


def _refused_and_skipped(bench, footage, culprit, *, lost):
    """What is wrong when predict has to refuse bad footage, and to skip and name the bad part."""
    folder = bench.folder()
    wrong = one_sentence(bench.start('predict', folder, f'--input={footage}'), 1, culprit)
    wrong += ('a workdir is left',) * folder.exists()
    command = bench.start('predict', folder, f'--input={footage}', '--on_bad_frame=skip')
    if command.wait():
        return wrong + (command.last_line(),), 0
    skipped = json.loads((folder / 'run.json').read_text())['data']['skipped']
    left = len(list((folder / 'depth').iterdir()))
    wrong += tuple(f'{name} is damaged' for name in damaged_files(folder))
    wrong += ('not named',) * (str(culprit) not in str(skipped) + command.said())
    gone = len(bench.clip) - left
    return wrong + (f'{gone} frames are gone',) * (lost is not None and gone != lost), gone


def frames(damage):
    """One frame of a clip folder is damaged."""

    def trials(bench, count):
        for _ in range(count):
            footage, culprit = _clip_with(
                bench, lambda folder, index: damage(bench.rng, folder, index)
            )
            wrong, gone = _refused_and_skipped(bench, footage, culprit, lost=1)
            yield Trial(wrong, gone, 'frame')

    return trials


def cut_image(rng, folder, index):
    """A PNG that ends early."""
    path = folder / 'rgb' / f'{index:06d}.png'
    truncate(rng, path)
    return path


def flipped_image(rng, folder, index):
    """A PNG with one changed byte of pixels, which the checksum reveals."""
    path = folder / 'rgb' / f'{index:06d}.png'
    data = bytearray(path.read_bytes())
    data[rng.randrange(60, len(data) - 20)] ^= 0x55
    path.write_bytes(data)
    return path


def missing_depth(unused_rng, folder, index):
    """A depth file that is missing."""
    path = folder / 'depth' / f'{index:06d}.png'
    path.unlink()
    return path


def cut_video(bench, count):
    """A video that ends early, at a random byte after its header."""
    for _ in range(count):
        path = bench.new_folder() / 'clip.mkv'
        # Matroska has its header first, so the rest of the file can be read.
        with video.write_video(path, 6) as append:
            for frame in bench.clip.frames:
                append(frame)
        size = path.stat().st_size
        os.truncate(path, bench.rng.randrange(size // 2, size - 100))
        wrong, gone = _refused_and_skipped(bench, path, path.name, lost=None)
        yield Trial(wrong, gone, 'frame')


def nan_depth(bench, count):
    """Truth with NaN pixels: these pixels do not count, and scores are finite."""
    for _ in range(count):

        def damage(folder, index):
            path = folder / 'depth' / f'{index:06d}.png'
            depth = bench.clip.depth[index]
            depth = np.where(np.random.default_rng(index).random(depth.shape) < 0.3, np.nan, depth)
            np.save(path.with_suffix('.npy'), depth.astype(np.float32))
            path.unlink()

        footage, _ = _clip_with(bench, damage)
        folder = bench.folder()
        command = bench.start('predict', folder, f'--input={footage}', '--output_height=32')
        code = command.wait()
        wrong = (command.last_line(),) if code else ()
        scores = {} if code else json.loads((folder / 'eval.json').read_text())['depth']['plain']
        yield Trial(wrong + ('scores are not finite',) * (not all(map(_finite, scores.values()))))


def _finite(value):
    return isinstance(value, (int, float)) and math.isfinite(value)


def nan_poses(bench, count):
    """A trajectory with a line that is not a number is refused; the message names file and line."""
    for _ in range(count):

        def damage(folder, index):
            lines = (folder / 'poses.txt').read_text().splitlines()
            lines[index] = lines[index].replace(lines[index].split()[1], 'nan', 1)
            (folder / 'poses.txt').write_text('\n'.join(lines))
            return f'poses.txt, line {index + 1}'

        footage, culprit = _clip_with(bench, damage)
        folder = bench.folder()
        wrong = one_sentence(bench.start('predict', folder, f'--input={footage}'), 1, culprit)
        yield Trial(wrong + ('a workdir is left',) * folder.exists())


def nan_training(bench, count):
    """A training whose numbers overflow stops and names the step; what is saved is finite."""
    for index in range(count):
        name = ('depth training', 'nas train')[index % 2]
        folder = bench.folder()
        command = bench.start(name, folder, NEVER)
        wrong = one_sentence(command, 1, 'step', 'learning_rate')
        saved = fault_jobs.networks(folder)
        finite = all(np.isfinite(leaf).all() for leaf in saved.values())
        yield Trial(wrong + ('what is saved is not finite',) * (not finite))


def reader_killed(bench, count):
    """Kill -9 of the ffmpeg that decodes the video: the job ends, and says how many frames came."""
    path = bench.new_folder() / 'long.mkv'
    with video.write_video(path, 30) as append:
        for index in range(100 * len(bench.clip)):
            append(bench.clip.frames[index % len(bench.clip)])
    for _ in range(count):
        folder = bench.folder()
        command = bench.start(
            'predict', folder, f'--input={path}', '--max_frames=1150', '--output_height=32'
        )
        wrong = _kill_program(command, 'image2pipe')
        wrong += one_sentence(command, 1, path.name, 'frames could be read')
        yield Trial(wrong + ('a workdir is left',) * folder.exists())


def writer_killed(bench, count):
    """Kill -9 of the ffmpeg that writes depth.mp4: no partial video; the next run ends well."""
    for _ in range(count):
        folder = bench.folder()
        command = bench.working('predict', folder)
        wrong = _kill_program(command, 'libx264')
        wrong += one_sentence(command, 1, 'depth.mp4', 'cannot be written')
        wrong += tuple(f'{name} is damaged' for name in damaged_files(folder))
        wrong += ('a video is left',) * (folder / 'depth.mp4').exists()
        yield Trial(wrong + bench.ends_well('predict', folder)[0])


def _kill_program(command, words):
    """Kills a program as soon as a command has started it; returns what is wrong if it does not."""
    found = []
    look = lambda: [pid for pid, line in command.descendants().items() if words in line]
    command.reaches(lambda: found.extend(look()) or found)
    if not found:
        return (f'it started no {words}',)
    with contextlib.suppress(ProcessLookupError):
        os.kill(found[0], signal.SIGKILL)
    return ()


def candidate_killed(bench, count):
    """Kill -9 of the process that trains a candidate: the candidate fails, the search goes on."""
    for _ in range(count):
        folder = bench.folder()
        command = bench.start('nas search', folder, '--executor=process')
        wrong = _kill_program(command, 'common.executors.worker')
        if command.wait():
            wrong += (command.last_line(),)
        records = read_records(folder / 'evaluations.jsonl')[0]
        failed = [record for record in records if record['status'] == 'failed']
        wrong += (f'{len(failed)} candidates failed',) * (len(failed) != 1)
        wrong += ('not said',) * ('SIGKILL' not in str(failed))
        yield Trial(
            wrong + (f'{len(records)} evaluations',) * (len(records) != 6), len(failed), 'candidate'
        )
