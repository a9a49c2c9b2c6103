"""Many faces in order, without comparing each with each: as good as where each is compared."""

import numpy as np
import pytest

from understudy.core.sorting.choice import choose_best, pose_bins, share_out
from understudy.core.sorting.looks import (
    bhattacharyya,
    find_duplicates,
    hellinger,
    mean_bhattacharyya,
)
from understudy.core.sorting.neighbours import LEAF, find_neighbours
from understudy.core.sorting.spread import most_varied
from understudy.core.sorting.tour import far_tour, short_tour, steps_of


def histograms(count, seed=0, scenes=4):
    """Histograms (N, 3, 32) of faces in a few scenes, whose light wanders."""
    random = np.random.default_rng(seed)
    scene = random.integers(0, scenes, count)
    middle = 3 + 6 * scene[:, None] + random.normal(0, 0.3, (count, 3))
    bins = np.exp(-0.5 * ((np.arange(32) - middle[..., None]) / 2) ** 2) + 1e-4
    return (bins / bins.sum(axis=2, keepdims=True)).astype(np.float32), scene


def greedy_chain(distance):
    """From the first row on always to the nearest that is left."""
    order, left = [0], set(range(1, len(distance)))
    while left:
        rows = np.array(sorted(left))
        order.append(int(rows[np.argmin(distance[order[-1], rows])]))
        left.remove(order[-1])
    return np.array(order)


def test_a_tour_is_shorter_than_going_on_to_the_nearest_and_keeps_scenes_together():
    colours, scene = histograms(500)

    def distance(first, second):
        return bhattacharyya(colours[first], colours[second])

    rows = np.arange(500)
    every = np.stack([distance(np.full(500, row), rows) for row in rows])
    plain, found = greedy_chain(every), short_tour(hellinger(colours), distance)
    assert np.array_equal(np.sort(found), rows)
    assert steps_of(found, distance).sum() < steps_of(plain, distance).sum()
    # Cut at its long steps it falls into the same groups as the other.
    groups = [
        {frozenset(part.tolist()) for part in np.split(order, np.flatnonzero(steps > 0.6))}
        for order in (plain, found)
        for steps in [steps_of(order, distance)]
    ]
    assert groups[0] == groups[1] == {frozenset(np.flatnonzero(scene == n)) for n in range(4)}


def test_a_tour_of_more_than_are_compared_with_one_another_is_as_short():
    points = np.random.default_rng(1).uniform(0, 1, (6 * LEAF, 2)).astype(np.float32)

    def distance(first, second):
        return np.linalg.norm(points[first] - points[second], axis=1)

    found = short_tour(points, distance)
    assert np.array_equal(np.sort(found), np.arange(len(points)))
    # The shortest tour there is has about 0.7124 sqrt(N); to the nearest each time takes 0.9.
    assert steps_of(found, distance).sum() / np.sqrt(len(points)) < 0.86


def test_nearly_all_nearest_neighbours_are_found():
    points = np.random.default_rng(2).normal(0, 1, (4 * LEAF, 6)).astype(np.float32)
    first, second = find_neighbours(points, 8)
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    squares = ((points[:, None] - points[None, ::7]) ** 2).sum(axis=2)
    squares[np.arange(0, len(points), 7), np.arange(squares.shape[1])] = np.inf
    nearest = squares.argmin(axis=0)
    hits = [
        (min(7 * at, row), max(7 * at, row)) in pairs for at, row in enumerate(nearest.tolist())
    ]
    assert np.mean(hits) > 0.95


def test_unlike_histograms_are_those_that_differ_from_all():
    colours, _ = histograms(300)
    every = np.stack(
        [bhattacharyya(np.broadcast_to(each, colours.shape), colours) for each in colours]
    )
    assert np.allclose(mean_bhattacharyya(colours), every.mean(axis=1), atol=1e-4)


def test_of_each_run_of_still_frames_one_is_kept():
    random = np.random.default_rng(3)
    stills = random.integers(0, 256, (40, 16, 16))
    lengths = random.integers(1, 60, 40)
    frames = np.repeat(stills, lengths, axis=0) + random.integers(-2, 3, (lengths.sum(), 16, 16))
    frames = np.clip(frames, 0, 255).astype(np.uint8)
    quality = random.uniform(0, 1, len(frames))
    kept = find_duplicates(frames, 6, quality)
    run = np.repeat(np.arange(40), lengths)
    assert np.array_equal(run[kept], run) and len(np.unique(kept)) == 40
    assert all(quality[kept[run == each][0]] == quality[run == each].max() for each in range(40))


