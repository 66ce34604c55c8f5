"""Predicts one objective of cells that have not been evaluated yet.

DPP-Net (Dong et al., ECCV 2018), like PNAS (Liu et al., ECCV 2018), lets an LSTM read the tokens of
a cell and predict its accuracy. Here the members of an ensemble are trained at once under `vmap`,
on a scale that fits the values, and features of a cell, such as its costs, are further inputs.
Sequences and examples are padded to one shape, so that a whole search compiles one training program
and one prediction program. A Gaussian process and boosted trees on the same inputs contribute to
the mean, and the process gives the standard deviation.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from common.layers import init as init_lib
from nas.surrogate import lstm
from nas.surrogate.gaussian_process import GaussianProcess
from nas.surrogate.trees import Trees
from nas.surrogate.value_scale import ValueScale

CHUNK = 1024  # cells in one call of the compiled prediction
FARTHEST = 5.0  # standard deviations at which features are clipped


@dataclasses.dataclass(frozen=True)
class SurrogateConfig:
    """Sizes and training of the ensemble.

    Attributes:
        members: networks in the ensemble.
        embedding: width of a token.
        hidden: width of the LSTM's state.
        dense: width of the two layers after it.
        steps: training steps of the first fit.
        warm_steps: training steps of every later fit, which starts from the last parameters.
        batch: examples in a step of one member.
        learning_rate: at the start of the first fit; falls to 0 as a cosine.
        warm_learning_rate: the same for later fits.
        weight_decay: decoupled, as in AdamW (Loshchilov & Hutter, ICLR 2019).
        capacity: examples for which the training program is compiled; doubles when they do not fit.
        process: weight of the Gaussian process in the mean, at most 1; the LSTMs have the rest, and
            are not trained if there is none.
        trees: weight of boosted trees in the mean, at most 1; the two above share the rest.
        trees_from: examples from which there are trees: among few they hardly see a difference.
        token: size of one token among the inputs of the Gaussian process, beside features of
            deviation 1.
        spread: factor on the deviation of the Gaussian process. With the whole deviation, a short
            search explores for too long.
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
    process: float = 0.5
    trees: float = 1 / 3
    trees_from: int = 100
    token: float = 0.5
    spread: float = 0.35

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            may_be_zero = ('weight_decay', 'process', 'trees', 'token', 'spread')
            if not value >= 0 or (value == 0 and field.name not in may_be_zero):
                raise ValueError(f'{field.name} must be positive, not {value}')
        for name in ('process', 'trees'):
            if getattr(self, name) > 1:
                raise ValueError(f'{name} must be at most 1, not {getattr(self, name)}')


