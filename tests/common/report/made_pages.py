"""A report with a block of every kind, for the tests of pages."""

import io

import numpy as np
from PIL import Image

from common.report import Report


def png(size=(8, 4), mode='RGB'):
    out = io.BytesIO()
    Image.new(mode, size, (200, 30, 40) if mode == 'RGB' else (200, 30, 40, 255)).save(out, 'PNG')
    return out.getvalue()


def room(count=20_000, seed=0):
    """Points on the walls of a box of 4 x 3 x 6 with y up, coloured by position."""
    points = np.random.default_rng(seed).uniform(-1, 1, (count, 3))
    side = np.abs(points).argmax(axis=-1)
    points[np.arange(count), side] = np.sign(points[np.arange(count), side])
    colors = (127 + 120 * points).astype(np.uint8)
    return (points * [2, 1.5, 3]).astype(np.float32), colors


def sample():
    """A page with a block of every kind; its charts have 2 and 1 series."""
    points, colors = room()
    turns = np.linspace(0, 4, 30)
    page = Report('A run', subtitle='of today')
    page.section('Numbers')
    page.text('Some words.')
    page.table(
        'Scores', ['model', 'error (m)'], [['ours', 0.25], ['theirs', 0.5]], better=[None, 'lower']
    )
    page.facts({'device': {'kind': 'cpu', 'count': 1}, 'commit': None})
    page.code('main.py --steps=3', summary='Command')
    page.section('Curves')
    steps = np.arange(100)
    losses = {'loss': (steps, np.exp(-steps / 30)), 'part': (steps, np.exp(-steps / 20))}
    page.curves('Loss', losses, log=True)
    page.curves('Speed', {'speed': (steps, steps % 7)}, y_label='steps/s')
    page.section('Scene')
    page.image(png(), 'Red.', alt='a red picture')
    circle = np.stack([np.sin(turns), 0 * turns, np.cos(turns)], axis=-1)
    page.point_cloud(points, colors, path=circle, caption='A room.')
    return page
