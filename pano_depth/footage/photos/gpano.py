"""GPano: what the XMP of a photograph says about the part of the sphere that it shows.

The tags and the conventions of their angles are those of Google's "Photo Sphere XMP Metadata".
"""

import dataclasses
import math
import re

_NAMESPACE = 'http://ns.google.com/photos/1.0/panorama/'
_PIXELS = {
    'crop_width': 'CroppedAreaImageWidthPixels',
    'crop_height': 'CroppedAreaImageHeightPixels',
    'left': 'CroppedAreaLeftPixels',
    'top': 'CroppedAreaTopPixels',
    'full_width': 'FullPanoWidthPixels',
    'full_height': 'FullPanoHeightPixels',
}
_DEGREES = {
    'heading': ('PoseHeadingDegrees', 360),
    'pitch': ('PosePitchDegrees', 90),
    'roll': ('PoseRollDegrees', 180),
}


@dataclasses.dataclass(frozen=True)
class GPano:
    """The tags of one photograph.

    Attributes:
        projection: 'equirectangular' or another word, in small letters.
        crop_width, crop_height: of the part of the full panorama that was kept, in pixels; None
            where a tag is missing or no number.
        left, top: where that part begins in the full panorama, in pixels; or None.
        full_width, full_height: of the full panorama in pixels; or None.
        heading: where the middle of the image looks, in degrees clockwise from north.
        pitch: degrees by which the middle of the image looks above the horizon.
        roll: degrees by which the camera's right side hangs down: the horizon turns
            counterclockwise in the image.
    """

    projection: str = 'equirectangular'
    crop_width: float | None = None
    crop_height: float | None = None
    left: float | None = None
    top: float | None = None
    full_width: float | None = None
    full_height: float | None = None
    heading: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


def parse(xmp: bytes) -> GPano | None:
    """Reads the GPano tags of an XMP packet.

    The text is searched, not parsed as XML: packets in photographs are often damaged elsewhere.

    Args:
        xmp: the packet, or b''.

    Returns:
        `GPano`, or None where the packet holds no such tag. Angles out of range count as 0.
    """
    text = xmp.replace(b'\0', b'').decode('utf-8', 'replace')
    found = re.search(rf'xmlns:([\w.-]+)\s*=\s*["\']{re.escape(_NAMESPACE)}["\']', text)
    prefix = re.escape(found[1] if found else 'GPano')
    attributes = re.findall(rf'\b{prefix}:(\w+)\s*=\s*["\']([^"\']*)["\']', text)
    elements = re.findall(rf'<{prefix}:(\w+)[^>/]*>\s*([^<]*?)\s*</{prefix}:', text)
    tags = dict(elements) | dict(attributes)
    if not tags.keys() & {
        'ProjectionType',
        *_PIXELS.values(),
        *(tag for tag, _ in _DEGREES.values()),
    }:
        return None
    values = {name: _number(tags.get(tag)) for name, tag in _PIXELS.items()}
    for name, (tag, limit) in _DEGREES.items():
        value = _number(tags.get(tag))
        values[name] = 0.0 if value is None or abs(value) > limit else value
    projection = tags.get('ProjectionType', '').strip().lower() or 'equirectangular'
    return GPano(projection=projection, **values)


def _number(text):
    """A finite number, or None."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
