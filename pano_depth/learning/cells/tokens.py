"""Tokens that a cell of the depth network is made of: normalisations and convolutions by turns.

The grammar is that of DPP-Net's cells (Dong et al., ECCV 2018): a normalisation first, then a
convolution, and so on. Here `bn` is group normalisation, and the ends of a face are padded from its
neighbours before every 3 x 3 convolution.
"""

from collections.abc import Sequence

NORMS = ('bn_relu', 'bn', 'none')
CONVS = ('conv1x1', 'conv3x3', 'gconv1x1', 'gconv3x3', 'lgconv1x1', 'dwconv3x3')
DEPTHWISE = ('dwconv3x3',)  # keeps the width
GROUPS = 4  # of grouped and learned-group convolutions
CONDENSATION = 4  # a learned-group convolution keeps one in this many of its weights


def check_cell(ops: Sequence[str]) -> None:
    """Checks that tokens make a cell.

    Raises:
        ValueError: a token is unknown or out of place, or no convolution sets the width.
    """
    for place, token in enumerate(ops):
        accepted = CONVS if place % 2 else NORMS
        if token not in accepted:
            raise ValueError(
                f'depth_cell is {",".join(ops)}: token {place + 1} is {token!r}; accepted there:'
                f' {", ".join(accepted)}'
            )
    if ops and not any(token in CONVS and token not in DEPTHWISE for token in ops):
        raise ValueError(
            f'depth_cell is {",".join(ops)}; it needs a convolution that is not depthwise'
        )
