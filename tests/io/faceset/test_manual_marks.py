"""Marks made by hand: what was written is read, what is wrong is named, and nothing that was marked
is ever lost.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import BadMedia
from understudy.io.faceset.manual_marks import Mark, Marks, read_marks, write_marks

POINTS = tuple((float(n), float(n * n % 50)) for n in range(68))
MARKS = Marks(
    frames={
        118: [Mark(box=(1, 2, 30.5, 40)), Mark(points=POINTS)],
        130: [],
        131: None,
        9: [Mark(points5=((1, 2), (9, 2), (5, 5), (2, 8), (8, 8)))],
    }
)


def test_marks_survive_the_file(tmp_path: Path) -> None:
    write_marks(tmp_path / "marks.json", MARKS)
    assert read_marks(tmp_path / "marks.json") == MARKS
    assert json.loads((tmp_path / "marks.json").read_text())["frames"]["118"][0] == {
        "box": [1, 2, 30.5, 40]
    }


def test_no_face_here_is_not_the_same_as_nothing_said() -> None:
    assert MARKS.faces_at(130) == [] and MARKS.faces_at(131) is None and MARKS.faces_at(0) is None


def test_asking_again_keeps_what_is_marked_and_drops_old_blanks() -> None:
    asked = MARKS.with_blanks([140, 118, 7])
    assert list(asked.frames) == [7, 9, 118, 130, 140]
    assert (
        asked.faces_at(118) == MARKS.faces_at(118)
        and asked.faces_at(130) == []
        and asked.frames[140] is None
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "whole"),
        ('{"version": 2, "frames": {}}', "version"),
        ('{"version": 1, "frames": {"a": []}}', "frames.a"),
        ('{"version": 1, "frames": {"-1": []}}', "frames.-1"),
        ('{"version": 1, "frames": {"118": [{}]}}', "either box, points5 or points"),
        (
            (
                '{"version": 1, "frames": {"118": [{"box": [1, 2, 3, 4], "points5":'
                " [[1,2],[3,4],[5,6],[7,8],[9,1]]}]}}"
            ),
            "frames.118.0",
        ),
        ('{"version": 1, "frames": {"118": [{"box": [9, 2, 3, 4]}]}}', "right of left"),
        ('{"version": 1, "frames": {"118": [{"box": [1, 2, 3, 1e999]}]}}', "frames.118.0.box.3"),
        ('{"version": 1, "frames": {"118": [{"box": ["1", 2, 3, 4]}]}}', "frames.118.0.box.0"),
        (
            '{"version": 1, "frames": {"118": [{"points5": [[1,2],[1,2],[1,2],[1,2],[1,2]]}]}}',
            "do not coincide",
        ),
        ('{"version": 1, "frames": {"118": [{"points": [[1, 2]]}]}}', "frames.118.0.points"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "marks.json"
    path.write_text(text)
    with pytest.raises(BadMedia, match=says) as error:
        read_marks(path)
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "no.json", tmp_path):
        with pytest.raises(BadMedia, match="not readable"):
            read_marks(path)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.just(b"[" * 100_000))
def test_a_hostile_file_is_only_ever_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "marks.json"
    path.write_bytes(data)
    try:
        read_marks(path)
    except BadMedia:
        pass
