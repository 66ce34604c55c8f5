"""The cell space: strings of normalisations and convolutions that grow one operation at a time.

A cell is an alternating sequence of tokens, a normalisation first, written with hyphens:
`bn_relu-lgconv1x1-bn_relu-gconv3x3` is the cell of CondenseNet. DPP-Net (Dong et al., ECCV 2018)
searches over such strings progressively: three normalisations, then six convolutions on each, and
so on. This module knows nothing of channels, costs or networks.
"""

import dataclasses
from typing import ClassVar

NORMS = ('bn_relu', 'bn', 'none')
CONVS = ('conv1x1', 'conv3x3', 'gconv1x1', 'gconv3x3', 'lgconv1x1', 'dwconv3x3')

# A depthwise convolution stands where a convolution stands, but it cannot change the width.
ROLES = ('norm', 'conv', 'depthwise')

_roles = {token: 'norm' for token in NORMS}
_roles.update({token: 'conv' for token in CONVS})
_roles['dwconv3x3'] = 'depthwise'


def register_token(token: str, role: str) -> None:
    """Adds a token of the user's own to the ones that a cell may hold.

    `grow` proposes the token only if its arguments name it, so registering a token changes no
    search space. Most callers want `nas.cells.plan.register_op`, which also says what the token
    builds and costs.

    Args:
        token: name of letters, digits and `_` that does not begin with a digit, and not one of the
            built-in tokens.
        role: 'norm', 'conv' (may change the width) or 'depthwise' (stands as a convolution, keeps
            the width).

    Raises:
        ValueError: if the name or the role is not accepted.
    """
    if token in NORMS + CONVS:
        raise ValueError(
            f'token {token!r} is built in and cannot be registered again; choose another name'
        )
    # Tokens become parts of the names of layers, which Flax takes as attributes.
    if not isinstance(token, str) or not token.isidentifier():
        raise ValueError(
            f'token {token!r} cannot be used; accepted: letters, digits and _, no digit first'
        )
    if role not in ROLES:
        raise ValueError(
            f'role {role!r} of token {token!r} is unknown; accepted: {", ".join(ROLES)}'
        )
    _roles[token] = role


def token_role(token: str) -> str:
    """Returns a token's role: 'norm', 'conv' or 'depthwise'; an unknown token is a ValueError."""
    if token not in _roles:
        raise ValueError(f'unknown token {token!r}; accepted: {", ".join(_roles)}')
    return _roles[token]


def token_roles() -> dict[str, str]:
    """Returns the roles of all tokens, built in and registered."""
    return dict(_roles)


def restore_roles(roles: dict[str, str]) -> None:
    """Takes back registrations: only the tokens of an earlier `token_roles` remain."""
    _roles.clear()
    _roles.update(roles)


def _stands_at(token: str, position: int) -> bool:
    """Norms stand at even positions, convolutions of either kind at odd ones."""
    return (_roles[token] == 'norm') == (position % 2 == 0)


def _short(text: str) -> str:
    """Quotes a text and shortens it for messages."""
    quoted = repr(text[:300])
    return quoted if len(text) <= 300 and len(quoted) <= 302 else f'{quoted[:300]}...'


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell: an immutable, hashable sequence of tokens. Cells are equal if their tokens are.

    Attributes:
        ops: the tokens in order: norm, convolution, norm, convolution, ...
    """

    ops: tuple[str, ...] = ()

    ROOT: ClassVar['Cell']  # the empty start of every search

    def __post_init__(self):
        for position, token in enumerate(self.ops):
            wanted = 'normalisation' if position % 2 == 0 else 'convolution'
            if token in _roles and _stands_at(token, position):
                continue
            problem = 'is out of place' if token in _roles else 'is unknown'
            accepted = ', '.join(t for t in _roles if _stands_at(t, position))
            raise ValueError(
                f'cell {_short(str(self))}: token {_short(token)} at position '
                f'{position + 1} {problem}; a {wanted} stands there, accepted: {accepted}'
            )

    @classmethod
    def parse(cls, text: str) -> 'Cell':
        """Reads a cell such as 'bn_relu-lgconv1x1-bn_relu-gconv3x3'; `str` is the inverse.

        Raises:
            ValueError: for an empty string, an unknown token, or one at the wrong place.
        """
        text = text.strip()
        if not text:
            raise ValueError(
                'cell is empty; write tokens joined by hyphens, a normalisation first, '
                "e.g. 'bn_relu-conv3x3' (the empty start of a search is Cell.ROOT)"
            )
        return cls(tuple(text.split('-')))

    def __str__(self) -> str:
        return '-'.join(self.ops)

    @property
    def level(self) -> int:
        """Number of tokens: 0 for `ROOT`."""
        return len(self.ops)

    @property
    def complete(self) -> bool:
        """Whether a network can be built: one non-depthwise convolution has to set its width."""
        return any(_roles[token] == 'conv' for token in self.ops)

    @property
    def key(self) -> str:
        """Canonical form: cells with the same key build the same network.

        Two strings build the same layers only if they differ by a `none` at the end. All other
        cells differ in layers, weights or counts: a `bn` costs parameters even where the next
        cell's `bn` makes it redundant, and `gconv1x1` and `lgconv1x1` have equal counts but are
        different networks.
        """
        return str(self).removesuffix('none').removesuffix('-')

    def grow(
        self, *, norms: tuple[str, ...] = NORMS, convs: tuple[str, ...] = CONVS
    ) -> tuple['Cell', ...]:
        """Returns the cells with ONE more token, in the order given: 3 norms or 6 convolutions.

        Level by level from `ROOT` this makes 3, 18, 54, 324, 972, 5832 cells. Some of them are
        incomplete: they cannot be built yet, but complete cells grow from them.

        Args:
            norms, convs: the tokens to choose from, for a smaller space or one with registered
                tokens.
        """
        return tuple(Cell(self.ops + (token,)) for token in (convs if self.level % 2 else norms))

    def encode(
        self, length: int, *, vocabulary: tuple[str, ...] = NORMS + CONVS
    ) -> tuple[int, ...]:
        """Returns the token numbers for a sequence model: places in `vocabulary`, from 1; 0 pads.

        Raises:
            ValueError: if the cell is longer than `length` or holds a token that is not in
                `vocabulary`.
        """
        if self.level > length:
            raise ValueError(
                f'length {length} is too short for cell {str(self)!r} of {self.level} tokens'
            )
        missing = [token for token in self.ops if token not in vocabulary]
        if missing:
            raise ValueError(
                f'cell {str(self)!r}: token {missing[0]!r} is not in vocabulary {vocabulary}'
            )
        return tuple(vocabulary.index(token) + 1 for token in self.ops) + (0,) * (
            length - self.level
        )


Cell.ROOT = Cell(())
