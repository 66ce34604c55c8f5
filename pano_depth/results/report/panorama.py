"""Panoramas in the report: a few frames in colour and as depth, in which one looks around."""

import io
import pathlib

import numpy as np
from PIL import Image

from common.report.page import Report
from pano_depth.footage import media
from pano_depth.results import panels
from pano_depth.results.files.stored import StoredRun

MOST_FRAMES = 8
ROWS = 512  # of the pictures, at most
# Bytes of all pictures: with one cloud and the panels the page stays below 6 MB.
BUDGET = 1_400_000
_QUALITIES = (85, 75, 60, 45)


def add_panorama(page: Report, folder: pathlib.Path) -> None:
    """Adds a section with panoramas of frames that lie evenly over the footage.

    Args:
        page: the page.
        folder: the run directory; its frames come from depth.mp4, their depth from depth/.

    Raises:
        ValueError: a file is damaged.
    """
    run = StoredRun(folder)
    count = len(run.numbers)
    if not count:
        return
    positions = range(0, count, -(-count // MOST_FRAMES))
    layers = _layers(run, positions)
    pictures = _within(layers, BUDGET)
    part = Report('')
    part.section('Panorama')
    part.panorama(
        [(f'frame {run.numbers[i]}', pictures[i]) for i in positions],
        caption=(
            'Frames as seen from the camera. Depth runs from near (red) to far (blue) on a log'
            ' scale, one scale for all frames; black has no depth.'
        ),
        alt='Panorama around the camera.',
    )
    page.add(part)


def _layers(run, positions):
    """{position: {name: [h, 2h, 3] uint8}}; colour only where all frames have it."""
    depth = {i: _smaller(run.depth(i)) for i in positions}
    low, high = panels.depth_range(np.stack([found[::2, ::2] for found in depth.values()]))
    colour = dict(run.some_images(positions))
    layers = {}
    for i in positions:
        layers[i] = {'Depth': panels.depth_colors(depth[i], low=low, high=high)}
        if len(colour) == len(positions):
            rows = min(ROWS, len(colour[i]))
            layers[i] = {'Colour': media.resize_equirect(colour[i], rows, 2 * rows)} | layers[i]
    return layers


def _smaller(depth):
    return depth if len(depth) <= ROWS else media.nearest(depth, ROWS)


def _within(layers, budget):
    """The layers as JPEG, of the best quality whose bytes stay within the budget, or the least."""
    for quality in _QUALITIES:
        found = {
            i: {name: _jpeg(image, quality) for name, image in one.items()}
            for i, one in layers.items()
        }
        if sum(len(data) for one in found.values() for data in one.values()) <= budget:
            break
    return found


def _jpeg(image, quality):
    out = io.BytesIO()
    Image.fromarray(image).save(out, 'JPEG', quality=quality)
    return out.getvalue()
