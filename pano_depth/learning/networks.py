"""The depth network and the pose network, on cube faces or on the equirectangular image.

Both see an image as [B, F, h, w, C]: F = 6 cube faces, or F = 1 for the equirectangular image. One
argument, the padding before every convolution, decides what lies beyond the border of a face:
'cube' (the neighbouring faces), 'zero', or 'equirect' (F = 1; columns wrap, rows cross the poles:
the EQUI baseline of Wang et al. 2018).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from common.layers import conv
from pano_depth.kernels import cube, remap
from pano_depth.kernels.shapes import Array, Real
from pano_depth.learning import losses

Padding = Literal['cube', 'zero', 'equirect']
PADDINGS = get_args(Padding)
EPSILON = 1e-5  # of group normalisation


def _concatenate_beyond(images, pad, xp):
    """The result of `equirect_pad`, from slices with numpy or jax.numpy."""
    over = xp.roll(images, images.shape[-2] // 2, axis=-2)
    north, south = over[..., :pad, :, :][..., ::-1, :, :], over[..., -pad:, :, :][..., ::-1, :, :]
    images = xp.concatenate([north, images, south], axis=-3)
    return xp.concatenate([images[..., -pad:, :], images, images[..., :pad, :]], axis=-2)


@functools.lru_cache(maxsize=64)
def _equirect_indices(height, width, pad):
    """int32 [H + 2 pad, W + 2 pad] flat pixels that `equirect_pad` copies."""
    pixels = np.arange(height * width, dtype=np.int32).reshape(height, width, 1)
    return _concatenate_beyond(pixels, pad, np)[..., 0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def equirect_pad(
    images: Real[Array, '*batch height width channels'], pad: int
) -> Real[jax.Array, '*batch height+2*{pad} width+2*{pad} channels']:
    """Pads equirectangular images on the sphere: columns wrap, rows continue beyond the poles.

    Args:
        images: of even width.
        pad: pixels on every side, at least 1.
    """
    # One gather forwards, a concatenation for derivatives, as in `cube.cube_pad`.
    indices = _equirect_indices(*images.shape[-3:-1], pad)
    flat = images.reshape(images.shape[:-3] + (-1, images.shape[-1]))
    return remap.gather(flat, [indices], None, grid=indices.shape)


@equirect_pad.defjvp
def _equirect_pad_jvp(pad, primals, tangents):
    return equirect_pad(*primals, pad), _concatenate_beyond(*tangents, pad, jnp)


def pad_faces(
    images: Real[Array, '*batch faces height width channels'], pad: int, padding: Padding
) -> Real[jax.Array, '*batch faces height+2*{pad} width+2*{pad} channels']:
    """Pads faces by `pad` pixels on every side in the way that `padding` names.

    Raises:
        ValueError: unknown padding.
    """
    if padding == 'cube':
        return cube.cube_pad(images, pad)
    if padding == 'equirect':
        return equirect_pad(images, pad)
    if padding == 'zero':
        return jnp.pad(images, ((0, 0),) * (images.ndim - 3) + ((pad, pad), (pad, pad), (0, 0)))
    raise ValueError(f'padding is {padding!r}; accepted are {", ".join(PADDINGS)}')


def check_size(height: int, width: int, levels: int, name: str = 'face') -> None:
    """Raises ValueError unless height x width can be halved `levels` times, to 2 pixels or more."""
    factor = 2**levels
    if height % factor or width % factor or min(height, width) < 2 * factor:
        raise ValueError(
            f'{name} is {height} x {width} pixels; the network halves it {levels} times, so that'
            f' each side must be a multiple of {factor} and at least {2 * factor}'
        )


def upsample(
    images: Real[Array, 'batch faces height width channels'],
) -> Real[jax.Array, 'batch faces 2*height 2*width channels']:
    """Doubles images by repetition; `jax.image.resize` is far slower on a CPU."""
    b, f, h, w, c = images.shape
    images = jnp.broadcast_to(images[:, :, :, None, :, None, :], (b, f, h, 2, w, 2, c))
    return images.reshape(b, f, 2 * h, 2 * w, c)


def unfold(
    images: Real[Array, 'batch faces height width 4'],
) -> Real[jax.Array, 'batch faces 2*height 2*width']:
    """Four channels become 2 x 2 pixels."""
    b, f, h, w, _ = images.shape
    return jnp.swapaxes(images.reshape(b, f, h, w, 2, 2), 3, 4).reshape(b, f, 2 * h, 2 * w)


def with_elevation(
    images: Float[Array, 'batch faces height width 3'], rays: Float[Array, 'faces height width 3']
) -> Float[jax.Array, 'batch faces height width 4']:
    """What a depth network reads of images in [0, 1]: their colours, and the pixels' elevation."""
    # The elevation of each pixel tells floor, ceiling and wall apart; the pixels of one face alone
    # do not.
    elevation = jnp.broadcast_to(rays[..., 1:2], images.shape[:-1] + (1,)).astype(images.dtype)
    return jnp.concatenate([images * 4 - 2, elevation], axis=-1)


def disparities(
    raw: Float[Array, 'batch faces height width 4'], bound: float
) -> Float[jax.Array, 'batch faces 2*height 2*width']:
    """Log-disparities within +-bound of what a head gives."""
    return unfold(bound * jnp.tanh(raw / bound))


def per_face(
    layer: Callable[[jax.Array], jax.Array],
    images: Float[Array, 'batch faces height width channels'],
) -> Float[jax.Array, 'batch faces _ _ _']:
    """What a layer of images [N, h, w, C] makes of every face."""
    flat = layer(images.reshape((-1,) + images.shape[2:]))
    return flat.reshape(images.shape[:2] + flat.shape[1:])


