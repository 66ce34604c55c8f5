"""Every lowering of a convolution has the results, gradients and types of JAX."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.layers import conv, cotangents, lowerings

NHWC = ('NHWC', 'HWIO', 'NHWC')

# kernel, strides, padding, (channels in, channels out, groups), (height, width)
CASES = {
    '1x1': (1, (1, 1), 'VALID', (5, 7, 1), (6, 4)),
    '1x1 strided': (1, (2, 2), 'SAME', (5, 7, 1), (7, 4)),
    '1x1 grouped': (1, (1, 1), ((0, 0), (0, 0)), (8, 12, 4), (5, 5)),
    '3x3 tiny': (3, (1, 1), ((1, 1), (1, 1)), (3, 4, 1), (4, 3)),
    '3x3 strided': (3, (2, 2), 'VALID', (3, 4, 1), (8, 9)),
    '3x3 narrowing': (3, (1, 1), ((2, 0), (1, 2)), (8, 3, 1), (6, 7)),
    '3x3 grouped narrowing': (3, (1, 1), 'SAME', (32, 8, 4), (16, 17)),
    '3x3 in a wide margin': (3, (1, 1), ((3, 1), (0, 4)), (5, 2, 1), (5, 6)),
    '3x3 large': (3, (1, 2), 'SAME', (3, 4, 1), (9, 8)),
    '3x3 grouped': (3, (1, 1), 'SAME', (8, 4, 4), (6, 5)),
    '3x3 grouped strided': (3, (2, 2), ((1, 1), (1, 1)), (36, 8, 2), (7, 6)),
    '5x5 uneven padding': (5, (2, 1), ((2, 1), (0, 3)), (4, 6, 2), (8, 7)),
    'depthwise': (3, (1, 1), 'SAME', (6, 6, 6), (6, 7)),
    'depthwise strided': (3, (2, 2), ((1, 1), (1, 1)), (6, 6, 6), (7, 8)),
}
# What a lowering can do, where it is not everything.
LIMITS = {
    'matmul': lambda kernel, channels: kernel == 1,
    'shift': lambda kernel, channels: channels[0] == channels[1] == channels[2],
}


def _inputs(case, dtype=np.float32):
    kernel, strides, padding, (inputs, outputs, groups), size = CASES[case]
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, *size, inputs)).astype(dtype)
    weights = rng.normal(size=(kernel, kernel, inputs // groups, outputs)).astype(dtype)
    options = dict(
        window_strides=strides, padding=padding, dimension_numbers=NHWC, feature_group_count=groups
    )
    return images, weights, options


def _jit(function):
    """Compiled without optimisation, since the tests spend most of their time on compilation."""
    return jax.jit(function, compiler_options={'xla_backend_optimization_level': 0})


def _value_and_gradients(function, images, weights):
    result, pullback = jax.vjp(function, images, weights)
    cotangent = np.random.default_rng(1).normal(size=result.shape).astype(result.dtype)
    return result, *pullback(jnp.asarray(cotangent))


def _supported(name, case):
    kernel, _, _, channels, _ = CASES[case]
    return name not in LIMITS or LIMITS[name](kernel, channels)


@pytest.mark.parametrize('case', CASES)
def test_lowerings_agree_with_jax_forwards_and_backwards(case):
    images, weights, options = _inputs(case)
    names = ['picked'] + [name for name in lowerings.LOWERINGS if _supported(name, case)]
    assert len(names) >= 6

    @_jit
    def run(images, weights):
        ours = {}
        for name in names:
            forced = {} if name == 'picked' else {'lowering': name}
            lowered = functools.partial(conv.conv_general_dilated, **options, **forced)
            ours[name] = _value_and_gradients(lowered, images, weights)
        return ours, _value_and_gradients(
            lambda x, w: jax.lax.conv_general_dilated(x, w, **options), images, weights
        )

    ours, expected = run(images, weights)
    for name in names:
        parts = zip(('result', 'image gradient', 'kernel gradient'), ours[name], expected)
        for what, value, reference in parts:
            scale = np.abs(reference).max()
            np.testing.assert_allclose(
                value / scale, reference / scale, atol=1e-5, err_msg=f'{name} {what}'
            )


def _windows_oracle(images, weights, strides, pads, groups):
    """The definition, in float64 loops over output pixels and groups."""
    images = np.pad(images.astype(np.float64), ((0, 0), *pads, (0, 0)))
    kernel, outputs = weights.shape[0], weights.shape[-1]
    rows, columns = ((images.shape[axis + 1] - kernel) // strides[axis] + 1 for axis in (0, 1))
    result = np.zeros((images.shape[0], rows, columns, outputs))
    width = weights.shape[2]
    for o in range(outputs):
        first = o // (outputs // groups) * width
        for i in range(rows):
            for j in range(columns):
                y, x = i * strides[0], j * strides[1]
                window = images[:, y : y + kernel, x : x + kernel, first : first + width]
                result[:, i, j, o] = (window * weights[..., o]).sum(axis=(1, 2, 3))
    return result


@pytest.mark.parametrize('case', ['3x3 grouped strided', '5x5 uneven padding', 'depthwise strided'])
def test_picked_lowering_is_the_definition(case):
    images, weights, options = _inputs(case)
    found = _jit(lambda x, w: conv.conv_general_dilated(x, w, **options))(images, weights)
    expected = _windows_oracle(
        images,
        weights,
        options['window_strides'],
        options['padding'],
        options['feature_group_count'],
    )
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('case', ['1x1', '1x1 grouped', '3x3 tiny', '3x3 grouped', 'depthwise'])
def test_bfloat16_stays_bfloat16_and_is_as_accurate(case):
    images, weights, options = _inputs(case)
    small = [jnp.asarray(array, jnp.bfloat16) for array in (images, weights)]

    @_jit
    def run(small):
        exact = conv.conv_general_dilated(*(x.astype(jnp.float32) for x in small), **options)
        wide = conv.conv_general_dilated(*small, **options, preferred_element_type=jnp.float32)
        ours = lambda x, w: conv.conv_general_dilated(x, w, **options)
        return exact, wide, *_value_and_gradients(ours, *small)

    exact, wide, found, *gradients = run(small)
    scale = np.abs(exact).max()
    assert [array.dtype for array in (found, *gradients)] == [jnp.bfloat16] * 3
    # Half a unit in the last of 8 bits: sums are not rounded on the way.
    assert np.abs(np.asarray(found, np.float32) - exact).max() <= 2**-8 * scale
    assert wide.dtype == jnp.float32
    np.testing.assert_allclose(wide, exact, atol=1e-5 * scale)


@pytest.mark.parametrize('case', ['1x1', '3x3 tiny', '3x3 grouped', 'depthwise'])
def test_vmap_is_a_loop(case):
    images, weights, options = _inputs(case)
    stack = np.stack([images, 2 * images[::-1]])
    run = lambda x: conv.conv_general_dilated(x, weights, **options)
    together, one = _jit(jax.vmap(run))(stack), _jit(run)
    np.testing.assert_allclose(together, [one(x) for x in stack], rtol=1e-4, atol=1e-4)


def test_in_flax_parameters_and_outputs_are_those_of_a_plain_convolution():
    images = np.random.default_rng(2).normal(size=(3, 2, 6, 6, 8)).astype(np.float32)
    for options in (
        dict(kernel_size=(1, 1)),
        dict(kernel_size=(3, 3), feature_group_count=4, padding=1),
        dict(kernel_size=(3, 3), feature_group_count=8, strides=2, padding='CIRCULAR'),
    ):
        plain = nn.Conv(8, **options)
        ours = nn.Conv(8, conv_general_dilated=conv.conv_general_dilated, **options)
        params = _jit(plain.init)(jax.random.key(0), images)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(
            jnp.shape, jax.eval_shape(ours.init, jax.random.key(0), images)
        )
        expected = _jit(plain.apply)(params, images)
        np.testing.assert_allclose(_jit(ours.apply)(params, images), expected, atol=1e-5)


def test_other_convolutions_fall_through():
    rng = np.random.default_rng(3)
    cases = [
        ((2, 3, 5, 5), (4, 3, 1, 1), dict(dimension_numbers=('NCHW', 'OIHW', 'NCHW'))),
        ((2, 9, 9, 3), (3, 3, 3, 4), dict(dimension_numbers=NHWC, rhs_dilation=(2, 2))),
        ((2, 4, 4, 3), (3, 3, 3, 4), dict(dimension_numbers=NHWC, lhs_dilation=(2, 1))),
    ]
    for images, weights, options in cases:
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in (images, weights)]
        arguments = (*arrays, (1, 1), [(0, 0)] * 2)
        np.testing.assert_array_equal(
            conv.conv_general_dilated(*arguments, **options),
            jax.lax.conv_general_dilated(*arguments, **options),
        )
    line = (
        rng.normal(size=(2, 9, 3)).astype(np.float32),
        rng.normal(size=(1, 3, 4)).astype(np.float32),
    )
    numbers = ('NWC', 'WIO', 'NWC')
    found, expected = (
        function(*line, (1,), 'SAME', dimension_numbers=numbers)
        for function in (conv.conv_general_dilated, jax.lax.conv_general_dilated)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    'kernel, channels, size, lowering',
    [
        ((1, 1), (120, 32, 1), 32, 'matmul'),
        ((1, 1), (240, 64, 4), 16, 'split_matmul'),
        ((3, 3), (32, 8, 4), 32, 'taps'),
        ((3, 3), (32, 8, 4), 8, 'dense'),
        ((3, 3), (128, 32, 4), 8, 'split'),
        ((3, 3), (96, 96, 96), 32, 'shift'),
        ((3, 3), (128, 128, 1), 4, 'patches'),
        ((3, 3), (64, 64, 4), 32, 'split'),
        ((3, 3), (64, 64, 1), 8, 'xla'),
        ((3, 3), (64, 64, 1), 32, 'taps'),
    ],
)
def test_the_table_by_backend(kernel, channels, size, lowering):
    options = dict(
        kernel=kernel,
        in_channels=channels[0],
        out_channels=channels[1],
        groups=channels[2],
        out_size=(size, size),
    )
    assert conv.pick_lowering('cpu', **options) == lowering
    assert conv.pick_lowering('gpu', **options) == conv.pick_lowering('tpu', **options) == 'xla'


def test_the_traced_program_has_the_lowering():
    def convolutions(case, **more):
        images, weights, options = _inputs(case)
        return str(
            jax.make_jaxpr(lambda x, w: conv.conv_general_dilated(x, w, **options, **more))(
                images, weights
            )
        ).count('conv_general_dilated[')

    assert [convolutions(case) for case in ('1x1', 'depthwise', '3x3 tiny')] == [0, 0, 0]
    assert convolutions('3x3 grouped') == 1 and convolutions('3x3 grouped', lowering='split') == 4
    # Export needs the one operation that others know.
    assert [convolutions(case, lowering='xla') for case in CASES] == [1] * len(CASES)


def test_unknown_and_impossible_lowerings_are_refused():
    images, weights, options = _inputs('3x3 grouped')
    with pytest.raises(ValueError, match="lowering is 'fast'; accepted are xla, .*shift"):
        conv.conv_general_dilated(images, weights, **options, lowering='fast')
    for name in ('shift', 'matmul'):
        with pytest.raises(
            ValueError, match=f'{name!r} .*3 x 3 kernel from 8 to 4 channels in 4 groups'
        ):
            conv.conv_general_dilated(images, weights, **options, lowering=name)
    with pytest.raises(ValueError, match="lowering 'patches' .*NHWC"):
        conv.conv_general_dilated(
            images,
            weights,
            (1, 1),
            'SAME',
            rhs_dilation=(2, 2),
            dimension_numbers=NHWC,
            feature_group_count=4,
            lowering='patches',
        )


def test_inconsistent_channels_are_an_error_as_in_jax():
    with pytest.raises((TypeError, ValueError)):
        conv.conv_general_dilated(
            np.zeros((1, 4, 4, 6), np.float32),
            np.zeros((3, 3, 4, 4), np.float32),
            (1, 1),
            'SAME',
            dimension_numbers=NHWC,
        )


def _densely_connected(join, depth):
    """Compiled gradient of normalised layers that each read all earlier ones; its arguments."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(512, 8)).astype(np.float32)
    kernels = [rng.normal(size=(8 + 4 * i, 4)).astype(np.float32) for i in range(depth)]

    def loss(kernels, x):
        for kernel in kernels:
            normed = (x - x.mean(axis=0)) / x.std(axis=0)
            x = join(jnp.concatenate([x, jax.nn.relu(normed) @ kernel], axis=-1))
        return (x**2).mean()

    return jax.jit(jax.grad(loss)).lower(kernels, x).compile(), (kernels, x)


def test_materialized_cotangents_keep_the_gradient_and_its_work_linear_in_depth():
    flops = {}
    for name, join in (('plain', lambda x: x), ('kept', cotangents.materialize_cotangent)):
        compiled, arguments = _densely_connected(join, 7)
        flops[name] = compiled.cost_analysis()['flops'], compiled(*arguments)
    for plain, kept in zip(flops['plain'][1], flops['kept'][1]):
        np.testing.assert_allclose(kept, plain, rtol=1e-4, atol=1e-6)
    assert flops['kept'][0] < 0.8 * flops['plain'][0]
