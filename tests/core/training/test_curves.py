"""A history as lines and events."""

import numpy as np

from understudy.core.training.curves import MAX_POINTS, collect_curves, merge_curves


def test_lines_are_sorted_by_what_they_show_and_events_stand_where_they_happened() -> None:
    found = collect_curves(
        [
            {"iteration": 10, "losses": {"src": 1.0, "mask": 0.5}},
            {
                "iteration": 10,
                "held_out": {
                    "src l1": 0.1,
                    "dst dssim": 0.2,
                    "src mask": 0.9,
                    "identity": 0.3,
                    "found": 1,
                    "pose": 2,
                },
            },
            {"iteration": 12, "changed": "gan_power is 0.1"},
            {"iteration": 12, "setback": "back from 14"},
        ]
    )
    assert set(found.lines["losses"]) == {"src", "mask"} and found.lines["losses"]["src"] == (
        [10],
        [1.0],
    )
    assert set(found.lines["reconstruction"]) == {"src l1", "dst dssim"} and set(
        found.lines["swap"]
    ) == {
        "src mask",
        "identity",
    }
    assert (
        found.events == [(12, "gan_power is 0.1"), (12, "back from 14")] and found.forecast is None
    )
    both = merge_curves({"a": found, "b": found})
    assert (
        set(both.lines["losses"]) == {"a: src", "a: mask", "b: src", "b: mask"}
        and (12, "b: back from 14") in both.events
    )


def test_a_long_line_is_thinned_and_keeps_its_course() -> None:
    rows = [{"iteration": at, "losses": {"src": float(at)}} for at in range(1, 5001)]
    x, y = collect_curves(rows).lines["losses"]["src"]
    assert len(x) == MAX_POINTS and np.allclose(x, y) and x[0] < 10 and x[-1] > 4990