@pytest.mark.parametrize("count", [400, LEAF + 300])
def test_duplicates_are_those_of_a_comparison_of_each_with_each(count):
    random = np.random.default_rng(4)
    # They wander, so that which is whose duplicate hangs on the order in which they are taken.
    steps = random.integers(-3, 4, (count, 4, 4))
    frames = np.clip(128 + np.cumsum(steps, axis=0), 0, 255).astype(np.uint8)
    quality = random.permutation(count).astype(np.float64)
    kept = []
    for row in np.argsort(-quality).tolist():
        far = [abs(frames[row].astype(int) - frames[each]).max() > 12 for each in kept]
        if all(far):
            kept.append(row)
    found = find_duplicates(frames, 12, quality)
    assert set(np.flatnonzero(found == np.arange(count))) == set(kept)


def test_the_most_varied_come_first():
    points = np.random.default_rng(5).normal(0, 1, (300, 5)).astype(np.float32)
    taken = most_varied(points, 40)
    plain = [int(np.argmax(((points - points.mean(axis=0)) ** 2).sum(axis=1)))]
    while len(plain) < 40:
        away = np.linalg.norm(points[:, None] - points[plain], axis=2).min(axis=1)
        plain.append(int(np.argmax(away)))
    assert taken.tolist() == plain


def test_dissimilar_neighbours_differ_as_much_as_when_each_is_compared():
    points = np.random.default_rng(6).uniform(0, 255, (300, 20)).astype(np.float32)
    found, plain, left = far_tour(points), [0], list(range(1, 300))
    while left:
        away = np.abs(points[left] - points[plain[-1]]).sum(axis=1)
        plain.append(left.pop(int(np.argmax(away))))
    assert found.tolist() == plain


def test_a_choice_shows_every_pose_rare_ones_more_and_takes_the_best_of_each():
    random = np.random.default_rng(7)
    pose = np.column_stack(
        [random.normal(0, 0.2, 3000), random.normal(0, 0.5, 3000), np.zeros(3000)]
    )
    bins, _ = pose_bins(pose, np.radians(5), 300)
    number = np.unique(bins, axis=0, return_inverse=True)[1].ravel()
    quality = random.uniform(0, 1, 3000)
    chosen = choose_best(number, quality, random.normal(0, 1, (3000, 4)).astype(np.float32), 300)
    assert chosen.sum() == 300 and set(number[chosen]) == set(number)
    counts, sizes = np.bincount(number[chosen]), np.bincount(number)
    # The larger a bin, the more are taken of it, and the less of a share.
    by_size = np.argsort(sizes, kind="stable")
    few, many = np.array_split(by_size, 2)
    assert counts[few].mean() < counts[many].mean()
    assert (counts / sizes)[few].mean() > 1.5 * (counts / sizes)[many].mean()
    assert quality[chosen].mean() > 0.6
    for bin in np.flatnonzero(counts == 1):
        assert quality[chosen & (number == bin)] == quality[number == bin].max()


def test_fewer_faces_than_ways_to_look_are_chosen_where_most_look():
    random = np.random.default_rng(3)
    pose = random.normal(0, 0.3, (200, 3)).astype(np.float32) + np.array([0.2, -0.2, 0])
    for count in (1, 2, 3):
        bins, step = pose_bins(pose, np.radians(5), count)
        number = np.unique(bins, axis=0, return_inverse=True)[1].ravel()
        chosen = choose_best(number, np.ones(200), pose, count)
        assert chosen.sum() == count and step < np.pi / 2
        assert number[chosen][0] in np.argsort(-np.bincount(number))[:count]
    assert chosen[number == np.bincount(number).argmax()].any()


def test_what_one_group_lacks_goes_to_the_others():
    assert share_out(np.array([1, 10, 4]), 9).tolist() == [1, 5, 3]
    assert share_out(np.array([5, 5]), 100).tolist() == [5, 5]
    assert share_out(np.array([3, 3, 3]), 4).tolist() == [2, 1, 1]
