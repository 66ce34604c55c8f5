"""The flags of `nas_main`, and what all of its modes make of them."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable

import jax
from absl import flags as absl_flags

from common.memory import keep_memory
from common.run import FLAGS_FILE
from experiments import flags, nas_choice, nas_export
from nas.cells.skeleton import SKELETONS
from nas.search import rungs, search
from nas.tables import tabular
from nas.training import evaluate, recipe

MODES = ('search', 'train', 'export', 'cost')
EXECUTORS = ('serial', 'process', 'ray', 'slurm')


class _SwitchOrPath(absl_flags.ArgumentParser):
    """`--table` alone is a switch, `--table=FILE` names a file."""

    syntactic_help = 'FILE or nothing'

    def parse(self, argument):
        if argument in (True, 'true'):
            return True
        return False if argument in (False, None, 'false') else str(argument)


class _SwitchOrPathFlag(absl_flags.Flag):
    """absl lets flags that are `boolean` stand without a value."""

    def __init__(self, name, text):
        super().__init__(
            _SwitchOrPath(), absl_flags.ArgumentSerializer(), name, False, text, boolean=True
        )

    def serialize(self):
        """The flag as it stands on a command line; '' if it was not given."""
        if self.value is False:
            return ''
        return f'--{self.name}' if self.value is True else f'--{self.name}={self.value}'


class _Definer:
    """Defines flags of the usual kinds in one place."""

    def __init__(self, values: absl_flags.FlagValues):
        self.values = values

    def text(self, name, default, about):
        absl_flags.DEFINE_string(name, default, about, flag_values=self.values)

    def texts(self, name, about):
        absl_flags.DEFINE_list(name, [], about, flag_values=self.values)

    def choice(self, name, default, choices, about):
        absl_flags.DEFINE_enum(name, default, list(choices), about, flag_values=self.values)

    def switch(self, name, default, about):
        absl_flags.DEFINE_bool(name, default, about, flag_values=self.values)

    def whole(self, name, default, about, least=1):
        absl_flags.DEFINE_integer(name, default, about, lower_bound=least, flag_values=self.values)

    def number(self, name, default, about, least=0.0, most=None):
        flags.define_float(
            name, default, about, lower_bound=least, upper_bound=most, flag_values=self.values
        )


def define(values: absl_flags.FlagValues) -> None:
    """Defines the flags in `values`."""
    _define_common(_Definer(values))
    _define_search(_Definer(values))
    _define_training(_Definer(values))
    for config in (recipe.RecipeConfig, evaluate.EvaluationConfig, nas_choice.Sizes):
        flags.define(config, flag_values=values)
    # The other sizes of a search are measured and of no use to change one by one.
    inner = [
        field.name for field in dataclasses.fields(search.PlannerConfig) if field.name != 'keep'
    ]
    flags.define(search.PlannerConfig, skip=inner, flag_values=values)
    nas_export.define(values)


def _define_common(new: _Definer) -> None:
    new.choice(
        'mode',
        None,
        MODES,
        'What to do; default: cost if --cell, --network or a bare --table is given, else search.',
    )
    new.text(
        'workdir',
        None,
        "Directory of the run: new, empty, or an earlier run's, which then goes on.",
    )
    new.text(
        'cell',
        None,
        '--mode=cost and train: cell, as tokens joined by hyphens or by its published name.',
    )
    new.text('network', None, '--mode=cost and train: published network by name.')
    new.text(
        'skeleton',
        None,
        f'Skeleton for cells: {", ".join(SKELETONS)}. Default: digits for a search, '
        'cifar10 for other modes; a published network and --from_search bring their own.',
    )
    absl_flags.DEFINE_multi_string(
        'device',
        [],
        'Device to measure on: xla, xla:gpu,batch=64, onnx:threads=1, profile:phone,'
        ' "command:TEMPLATE" with {model} and {batch}, ...; --mode=cost takes several, with commas'
        ' or by repeating the flag. With --benchmark: the NAME of a column lat_NAME.',
        flag_values=new.values,
    )
    absl_flags.DEFINE_flag(
        _SwitchOrPathFlag(
            'table',
            '--mode=cost: print the cost of every published network beside its published figures.'
            ' With --benchmark: the FILE.',
        ),
        new.values,
    )
    new.whole('seed', 0, 'Of the search and of every candidate; of the training.', 0)
    new.text(
        'dataset',
        'digits',
        'Images: digits (comes with scikit-learn), cifar10 (prepared by TFDS), cifar10:PATH (the'
        ' official archive or directory, or a folder or tar of images), folder:PATH (images by'
        ' class; folder:PATH,stream decodes them as they are needed), imagenet (prepared by TFDS),'
        ' imagenet:PATH (train/CLASS, val/CLASS).',
    )
    new.text('image_cache', None, 'Directory for decoded images of folders and tars.')
    new.text(
        'measurement_cache',
        '~/.cache/pano_dppnet/measurements',
        'Directory of what was measured before, which is not measured again; empty for none.',
    )
    new.text(
        'compilation_cache',
        '~/.cache/pano_dppnet/jax',
        'Directory of compiled programs; empty for none.',
    )


def _define_search(new: _Definer) -> None:
    new.text(
        'benchmark',
        None,
        f'Search a table instead of training: {", ".join(tabular.BENCHMARKS)}; needs --table=FILE.',
    )
    new.text(
        'objectives',
        None,
        'What is minimised: error, latency_ms, memory_mb, params, flops, macs; '
        'default error,latency_ms,params, for tables what they are judged by.',
    )
    new.number(
        'worst_error',
        None,
        'Error in percent from which on a cell is of no use: it may stand on the '
        'front, but adds nothing to the hypervolume and is not chosen. Default: that of the '
        'benchmark, or a little over the worst on the front.',
    )
    new.texts('constraints', "Upper limits, such as 'latency_ms<50,params<=1e6'.")
    new.whole('budget', 60, 'Evaluations in all, failed ones included.')
    new.whole('levels', 4, 'Largest number of operations in a cell.', 2)
    new.choice(
        'executor',
        'serial',
        EXECUTORS,
        'Who trains candidates: this process, processes of their '
        'own, a Ray cluster, or jobs of a Slurm cluster.',
    )
    new.whole('workers', 1, '--executor=process: candidates at once.')
    new.number(
        'candidate_timeout',
        None,
        'Seconds after which a candidate has failed (process, ray, slurm).',
        1,
    )
    new.texts('cuda_devices', '--executor=process: CUDA devices to share out, such as 0,1,2,3.')
    new.whole(
        'devices_per_candidate',
        1,
        'Devices that each candidate gets (process with --cuda_devices, ray on nodes with GPUs).',
        0,
    )
    new.text(
        'ray_address',
        None,
        '--executor=ray: the cluster, "auto" for the one of this machine; default a new local one.',
    )
    new.texts(
        'slurm_options',
        '--executor=slurm: options of the jobs as submitit and sbatch name them, such '
        'as partition=gpu,timeout_min=120,gpus_per_node=1,cpus_per_task=4,mem_gb=16,'
        'array_parallelism=8; cluster=local runs them on this machine, for a trial.',
    )
    new.switch(
        'early_stopping', True, 'Stop candidates that are clearly dominated part of the way.'
    )
    new.number(
        'rung_margin',
        rungs.Rungs.margin,
        'Percentage points of error by which a candidate has to be dominated to be stopped.',
    )
    new.text('warm_start', None, 'evaluations.jsonl of an earlier search, to learn from.')


def _define_training(new: _Definer) -> None:
    new.text(
        'from_search',
        None,
        '--mode=train: WORKDIR:INDEX, a cell of an earlier search by its number in'
        ' evaluations.jsonl, or WORKDIR:ROLE by search.json, such as balanced, most_accurate or'
        ' fastest.',
    )
    new.number(
        'holdout',
        0.1,
        '--mode=train: part of the training split that is held out to choose the '
        'best network; 0 trains on all of it, and the best is the last.',
        0,
        0.9,
    )
    new.whole('checkpoint_epochs', 5, '--mode=train: epochs between two checkpoints.')
    new.switch(
        'measure_input',
        False,
        '--mode=train: measure afterwards how long a step waits for its input.',
    )
    new.text(
        'coordinator_address', None, '--mode=train: host:port of process 0 of a multi-host run.'
    )
    new.whole('num_processes', None, '--mode=train: processes of a multi-host run.')
    new.whole('process_id', None, '--mode=train: rank of this process.', 0)


def cache_folder(values: absl_flags.FlagValues) -> str | None:
    """--compilation_cache as a path, or None."""
    return os.path.expanduser(values.compilation_cache) if values.compilation_cache else None


def start_jax(values: absl_flags.FlagValues) -> None:
    """Sets up memory and the cache of compiled programs, before any computation."""
    keep_memory()
    folder = cache_folder(values)
    if folder:
        os.makedirs(folder, exist_ok=True)
        jax.config.update('jax_compilation_cache_dir', folder)
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


def read_flags(workdir) -> absl_flags.FlagValues | None:
    """The flags of the run in a directory, or None where there is none.

    Raises:
        ValueError: its flags.txt is not one of this version; names the file.
    """
    path = pathlib.Path(workdir).expanduser() / FLAGS_FILE
    if not path.is_file():
        return None
    earlier = absl_flags.FlagValues()
    define(earlier)
    try:
        earlier(['', *path.read_text().splitlines()], known_only=True)
    except absl_flags.Error as error:
        raise ValueError(f'{path} is not of this version: {error}') from error
    return earlier


def check_same(values: absl_flags.FlagValues, workdir, names: Iterable[str], *, what: str) -> None:
    """Refuses to go on with another job in the directory of an earlier run.

    Args:
        values: the flags of now.
        workdir: the directory, with or without an earlier run.
        names: flags that have to be the same.
        what: what the run is: 'search', say.

    Raises:
        ValueError: a flag is another one; names it with both values.
    """
    earlier = read_flags(workdir)
    for name in sorted(names) if earlier is not None else ():
        # Flags of other modules, such as --traceback, are not the run's.
        if name in earlier and earlier[name].value != values[name].value:
            then, now = (flag[name].serialize() or f'no --{name}' for flag in (earlier, values))
            raise ValueError(
                f'workdir {workdir} holds a {what} with {then}, not {now}; it goes on with the '
                f'same flags, another {what} needs another --workdir'
            )
