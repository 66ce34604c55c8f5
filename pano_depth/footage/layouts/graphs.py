"""Filter graphs of ffmpeg that turn frames into equirect."""

from pano_depth.footage.layouts.decision import Conversion
from pano_depth.footage.layouts.table import FISHEYE_FOV, LAYOUTS, equirect_size

# How ffmpeg takes the left eye of a frame that holds two.
_EYES = {
    None: (1, 1, ''),
    'top_bottom': (2, 1, 'crop=iw:ih/2:0:0:exact=1'),
    'left_right': (1, 2, 'crop=iw/2:ih:0:0:exact=1'),
    'right_left': (1, 2, 'crop=iw/2:ih:iw/2:0:exact=1'),
}
# Colours in every pixel: v360 would take subsampled ones to stand elsewhere than they do.
_WHOLE_COLOURS = 'format=yuv444p|yuva444p|gbrp|gbrap,'
# v360 takes YouTube's equi-angular cubemaps to have this border, in pixels, around each row.
_EAC_BORDER = 2
# Pixels to which a panorama grows, at most, of which a frame holds a small part.
_MOST_WIDE = 16384
# Pixels of a side of the faces in GoPro's files, which have no such border.
_GOPRO_FACES = (736, 1344, 1920)
# Places of the faces right, left, up, down, front, back (v360's order) in a 4 x 3 cross.
_CROSS = ((2, 1), (0, 1), (1, 0), (1, 2), (1, 1), (3, 1))


def eye_size(height, width, stereo):
    """(height, width) of one eye in a frame; stereo as in `Decision`, or 'right_left'."""
    rows, columns, _ = _EYES[stereo]
    return height // rows, width // columns


def v360(layout, height, width, fov=None, options=''):
    """The v360 filter that gives a panorama of height x width pixels.

    Args:
        layout: the `Layout` of its input.
        height, width: of the panorama.
        fov: degrees across a fisheye circle; None for `FISHEYE_FOV`.
        options: further options of v360.
    """
    terms = [f'input={layout.v360}', 'output=e', f'w={width}', f'h={height}', 'interp=lanczos']
    if layout.circles:
        fov = fov or FISHEYE_FOV
        terms += [f'ih_fov={fov:g}', f'iv_fov={fov:g}']
    return (
        _WHOLE_COLOURS + 'v360=' + ':'.join([*terms, *([options] if options else [])]) + ',setsar=1'
    )


def _cross(layout, source, taken):
    """Cuts the faces of a cross out and puts them into a row; ffmpeg text up to [row]."""
    names = [f'face{i}' for i in range(len(_CROSS))]
    lines = [f'[{source}]{taken}split={len(names)}' + ''.join(f'[{name}]' for name in names)]
    columns, rows = layout.grid
    for name, (x, y) in zip(names, _CROSS):
        crop = f'crop=iw/{columns}:ih/{rows}:{x}*iw/{columns}:{y}*ih/{rows}:exact=1'
        lines.append(f'[{name}]{crop}[{name}c]')
    lines.append(''.join(f'[{name}c]' for name in names) + f'hstack={len(names)}[row]')
    return ';'.join(lines)


def one_picture(name, height, width, *, stereo=None, fov=None, options=''):
    """The conversion of frames that hold all of the sphere in one picture.

    Args:
        name: of the layout.
        height, width: of the frame in pixels.
        stereo: how the frame holds two eyes, of which the left one is taken; None for one.
        fov: degrees across a fisheye circle; None for `FISHEYE_FOV`.
        options: further options of v360, such as turns of faces.

    Returns:
        `Conversion`.
    """
    layout = LAYOUTS[name]
    size = equirect_size(layout, *eye_size(height, width, stereo), fov)
    taken = ''.join(part + ',' for part in (_EYES[stereo][2],) if part)
    filters = v360(layout, *size, fov, options)
    if name == 'cubemap_cross':
        return Conversion(f'{_cross(layout, "v0", taken)};[row]{filters}[out]', *size)
    return Conversion(f'[v0]{taken}{filters}[out]', *size)


