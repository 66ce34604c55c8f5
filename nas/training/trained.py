"""Trained networks: opening them in the workdir of a training, and predicting with them.

trained = load_trained('runs/balanced')
trained.classes[trained.predict(images)[0].argmax()]      # images [B, H, W, C] uint8
"""

import dataclasses
import functools
import pathlib
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from common.checkpoint import Checkpoints
from nas.cells.architecture import Architecture
from nas.cells.cost import count
from nas.cells.plan import Plan
from nas.datasets.crops import WHOLE, Preparation
from nas.networks import network
from nas.networks.convert import convert
from nas.training import recipe
from nas.training.config import RecipeConfig
from nas.training.network_file import BEST, LAST, NETWORK_FILE, read_meta, state_template

# Images that `predict` computes at once: 256, or fewer if they are large (16 of ImageNet).
_IMAGES_AT_ONCE, _PIXELS_AT_ONCE = 256, 2**20


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        plan: the layer records.
        variables: those of the masked `Network(plan)`, NumPy arrays.
        meta: what network.json holds, see `nas.training.network_file.make_meta`.
        step: number of training steps behind it.
    """

    plan: Plan
    variables: dict
    meta: dict
    step: int

    def __repr__(self) -> str:
        # Without the weights, which would fill a notebook.
        return (
            f'Trained({self.meta["name"]}: {count(self.plan).params:,} parameters,'
            f' {len(self.classes)} classes, step {self.step})'
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `predict`."""
        return tuple(self.meta['classes'])

    @property
    def architecture(self) -> Architecture:
        """The cell and its skeleton, or the published network."""
        return Architecture.from_dict(self.meta)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of the classes.

        Any number of images is accepted; they are computed in batches of a few sizes, so that other
        numbers need no further compilation.

        Args:
            images: [B, size, size, channels] uint8 from 0 to 255, of the size and the channels of
                the images that the network was trained on, prepared as these were: `read` gives
                them.

        Returns:
            [B, classes] float32, each row with the sum 1.

        Raises:
            ValueError: the images have another type, size or number of channels.
        """
        images = _check_images(images, self.plan)
        predict, at_once = _predictor(self.plan), _batch_size(self.plan)
        mean, std = (np.float32(self.meta[name]) for name in ('mean', 'std'))
        found = [np.zeros((0, self.plan[-1].out_channels), np.float32)]
        for first in range(0, len(images), at_once):
            batch = images[first : first + at_once]
            # Padded to a power of two, so that few sizes are ever compiled.
            padding = (1 << (len(batch) - 1).bit_length()) - len(batch)
            padded = np.pad(batch, ((0, padding), (0, 0), (0, 0), (0, 0)))
            found.append(np.asarray(predict(self.variables, padded, mean, std))[: len(batch)])
        return np.concatenate(found)

    @property
    def preparation(self) -> Preparation:
        """How a photograph becomes an image for `predict`."""
        record = self.meta.get('preparation')
        return WHOLE if record is None else Preparation.from_dict(record)

    def read(self, *paths) -> np.ndarray:
        """Reads photographs as the images that the network was scored on.

        The orientation that a camera wrote (EXIF) is obeyed, transparent pixels lie on the
        background of the data set (white by default), 16 bits are rounded to 8, and the middle
        square is resized, bilinear and antialiased.

        Args:
            *paths: image files.

        Returns:
            [B, size, size, channels] uint8, for `predict`.

        Raises:
            ValueError: a file is missing or damaged; the message names it.
        """
        first = self.plan[0]
        shape = (first.out_size, first.out_size, first.out_channels)
        found = np.empty((len(paths), *shape), np.uint8)
        for place, path in enumerate(paths):
            path = pathlib.Path(path).expanduser()
            found[place] = self.preparation.read(path, size=shape[0], channels=shape[2])
        return found

    def deployed(self) -> dict:
        """The variables of `Network(plan, deployed=True)`.

        Raises:
            ValueError: if learned groups are not fully condensed, as before the middle of a
                training.
        """
        return convert(self.plan, self.variables)


def _check_images(images, plan: Plan) -> np.ndarray:
    """Images as an array. Raises ValueError if they are not those that a network takes."""
    images, first = np.asarray(images), plan[0]
    shape = (first.out_size, first.out_size, first.out_channels)
    accepted = f'accepted: [B, {", ".join(map(str, shape))}] uint8, values 0 to 255'
    if images.dtype != np.uint8:
        raise ValueError(f'images are of the type {images.dtype}; {accepted}')
    if images.ndim != 4 or images.shape[1:] != shape:
        raise ValueError(f'images have the shape {list(images.shape)}; {accepted}')
    return images


def _batch_size(plan: Plan) -> int:
    """Images that are computed at once, a power of two."""
    fitting = max(1, min(_IMAGES_AT_ONCE, _PIXELS_AT_ONCE // plan[0].out_size ** 2))
    return 1 << (fitting.bit_length() - 1)


@functools.lru_cache(maxsize=4)
def _predictor(plan: Plan):
    """(variables, images uint8, mean, std) -> probabilities, compiled once for each batch size."""
    net = network.Network(plan)

    @jax.jit
    def predict(variables, images, mean, std):
        prepared = (images.astype(jnp.float32) / 255 - mean) / std
        return jax.nn.softmax(net.apply(variables, prepared))

    return predict


def load_trained(
    workdir, *, which: Literal['best', 'last'] = 'best', ops: str | None = None
) -> Trained:
    """Opens the network in the workdir of a training, which has ended or still runs.

    Args:
        workdir: of `--mode=train`.
        which: 'best', the lowest held-out error (the last if nothing was held out), or 'last'.
        ops: a file of own ops, in place of the copy that the training has kept in its workdir.
            Either is run as Python code, so open workdirs of people whom you trust.

    Raises:
        ValueError: a file is missing or damaged; the message names it.
    """
    if which not in ('best', 'last'):
        raise ValueError(f'which is {which!r}; accepted: best, last')
    workdir = pathlib.Path(workdir).expanduser()
    meta = read_meta(workdir, ops=ops)
    if meta is None:
        raise ValueError(
            f'{workdir / NETWORK_FILE} does not exist; the workdir of a training '
            '(nas-search --mode=train) is accepted'
        )
    plan = Architecture.from_dict(meta).plan
    template = state_template(plan, RecipeConfig(**meta['recipe']))
    folder = workdir / (BEST if which == 'best' else LAST)
    with Checkpoints(folder) as checkpoints:
        restored = checkpoints.restore(
            recipe.to_variables(template) if which == 'best' else template
        )
    if restored is None:
        raise ValueError(f'{folder} holds no checkpoint; the training has not saved one yet')
    step, state, _ = restored
    return Trained(
        plan, jax.device_get(state if which == 'best' else recipe.to_variables(state)), meta, step
    )
