"""A depth network as one line of text: the ops of its cell, and the choices beside the cell.

`bn_relu-dwconv3x3-bn_relu-conv1x1@m-b1-f32-add-strided` names the ops, the widths of the levels,
how many cells a level has, the pixels along a face of the cube, how the decoder joins features, and
what halves the faces. `handmade@m-f32` is the first network of the package, whose blocks were made
by hand.
"""

import dataclasses

from nas.cells.cell import Cell
from pano_depth.learning.cells import build, cost
from pano_depth.learning.model import ModelConfig

# Features of each level, the finest first; a face that cannot be halved so often drops the last.
WIDTHS = {
    'xs': (8, 16, 32, 48),
    's': (16, 32, 64, 96),
    'm': (24, 48, 96, 128),
    'l': (32, 64, 128, 192),
}
# Cells of each level of the encoder but the finest one, which has none.
BLOCKS = {'b1': 1, 'b2': 2, 'b3': 3}
MERGES = ('add', 'concat')
# What halves the faces between levels: a convolution of stride 2, or the mean of 2 x 2 pixels.
DOWNS = {'strided': 'conv', 'pooled': 'pool'}
HANDMADE = 'handmade'  # in place of ops: the blocks of `networks.DepthNet`
_NAMED = {'widths': WIDTHS, 'blocks': BLOCKS, 'merge': MERGES, 'down': DOWNS}
_POSE_CHANNELS = (16, 32, 64, 128)


@dataclasses.dataclass(frozen=True)
class DepthCell:
    """A depth network, or the beginning of one.

    Attributes:
        ops: tokens of the cell, as in `nas.cells.Cell`; or `(HANDMADE,)`.
        widths: one of `WIDTHS`.
        blocks: one of `BLOCKS`.
        face: pixels along a face of the cube.
        merge: one of `MERGES`.
        down: one of `DOWNS`.

    Raises:
        ValueError: on creation, for tokens or choices that do not exist; the message says which
            are accepted.
    """

    ops: tuple[str, ...] = ()
    widths: str = 'm'
    blocks: str = 'b1'
    face: int = 32
    merge: str = MERGES[0]
    down: str = 'strided'

    def __post_init__(self):
        if not self.handmade:
            Cell(self.ops)
        elif (self.blocks, self.merge, self.down) != ('b1', MERGES[0], 'strided'):
            raise ValueError(f'{HANDMADE} has widths and a face, but none of the other choices')
        for name, accepted in _NAMED.items():
            if getattr(self, name) not in accepted:
                raise ValueError(
                    f'{name}={getattr(self, name)!r} is unknown; accepted: {", ".join(accepted)}'
                )
        if not levels_of(self.face):
            raise ValueError(
                f'face is {self.face} pixels; accepted: multiples of 8 from 16 on, so that it can'
                ' be halved three times'
            )

    def __str__(self) -> str:
        shown = self.choices[::2][:2] if self.handmade else self.choices
        return f'{"-".join(self.ops)}@{"-".join(shown)}'

    @property
    def handmade(self) -> bool:
        """Whether it is the network whose blocks were made by hand."""
        return self.ops == (HANDMADE,)

    @property
    def level(self) -> int:
        """Number of ops: of a block made by hand three."""
        return 3 if self.handmade else len(self.ops)

    @property
    def complete(self) -> bool:
        """Whether a network can be built."""
        return self.handmade or Cell(self.ops).complete

    @property
    def key(self) -> str:
        """Canonical form: cells with the same key build the same network."""
        ops = self.ops[:-1] if self.ops[-1:] == ('none',) else self.ops
        return str(dataclasses.replace(self, ops=ops))

    @property
    def choices(self) -> tuple[str, ...]:
        """The choices beside the cell, as texts."""
        return self.widths, self.blocks, f'f{self.face}', self.merge, self.down


def parse(text: str, face: int = DepthCell.face) -> DepthCell:
    """Reads a cell; `str` is the inverse.

    Args:
        text: ops joined by hyphens, `@`, and choices joined by hyphens in any order; choices that
            are left out are m, b1, `face`, add and strided.
        face: pixels along a face where the text names none.

    Raises:
        ValueError: a token or a choice is unknown; the message says which are accepted.
    """
    ops, _, rest = text.strip().partition('@')
    chosen = {}
    for choice in filter(None, (part.strip() for part in rest.split('-'))):
        name, value = _choice(choice)
        if name in chosen:
            raise ValueError(f'{text!r} chooses {name} twice: {chosen[name]} and {value}')
        chosen[name] = value
    tokens = (HANDMADE,) if ops == HANDMADE else Cell.parse(ops).ops
    return DepthCell(tokens, **{'face': face, **chosen})


def _choice(text: str) -> tuple[str, str | int]:
    for name, accepted in _NAMED.items():
        if text in accepted:
            return name, text
    if text[:1] == 'f' and text[1:].isdigit():
        return 'face', int(text[1:])
    raise ValueError(
        f'choice {text!r} is unknown; accepted: widths {", ".join(WIDTHS)}; blocks'
        f' {", ".join(BLOCKS)}; faces such as f32; {" or ".join(MERGES)}; {" or ".join(DOWNS)}'
    )


def levels_of(face: int) -> int:
    """How often a face can be halved, at most as often as there are widths; 0 for a bad size."""
    fits = [n for n in range(3, len(WIDTHS['m']) + 1) if face % 2**n == 0 and face >= 2 * 2**n]
    return max(fits, default=0)


def model_of(cell: DepthCell) -> ModelConfig:
    """The networks of a cell; the pose network is as deep as the depth network.

    Raises:
        ValueError: the cell is incomplete.
    """
    if not cell.complete:
        raise ValueError(f'{cell} is no network yet; it needs a convolution that is not depthwise')
    levels = levels_of(cell.face)
    fields = (
        {}
        if cell.handmade
        else {
            'depth_cell': cell.ops,
            'depth_blocks': (0,) + (BLOCKS[cell.blocks],) * (levels - 1),
            'depth_merge': cell.merge,
            'depth_down': DOWNS[cell.down],
        }
    )
    return ModelConfig(
        face_size=cell.face,
        depth_channels=WIDTHS[cell.widths][:levels],
        pose_channels=_POSE_CHANNELS[:levels],
        **fields,
    )


def costs_of(cell: DepthCell) -> dict[str, float]:
    """Exact costs of the deployed network. Raises ValueError for an incomplete cell."""
    return cost.count(build.build(model_of(cell)))._asdict()
