"""The rounds of self-improvement: reconstruct, learn, judge."""

import json
import math
import shutil
import time

import numpy as np

from common.executors.open_executor import open_executor
from common.executors.serial import SerialExecutor
from common.failure import Failure
from common.logs import Progress, say
from common.patience import Unavailable
from common.run import RunDirectory, write_json
from common.stopping import Stop
from pano_depth.learning import checkpoints
from pano_depth.reconstruction.pretrained import Networks
from pano_depth.results.self_training import clips
from pano_depth.results.self_training import config as configs
from pano_depth.results.self_training.config import ImproveConfig
from pano_depth.results.train_job import train_on
from pano_depth.results.training import data as training

RECORD = 'improve.json'
_FOUND = 'clips.json'  # of a round: why clips have no reconstruction


class Rounds:
    """The rounds of a run; those that have ended are in `improve.json`.

    Reconstructions are large. A round keeps its own in `round_<n>/clips` until the next round has
    ended, and the frames that were decoded from them only until its training has.

    Attributes:
        ended: what `improve.json` says of each.
        best: number of the round with the best networks; 0: those of before.
    """

    def __init__(
        self,
        run: RunDirectory,
        config: ImproveConfig,
        data: training.Data,
        networks: Networks,
        stop: Stop,
    ):
        """Takes note of the parts; of a run that goes on, reads what has ended.

        Args:
            run: the run directory.
            config: options.
            data: the clips, and those that judge.
            networks: to start from.
            stop: request to stop.
        """
        self._run, self._config = run, config
        self._executor = open_executor(config.executors, run.path)
        self._data, self._start, self._stop = data, networks, stop
        self.ended, self.best = [], 0
        if run.record.get('resumed') and (run.path / RECORD).exists():
            self.ended = json.loads((run.path / RECORD).read_text())['rounds']
        # Also what earlier starts of the run wrote belongs to it.
        run.writes(*(f'{self._folder(entry["round"]).name}/' for entry in self.ended))

    def run(self) -> Networks:
        """All rounds; the best networks."""
        best, least, earlier = self._start, math.inf, len(self.ended)
        if earlier:
            say(f'rounds that have ended before: {earlier}')
        for number in range(1, max(self._config.rounds, earlier) + 1):
            self._stop.check()
            if number > len(self.ended):
                self.ended.append(self._round(number, best))
                write_json(self._run.path / RECORD, {'rounds': self.ended})
            self._tidy(number)
            errors = self.ended[number - 1]['photometric_error']
            least = min(least, errors['before'])
            if not errors['after'] < least:
                say(
                    f'the photometric error after round {number} is {errors["after"]:.4f}, no less'
                    f' than {least:.4f} before it: it ends here, and the networks of before are'
                    ' the result'
                )
                break
            best, least, self.best = self._networks(number), errors['after'], number
        else:
            if len(self.ended) == earlier:
                say(f'nothing is left to do; --rounds={earlier + 1}, or more, goes on')
        return best

    def _folder(self, number):
        return self._run.path / f'round_{number}'

    def _tidy(self, number):
        """Removes what nobody needs once a round has ended."""
        for folder in (self._folder(number) / 'cache', self._folder(number - 1) / 'clips'):
            shutil.rmtree(folder, ignore_errors=True)

    def _networks(self, number):
        path = self._folder(number) / 'networks.npz'
        return Networks(*checkpoints.start_model(str(path), self._config.model))

    def _round(self, number: int, networks: Networks) -> dict:
        """Reconstructs and trains; what `improve.json` says of it."""
        folder, times = self._folder(number), [time.monotonic()]
        self._run.writes(f'{folder.name}/')
        folder.mkdir(exist_ok=True)
        start = str(folder / 'start.npz')
        checkpoints.save_weights(start, networks.params, networks.config)
        learned = self._taught(folder, start, 2 * networks.config.face_size)
        found_out = learned.summary()
        say(
            f'round {number}: {found_out["reconstructed"]} of {found_out["clips"]} clips are'
            f' reconstructed, other views confirm {100 * learned.confident:.0f} % of their pixels'
        )
        times.append(time.monotonic())
        digests = {**self._data.digests, '--train_data': learned.digest}
        data = self._data._replace(learned=learned.pieces, digests=digests)
        config = configs.training(
            self._config,
            str(folder / 'clips'),
            checkpoint=start,
            save_weights=str(folder / 'networks.npz'),
        )
        train_on(config, folder / 'training', lambda rows: data, stop=self._stop)
        times.append(time.monotonic())
        scores = json.loads((folder / 'training' / 'eval.json').read_text())
        kept = ('photometric_error', 'depth', 'pose')
        seconds = dict(zip(('reconstruction', 'training'), np.diff(times).tolist(), strict=True))
        return {
            'round': number,
            **found_out,
            **{name: scores[name] for name in kept if name in scores},
            'seconds': seconds,
        }

    def _taught(self, folder, checkpoint, rows):
        """Reconstructs the clips, and collects what they teach."""
        config, pieces = self._config, self._data.learned
        jobs = clips.jobs_of(pieces, folder / 'clips', configs.reconstruction(config, checkpoint))
        # A training that goes on learns from what it has begun with, also where a clip failed that
        # would not fail again.
        known = folder / _FOUND
        reasons = json.loads(known.read_text()) if known.exists() else self._reconstructed(jobs)
        learned = clips.taught(
            pieces,
            jobs,
            reasons,
            rows=rows,
            data_dir=folder / 'cache',
            stride=config.stride,
            stop=self._stop,
        )
        write_json(known, reasons)
        return learned

    def _reconstructed(self, jobs):
        """For each job why there is no result, or None."""
        reasons = [None] * len(jobs)
        with Progress(len(jobs), unit='clip', description='reconstructing') as progress:
            for index, result in self._results(jobs):
                if isinstance(result, Unavailable):
                    raise result
                reasons[index] = result.reason if isinstance(result, Failure) else result
                progress.update()
                self._stop.check()
        return reasons

    def _results(self, jobs):
        """(index, result) of each job, as an executor yields them."""
        if not isinstance(self._executor, SerialExecutor):
            yield from self._executor.map(clips.reconstruct_one, jobs)
            return
        for index, job in enumerate(jobs):
            self._stop.check()
            yield index, clips.reconstruct_one(job, self._stop)
