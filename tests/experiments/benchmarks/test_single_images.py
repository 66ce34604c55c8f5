"""What the benchmark of single images says of confidence."""

import numpy as np
import pytest

from experiments.benchmarks.depth import single_images


def test_tenths_sort_by_confidence_align_each_image_and_leave_out_what_is_far():
    truth = np.full((2, 10, 20), 2.0)
    truth[0, :, 10:] = 20.0  # farther than what counts
    predicted = 3 * truth  # of another unit
    predicted[1] *= 2
    sure = np.linspace(0.5, 0.4, 200).reshape(10, 20)
    confidence = np.stack([np.full((10, 20), 0.1), sure])
    # A third of the pixels, those of the first image, are the least sure; of them 40 are wrong.
    predicted[0, 6:, :10] *= 1.3
    parts = single_images.tenths(predicted, truth, confidence)
    assert len(parts) == 10
    assert [part['confidence'] for part in parts] == sorted(
        (part['confidence'] for part in parts), reverse=True
    )
    assert [part['within'] for part in parts[:6]] == [1.0] * 6
    # 300 pixels count; all but the wrong 40 are within a tenth.
    assert sum(part['within'] for part in parts) / 10 == pytest.approx(260 / 300)


def test_the_tables_have_a_column_for_each_style():
    parts = [{'confidence': 0.45, 'within': 0.9}, *[{'confidence': 0.2, 'within': 0.4}] * 9]
    row = {'style': 'wide', 'rooms': 4, 'one_view': 0.125, 'several_views': 0.118, 'tenths': parts}
    text = single_images.tables([row, row | {'style': 'usual', 'one_view': 0.091}])
    assert '| 4 wide | 0.125 | 0.118 |' in text and '| 4 usual | 0.091 | 0.118 |' in text
    assert '| pixels by confidence | wide | usual |' in text
    assert '| tenth 1 | 90 % (claimed 90 %) | 90 % (claimed 90 %) |' in text
    assert '| tenth 10 | 40 % (claimed 40 %) |' in text
