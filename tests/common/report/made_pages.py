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


# What the six sides of `sides_picture` show: (yaw, pitch) towards the side, its colour.
SIDES = {
    'front': ((0, 0), (220, 40, 40)),
    'right': ((90, 0), (40, 200, 40)),
    'back': ((180, 0), (40, 60, 220)),
    'left': ((-90, 0), (220, 210, 40)),
    'up': ((0, 90), (240, 240, 240)),
    'down': ((0, -90), (20, 20, 20)),
}


def sides_picture(height=64):
    """PNG of an equirectangular picture in which the four walls, top and bottom have a colour."""
    lon = ((np.arange(2 * height) + 0.5) / height - 1) * 180
    lat = 90 - (np.arange(height) + 0.5) / height * 180
    walls = [SIDES[name][1] for name in ('front', 'right', 'back', 'left')]
    pixels = np.array(walls)[np.round(lon / 90).astype(int) % 4][None].repeat(height, axis=0)
    pixels[lat > 50] = SIDES['up'][1]
    pixels[lat < -50] = SIDES['down'][1]
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, 'PNG')
    return out.getvalue()


def panoramas():
    """A page with panoramas of two frames: sides in colour, and plain red as depth."""
    page = Report('Around')
    frames = [
        (f'frame {i}', {'Colour': sides_picture(), 'Depth': png((64 + 64 * i, 32 + 32 * i))})
        for i in range(2)
    ]
    page.panorama(frames, caption='Walls.', alt='A room.')
    return page


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
