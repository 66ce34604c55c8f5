"""Files of own ops, as users write them."""

import pathlib

# The example of the README.
SWISH_CONV = (pathlib.Path(__file__).parents[2] / 'experiments' / 'my_ops.py').read_text()


def write_ops(folder, text: str = SWISH_CONV, name: str = 'my_ops.py') -> str:
    """Writes a file of ops and returns its path as text."""
    path = pathlib.Path(folder) / name
    path.write_text(text)
    return str(path)


def one_op(token: str, *, role: str = 'norm', more: str = '') -> str:
    """The text of a file that registers one op that can be counted only."""
    return (
        'from nas.cells.plan import register_op\n'
        f'register_op({token!r}, role={role!r}, count=lambda layer: (0, 0, 0){more})\n'
    )
