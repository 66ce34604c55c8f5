"""Brings a search and its images together: size, channels and classes, before any work."""

import dataclasses

from common.run import earlier_run
from nas.cells import choice, plan
from nas.cells.cell import Cell
from nas.cells.skeleton import Skeleton, images
from nas.datasets.images import Dataset
from nas.datasets.open_images import open_images
from nas.datasets.streamed import split_of
from nas.training.config import SearchConfig

# A cell with each kind of convolution that wants channels in whole groups.
_PROBE = Cell.parse('bn_relu-lgconv1x1-bn_relu-gconv3x3-bn_relu-gconv1x1')
# The entry of run.json that holds the skeleton of a search.
RECORD = 'skeleton'


def open_for_search(config: SearchConfig, workdir=None) -> tuple[Skeleton, Dataset]:
    """Opens the images of a search, and finds the skeleton that fits them.

    The number of classes is that of the data. If no skeleton is named, a folder of images gets one
    that fits `--image_size` (64 pixels), in colour unless all images are grey.

    Args:
        config: data set, skeleton and sizes are used.
        workdir: of a search that goes on, or None.

    Raises:
        ValueError: images, sizes and skeleton do not fit together, or too few images are there to
            hold some out; the message names the flag or the file.
    """
    skeleton = _begun(config, workdir)
    # Only the skeleton for any images asks these for their channels.
    asks = skeleton.name.startswith(images.name) and config.sizes.channels is None
    dataset = open_images(
        config.dataset,
        size=skeleton.size,
        channels=None if asks else skeleton.channels,
        cache=config.image_cache,
    )
    train = dataset.train
    config.sizes.check_classes(len(train.classes), config.dataset)
    skeleton = dataclasses.replace(
        skeleton, channels=train.images.shape[3], classes=len(train.classes)
    )
    plan.build(_PROBE, skeleton)  # raises ValueError for channels that make no groups
    check_held_out(dataset, config)
    return skeleton, dataset


def check_held_out(dataset: Dataset, config: SearchConfig) -> None:
    """Raises ValueError if no images can be held out to compare candidates on."""
    held_out = config.evaluation
    if dataset.validation is None:
        try:
            split_of(dataset.train, held_out.validation_share, held_out.split_seed)
        except ValueError as error:
            raise ValueError(
                f'--validation_share={held_out.validation_share:g}: {dataset.train.name}: {error}'
            ) from None


def searched_skeleton(config: SearchConfig, workdir) -> Skeleton:
    """The skeleton of the search in a directory.

    Args:
        config: of the search.
        workdir: its directory.

    Raises:
        ValueError: what its run.json holds is not of this version; the message names the file.
    """
    found = earlier_run(workdir)[1].get(RECORD)
    if found is None:
        return _usual(config)
    try:
        return Skeleton(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{RECORD} in run.json of {workdir} is damaged: {error}') from error


def _begun(config: SearchConfig, workdir) -> Skeleton:
    """The skeleton of a search, which goes on if there is a workdir."""
    if workdir is not None and RECORD not in earlier_run(workdir)[1]:
        return _usual(config)
    return choice.search_skeleton(config.dataset, config.skeleton, config.sizes)


def _usual(config: SearchConfig) -> Skeleton:
    """The skeleton of searches from before skeletons were recorded: the digits', if none is named.

    Runs of that time are read and gone on with.
    """
    return choice.skeleton_of(config.skeleton or choice.SEARCH_SKELETON, config.sizes)