class Surrogate:
    """Predicts an objective of cells from evaluated ones; fitted again when there are more.

    The values may have any sign and size, see `nas.surrogate.value_scale`.
    """

    def __init__(
        self,
        length: int,
        vocabulary_size: int,
        features: int,
        *,
        config: SurrogateConfig = SurrogateConfig(),
        seed: int = 0,
    ):
        """Makes a surrogate that has learned nothing yet.

        Args:
            length: tokens of a cell, padding included.
            vocabulary_size: the largest token; tokens are 1 to vocabulary_size, 0 is padding.
            features: number of features of a cell, may be 0.
            config: sizes and training.
            seed: the same seed and the same calls give the same predictions.

        Raises:
            ValueError: if `length` or `vocabulary_size` is not positive or `features` is negative.
        """
        least_of = {
            'length': (length, 1),
            'vocabulary_size': (vocabulary_size, 1),
            'features': (features, 0),
        }
        for name, (value, least) in least_of.items():
            if value < least:
                raise ValueError(f'{name} is {value}; it must be at least {least}')
        self._length, self._features = length, features
        self._config, self._process, self._trees = config, GaussianProcess(), Trees(seed)
        self._model = lstm.Lstm(
            vocabulary_size, config.embedding, config.hidden, config.dense, config.weight_decay
        )
        self._rng = np.random.default_rng(seed)
        self._params, self._fitted = None, False

    @classmethod
    def light(
        cls, length: int, vocabulary_size: int, features: int, *, seed: int = 0
    ) -> 'Surrogate':
        """A surrogate of the Gaussian process alone, which is fitted in milliseconds."""
        return cls(
            length,
            vocabulary_size,
            features,
            config=SurrogateConfig(process=1.0, trees=0.0),
            seed=seed,
        )

    def fit(self, tokens, features, values) -> None:
        """Learns all evaluated cells; later fits start from the last parameters.

        Args:
            tokens: int [N, length], 0 only after the last token of a cell.
            features: float [N, F].
            values: float [N], finite.

        Raises:
            ValueError: if there are no examples, a shape or a token is wrong, or a number is not
                finite.
        """
        tokens, features = self._check(tokens, features)
        values = np.asarray(values, np.float64)
        if values.shape != (len(tokens),) or not len(values):
            raise ValueError(
                f'values have shape {values.shape}; accepted is one number for each of the '
                f'{len(tokens)} cells, and at least one cell'
            )
        valid = np.isfinite(values)
        if not valid.all():
            raise ValueError(f'values must be finite numbers, not {values[~valid][0]}')
        self._standardise(features)
        self._scale = ValueScale(values)
        capacity = self._config.capacity
        while capacity < len(values):
            capacity *= 2
        targets, scaled = self._scale.targets(values), self._scaled(features)
        inputs = self._inputs(tokens, scaled)
        self._process.fit(inputs, targets)
        self._grown = self._config.trees > 0 and len(values) >= self._config.trees_from
        if self._grown:
            self._trees.fit(inputs, self._scale.plain(values))
        examples = [_pad(part, capacity) for part in (tokens, scaled, targets)]
        config, cold = self._config, self._params is None
        self._fitted = True
        if config.process == 1:
            return
        if cold:
            self._params = self._draw()
        # Batches are drawn here on the host, so that they never contain padding and no random
        # generator has to be compiled, which takes seconds.
        longest = max(config.steps, config.warm_steps)
        rows = self._rng.integers(
            len(values), size=(longest, config.members, config.batch), dtype=np.int32
        )
        steps, rate = (
            (config.steps, config.learning_rate)
            if cold
            else (config.warm_steps, config.warm_learning_rate)
        )
        self._params = lstm.train(self._model, self._params, rows, *examples, steps, rate)

    def predict(self, tokens, features) -> tuple[np.ndarray, np.ndarray]:
        """Predicts the values of M cells.

        Args:
            tokens: int [M, length], 0 only after the last token of a cell.
            features: float [M, F].

        Returns:
            (mean, std), each float64 [M]: the weighted mean of the LSTMs, the Gaussian process and
            the trees on the scale of the LSTMs, and the deviation of the Gaussian process times
            `SurrogateConfig.spread`.

        Raises:
            ValueError: before the first fit, or if a shape, a token or a feature is wrong.
        """
        if not self._fitted:
            raise ValueError(
                'the surrogate has not been fitted yet; call fit with evaluated cells first'
            )
        tokens, features = self._check(tokens, features)
        scaled = self._scaled(features)
        config, inputs = self._config, self._inputs(tokens, scaled)
        likely, std = self._process.predict(inputs)
        mean, spread = config.process * likely, config.spread
        if config.process < 1:
            mean = (1 - config.process) * self._read(tokens, scaled).mean(axis=0) + mean
        if self._grown:
            grown = self._scale.standardised(self._trees.predict(inputs))
            mean = (1 - config.trees) * mean + config.trees * grown
        low, high = (self._scale.values(mean + side * spread * std) for side in (-1, 1))
        return self._scale.values(mean), (high - low) / 2

    def _read(self, tokens, scaled):
        """Outputs of the LSTMs, [members, M]; tokens [M, length], standardised features [M, F]."""
        # Sequences that many cells share are read once: reading takes most of the time.
        different, places = np.unique(tokens, axis=0, return_inverse=True)
        states = _in_chunks(functools.partial(lstm.read, self._model, self._params), different)
        judge = functools.partial(lstm.judge, self._model, self._params)
        return _in_chunks(
            lambda part, rows: judge(states[:, rows], part), scaled, places.reshape(-1)
        )

    def _inputs(self, tokens, scaled):
        """Inputs of the Gaussian process, [M, F + 2 * vocabulary]: features, places of tokens."""
        late = np.linspace(0, 1, self._length)
        there = [tokens == kind for kind in range(1, self._model.vocabulary_size + 1)]
        counts = np.stack(
            [(kind * weight).sum(axis=1) for weight in (1, late) for kind in there], axis=1
        )
        return np.concatenate([scaled, self._config.token * counts], axis=1)

    def _check(self, tokens, features):
        """Returns tokens int32 [N, length] and features float32 [N, F], or raises ValueError."""
        tokens, features = np.asarray(tokens), np.asarray(features, np.float32)
        if (
            tokens.ndim != 2
            or tokens.shape[1] != self._length
            or not np.issubdtype(tokens.dtype, np.integer)
        ):
            raise ValueError(
                f'tokens are {tokens.dtype} of shape {tokens.shape}; accepted are integers of '
                f'shape [cells, {self._length}]'
            )
        if features.shape != (len(tokens), self._features):
            raise ValueError(
                f'features have shape {features.shape}; accepted is {(len(tokens), self._features)}'
            )
        if not np.isfinite(features).all():
            raise ValueError('features must be finite numbers')
        largest = self._model.vocabulary_size
        if tokens.size and (tokens.min() < 0 or tokens.max() > largest):
            raise ValueError(
                f'tokens lie between {tokens.min()} and {tokens.max()}; accepted is 1 to '
                f'{largest}, 0 for padding'
            )
        if ((tokens[:, :-1] == 0) & (tokens[:, 1:] != 0)).any():
            raise ValueError(
                'tokens hold a 0 before the last token of a cell; 0 is padding and stands at '
                'the end only'
            )
        return tokens.astype(np.int32), features

    def _standardise(self, features) -> None:
        """Remembers the scales of features [N, F]; constant features keep the scale 1."""
        self._feature_mean, spread = features.mean(axis=0), features.std(axis=0)
        self._feature_spread = np.where(spread > 1e-6, spread, 1)

    def _scaled(self, features):
        scaled = (features - self._feature_mean) / self._feature_spread
        return np.clip(scaled, -FARTHEST, FARTHEST).astype(np.float32)

    def _draw(self):
        """Initial parameters of all members, drawn on the host."""
        shapes = jax.eval_shape(
            self._model.init,
            jax.random.key(0),
            np.zeros((1, self._length), np.int32),
            np.zeros((1, self._features), np.float32),
        )
        members = [init_lib.he_normal(self._rng, shapes) for _ in range(self._config.members)]
        # Arrays on the device from the start, so that later fits use the program of the first fit.
        return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *members)


def _in_chunks(function, *arrays):
    """[members, N, ...] of a function compiled for `CHUNK` rows of arrays [N, ...]."""
    rows, results = len(arrays[0]), [np.zeros((1, 0))]
    if rows:
        results = [
            function(*(_pad(array[start : start + CHUNK], CHUNK) for array in arrays))
            for start in range(0, rows, CHUNK)
        ]
    return np.concatenate(results, axis=1)[:, :rows]


def _pad(array, rows):
    """Zeros appended along the first axis until it has `rows`."""
    return np.pad(array, ((0, rows - len(array)),) + ((0, 0),) * (array.ndim - 1))
