"""The flags of `nas_main`; those of the recipe come from its dataclass."""

import dataclasses

from absl import flags as absl_flags

from experiments import flags
from nas import evaluate, recipe, rungs, search, tabular
from nas.skeleton import SKELETONS

EXECUTORS = ('serial', 'process', 'ray')


class _SwitchOrPath(absl_flags.ArgumentParser):
    """`--table` alone is a switch, `--table=FILE` names a file."""

    syntactic_help = 'FILE or nothing'

    def parse(self, argument):
        return True if argument in (True, 'true') else False if argument in (False, None, 'false') else str(argument)


class _SwitchOrPathFlag(absl_flags.Flag):
    """absl lets flags that are `boolean` stand without a value."""

    def __init__(self, name, text):
        super().__init__(_SwitchOrPath(), absl_flags.ArgumentSerializer(), name, False, text, boolean=True)

    def serialize(self):
        """The flag as it stands on a command line; '' if it was not given."""
        return '' if self.value is False else f'--{self.name}' if self.value is True else f'--{self.name}={self.value}'


def define(values: absl_flags.FlagValues) -> None:
    """Defines the flags in `values`."""
    text = lambda name, default, about: absl_flags.DEFINE_string(name, default, about, flag_values=values)
    whole = lambda name, default, about, least=1: absl_flags.DEFINE_integer(name, default, about, lower_bound=least, flag_values=values)
    absl_flags.DEFINE_enum('mode', None, ['search', 'cost'], 'What to do; default: cost if --cell, --network or a bare --table is given, else '
                           'search.', flag_values=values)
    text('workdir', None, "Directory of the run: new, empty, or an earlier run's, which then goes on.")
    text('cell', None, '--mode=cost: cell, as tokens joined by hyphens or by its published name.')
    text('network', None, '--mode=cost: published network by name.')
    text('skeleton', None, f'Skeleton for cells: {", ".join(SKELETONS)}. Default: digits for a search, cifar10 for --mode=cost; a published '
         'network brings its own.')
    absl_flags.DEFINE_multi_string(
        'device', [], 'Device to measure on: xla, xla:gpu,batch=64, onnx:threads=1, profile:phone, "command:TEMPLATE" with {model} and '
        '{batch}, ...; --mode=cost takes several, with commas or by repeating the flag. With --benchmark: the NAME of a column lat_NAME.',
        flag_values=values)
    absl_flags.DEFINE_flag(_SwitchOrPathFlag(
        'table', '--mode=cost: print the cost of every published network beside its published figures. With --benchmark: the FILE.'),
        values)
    text('benchmark', None, f'Search a table instead of training: {", ".join(tabular.BENCHMARKS)}; needs --table=FILE.')
    text('objectives', None, 'What is minimised: error, latency_ms, memory_mb, params, flops, macs; default error,latency_ms,params, for tables '
         'what they are judged by.')
    absl_flags.DEFINE_float('worst_error', None, 'Error in percent from which on a cell is of no use: it may stand on the front, but adds nothing '
                            'to the hypervolume and is not chosen. Default: that of the benchmark, or a little over the worst on the front.',
                            lower_bound=0, flag_values=values)
    absl_flags.DEFINE_list('constraints', [], "Upper limits, such as 'latency_ms<50,params<=1e6'.", flag_values=values)
    whole('budget', 60, 'Evaluations in all, failed ones included.')
    whole('levels', 4, 'Largest number of operations in a cell.', 2)
    whole('seed', 0, 'Of the search and of every candidate.', 0)
    text('dataset', 'digits', 'Images: digits (comes with scikit-learn), cifar10 (prepared by TFDS), cifar10:PATH (the official archive or '
         'directory, or a folder or tar of images), folder:PATH (images by class).')
    text('image_cache', None, 'Directory for decoded images of folders and tars.')
    absl_flags.DEFINE_enum('executor', 'serial', EXECUTORS, 'Who trains candidates: this process, processes of their own, or a Ray cluster.',
                           flag_values=values)
    whole('workers', 1, '--executor=process: candidates at once.')
    absl_flags.DEFINE_float('candidate_timeout', None, 'Seconds after which a candidate has failed (process, ray).', lower_bound=1,
                            flag_values=values)
    absl_flags.DEFINE_list('cuda_devices', [], '--executor=process: CUDA devices to share out, such as 0,1,2,3.', flag_values=values)
    whole('devices_per_candidate', 1, 'Devices that each candidate gets (process with --cuda_devices, ray on nodes with GPUs).', 0)
    text('ray_address', None, '--executor=ray: the cluster, "auto" for the one of this machine; default a new local one.')
    absl_flags.DEFINE_bool('early_stopping', True, 'Stop candidates that are clearly dominated part of the way.', flag_values=values)
    absl_flags.DEFINE_float('rung_margin', rungs.Rungs.margin, 'Percentage points of error by which a candidate has to be dominated to be '
                            'stopped.', lower_bound=0, flag_values=values)
    text('warm_start', None, 'evaluations.jsonl of an earlier search, to learn from.')
    text('measurement_cache', '~/.cache/pano_dppnet/measurements', 'Directory of what was measured before, which is not measured again; '
         'empty for none.')
    text('compilation_cache', '~/.cache/pano_dppnet/jax', 'Directory of compiled programs; empty for none.')
    for config in (recipe.RecipeConfig, evaluate.EvaluationConfig):
        flags.define(config, flag_values=values)
    # The other sizes of a search are measured and of no use to change one by one.
    inner = [field.name for field in dataclasses.fields(search.SearchConfig) if field.name != 'keep']
    flags.define(search.SearchConfig, skip=inner, flag_values=values)
