"""Which faces nobody learns from."""

import numpy as np
import pytest

from understudy.core.training.split import SPARED_GAP, split_held_out


def test_of_one_track_two_runs_of_neighbours_with_a_gap_around_them() -> None:
    kept, spared = split_held_out(np.zeros(200, np.int64))
    assert kept.sum() == 8 and kept[-4:].all() and np.diff(np.flatnonzero(kept)).max() > 50
    assert spared.sum() == 3 * SPARED_GAP and not (kept & spared).any()
    learnt = np.flatnonzero(~(kept | spared))
    assert np.abs(np.flatnonzero(kept)[:, None] - learnt).min() > SPARED_GAP


def test_of_several_tracks_whole_ones() -> None:
    tracks = np.repeat([0, 1, 2, 3, 4], [300, 19, 400, 17, 264])
    kept, spared = split_held_out(tracks)
    assert (
        kept.sum() == 36
        and set(tracks[kept]) == {1, 3}
        and not np.isin(tracks[~kept], [1, 3]).any()
    )
    assert not (kept & spared).any() and spared.sum() == 4 * SPARED_GAP


@pytest.mark.parametrize(
    "tracks",
    [[0] * 500 + [1] * 500, [0] * 997 + [1] * 3, [-1] * 1000],
    ids=["long", "tiny", "none"],
)
def test_tracks_that_are_too_long_or_too_short_are_not_held_out_whole(tracks: list[int]) -> None:
    kept, _ = split_held_out(np.array(tracks))
    assert kept.sum() == 40 and kept[-20:].all()


def test_of_few_faces_none_and_of_hardly_more_the_gap_is_small() -> None:
    assert not np.concatenate(split_held_out(np.zeros(39, np.int64))).any()
    kept, spared = split_held_out(np.zeros(40, np.int64))
    assert kept.sum() == 4 and spared.sum() == 3
    assert not np.concatenate(split_held_out(np.zeros(0, np.int64))).any()


def test_neighbours_are_spared_within_their_own_footage() -> None:
    tracks, footage = np.repeat([0, 1, 2], [90, 8, 102]), np.repeat([0, 1, 2], [90, 8, 102])
    kept, spared = split_held_out(tracks, footage)
    assert (tracks[kept] == 1).all() and kept.sum() == 8
    assert not spared.any()
