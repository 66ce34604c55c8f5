"""The objective: how well one frame is synthesised from its neighbours, and what truth says."""

import dataclasses
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from common.options import option
from pano_depth.kernels import rigid
from pano_depth.kernels.shapes import Array, Real, Scalar
from pano_depth.learning import augment, losses, networks, synthesis
from pano_depth.learning.cells import build, condense
from pano_depth.learning.model import (
    Grid,
    ModelConfig,
    look,
    pad_one,
    predict_disparity,
    predict_motion,
)
from pano_depth.learning.supervised import log_error, motion_error
from pano_depth.learning.triplets import Truth

HIDDEN = 0.5  # grey value of what a mask hides


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the losses."""

    learn: Literal['both', 'depth', 'motion'] = option(
        'both',
        'which networks learn: both; or one of them alone, from known depth and motion'
        ' (truth_weight, or reconstructions), which is several times faster: depth, or motion (the'
        ' pose network); the other one stays as it is',
    )
    ssim_weight: float = option(0.5, 'share of SSIM in the photometric error, the rest is L1')
    pyramid: int = option(
        3,
        'at how many resolutions images are compared; coarse ones reach further while the pose is'
        ' unknown',
    )
    selection: Literal['minimum', 'mean'] = option(
        'minimum',
        'how the errors against the two sources combine at each pixel; minimum begins as mean, see'
        ' minimum_from',
    )
    minimum_from: float = option(
        0.4,
        'part of the training after which the minimum over the sources replaces their mean; from'
        ' the start, the minimum would train only the motion to the source that is learned first',
    )
    automask: bool = option(
        False,
        'leave out pixels that the unwarped source explains better (static scenes, things that move'
        ' with the camera)',
    )
    pose_weight: float = option(
        0.1, 'weight of the pose-consistency loss L_pose (only in mode full)'
    )
    smooth_weight: float = option(
        5e-4, 'weight of the edge-aware smoothness of the normalised disparity'
    )
    logit_weight: float = option(
        1e-3, 'weight of the mean squared log-disparity, which keeps the head out of saturation'
    )
    truth_weight: float = option(
        0.0,
        'weight of the supervised losses where the data has depth and motion (PanoRooms); 0'
        ' learns from images alone',
    )
    prior_weight: float = option(
        0.0,
        'adaptation: weight of the difference in log depth from the networks before adaptation, on'
        ' plain surfaces, where images tell nothing',
    )
    lasso_weight: float = option(
        0.0,
        'weight of the group lasso of learned groups in a depth_cell; 1e-5 in the paper of'
        ' CondenseNet, 0 in its public code',
    )
    solid_angle: bool = option(True, 'weight pixels by their solid angle')

    def __post_init__(self):
        weights = [
            field.name for field in dataclasses.fields(self) if field.name.endswith('_weight')
        ]
        for name, low in (
            ('pyramid', 1),
            ('minimum_from', 0),
            *((weight, 0) for weight in weights),
        ):
            if not low <= getattr(self, name) < math.inf:
                raise ValueError(f'{name} is {getattr(self, name)}, it has to be at least {low}')
        if self.ssim_weight > 1:
            raise ValueError(
                f'ssim_weight is {self.ssim_weight}, a share of the photometric error; accepted: 0'
                ' to 1'
            )


def objective(
    params: dict,
    frames: Float[Array, 'batch length height width 3'],
    view: Float[Array, 'batch 3 3'],
    colours: augment.Colours | None,
    mask: Real[Array, 'height width'] | Real[Array, 'batch length height width'] | None,
    grid: Grid,
    model: ModelConfig,
    config: LossConfig,
    *,
    progress: Scalar = 1.0,
    truth: Truth | None = None,
) -> tuple[Float[jax.Array, ''], dict[str, Float[jax.Array, '']]]:
    """The losses of a batch of frame triplets, or of single frames.

    Args:
        params: {'depth', 'pose'}.
        frames: equirectangular, in [0, 1]: previous, target, next; or targets alone, where depth
            alone learns.
        view: orthogonal matrices through which the model looks at the frames (`augment.views`).
        colours: change of the colours that the networks see; the loss compares unchanged colours.
            None for no change.
        mask: 1 where the image counts, 0 for the tripod or the photographer, who move with the
            camera; one for all frames, or one for each frame of each triplet; or None.
        grid: of the model.
        model: configuration of the networks.
        config: weights of the losses.
        progress: part of the training that is done, 0 to 1.
        truth: what is known of the batch, or None; `shown` is used always, the rest where
            `truth_weight` or `prior_weight` is not 0.

    Returns:
        (total, metrics): the sum to minimise and a flat dict of its terms and of diagnostics.

    Raises:
        ValueError: nothing knows the depth or motion that is to be learned from.
    """
    _check_truth(config, truth)
    if mask is not None:
        # Neither network nor loss ever sees masked pixels.
        frames = jnp.where(mask[..., None] > 0, frames, HIDDEN)
    images = look(frames, grid, view)
    inputs = images if colours is None else augment.recolour(images, colours)
    if truth is not None and truth.shown is not None:
        # Networks may see this, but to explain it would teach them that it is infinitely far away.
        mask = truth.shown if mask is None else truth.shown * mask
    batch = _Batch(images, inputs, view, truth)
    weights = _weights(images[:, images.shape[1] // 2], view, mask, grid, config)
    disparities, terms, diagnostics = _depth(params, batch, weights, grid, model, config)
    motion = None
    if config.learn != 'depth':
        motion, of_motion, more = _motion(params, batch, grid, model, config)
        terms, diagnostics = terms | of_motion, diagnostics | more
    if config.learn == 'both':
        terms['photometric'] = synthesis.photometric(
            frames,
            images,
            disparities,
            motion,
            view,
            mask,
            weights,
            _share_of_minimum(config, progress),
            grid,
            pad_one(model.padding),
            pyramid=config.pyramid,
            ssim_weight=config.ssim_weight,
            automask=config.automask,
        )
    if config.truth_weight:
        terms |= _by_truth(truth, disparities[0], motion, view, weights, grid, config)
    total = sum(terms.values())
    return total, {**terms, 'loss': total, **diagnostics}


class _Batch(NamedTuple):
    """Frames on the grid, what the networks are shown of them, and what is known."""

    images: jax.Array
    inputs: jax.Array  # the same in other colours
    view: jax.Array
    truth: Truth | None


def _depth(params, batch, weights, grid, model, config):
    """(disparities, terms, diagnostics) of the depth network alone."""
    middle = batch.images.shape[1] // 2
    target, pad = batch.images[:, middle], pad_one(model.padding)
    disparities, logit = predict_disparity(params, batch.inputs[:, middle], grid, model)
    if config.learn == 'motion':
        # Depth, which stays as it is, tells the unit of the motion.
        disparities, logit = jax.lax.stop_gradient((disparities, logit))
    # The smoothed disparity has the mean 1, so that the loss cannot fall by shrinking it.
    rough = losses.smoothness(disparities[0], target, pad=pad)
    terms = {
        'smooth': config.smooth_weight * losses.weighted_mean(rough, weights),
        'logit': config.logit_weight * jnp.mean(logit**2),
    }
    if config.prior_weight and batch.truth is not None and batch.truth.prior is not None:
        plain = losses.plainness(target, pad=pad)
        error, _ = log_error(batch.truth.prior, disparities[0], batch.view, weights, grid, plain)
        terms['prior'] = config.prior_weight * error
    if config.lasso_weight and model.depth_cell and config.learn != 'motion':
        lasso = condense.lasso(build.build(model), params['depth'])
        terms['lasso'] = config.lasso_weight * lasso
    diagnostics = {
        'disparity_spread': logit.std(axis=(1, 2, 3)).mean(),
        'saturated': jnp.mean(jnp.abs(logit) > 0.95 * networks.DepthNet.bound),
    }
    return disparities, terms, diagnostics


def _motion(params, batch, grid, model, config):
    """(motion, terms, diagnostics) of the pose network alone."""
    # Both sources at once: the pose network sees [2B] pairs, previous frames first.
    targets, found = synthesis.twice(batch.inputs[:, 1]), synthesis.both(batch.inputs)
    motion, _, consistency = predict_motion(params, targets, found, grid, model)
    tied = model.pose_mode == 'full' and model.padding != 'equirect'
    terms = {'pose': config.pose_weight * consistency.mean()} if tied else {}
    diagnostics = {
        'pose_consistency': consistency.mean(),
        'translation': jnp.linalg.norm(motion.translation, axis=-1).mean(),
    }
    return motion, terms, diagnostics


def _check_truth(config, truth):
    """Raises ValueError if nothing knows what is to be learned from."""
    known = truth is not None and truth.depth is not None
    if config.truth_weight and not known:
        raise ValueError(
            f'truth_weight is {config.truth_weight}, but this footage has no depth and poses to'
            ' learn from; accepted: 0'
        )
    if config.learn != 'both' and not config.truth_weight:
        raise ValueError(
            f'learn is {config.learn}, but nothing here knows {config.learn} to learn from;'
            ' accepted: a truth_weight above 0 on data with depth and motion (rooms), workdirs of'
            ' reconstructions, or learn=both'
        )


def _weights(target, view, mask, grid, config):
    """Weights [B, F, h, w] of the target's pixels: solid angles, 0 where the mask hides them."""
    solid = grid.weights if config.solid_angle else jnp.ones_like(grid.weights)
    weights = jnp.broadcast_to(solid, target.shape[:-1])
    if mask is None:
        return weights
    rays = rigid.rotate(view[:, None, None, None], grid.rays[None])
    return weights * synthesis.counting(
        mask if mask.ndim == 2 else mask[:, mask.shape[1] // 2], rays
    )


def _share_of_minimum(config, progress):
    """How far the minimum over the sources has replaced their mean, 0 to 1."""
    # The change takes a tenth of the training.
    ramp = jnp.clip((progress - config.minimum_from) * 10, 0, 1)
    return ramp if config.selection == 'minimum' else 0.0


def _by_truth(truth, disparity, motion, view, weights, grid, config):
    """The supervised terms; of the depth alone where `motion` is None."""
    known = {'confidence': truth.confidence, 'share': truth.share}
    error, unit = log_error(truth.depth, disparity, view, weights, grid, **known)
    terms = {'truth_depth': config.truth_weight * error}
    if motion is not None:
        moved = motion_error(truth.motion, unit, motion, view, truth.share)
        terms['truth_pose'] = 10 * config.truth_weight * moved
    return terms
