"""The unit of a result: metres where they are known, else one that suits 16 bits."""

import numpy as np

from pano_depth.reconstruction import infer, scale, validity

# Without a known scale the median depth of a clip becomes this many units, so that 16-bit
# millimetres resolve it well.
MEDIAN_UNITS = 2.0
SAMPLES = 64  # frames by which a clip is measured


def fix_scale(
    analysis, config, *, camera_height=None, mask=None, refined=None, down_of=None, samples=SAMPLES
):
    """Brings an `Analysis` into metres, or into a unit that suits 16 bits.

    Args:
        analysis: `infer.Analysis`.
        config: `ModelConfig`.
        camera_height: metres over the floor, or None if unknown.
        mask: False where pixels do not count, of any size: one for all frames, or one for each; or
            None.
        refined: `refined.Refined` depth, which is measured instead of the networks'; its unit is
            set too. Or None.
        down_of: function of the number of a frame that gives the unit vector down in its camera
            frame, or None where it is upright; None for an upright camera.
        samples: number of frames to measure.

    Returns:
        (analysis, facts): the rescaled one, and what `run.json` says about it.

    Raises:
        ValueError: the camera's height is given, but nothing below it is seen.
    """
    count = len(analysis.units)
    shown = np.unique(np.linspace(0, count - 1, min(samples, count)).astype(int))
    if camera_height is None:
        middle = infer.median_depth(analysis, mask=mask)
        if refined is not None:
            known = [depth[depth > 0] for depth in map(refined.depth, shown)]
            middles = [np.median(depth) for depth in known if depth.size]
            middle = np.median(middles) if middles else middle
        factor = float(MEDIAN_UNITS / middle)
        facts = {
            'scale': (
                'relative: nothing in the images tells metres; the median depth of the clip is'
                f' {MEDIAN_UNITS} units (--camera_height=METRES fixes it)'
            ),
            'unit': 'relative',
        }
    else:
        height = 2 * config.face_size if refined is None else refined.height
        depth_of = infer.depth_maps(config, 2 * config.face_size)
        depths = (
            np.asarray(depth_of(analysis.disparity[[i]], analysis.units[[i]]))[0]
            if refined is None
            else refined.depth(i)
            for i in shown
        )
        masks = None
        if mask is not None:
            masks = np.stack([validity.of_frame(mask, i, height) for i in shown])
        found, spread = scale.clip_floor_height(
            depths, mask=masks, downs=None if down_of is None else map(down_of, shown)
        )
        factor = camera_height / found
        facts = {
            'scale': f'metres: the floor lies {camera_height} m below the camera',
            'unit': 'metre',
            'camera_height_m': camera_height,
            'floor_spread': spread,
        }
    if refined is not None:
        refined.unit = factor
    return infer.scaled(analysis, factor), facts
