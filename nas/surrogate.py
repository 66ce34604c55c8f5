"""An ensemble of LSTMs that predicts the error of cells which nobody has trained yet.

DPP-Net (Dong et al., ECCV 2018), like PNAS (Liu et al., ECCV 2018), lets an LSTM read the tokens of a cell
and predict its accuracy. Here the members of an ensemble are trained at once under `vmap` on the logarithm of
the error, and numbers known of a cell, such as its costs, stand beside its tokens. Sequences and examples are
padded to one shape, so that a whole search compiles one training program and one prediction program.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from common import init as init_lib

LOWEST_ERROR = 1e-2  # percent: an error of 0 has no logarithm
CHUNK = 1024  # cells in one call of the compiled prediction
FARTHEST = 5.0  # standard deviations to which features of cells unlike the examples are pulled back


@dataclasses.dataclass(frozen=True)
class SurrogateConfig:
    """Sizes and training of the ensemble.

    Attributes:
        members: networks in the ensemble.
        embedding: width of a token.
        hidden: width of the LSTM's state.
        dense: width of the two layers after it.
        steps: training steps of the first fit.
        warm_steps: training steps of every later fit, from the parameters at hand.
        batch: examples in a step of one member.
        learning_rate: at the start of the first fit; falls to 0 as a cosine.
        warm_learning_rate: the same for later fits.
        weight_decay: decoupled, as in AdamW (Loshchilov & Hutter, ICLR 2019).
        capacity: examples for which the training program is compiled; doubles when they do not fit.
    """

    members: int = 8
    embedding: int = 16
    hidden: int = 32
    dense: int = 64
    steps: int = 400
    warm_steps: int = 100
    batch: int = 32
    learning_rate: float = 1e-2
    warm_learning_rate: float = 3e-3
    weight_decay: float = 1.0
    capacity: int = 512

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value >= 0 or (value == 0 and field.name != 'weight_decay'):
                raise ValueError(f'{field.name} must be positive, not {value}')


class Regressor(nn.Module):
    """One member: an LSTM over the tokens, then dense layers that see the features too.

    Attributes:
        config: sizes.
        vocabulary_size: the largest token.
    """

    config: SurrogateConfig
    vocabulary_size: int

    @nn.compact
    def __call__(self, tokens, features):
        """Returns errors [B] on the scale of `ErrorScale` of tokens int [B, length] and features [B, F]."""
        width = self.config.hidden
        # A product with one-hot rows rather than a look-up, whose gradient is a scatter-add: slow on CPU.
        one_hot = jax.nn.one_hot(tokens, self.vocabulary_size + 1)
        inputs = nn.Dense(4 * width)(nn.Dense(self.config.embedding, use_bias=False)(one_hot))
        recurrent = self.param('recurrent', nn.initializers.lecun_normal(), (width, 4 * width))

        def step(carry, inputs):
            cell, hidden = carry
            enter, keep, leave, new = jnp.split(inputs + hidden @ recurrent, 4, axis=-1)
            cell = nn.sigmoid(keep + 1) * cell + nn.sigmoid(enter) * jnp.tanh(new)
            hidden = nn.sigmoid(leave) * jnp.tanh(cell)
            return (cell, hidden), hidden

        # All gates in one product and the loop kept a loop: nn.RNN takes three times as long to compile.
        empty = jnp.zeros((len(tokens), width))
        states = jax.lax.scan(step, (empty, empty), inputs.swapaxes(0, 1))[1].swapaxes(0, 1)
        there = (tokens > 0)[..., None]
        mean_state = (states * there).sum(axis=1) / jnp.maximum(there.sum(axis=1), 1)
        x = jnp.concatenate([mean_state, features], axis=1)
        for _ in range(2):
            x = nn.relu(nn.Dense(self.config.dense)(x))
        return nn.Dense(1)(x)[:, 0]


@functools.partial(jax.jit, static_argnames='model')
def _train(model, params, rows, tokens, features, targets, steps, learning_rate):
    """Takes `steps` AdamW steps with all members at once.

    Args:
        model: the Regressor.
        params: parameters with a leading axis of members.
        rows: int [at least steps, members, batch], the examples of each step.
        tokens, features, targets: the examples, padded to the capacity.
        steps, learning_rate: traced, so that cold and warm fits are one program.
    """
    decay = optax.add_decayed_weights(model.config.weight_decay)
    optimizer = optax.chain(optax.scale_by_adam(b2=0.99), decay)

    def loss(params, rows):
        return jnp.square(model.apply(params, tokens[rows], features[rows]) - targets[rows]).mean()

    def step(i, carry):
        params, state = carry
        updates, state = optimizer.update(jax.vmap(jax.grad(loss))(params, rows[i]), state, params)
        rate = learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * i / steps))
        return jax.tree.map(lambda param, update: param - rate * update, params, updates), state

    return jax.lax.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]


@functools.partial(jax.jit, static_argnames='model')
def _predict(model, params, tokens, features):
    """Outputs [members, B]."""
    return jax.vmap(lambda member: model.apply(member, tokens, features))(params)


class ErrorScale:
    """The logarithm of errors, compressed where it is far from most examples, with mean 0 and deviation 1.

    A few hopeless cells, of ten times the usual error, would otherwise take up the whole scale and leave no
    resolution where a search needs it. An inverse hyperbolic sine about the median keeps their order.
    """

    def __init__(self, errors):
        """Reads the scale off errors [N] >= 0 in percent."""
        logs = self._logs(errors)
        self._center = np.median(logs)
        # Equals the standard deviation of a normal distribution (Huber, Robust Statistics, 1981).
        self._spread = _positive(1.4826 * np.median(np.abs(logs - self._center)), _positive(logs.std(), 1.0))
        values = self._compressed(logs)
        self._mean, self._deviation = values.mean(), _positive(values.std(), 1.0)
        # Far from the examples a network says anything: it may go to half the best and twice the worst error.
        self._range = self._compressed(np.array([logs.min() - np.log(2), logs.max() + np.log(2)]))

    @staticmethod
    def _logs(errors):
        return np.log(np.maximum(errors, LOWEST_ERROR))

    def _compressed(self, logs):
        return np.arcsinh((logs - self._center) / self._spread)

    def targets(self, errors):
        """Errors in percent -> what the networks learn, float32."""
        return ((self._compressed(self._logs(errors)) - self._mean) / self._deviation).astype(np.float32)

    def errors(self, outputs):
        """What the networks say -> errors in percent; the inverse of `targets`."""
        values = np.clip(outputs * self._deviation + self._mean, *self._range)
        return np.exp(np.sinh(values) * self._spread + self._center)


class Surrogate:
    """Predicts the error of cells from those evaluated so far; fitted again whenever there are more."""

    def __init__(self, length: int, vocabulary_size: int, features: int, *,
                 config: SurrogateConfig = SurrogateConfig(), seed: int = 0):
        """Makes a surrogate that knows nothing yet.

        Args:
            length: tokens of a cell, padding included.
            vocabulary_size: the largest token; tokens are 1 to vocabulary_size, 0 is padding.
            features: how many numbers stand beside the tokens; may be 0.
            config: sizes and training.
            seed: the same seed and the same calls give the same predictions.

        Raises:
            ValueError: if `length` or `vocabulary_size` is not positive or `features` is negative.
        """
        least_of = {'length': (length, 1), 'vocabulary_size': (vocabulary_size, 1), 'features': (features, 0)}
        for name, (value, least) in least_of.items():
            if value < least:
                raise ValueError(f'{name} is {value}; it must be at least {least}')
        self._length, self._features = length, features
        self._model, self._config = Regressor(config, vocabulary_size), config
        self._rng = np.random.default_rng(seed)
        self._params = None

    def fit(self, tokens, features, errors) -> None:
        """Learns from all evaluated cells; after the first time it starts from what it knows.

        Args:
            tokens: int [N, length], 0 only after the last token of a cell.
            features: float [N, F].
            errors: float [N], percent.

        Raises:
            ValueError: if there are no examples, a shape or a token is wrong, or a number is not finite.
        """
        tokens, features = self._check(tokens, features)
        errors = np.asarray(errors, np.float64)
        if errors.shape != (len(tokens),) or not len(errors):
            raise ValueError(f'errors have shape {errors.shape}; accepted is one number for each of the '
                             f'{len(tokens)} cells, and at least one cell')
        valid = np.isfinite(errors) & (errors >= 0)
        if not valid.all():
            raise ValueError(f'errors must be percentages, none missing or negative, not {errors[~valid][0]}')
        self._standardise(features)
        self._scale = ErrorScale(errors)
        capacity = self._config.capacity
        while capacity < len(errors):
            capacity *= 2
        examples = tokens, self._scaled(features), self._scale.targets(errors)
        examples = [_pad(part, capacity) for part in examples]
        config, cold = self._config, self._params is None
        if cold:
            self._params = self._draw()
        # Batches are drawn here, from the examples alone: the padding is never looked at, and compiling a
        # random generator takes seconds.
        longest = max(config.steps, config.warm_steps)
        rows = self._rng.integers(len(errors), size=(longest, config.members, config.batch), dtype=np.int32)
        steps, rate = ((config.steps, config.learning_rate) if cold else
                       (config.warm_steps, config.warm_learning_rate))
        self._params = _train(self._model, self._params, rows, *examples, steps, rate)

    def predict(self, tokens, features) -> tuple[np.ndarray, np.ndarray]:
        """Predicts the errors of M cells.

        Args:
            tokens: int [M, length], 0 only after the last token of a cell.
            features: float [M, F].

        Returns:
            (mean, std), each float64 [M] in percent: the mean of the members on the scale that they
            learn, and the standard deviation of their predictions.

        Raises:
            ValueError: before the first fit, or if a shape, a token or a feature is wrong.
        """
        if self._params is None:
            raise ValueError('the surrogate has not been fitted yet; call fit with evaluated cells first')
        tokens, features = self._check(tokens, features)
        said = np.zeros((self._config.members, len(tokens)))
        scaled = self._scaled(features)
        for start in range(0, len(tokens), CHUNK):
            part = slice(start, min(start + CHUNK, len(tokens)))
            padded = _pad(tokens[part], CHUNK), _pad(scaled[part], CHUNK)
            outputs = _predict(self._model, self._params, *padded)
            said[:, part] = np.asarray(outputs)[:, :part.stop - start]
        return self._scale.errors(said.mean(axis=0)), self._scale.errors(said).std(axis=0)

    def _check(self, tokens, features):
        """Tokens int32 [N, length] and features float32 [N, F], or a ValueError."""
        tokens, features = np.asarray(tokens), np.asarray(features, np.float32)
        if tokens.ndim != 2 or tokens.shape[1] != self._length or not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(f'tokens are {tokens.dtype} of shape {tokens.shape}; accepted are integers of '
                             f'shape [cells, {self._length}]')
        if features.shape != (len(tokens), self._features):
            raise ValueError(f'features have shape {features.shape}; accepted is '
                             f'{(len(tokens), self._features)}')
        if not np.isfinite(features).all():
            raise ValueError('features must be finite numbers')
        largest = self._model.vocabulary_size
        if tokens.size and (tokens.min() < 0 or tokens.max() > largest):
            raise ValueError(f'tokens lie between {tokens.min()} and {tokens.max()}; accepted is 1 to '
                             f'{largest}, 0 for padding')
        if ((tokens[:, :-1] == 0) & (tokens[:, 1:] != 0)).any():
            raise ValueError('tokens hold a 0 before the last token of a cell; 0 is padding and stands at '
                             'the end only')
        return tokens.astype(np.int32), features

    def _standardise(self, features) -> None:
        """Remembers the scales of features [N, F]; what is constant keeps the scale 1."""
        self._feature_mean, spread = features.mean(axis=0), features.std(axis=0)
        self._feature_spread = np.where(spread > 1e-6, spread, 1)

    def _scaled(self, features):
        scaled = (features - self._feature_mean) / self._feature_spread
        return np.clip(scaled, -FARTHEST, FARTHEST).astype(np.float32)

    def _draw(self):
        """Initial parameters of all members, drawn on the host."""
        shapes = jax.eval_shape(self._model.init, jax.random.key(0), np.zeros((1, self._length), np.int32),
                                np.zeros((1, self._features), np.float32))
        members = [init_lib.he_normal(self._rng, shapes) for _ in range(self._config.members)]
        # As arrays of the device from the start: later fits then call the very program of the first.
        return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *members)


def _positive(number, otherwise):
    """The number, or the other one if it is zero but for rounding."""
    return number if number > 1e-6 else otherwise


def _pad(array, rows):
    """Zeros appended along the first axis until it has `rows`."""
    return np.pad(array, ((0, rows - len(array)),) + ((0, 0),) * (array.ndim - 1))
