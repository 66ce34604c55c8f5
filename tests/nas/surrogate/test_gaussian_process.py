"""The Gaussian process: its predictions at, near and far from its examples."""

import numpy as np
import pytest

from nas.surrogate import gaussian_process
from nas.surrogate.gaussian_process import GaussianProcess


def smooth(inputs):
    return np.sin(inputs[:, 0]) + 0.5 * inputs[:, 1]


@pytest.fixture(scope='module')
def examples():
    inputs = np.random.default_rng(0).normal(size=(80, 3))
    return inputs, smooth(inputs) - smooth(inputs).mean()


def fitted(inputs, targets):
    process = GaussianProcess()
    process.fit(inputs, targets)
    return process


def test_it_interpolates_and_knows_how_far_it_errs(examples):
    inputs, targets = examples
    process, new = fitted(inputs, targets), np.random.default_rng(1).normal(size=(400, 3))
    mean, std = process.predict(new)
    truth = smooth(new) - smooth(inputs).mean()
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert (np.abs(mean - truth) <= 2 * std).mean() > 0.85
    at_examples = process.predict(inputs)
    np.testing.assert_allclose(at_examples[0], targets, atol=0.1)
    assert at_examples[1].mean() < 0.5 * std.mean()


def test_far_from_all_examples_it_knows_nothing(examples):
    process = fitted(*examples)
    mean, std = process.predict(np.full((1, 3), 1e4))
    near = process.predict(examples[0])[1]
    assert std[0] > 5 * near.max()
    assert abs(mean[0]) < 0.01, 'the mean of the targets'


def test_noise_of_the_examples_is_not_doubt_about_the_function():
    inputs = np.repeat(np.random.default_rng(0).normal(size=(20, 2)), 15, axis=0)
    noise = np.random.default_rng(1).normal(scale=0.7, size=len(inputs))
    _, std = fitted(inputs, np.tanh(inputs[:, 0]) + noise).predict(inputs)
    assert std.max() < 0.4, 'fifteen examples each: about 0.7 / sqrt(15)'


def test_many_examples_are_thinned_out_evenly_and_predictions_do_not_depend_on_chunks(
    examples, monkeypatch
):
    inputs, targets = examples
    monkeypatch.setattr(gaussian_process, 'MOST', 40)
    process = fitted(inputs, targets)
    mean, _ = process.predict(inputs)
    order = np.argsort(targets)
    # Both ends of the targets are among the examples that are left.
    np.testing.assert_allclose(mean[order[[0, -1]]], targets[order[[0, -1]]], atol=0.15)
    monkeypatch.setattr(gaussian_process, 'CHUNK', 7)
    np.testing.assert_allclose(process.predict(inputs)[0], mean, atol=1e-12)
    assert [part.shape for part in process.predict(inputs[:0])] == [(0,), (0,)]


def test_the_kernel_is_fitted_again_only_when_there_are_many_more_examples(examples):
    inputs, targets = examples
    process, kernels = GaussianProcess(), []
    for count in (40, 41, 47, 48, 57, 58):
        process.fit(inputs[:count], targets[:count])
        kernels.append(str(process._kernel))
    changed = [
        count
        for count, one, other in zip((41, 47, 48, 57, 58), kernels, kernels[1:])
        if one != other
    ]
    assert changed == [48, 58]
