"""One decoder of image files: 8-bit colour and alpha of whatever a file holds.

Orientations of cameras (EXIF) are obeyed, 16 bits are rounded to 8, and images larger than Pillow's
own limit are read as long as they hold at most `MAX_PIXELS`. `opening` finds the format, `header`
reads what a file says without decoding it, `pixels` decodes, `parts` decodes the part that a
network sees, on a background where it is transparent.
"""

from common.images.header import Header, read_header
from common.images.opening import MAX_PIXELS, open_image
from common.images.parts import WHITE, composite, is_grey, read_part
from common.images.pixels import Pixels, read_pixels

__all__ = [
    'MAX_PIXELS',
    'WHITE',
    'Header',
    'Pixels',
    'composite',
    'is_grey',
    'open_image',
    'read_header',
    'read_part',
    'read_pixels',
]
