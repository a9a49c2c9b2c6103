"""Marks made by hand: what was written is read, in every way that people write it; what is wrong is
named; and nothing that was marked is ever lost.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import BadMedia
from understudy.io.faceset.manual_marks import (
    FrameNames,
    Mark,
    Marks,
    parse_faces,
    read_marks,
    write_marks,
)

POINTS = tuple((float(n), float(n * n % 50)) for n in range(68))
FIVE = ((1.0, 2.0), (9.0, 2.0), (5.0, 5.0), (2.0, 8.0), (8.0, 8.0))
EYES = FIVE[:2]
BOX = Mark("box", ((1, 2), (30.5, 40)))
MARKS = Marks(
    {
        9: (Mark("points5", FIVE), Mark("no_face", ((0, 0), (3, 4)))),
        118: (BOX, Mark("points", POINTS)),
        130: (),
        131: None,
        140: (Mark("eyes", EYES),),
    }
)
FRAMES = FrameNames(1000, "clip.mp4")
PICTURES = FrameNames(3, "shots", {"take_1001.png": 0, "Ann's_2.png": 1, "000001.png": 2})


def read(tmp_path: Path, text: str, frames: FrameNames = FRAMES) -> Marks:
    (tmp_path / "marks.json").write_text(text)
    return read_marks(tmp_path / "marks.json", frames)


def test_marks_survive_the_file(tmp_path: Path) -> None:
    write_marks(tmp_path / "marks.json", MARKS)
    assert read_marks(tmp_path / "marks.json", FRAMES) == MARKS
    text = (tmp_path / "marks.json").read_text()
    assert json.loads(text)["frames"]["118"][0] == {"box": [1, 2, 30.5, 40]}
    assert '\n  "131": null,\n' in text


def test_no_face_here_is_not_the_same_as_nothing_said() -> None:
    assert MARKS.at(130) == () and MARKS.at(131) is None and MARKS.at(0) is None


def test_asking_again_keeps_what_is_marked_and_drops_old_blanks() -> None:
    asked = MARKS.with_blanks([150, 118, 7])
    assert list(asked.frames) == [7, 9, 118, 130, 140, 150]
    assert asked.at(118) == MARKS.at(118) and asked.at(130) == () and asked.frames[150] is None


@pytest.mark.parametrize(
    "said",
    [
        '{"frames": {"118": {"box": [1, 2, 30.5, 40]}}}',
        '{"118": [1, 2, 30.5, 40]}',
        "{118: {'box': [1, 2, 30.5, 40]}}",
        "{118: {box: [1, 2, 30.5, 40]}}",
        "{version: 1, frames: [{frame: 118, box: [{x: 1, y: 2}, {x: 30.5, y: 40}]}]}",
        '{"000118.jpg": {"box": [[1, 2], [30.5, 40]]}}',
        '{"frame-000118.jpg": {"box": [{"x": 1, "y": 2}, {"x": 30.5, "y": 40}]}}',
        '{"000118_0.jpg": [[1, 2, 30.5, 40]],}',
        '{"version": 1, "frames": [{"frame": 118, "box": [1, 2, 30.5, 40]},]}',
        '[{"frame": "frame 118", "faces": [{"box": [1, 2, 30.5, 40], "eyes": null}]}]',
    ],
)
def test_a_box_is_read_as_people_write_it(tmp_path: Path, said: str) -> None:
    assert read(tmp_path, said).frames == {118: (BOX,)}


@pytest.mark.parametrize("kind", ["eyes", "points5", "points"])
def test_points_are_known_by_their_number(kind: str) -> None:
    points = {"eyes": EYES, "points5": FIVE, "points": POINTS}[kind]
    pairs, flat = [list(each) for each in points], [value for each in points for value in each]
    for said in ({kind: pairs}, {kind: flat}, {"points": pairs}, pairs, [{"points": flat}]):
        assert parse_faces(said, "") == (Mark(kind, points),)
    assert parse_faces([{kind: pairs}, pairs], "") == (Mark(kind, points),) * 2


def test_pictures_of_a_folder_are_known_by_their_names(tmp_path: Path) -> None:
    found = read(tmp_path, '{"Ann\'s_2.png": null, 0: [],}', PICTURES)
    assert found.frames == {0: (), 1: None}
    with pytest.raises(BadMedia, match=r'"000001.png" may be frame 1, or .*2\. Write'):
        read(tmp_path, '{"000001.png": []}', PICTURES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not readable as JSON"),
        ('{"118": [1, 2,}', "not readable as JSON: .* line 1"),
        ('{"1": null,\n "2.png" []}', "line 2. Mend it there, .* A line reads, say, "),
        ('{"118": {bx: [1, 2, 3, 4]}}', 'frame 118: a mark has one of .* here: "bx"'),
        (
            '{"118": [1, 2, 3, 4], "118": [5, 6, 7, 8]}',
            r'"118" is there twice, then as \[5, 6, 7, 8\]. Keep one, or put its marks into one',
        ),
        ('{"frames": {"7": {"box": [1, 2, 3, 4], "box": [5, 6, 7, 8]}}}', '"box" is there twice'),
        ("7", "no marks: 7"),
        ('{"version": 2, "frames": {}}', "version 2 is not known, only 1"),
        ('{"version": 1, "frame": {}}', '"frame" stands beside the frames'),
        ('{"a": []}', '"a" is no frame of clip.mp4. Write a number from 0 to 999'),
        ('{"-1": []}', '"-1" is no frame'),
        ('[{"frame": 1.5}]', "1.5 is no frame"),
        ('[{"box": [1, 2, 3, 4]}]', "entry 1 does not say of which frame"),
        ('{"1000": []}', "frame 1000 is not in clip.mp4. It has frames 0 to 999"),
        ('{"118": [], "000118.jpg": []}', "frame 118 is there twice. Put its marks into one list"),
        ('{"118": 7}', "frame 118: no marks of faces: 7"),
        ('{"118": [{}]}', "frame 118: a mark has one of .* here: none"),
        ('{"118": {"bx": [1, 2, 3, 4]}}', 'frame 118: a mark has one of .* here: "bx"'),
        (
            '{"118": [[1, 2, 3, 4], {"box": [1, 2, 3, 4], "eyes": [1, 2, 3, 4]}]}',
            'frame 118, face 2: a mark has one of .*"box", "eyes". Two faces of a frame are two',
        ),
        ('{"118": {"box": [1, 2, 3]}}', "a box is four numbers, left, .* here are 3"),
        ('{"118": {"box": [210, 80, 120, 150]}}', "top, width and height, write 210, 80, 330, 230"),
        ('{"118": {"box": [1, 2, 3, 1e999]}}', "finite|not readable"),
        ('{"118": {"box": [1, 2, 3, 1e9]}}', "far outside any picture"),
        ('{"118": {"box": ["1", 2, 3, 4]}}', 'frame 118, box: not a point .*: "1"'),
        ('{"118": {"eyes": [[1, 2], [1, 2]]}}', "frame 118: the points of a face do not coincide"),
        ('{"118": {"points": [[1, 2]]}}', "points are 68 points .* here are 1"),
        ('{"118": {"points5": [[1, 2], [3, 4], [5, 6]]}}', "five points .* here are 3"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadMedia, match=says) as error:
        read(tmp_path, text)
    assert str(tmp_path / "marks.json") in str(error.value)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "no.json", tmp_path):
        with pytest.raises(BadMedia, match="not readable"):
            read_marks(path, FRAMES)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["118", "box", "frames"]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["1", "frame", "frames", "faces", "box", "eyes", "points", "x", "y"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(str.encode)
    | st.just(b"[" * 100_000)
    | _JSON.map(lambda value: json.dumps(value).encode())
)
def test_a_hostile_file_is_only_ever_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "marks.json"
    path.write_bytes(data)
    try:
        read_marks(path, FRAMES)
    except BadMedia:
        pass
