"""Pictures to judge a result by: coloured depth, panels of a clip's frames, trajectories."""

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common.run import atomic_path
from pano_depth.footage.geometry import from_first_frame
from pano_depth.reconstruction import metrics

# Full scale of the relative error in the panels.
MAX_ERROR = 0.5
# Full scale of the mean colour difference to the synthesised view.
MAX_DIFFERENCE = 0.2


def _is_depth(depth):
    return np.isfinite(depth) & (depth > 0)


def depth_range(depth):
    """Limits of a colour scale for a whole clip: 1st and 99th percentile of its valid depth.

    Args:
        depth: [...] range; 0 or non-finite where invalid.

    Returns:
        (low, high) floats, 0 < low < high.
    """
    depth = np.asarray(depth)
    valid = depth[_is_depth(depth)]
    if valid.size == 0:
        return 0.1, 10.0
    low, high = (float(value) for value in np.percentile(valid, [1, 99]))
    return (low, high) if high > low * 1.01 else (low * 0.9, low * 1.1)


def depth_colors(depth, *, low=None, high=None):
    """Colours range depth: near red, far blue (turbo over the logarithm), invalid black.

    Args:
        depth: [...] range; 0 or non-finite where invalid.
        low, high: the depths of the two ends of the scale, or None for `depth_range` of this array.

    Returns:
        [..., 3] uint8.

    Raises:
        ValueError: not 0 < low < high.
    """
    depth = np.asarray(depth, np.float32)
    found = depth_range(depth) if low is None or high is None else (low, high)
    low, high = found[0] if low is None else low, found[1] if high is None else high
    if not 0 < low < high:
        raise ValueError(f'low, high are {low}, {high}; accepted: 0 < low < high')
    valid = _is_depth(depth)
    near = (np.log(high) - np.log(np.where(valid, depth, high))) / (np.log(high) - np.log(low))
    colors = _colors(near, 'turbo')
    colors[~valid] = 0
    return colors


def _colors(fraction, name):
    """[..., 3] uint8 colours of fractions of a colour map, clipped to [0, 1]."""
    table = (matplotlib.colormaps[name](np.arange(256))[:, :3] * 255 + 0.5).astype(np.uint8)
    return table[(np.clip(fraction, 0, 1) * 255 + 0.5).astype(np.int32)]


def _error_colors(depth, truth):
    """Relative error, black to white at `MAX_ERROR`; green where there is no truth."""
    valid = _is_depth(truth) & _is_depth(depth)
    error = np.where(valid, np.abs(depth - truth) / np.where(valid, truth, 1), 0)
    colors = _colors(error / MAX_ERROR, 'gray')
    colors[~valid] = (0, 64, 0)
    return colors


def _disparity_colors(depth):
    """Disparity, dark far to bright near, on one linear scale."""
    valid = _is_depth(depth)
    disparity = np.where(valid, 1 / np.where(valid, depth, 1), 0)
    return _colors(disparity / max(np.percentile(disparity, 99), 1e-9), 'magma')


def _save(figure, path):
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format='png', dpi=100)


def _median_scaled(depth, truth):
    """Brings each frame's median depth to the true one, as the metrics do."""
    scaled = np.array(depth, np.float32)
    for d, t in zip(scaled, truth, strict=True):
        valid = _is_depth(t) & _is_depth(d)
        if valid.any():
            d *= np.median(t[valid]) / np.median(d[valid])
    return scaled


