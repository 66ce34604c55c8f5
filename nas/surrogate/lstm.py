"""The networks of the surrogate: LSTMs over the tokens of a cell, with one `vmap` for all."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax


class Lstm(nn.Module):
    """One member: an LSTM over the tokens, then dense layers that also take the features.

    Attributes:
        vocabulary_size: the largest token.
        embedding: width of a token.
        hidden: width of the LSTM's state.
        dense: width of the two layers after it.
        weight_decay: decoupled, as in AdamW (Loshchilov & Hutter, ICLR 2019).
    """

    vocabulary_size: int
    embedding: int = 16
    hidden: int = 32
    dense: int = 64
    weight_decay: float = 1.0

    def setup(self):
        """Makes the layers."""
        self.embed = nn.Dense(self.embedding, use_bias=False)
        self.enter = nn.Dense(4 * self.hidden)
        self.recurrent = self.param(
            'recurrent', nn.initializers.lecun_normal(), (self.hidden, 4 * self.hidden)
        )
        self.layers = [nn.Dense(self.dense), nn.Dense(self.dense)]
        self.out = nn.Dense(1)

    def __call__(self, tokens, features):
        """Values [B] on the scale of `ValueScale`; tokens int [B, length], features [B, F]."""
        return self.judge(self.read(tokens), features)

    def read(self, tokens):
        """The LSTM's mean state [B, hidden] over tokens int [B, length]."""
        # A product with one-hot rows, since the gradient of a look-up is a slow scatter-add on a
        # CPU.
        inputs = self.enter(self.embed(jax.nn.one_hot(tokens, self.vocabulary_size + 1)))

        def step(carry, inputs):
            cell, hidden = carry
            enter, keep, leave, new = jnp.split(inputs + hidden @ self.recurrent, 4, axis=-1)
            cell = nn.sigmoid(keep + 1) * cell + nn.sigmoid(enter) * jnp.tanh(new)
            hidden = nn.sigmoid(leave) * jnp.tanh(cell)
            return (cell, hidden), hidden

        # One product for all gates, inside a `scan`: nn.RNN takes three times as long to compile.
        empty = jnp.zeros((len(tokens), self.hidden))
        states = jax.lax.scan(step, (empty, empty), inputs.swapaxes(0, 1))[1].swapaxes(0, 1)
        there = (tokens > 0)[..., None]
        return (states * there).sum(axis=1) / jnp.maximum(there.sum(axis=1), 1)

    def judge(self, state, features):
        """Outputs [B] of states [B, hidden] and features [B, F]."""
        x = jnp.concatenate([state, features], axis=1)
        for layer in self.layers:
            x = nn.relu(layer(x))
        return self.out(x)[:, 0]


@functools.partial(jax.jit, static_argnames='model')
def train(model, params, rows, tokens, features, targets, steps, learning_rate):
    """Takes `steps` AdamW steps with all members at once.

    Args:
        model: the `Lstm`.
        params: parameters with a leading axis of members.
        rows: int [at least steps, members, batch], the examples of each step.
        tokens, features, targets: the examples, padded to the capacity.
        steps, learning_rate: traced, so that first and later fits share one compiled program.
    """
    decay = optax.add_decayed_weights(model.weight_decay)
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
def read(model, params, tokens):
    """`Lstm.read` of all members: states [members, B, hidden]."""
    return jax.vmap(lambda member: model.apply(member, tokens, method='read'))(params)


@functools.partial(jax.jit, static_argnames='model')
def judge(model, params, states, features):
    """`Lstm.judge` of all members: [members, B]; states [members, B, hidden], features [B, F]."""
    function = functools.partial(model.apply, method='judge')
    return jax.vmap(function, in_axes=(0, 0, None))(params, states, features)
