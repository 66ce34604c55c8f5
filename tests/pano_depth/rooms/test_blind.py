import numpy as np

from pano_depth.rooms import blind


def test_blind_prior_is_the_median_of_valid_ranges():
    rng = np.random.default_rng(4)
    truths = rng.uniform(1, 5, (7, 8, 16)).astype(np.float32)
    expected = np.median(truths, axis=0)
    truths[1, 2, 3] = 0
    truths[:, 5, 5] = 0
    found = blind.blind_prior(iter(truths), 8)
    expected[2, 3] = np.median([v for v in truths[:, 2, 3] if v > 0])
    expected[5, 5] = np.median(truths[truths > 0])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # Halved, it takes one pixel of each block of four.
    small = blind.blind_prior(iter(truths[2:]), 4)
    np.testing.assert_allclose(small[:2], np.median(truths[2:, 1::2, 1::2], axis=0)[:2], rtol=1e-6)


def test_the_prior_of_the_package_is_a_room_without_anything_in_it(tmp_path):
    prior = blind.training_prior()
    assert prior.shape == (64, 128) and (prior > 0.5).all() and (prior < 10).all()
    # Floor and ceiling are near, walls are farther; rooms look alike in all directions.
    assert prior[-1].mean() < prior[32].mean() > prior[0].mean()
    assert np.ptp(prior[32]) < 0.3 * prior[32].mean()
    blind.write_prior(tmp_path / 'blind.npz', prior)
    with np.load(tmp_path / 'blind.npz') as file:
        np.testing.assert_array_equal(file['depth'].astype(np.float32), prior)
