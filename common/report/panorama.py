"""The block of a report page in which one looks around in panoramas."""

from collections.abc import Mapping, Sequence

from common.report.blocks import data_uri, escape

Picture = bytes | str  # a PNG or JPEG, or the path of one


def panorama(frames: Sequence[tuple[str, Mapping[str, Picture]]], caption: str, alt: str) -> str:
    """Pictures for `panorama.js`; see `common.report.page.Report.panorama`."""
    frames = [(str(label), dict(layers)) for label, layers in frames]
    if not frames or len({label for label, _ in frames}) < len(frames):
        raise ValueError(
            f'frames of a panorama are {[label for label, _ in frames]}; accepted: at least one,'
            ' each with a label of its own'
        )
    names = list(frames[0][1])
    if not names or any(list(layers) != names for _, layers in frames):
        raise ValueError(
            f'layers of a panorama are {[list(layers) for _, layers in frames]}; accepted: the'
            ' same names for all frames, at least one'
        )
    images = [
        _image(label, name, layers[name], alt, hidden=(label, name) != (frames[0][0], names[0]))
        for label, layers in frames
        for name in names
    ]
    hint = (
        'Drag looks around; the wheel or a pinch zooms; arrow keys turn, plus and minus zoom, Home'
        ' looks straight ahead.'
    )
    content = '\n'.join(images)
    return (
        f'<figure data-kind="panorama"><div class="flat">{content}</div>'
        f'<figcaption>{escape(caption)} {hint}</figcaption></figure>'
    )


def _image(label, name, source, alt, *, hidden):
    uri, width, height = data_uri(source)
    if width != 2 * height:
        raise ValueError(
            f'{name} of {label} is {width} x {height} pixels; accepted: twice as wide as high'
        )
    return (
        f'<img src="{uri}" width="{width}" height="{height}" data-frame="{escape(label)}"'
        f' data-layer="{escape(name)}" alt="{escape(f"{alt} {label}, {name}.")}"'
        f'{" hidden" if hidden else ""}>'
    )
