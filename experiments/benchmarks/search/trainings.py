"""Reads finished trainings for the programs that tabulate them."""

import dataclasses
import json
import pathlib

from nas.cells import zoo
from nas.cells.architecture import Architecture
from nas.cells.fingerprint import plan_hash
from nas.cells.plan import Plan
from nas.cells.skeleton import cifar10, imagenet
from nas.training.final import RESULTS_FILE

# Inputs of the networks by data set.
INPUTS = {'cifar10': cifar10.input, 'imagenet': imagenet.input}


@dataclasses.dataclass(frozen=True)
class Training:
    """A finished training, from its train.json.

    Attributes:
        label: what its row is called.
        plan: the trained network.
        table: a key of `INPUTS`, or None for another data set.
        error, top5_error: of the last network on the test split, in percent.
        how: description of the training without its seed; equal texts are repetitions.
        note: remark to print beside the figures.
        data: what `open_images` opened.
    """

    label: str
    plan: Plan
    table: str | None
    error: float
    top5_error: float
    how: str
    note: str
    data: str


def read_training(workdir) -> Training:
    """Reads the results of a training.

    Args:
        workdir: of `nas-search --mode=train`.

    Raises:
        ValueError: train.json is missing or damaged; the message names the file.
    """
    path = pathlib.Path(workdir).expanduser() / RESULTS_FILE
    try:
        facts = json.loads(path.read_text())
        architecture, recipe = Architecture.from_dict(facts), facts['recipe']
        held_out = (
            f', {facts["held_out_images"]:,} images held out' if facts['held_out_images'] else ''
        )
        how = (
            f'{facts["epochs"]} epochs of {facts["train_images"]:,} images, batch'
            f' {recipe["batch_size"]}, rate {recipe["learning_rate"]:g},'
            f' {recipe["dtype"]}{held_out}'
        )
        return Training(
            label_of(architecture),
            architecture.plan,
            _table_of(facts['data'], architecture.input),
            float(facts['test']['error']),
            float(facts['test']['top5_error']),
            how,
            facts['note'],
            facts['data'],
        )
    except FileNotFoundError:
        raise ValueError(
            f'{path} does not exist; the workdir of a finished training '
            '(nas-search --mode=train) is accepted'
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is damaged or not of this version: {error!r}') from error


def _table_of(data: str, size: tuple[int, int, int]) -> str | None:
    """The table that errors on a data set belong to."""
    kind = data.partition(':')[0]
    # ImageNet is read from a folder of images too.
    if kind == 'folder' and size == imagenet.input:
        return 'imagenet'
    return kind if kind in INPUTS else None


def label_of(architecture: Architecture) -> str:
    """The name of a published network, or of a cell (published name if any) and its skeleton."""
    key = plan_hash(architecture.plan)
    for name, network in zoo.NETWORKS.items():
        if network.input == architecture.input and plan_hash(network.plan()) == key:
            return name
    if architecture.cell is None:
        return architecture.name
    cells = (name for name, cell in zoo.CELLS.items() if cell == architecture.cell)
    return f'{next(cells, str(architecture.cell))} on {architecture.skeleton.name}'
