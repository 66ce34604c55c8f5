"""Opens pickles and PyTorch files of strangers without running what they hold.

A pickle is a program: it may call any function that it names. Here it may name containers and NumPy
numbers only. Everything of PyTorch, such as the weights of networks, becomes a placeholder, so that
PyTorch need not be installed.
"""

import _codecs
import bz2
import collections
import contextlib
import io
import pathlib
import pickle
import zipfile
from typing import Any, BinaryIO

import numpy as np

# What a file of torch.save begins with that is no zip archive: torch/serialization.py.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C


class LeftOut:
    """Stands for an object of PyTorch."""

    def __init__(self, *args, **more):
        """Takes whatever the object was made of."""

    def __setstate__(self, state):
        """Takes whatever the object held."""


def _scalar(dtype: np.dtype, data: bytes = b'\0'):
    """`numpy.core.multiarray.scalar`, for numbers and texts alone."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, bytes):
        raise pickle.UnpicklingError('it holds a NumPy scalar that is no number')
    return np.frombuffer(data, dtype)[0]


def _encode(text: str, encoding: str = 'latin1') -> bytes:
    """`_codecs.encode`, by which old pickles write bytes."""
    if not isinstance(text, str) or encoding not in ('latin1', 'latin-1', 'utf-8'):
        raise pickle.UnpicklingError(f'it encodes a text by {encoding!r}')
    return _codecs.encode(text, encoding)


def _array(kind, shape, code):
    """`numpy.core.multiarray._reconstruct`, which only makes an empty array."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError('it holds an array of an unknown class')
    return np.ndarray.__new__(np.ndarray, shape, 'b')


_MULTIARRAY = ('numpy.core.multiarray', 'numpy._core.multiarray')
_ACCEPTED = {
    ('collections', 'OrderedDict'): collections.OrderedDict,
    ('collections', 'defaultdict'): collections.defaultdict,
    ('_codecs', 'encode'): _encode,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    **{(module, 'scalar'): _scalar for module in _MULTIARRAY},
    **{(module, '_reconstruct'): _array for module in _MULTIARRAY},
    **{
        (module, kind.__name__): kind
        for module in ('builtins', '__builtin__')
        for kind in (list, dict, set, frozenset, tuple, int, float, complex, str, bytes, bool)
    },
}


class _Unpickler(pickle.Unpickler):
    """Refuses every name that is not known to be harmless."""

    def find_class(self, module, name):
        if (module, name) in _ACCEPTED:
            return _ACCEPTED[module, name]
        if module.partition('.')[0] == 'torch':
            return LeftOut
        raise pickle.UnpicklingError(f'it names {module}.{name}, which is not loaded')

    def persistent_load(self, pid):
        """The storage of a tensor."""
        return LeftOut()


def read_pickle(path) -> Any:
    """What a pickle or a file of `torch.save` holds, with placeholders for tensors.

    Args:
        path: a pickle, packed by bzip2 or not, or a file of `torch.save`, old (.pth) or new (zip).

    Raises:
        ValueError: the file cannot be read, is no pickle, or names anything but containers and
            numbers; the message names the file.
    """
    path = pathlib.Path(path)
    try:
        with open(path, 'rb') as file:
            start = file.read(4)
        opened = bz2.open(path) if start[:3] == b'BZh' else open(path, 'rb')  # noqa: SIM115
        with opened as file:
            if start[:2] == b'PK':
                return _read_zip(path)
            return _read_stream(file)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror or error}') from error
    # A damaged or hostile pickle raises any of these.
    except (
        *(pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, TypeError),
        *(KeyError, IndexError, AttributeError, ImportError, UnicodeError, OverflowError),
        *(RecursionError, MemoryError),
    ) as error:
        raise ValueError(f'{path} is no pickle that can be read safely: {error}') from error


def _read_stream(file: BinaryIO) -> Any:
    """The object of a pickle, or of an old file of `torch.save`, which holds several."""
    found = _Unpickler(file).load()
    if found != _TORCH_MAGIC:
        return found
    for _ in ('version of the protocol', 'sizes of the system'):
        _Unpickler(file).load()
    return _Unpickler(file).load()


def _read_zip(path: pathlib.Path) -> Any:
    """The object of a new file of `torch.save`."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith('data.pkl')]
        if not names:
            raise zipfile.BadZipFile('the archive holds no data.pkl')
        with contextlib.closing(io.BytesIO(archive.read(names[0]))) as file:
            return _Unpickler(file).load()
