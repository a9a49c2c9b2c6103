"""Plots as text: well-formed, small however long the clip, and nothing short is lost."""

from xml.etree import ElementTree

import numpy as np
import pytest
from fuzzing import ODD_TEXTS

from understudy.core.drawing import svg
from understudy.core.drawing.svg import Bar

NONE = np.zeros(0, np.int64)
SVG = "{http://www.w3.org/2000/svg}"


def groups(text: str) -> dict[str, list[ElementTree.Element]]:
    """The rectangles of a plot by the title of their group."""
    found: dict[str, list[ElementTree.Element]] = {}
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        found.setdefault(group.findtext(f"{SVG}title") or "", []).extend(
            group.findall(f"{SVG}rect")
        )
    return found


def test_tracks_that_overlap_lie_above_each_other():
    bars = [
        Bar("a", 0, np.arange(0, 50), NONE),
        Bar("b", 1, np.arange(40, 90), NONE),
        Bar("c", 2, np.arange(60, 99), NONE),
    ]
    told = groups(svg.draw_timeline(bars, NONE, (0, 99), "no face"))
    rows = {name: told[name][0].get("y") for name in "abc"}
    assert rows["a"] == rows["c"] != rows["b"]


def test_a_long_clip_makes_a_small_plot_and_one_bad_frame_still_shows():
    flicker = np.arange(0, 1_000_000, 2)
    text = svg.draw_timeline(
        [Bar("a", 0, flicker, flicker)], np.array([123_456]), (0, 999_999), "no face"
    )
    assert len(text) < 200_000
    (rect,) = groups(text)["no face"]
    assert float(rect.get("width", 0)) >= 1


def test_names_cannot_break_the_page():
    text = svg.draw_timeline(
        [Bar("<script>&\"'", 0, np.arange(3), NONE)], NONE, (0, 2), "no <face>"
    )
    assert "<script>" not in text and "no <face>" not in text
    assert "<script>&\"'" in groups(text)


def test_many_tracks_at_once_share_the_last_lane():
    bars = [Bar(str(number), number, np.arange(number, 200), NONE) for number in range(100)]
    height = float(
        ElementTree.fromstring(svg.draw_timeline(bars, NONE, (0, 200), "x"))
        .get("viewBox", "")
        .split()[3]
    )
    assert height < 400


def test_a_histogram_counts_every_value_and_leaves_out_what_is_unknown():
    titles = groups(
        svg.draw_histogram([1, 1, 2, 9, np.nan, np.inf], "pixels", bins=10, low=0, high=10)
    )
    assert sum(int(title.rsplit(": ")[-1]) for title in titles) == 4
    assert "nothing measured" in svg.draw_histogram([np.nan], "pixels")
    assert ElementTree.fromstring(svg.draw_histogram([3.0], "pixels")) is not None


def test_a_head_that_looks_left_lies_left_on_the_map():
    def place(yaw: float, pitch: float) -> tuple[float, float]:
        text = svg.draw_heatmap([yaw], [pitch], 5, (45, 30), ("l", "r", "u", "d"))
        (rect,) = [rect for rects in groups(text).values() for rect in rects]
        return float(rect.get("x", 0)), float(rect.get("y", 0))

    assert place(20, 0)[0] < place(-20, 0)[0] and place(0, 20)[1] < place(0, -20)[1]
    assert place(89, 89) is not None


def test_an_empty_timeline_and_a_single_frame_can_be_drawn():
    for text in (
        svg.draw_timeline([], NONE, (0, 0), "x"),
        svg.draw_timeline([Bar("a", -1, np.array([0]), NONE)], NONE, (0, 0), "x"),
    ):
        ElementTree.fromstring(text)


def test_curves_fall_where_values_do_and_marks_stand_where_something_happened() -> None:
    x = list(range(1, 101))
    text = svg.draw_curves(
        {"a <b>": (x, [2 / i for i in x]), "none": ([], [])},
        [(50, "plateau & more")],
        is_logarithmic=True,
    )
    root = ElementTree.fromstring(text)
    (line,) = [group for group in root.iter(f"{SVG}g") if group.findtext(f"{SVG}title") == "a <b>"]
    points = [
        [float(each) for each in pair.split()]
        for pair in line.find(f"{SVG}path").attrib["d"][1:].split("L")
    ]
    assert len(points) == 100 and points[0][1] < points[-1][1] and points[0][0] < points[-1][0]
    (mark,) = [
        path for path in root.iter(f"{SVG}path") if path.findtext(f"{SVG}title") == "plateau & more"
    ]
    assert points[48][0] < float(mark.attrib["d"][1:].split()[0]) < points[50][0]


def test_without_a_value_to_draw_it_says_so() -> None:
    assert "nothing measured" in svg.draw_curves(
        {"a": ([1, 2], [0, float("nan")])}, [], is_logarithmic=True
    )
    assert "<svg" in svg.draw_curves({"a": ([1], [0])}, [], is_logarithmic=False)


def test_a_file_of_curves_stands_alone_with_titles_legend_and_colours() -> None:
    plots = [
        svg.CurvePlot("losses <a>", {"src & dst": ([1, 2], [0.5, 0.25])}, [(1, "changed " * 9)]),
        svg.CurvePlot("nothing", {}),
        svg.CurvePlot("many", {str(n): ([0, 1], [n, n + 1]) for n in range(30)}, (), False),
    ]
    root = ElementTree.fromstring(svg.draw_curves_file(plots))
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    for shown in ("losses <a>", "src & dst", "nothing measured yet", "29"):
        assert shown in texts
    assert any(text.startswith("changed") and text.endswith("…") for text in texts)
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")
    height = float(root.get("viewBox", "").split()[3])
    ground = root.find(f"{SVG}rect[@class='ground']")
    assert ground is not None and float(ground.get("height", 0)) >= height - 1
    # The legend of thirty lines stays within the file.
    assert height > 2 * 348 + 30 * 20


def test_a_logarithmic_axis_has_round_values_that_are_not_all_powers_of_ten() -> None:
    text = svg.draw_curves({"a": ([1, 2, 3], [0.012, 0.3, 1.4])}, [], is_logarithmic=True)
    shown = {each.text for each in ElementTree.fromstring(text).iter(f"{SVG}text")}
    assert {"0.02", "0.05", "0.1", "0.2", "0.5"} <= shown
    flat = svg.draw_curves({"a": ([1, 2], [0.5, 0.5])}, [], is_logarithmic=True)
    assert "0.5" in flat


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=lambda odd: ascii(odd[:16]))
def test_any_name_gives_a_plot_that_xml_reads(odd: str) -> None:
    plot = svg.CurvePlot(odd, {odd: ([1, 2], [3, 4])}, [(1, odd)], x_name=odd)
    bar = svg.Bar(odd, 0, np.array([1]), np.array([2]))
    for drawn in (
        svg.draw_curves_file([plot]),
        svg.draw_timeline([bar], np.array([1]), (0, 3), odd),
        svg.draw_histogram([1.0, 2.0], odd),
    ):
        found = ElementTree.fromstring(drawn.encode("utf-8"))
        assert not any(each.tag.endswith("script") for each in found.iter())