def clip_panels(path, frames, depth, *, truth=None, warped=None, labels=None, count=4, title=''):
    """Writes a PNG with one column per frame.

    The rows are input, depth and disparity and, where given, truth, error, the synthesised view and
    its difference from the input.

    With a truth, each shown depth is median-scaled to it, as in the metrics. Depth and truth share
    one colour scale.

    Args:
        path: destination.
        frames: [N, H, W, 3] uint8.
        depth: [N, H, W] range; 0 or non-finite where invalid.
        truth: [N, H, W] true range, or None.
        warped: [N, H, W, 3] uint8, the input as synthesised from a neighbour, or None.
        labels: [N] numbers that the frames are called by, or None for 0, 1, ...
        count: number of frames shown, evenly spaced.
        title: printed above.

    Raises:
        ValueError: shapes do not match or there is no frame.
    """
    frames, depth = np.asarray(frames), np.asarray(depth)
    one = frames.shape[:-1]
    arrays = (('depth', depth, one), ('truth', truth, one), ('warped', warped, frames.shape))
    for name, array, shape in arrays:
        if array is not None and np.shape(array) != shape:
            raise ValueError(
                f'{name} has shape {np.shape(array)}; accepted: {shape}, to match the frames'
            )
    if len(frames) == 0 or count < 1:
        raise ValueError(f'frames, count are {len(frames)}, {count}; accepted: at least one frame')
    shown = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    depth = (
        depth[shown] if truth is None else _median_scaled(depth[shown], np.asarray(truth)[shown])
    )
    low, high = depth_range(depth if truth is None else np.asarray(truth)[shown])
    rows = {
        'input': frames[shown],
        f'depth {low:.2g}-{high:.2g}': depth_colors(depth, low=low, high=high),
        'disparity': _disparity_colors(depth),
    }
    if truth is not None:
        rows['truth'] = depth_colors(np.asarray(truth)[shown], low=low, high=high)
        rows[f'rel. error 0-{MAX_ERROR}'] = _error_colors(depth, np.asarray(truth)[shown])
    if warped is not None:
        rows['synthesised'] = np.asarray(warped)[shown]
        difference = (
            np.abs(rows['synthesised'].astype(np.float32) - frames[shown]).mean(axis=-1) / 255
        )
        rows[f'difference 0-{MAX_DIFFERENCE}'] = _colors(difference / MAX_DIFFERENCE, 'gray')
    _save(_panel_figure(rows, shown if labels is None else np.asarray(labels)[shown], title), path)


def _panel_figure(rows, shown, title):
    figure = Figure(figsize=(3.6 * len(shown) + 0.4, 1.95 * len(rows) + 0.5), layout='constrained')
    axes = figure.subplots(len(rows), len(shown), squeeze=False)
    for row, (label, images) in enumerate(rows.items()):
        for column, image in enumerate(images):
            axis = axes[row, column]
            axis.imshow(image, interpolation='antialiased')
            axis.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(label)
    for column, index in enumerate(shown):
        axes[0, column].set_title(f'frame {index}', fontsize=9)
    if title:
        figure.suptitle(title)
    return figure


def trajectory_plot(path, predicted, truth=None, *, title='', unit='m'):
    """Writes a PNG of a camera path: from above (x right, z forward), and its height by frame.

    With a truth, both start in their own frame 0 and the prediction is scaled by
    `metrics.trajectory_scale`, as in the metrics.

    Args:
        path: destination.
        predicted: `Motion` of [N, 3, 3] and [N, 3], camera to world.
        truth: the true one, or None.
        title: printed above.
        unit: of the predicted translations, as the axes call it.

    Raises:
        ValueError: a trajectory is not [N, 3, 3] and [N, 3], or the lengths differ.
    """
    tracks = {'predicted': from_first_frame(predicted, 'predicted').translation}
    if truth is not None:
        tracks['predicted'] = tracks['predicted'] * metrics.trajectory_scale(predicted, truth)
        tracks['truth'] = from_first_frame(truth, 'truth').translation
    figure = Figure(figsize=(10, 4.6), layout='constrained')
    top, side = figure.subplots(1, 2)
    for (label, xyz), style in zip(tracks.items(), ('-o', '--'), strict=False):
        top.plot(xyz[:, 0], xyz[:, 2], style, label=label, markersize=2.5, linewidth=1.2)
        side.plot(-xyz[:, 1], style, label=label, markersize=2.5, linewidth=1.2)
    top.plot(0, 0, 'k^', label='start')
    top.set(xlabel=f'x, right ({unit})', ylabel=f'z, forward ({unit})', title='from above')
    top.set_aspect('equal', adjustable='datalim')
    side.set(xlabel='frame', ylabel=f'height above the start ({unit})', title='height')
    for axis in (top, side):
        axis.grid(alpha=0.3)
    top.legend()
    if title:
        figure.suptitle(title)
    _save(figure, path)
