"""Turns still images of any layout into panoramas, through the same filters of ffmpeg as video."""

import subprocess

import numpy as np

from pano_depth.footage.video import program


def convert_image(image, conversion):
    """Converts one image.

    v360 does it, as for video: one table of layouts, one interpolation, one look of both.

    Args:
        image: [H, W, 3] uint8 RGB, or [H, W, 4] with alpha.
        conversion: `Conversion` with one input, of images of this size.

    Returns:
        [height, width, 3 or 4] uint8, a panorama.

    Raises:
        ValueError: ffmpeg cannot do it.
    """
    height, width, channels = image.shape
    pixels = {3: 'rgb24', 4: 'rgba'}[channels]
    source = ['-f', 'rawvideo', '-pix_fmt', pixels, '-s', f'{width}x{height}', '-i', '-']
    graph = conversion.graph.replace('[v0]', '[0:v]')
    target = ['-map', '[out]', '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', pixels, '-']
    command = [program.program(), '-v', 'error', *source, '-filter_complex', graph, *target]
    run = subprocess.run(command, input=np.ascontiguousarray(image).tobytes(), capture_output=True)
    shape = conversion.height, conversion.width, channels
    if run.returncode or len(run.stdout) != np.prod(shape):
        reason = run.stderr.decode(errors='replace').strip() or f'exit status {run.returncode}'
        raise ValueError(f'the image cannot be converted; ffmpeg says: {reason}')
    return np.frombuffer(run.stdout, np.uint8).reshape(shape)
