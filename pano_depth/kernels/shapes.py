"""Names for arrays, numbers and sizes in the signatures of this package.

A signature states shapes as jaxtyping writes them. `Real[Array, '*batch height width channels']` is
an image with any leading axes. An axis has the same length wherever its name stands in a signature.
`*#batch` stands for axes that broadcast, `...` for any axes, `{height}` for the value of the
argument `height`, a number for itself. The tests check calls against the signatures
(`tests/signatures.py`); outside of tests the annotations cost nothing.
"""

import jax
import jaxtyping
import numpy as np
from jax.typing import ArrayLike

# Functions take the arrays of JAX and of NumPy alike.
Array = jax.Array | np.ndarray

# A whole number, for example of pixels.
Size = int | np.integer


class Real(jaxtyping.AbstractDtype):
    """Numbers of any real type: floats, integers and bool, which `jaxtyping.Real` leaves out.

    Functions that take them compute in float32 or in a wider float type.
    """

    dtypes = (*jaxtyping.Real.dtypes, *jaxtyping.Bool.dtypes)


# One number, which may be traced.
Scalar = Real[ArrayLike, '']
