"""Shapes in signatures: public functions of three rooms state them, and tests check each call."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from pano_depth import kernels, learning, reconstruction
from pano_depth.kernels import rigid, sphere
from pano_depth.learning import losses
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction import trajectory

ROOMS = (kernels, learning, reconstruction)
# Python calls these; people write them.
SPECIAL = ('__init__', '__call__')


def _modules():
    for room in ROOMS:
        for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):
            yield importlib.import_module(found.name)


def _functions(holder, module):
    """Public functions that `module` holds, by itself or in its classes, without decorators."""
    for name, value in vars(holder).items():
        if name.startswith('_') and name not in SPECIAL:
            continue
        value = value.fget if isinstance(value, property) else getattr(value, '__func__', value)
        value = inspect.unwrap(value) if callable(value) else value
        if getattr(value, '__module__', None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from _functions(value, module)
        elif inspect.isfunction(value) and value.__code__.co_filename == module.__file__:
            yield value


def test_every_public_function_states_what_it_takes_and_returns():
    functions = [f for module in _modules() for f in _functions(module, module)]
    # One of each kind: plain, compiled, cached, with its own derivative, property, static method.
    kinds = {'so3_exp', 'apply_table', 'pixel_rays', 'equirect_pad', 'Table.target'}
    assert kinds | {'ClipSource.sample', 'DepthNet.__call__', 'analyse'} <= {
        function.__qualname__ for function in functions
    }
    silent = {}
    for function in functions:
        signature = inspect.signature(function)
        hints = {name: p.annotation for name, p in signature.parameters.items() if name != 'self'}
        if function.__name__ != '__init__':
            hints['returns'] = signature.return_annotation
        missing = [name for name, hint in hints.items() if hint is inspect.Signature.empty]
        if missing:
            silent[f'{function.__module__}.{function.__qualname__}'] = missing
    assert not silent, f'no annotations: {silent}'


@pytest.mark.parametrize(
    'call, culprit',
    [
        # Each of them would return something: u and v broadcast, and so on.
        (lambda: sphere.equirect_taps(np.zeros(4), np.ones((4, 1)), 8, 16, 'bilinear'), 'v='),
        (lambda: losses.weighted_mean(np.ones(()), 1.0), 'values='),
        (lambda: trajectory.frame_units(np.zeros(3, int)), 'steps='),
        (lambda: RecipeConfig(seed=0.5), 'seed='),
    ],
)
def test_what_breaks_a_signature_is_an_error_in_tests(call, culprit):
    with pytest.raises(TypeCheckError) as error:
        call()
    assert f'parameter {culprit}' in str(error.value.__cause__)


def test_a_wrong_result_is_an_error_in_tests(monkeypatch):
    monkeypatch.setattr(rigid, '_as_float', lambda name, value, last: value.astype(np.float16))
    monkeypatch.setattr(rigid, '_quaternion', lambda rotation: np.ones((2, 4), np.float32))
    with pytest.raises(TypeCheckError, match='return value of pano_depth.kernels.rigid.so3_log'):
        rigid.so3_log(np.eye(3))


def test_a_function_speaks_before_its_signature_does():
    with pytest.raises(ValueError, match=r'omega has shape \(4,\); expected \[..., 3\]'):
        rigid.so3_exp(np.zeros(4))
