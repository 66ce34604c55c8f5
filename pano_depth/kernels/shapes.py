"""What the signatures of this package call arrays, numbers and sizes.

A signature states shapes as jaxtyping writes them. `Real[Array, '*batch height width channels']` is
an image with any leading axes. An axis has the same length wherever its name stands in a signature.
`*#batch` stands for axes that broadcast, `...` for any axes, `{height}` for the value of the
argument `height`, a number for itself. The tests check what the signatures say
(`tests/signatures.py`); other calls pay nothing for it.
"""

import jax
import jaxtyping
import numpy as np
from jax.typing import ArrayLike

# Functions take the arrays of JAX and of NumPy alike.
Array = jax.Array | np.ndarray

# A whole number, of pixels say.
Size = int | np.integer


class Real(jaxtyping.AbstractDtype):
    """Numbers of any real type: floats, integers and bool, which `jaxtyping.Real` leaves out.

    What takes them computes in float32 or in a wider float type.
    """

    dtypes = (*jaxtyping.Real.dtypes, *jaxtyping.Bool.dtypes)


# One number, which may be traced.
Scalar = Real[ArrayLike, '']
