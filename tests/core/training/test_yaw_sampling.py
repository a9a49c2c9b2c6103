import numpy as np

from understudy.core.training import yaw_sampling


def chance() -> np.random.Generator:
    return np.random.default_rng(0)


def test_rare_turns_come_as_often_as_common_ones() -> None:
    angles = np.array([0.0] * 90 + [0.5] * 9 + [-1.5], np.float32)
    rows = yaw_sampling.sample_uniform(chance(), angles, 3000)
    shares = [
        np.mean(angles[rows] == angle)
        for angle in (np.float32(0), np.float32(0.5), np.float32(-1.5))
    ]
    assert np.allclose(shares, 1 / 3, atol=0.03)
    assert len(set(rows[angles[rows] == 0])) == 90


def test_each_wanted_turn_finds_the_nearest_face() -> None:
    angles = np.array([-0.8, -0.3, 0.02, 0.6], np.float32)
    rows, mirrored = yaw_sampling.sample_matching(
        chance(), angles, np.array([-0.7, 0.05, 0.9, 3.0, -0.3], np.float32), flips=False
    )
    assert rows.tolist() == [0, 2, 3, 3, 1] and not mirrored.any()


def test_a_face_that_turns_the_other_way_serves_mirrored_where_it_may() -> None:
    angles = np.array([-0.8, 0.1], np.float32)
    wanted = np.array([0.8, 0.1, -0.8], np.float32)
    assert yaw_sampling.sample_matching(chance(), angles, wanted, flips=False)[0].tolist() == [
        1,
        1,
        0,
    ]
    rows, mirrored = yaw_sampling.sample_matching(chance(), angles, wanted, flips=True)
    assert rows.tolist() == [0, 1, 0] and mirrored.tolist() == [True, False, False]


def test_the_search_goes_as_the_field_does_it() -> None:
    """t - i, (63 - t) - i, t + i, (63 - t) + i for i = 0, 1, …"""
    rng = chance()
    for _ in range(200):
        angles = rng.uniform(-0.99, 0.99, 3).astype(np.float32)
        wanted = rng.uniform(-0.99, 0.99, 1).astype(np.float32)
        bins, goal = np.floor((angles + 1) * 32).astype(int), int((wanted[0] + 1) * 32)
        found = next(
            bin
            for i in range(64)
            for bin in (goal - i, 63 - goal - i, goal + i, 63 - goal + i)
            if bin in bins
        )
        rows, mirrored = yaw_sampling.sample_matching(rng, angles, wanted, flips=True)
        assert bins[rows[0]] == found and mirrored[0] == ((found < 32) != (goal < 32))