class Conv(nn.Module):
    """A 3 x 3 convolution after one ring of padding.

    Attributes:
        features: output channels.
        padding: see `PADDINGS`.
        stride: 1 or 2.
        bias: whether a bias is added.
    """

    features: int
    padding: str
    stride: int = 1
    bias: bool = True

    @nn.compact
    def __call__(
        self, images: Float[Array, 'batch faces height width channels']
    ) -> Float[jax.Array, 'batch faces _ _ {self.features}']:
        """Convolves; a stride of 2 halves the faces."""
        layer = nn.Conv(
            self.features,
            (3, 3),
            strides=self.stride,
            padding='VALID',
            use_bias=self.bias,
            conv_general_dilated=conv.conv_general_dilated,
        )
        return per_face(layer, pad_faces(images, 1, self.padding))


class Block(nn.Module):
    """Convolution, group normalisation over all faces of an example, ELU.

    Normalisation is per example, so that data parallelism does not change it. It keeps features
    bounded while the pose is not learned yet; without it they grow until the head saturates for
    ever.
    """

    features: int
    padding: str
    stride: int = 1

    @nn.compact
    def __call__(
        self, images: Float[Array, 'batch faces height width channels']
    ) -> Float[jax.Array, 'batch faces _ _ {self.features}']:
        """Computes features; a stride of 2 halves the faces."""
        images = Conv(self.features, self.padding, stride=self.stride, bias=False)(images)
        images = nn.GroupNorm(num_groups=min(8, self.features // 4), epsilon=EPSILON)(images)
        return nn.elu(images)


class DepthNet(nn.Module):
    """Encoder-decoder with skip connections that predicts log-disparity.

    Nothing is computed at full resolution: the first convolution halves the image and the heads
    predict the 2 x 2 pixels that each of their features covers, which makes a step much cheaper;
    the cost in accuracy has not been measured.

    Attributes:
        channels: features of each level; each level halves the faces, the first one the image.
        padding: see `PADDINGS`.
        scales: at how many resolutions, from the finest, it predicts.
        bound: largest absolute log-disparity before centring: depths within one frame span up to
            exp(2 * bound).
    """

    channels: Sequence[int] = (24, 48, 96, 128)
    padding: str = 'cube'
    scales: int = 1
    bound: float = 1.5

    @nn.compact
    def __call__(
        self,
        images: Float[Array, 'batch faces height width 3'],
        rays: Float[Array, 'faces height width 3'],
    ) -> list[Float[jax.Array, 'batch faces _ _']]:
        """Predicts log-disparity.

        Args:
            images: in [0, 1].
            rays: unit directions of the pixels in the camera frame.

        Returns:
            Log-disparities at [h / 2^k, w / 2^k], finest first.

        Raises:
            ValueError: the faces cannot be halved often enough.
        """
        check_size(*images.shape[2:4], len(self.channels))
        features, skips = with_elevation(images, rays), []
        for level, width in enumerate(self.channels):
            features = Block(width, self.padding, stride=2)(features)
            if level:
                features = Block(width, self.padding)(features)
            skips.append(features)
        skips.pop()
        outputs = []
        for level, width in reversed(list(enumerate(self.channels[:-1]))):
            coarse = upsample(Block(width, self.padding)(features))
            features = jnp.concatenate([coarse, skips.pop()], axis=-1)
            features = Block(width, self.padding)(features)
            if level < self.scales:
                raw = Conv(4, self.padding, name=f'head_{level}')(features)
                outputs.append(disparities(raw, self.bound))
        return outputs[::-1]


class PoseNet(nn.Module):
    """Predicts for each face the motion from the target to a source camera, in the face frame.

    Attributes:
        channels: features of its layers, each of which halves the faces.
        padding: see `PADDINGS`.
        matching: pixels up to which it is told how well the source fits when it is shifted; 0: it
            sees the images alone.
        scale: factor of the output, so that training starts near no motion (0.01, as in SfMLearner,
            learns later).
    """

    channels: Sequence[int] = (16, 32, 64, 128)
    padding: str = 'cube'
    matching: int = 0
    scale: float = 0.03

    @nn.compact
    def __call__(
        self,
        target: Float[Array, 'batch faces height width 3'],
        source: Float[Array, 'batch faces height width 3'],
        rays: Float[Array, 'faces height width 3'],
    ) -> tuple[Float[jax.Array, 'batch faces 3'], Float[jax.Array, 'batch faces 3']]:
        """Predicts motions.

        Args:
            target, source: images in [0, 1].
            rays: unit directions of the pixels in the camera frame.

        Returns:
            (rotation vectors in radians, translations in units of the depth), in the face frames.

        Raises:
            ValueError: the faces cannot be halved often enough.
        """
        check_size(*target.shape[2:4], len(self.channels))
        elevation = jnp.broadcast_to(rays[..., 1:2], target.shape[:-1] + (1,)).astype(target.dtype)
        seen = [target * 4 - 2, source * 4 - 2, (source - target) * 4, elevation]
        if self.matching:
            pad = functools.partial(pad_faces, padding=self.padding)
            seen.append(2 * losses.matching_costs(target, source, self.matching, pad=pad))
        features = jnp.concatenate(seen, axis=-1)
        for width in self.channels:
            features = Block(width, self.padding, stride=2)(features)
        features = Block(self.channels[-1], self.padding)(features)
        motion = nn.Dense(6, name='motion')(features).mean(axis=(2, 3)) * self.scale
        return motion[..., :3], motion[..., 3:]
