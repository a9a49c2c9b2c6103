"""One number for a model, by what it makes of faces that it never learnt from."""

import math

from understudy.core.training.score import compute_score, is_better, score_curve

REBUILT = {"src l1": 0.02, "src dssim": 0.04, "dst l1": 0.04, "dst dssim": 0.06}


def test_both_sides_count_alike_and_the_swap_a_little() -> None:
    assert math.isclose(compute_score(REBUILT), 0.08)
    assert math.isclose(compute_score(REBUILT | {"identity": 1.2, "expression": 1}), 0.08)
    assert math.isclose(compute_score(REBUILT | {"identity": 0.5, "expression": 0.5}), 0.08 * 1.05)
    assert math.isclose(compute_score(REBUILT | {"identity": -0.3, "expression": -1}), 0.08 * 1.1)
    assert math.isclose(
        compute_score({"dst l1": 0.04, "dst dssim": 0.06, "src mask": 1}), 0.1
    ) and math.isnan(compute_score({}))


def test_noise_has_no_score_and_former_scores_of_noise_do_not_count() -> None:
    assert math.isnan(compute_score(REBUILT | {"found": 0.1}))
    assert math.isclose(compute_score(REBUILT | {"found": 0.9}), 0.08)
    rows = [{"iteration": at, "held_out": {"score": 1.0, "found": at / 2}} for at in (0, 1, 2)]
    assert score_curve(rows) == ([1, 2], [1.0, 1.0])


def test_what_is_only_a_little_better_is_not_better() -> None:
    assert is_better(0.98, 1.0) and not is_better(0.995, 1.0) and not is_better(math.nan, 1.0)


def test_a_course_begins_where_what_is_learnt_changed() -> None:
    rows = [
        {"iteration": 10, "held_out": {"score": 3.0}},
        {"iteration": 10, "changed": "gan_power is 0.1"},
        {"iteration": 20, "losses": {"src": 1.0}},
        {"iteration": 20, "held_out": {"score": 2.0}},
        {"iteration": 30, "held_out": {"src mask": 0.9}},
        {"iteration": 40, "held_out": {"score": 1.0}},
    ]
    assert score_curve(rows) == ([20, 40], [2.0, 1.0])