def stretched(height, width, stereo):
    """The conversion of a pair of eyes that are squeezed to half their height or width.

    Args:
        height, width: of the frame in pixels.
        stereo: how it holds the two eyes.

    Returns:
        `Conversion` that gives the left eye as a panorama.
    """
    eye = eye_size(height, width, stereo)
    wide = 16 * round(max(eye[1], 2 * eye[0]) / 16)
    filters = f'{_EYES[stereo][2]},scale={wide}:{wide // 2}:flags=lanczos,setsar=1'
    return Conversion(f'[v0]{filters}[out]', wide // 2, wide)


def placed(height, width, bounds, stereo=None):
    """The conversion of a part of a panorama: it is put where it belongs, in black.

    Args:
        height, width: of the frame in pixels.
        bounds: top, bottom, left and right parts of the panorama that the frame leaves out.
        stereo: how the frame holds two eyes, of which the left one is taken; None for one.

    Returns:
        (`Conversion`, (first row, last row + 1, first column, last column + 1)): where the part
        stands in the panorama.
    """
    rows, columns = eye_size(height, width, stereo)
    top, bottom, left, right = bounds
    wide = max(columns / (1 - left - right), 2 * rows / (1 - top - bottom))
    wide = 16 * max(2, round(min(wide, max(_MOST_WIDE, columns)) / 16))
    high = wide // 2
    first, last = round(top * high), round((1 - bottom) * high)
    start, end = round(left * wide), round((1 - right) * wide)
    taken = ''.join(part + ',' for part in (_EYES[stereo][2],) if part)
    filters = f'scale={end - start}:{last - first}:flags=lanczos,format=yuv444p,'
    # Without subsampling of colours the part may begin at any pixel.
    filters += f'pad={wide}:{high}:{start}:{first}:black,setsar=1'
    return Conversion(f'[v0]{taken}{filters}[out]', high, wide), (first, last, start, end)


def eac_halves(height, width):
    """The conversion of two tracks that hold three faces of an equi-angular cubemap each.

    GoPro's `.360` files are made so. A face is as high as a track. What the track is wider than
    three faces are two strips in the middle of its outer faces, which both lenses have seen: half
    of each copy is left out. Tracks without strips are halves of what v360 and YouTube make, with a
    border of two pixels, unless their faces are of a size that GoPro's cameras store.

    Args:
        height, width: of one track, width at least 3 * height.

    Returns:
        `Conversion`.
    """
    strip, half = (width - 3 * height) // 2, height // 2
    size = equirect_size(LAYOUTS['eac'], 2 * height, 3 * height)
    lines = []
    for row in range(2):
        border = 'pad=iw+{1}:ih+{1}:{0}:{0},fillborders={0}:{0}:{0}:{0}:smear'
        border = border.format(_EAC_BORDER, 2 * _EAC_BORDER)
        if not strip:
            lines.append(f'[v{row}]{border if height in _GOPRO_FACES else "null"}[row{row}]')
            continue
        middle = half + strip
        pieces = ((0, half), (middle, width - 2 * middle), (width - half, half))
        lines.append(f'[v{row}]split=3[a{row}][b{row}][c{row}]')
        for name, (start, count) in zip('abc', pieces):
            lines.append(f'[{name}{row}]crop={count}:{height}:{start}:0:exact=1[{name}{row}k]')
        lines.append(f'[a{row}k][b{row}k][c{row}k]hstack=3,{border}[row{row}]')
    lines.append(f'[row0][row1]vstack,{v360(LAYOUTS["eac"], *size)}[out]')
    return Conversion(';'.join(lines), *size, streams=(0, 1))


def two_circles(height, width, fov, turns=('', ''), streams=(0, 1), others=()):
    """The conversion of two tracks or files with one fisheye circle each.

    Args:
        height, width: of one track.
        fov: degrees across a circle.
        turns: ffmpeg filters that set the circles upright, '' for none.
        streams, others: see `Conversion`.

    Returns:
        `Conversion`.
    """
    size = equirect_size(LAYOUTS['dual_fisheye'], height, 2 * width, fov)
    lines = [f'[v{i}]{turn or "null"}[c{i}]' for i, turn in enumerate(turns)]
    lines.append(f'[c0][c1]hstack,{v360(LAYOUTS["dual_fisheye"], *size, fov)}[out]')
    return Conversion(';'.join(lines), *size, streams=tuple(streams), others=tuple(others))


def turned_circles(height, width, fov, turns):
    """The conversion of one picture with two fisheye circles, each turned; see `two_circles`."""
    size = equirect_size(LAYOUTS['dual_fisheye'], height, width, fov)
    lines = ['[v0]split[a][b]']
    for name, side, turn in zip('ab', (0, 1), turns):
        lines.append(f'[{name}]crop=iw/2:ih:{side}*iw/2:0,{turn or "null"}[c{side}]')
    lines.append(f'[c0][c1]hstack,{v360(LAYOUTS["dual_fisheye"], *size, fov)}[out]')
    return Conversion(';'.join(lines), *size)
