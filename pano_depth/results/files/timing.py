"""What `run.json` says of the times of the frames, and how their video is paced."""

import numpy as np

EVEN = 0.02  # part of the usual step by which others may differ and still count as even
TICKS = 1e-3  # seconds: files that store whole milliseconds are even too


def facts_of(times, fps):
    """What is known of the times of frames.

    Args:
        times: [N] seconds, increasing.
        fps: frames a second of the footage, over the frames that are used: the rate of one frame.

    Returns:
        dict for `run.json`: `fps`, the rate of the usual step, and `frame_times` in words.
    """
    steps = np.diff(times)
    if not len(steps):
        return {'fps': fps, 'frame_times': 'one frame'}
    if are_even(times):
        # The mean is exact where single steps are rounded to the ticks of a file.
        mean = len(steps) / (times[-1] - times[0])
        rate = fps if abs(mean / fps - 1) < 1e-3 else float(mean)
        return {'fps': rate, 'frame_times': 'even'}
    return {
        'fps': float(1 / np.median(steps)),
        'frame_times': f'variable: {steps.min():.4g} to {steps.max():.4g} s between frames; fps is'
        ' that of the median',
    }


def are_even(times):
    """Whether frames [N] follow each other at one rate."""
    steps = np.diff(times)
    if not len(steps):
        return True
    usual = np.median(steps)
    return bool((np.abs(steps - usual) <= max(EVEN * usual, TICKS * 1.1)).all())
