"""What extraction says where it cannot do what it is asked."""

import pytest

from understudy.errors import BadMedia, BadOption, Busy, NoFaces
from understudy.stages.events import FailedFrame
from understudy.stages.extract.command import extract
from understudy.stages.project import Project

RED, GREY = (255, 0, 0), (90, 90, 90)


def test_a_person_cannot_be_chosen_where_nobody_is_told_apart(film):
    with pytest.raises(BadOption, match=r"--person.*dlib"):
        film.run(person=0)


def test_a_frame_that_fails_is_listed_and_the_others_are_done(make_film, draw, tmp_path):
    film = make_film([draw((10, 10, 40), corner=RED if n in (1, 2) else GREY) for n in range(4)])
    clip = tmp_path / "clip"
    (clip / "3.png").write_bytes((clip / "3.png").read_bytes()[:60])
    (clip / "4.png").write_bytes((clip / "0.png").read_bytes())
    for _ in range(2):  # the second run does nothing, but tells it again
        events = film.run()
        failed = [event for event in events if isinstance(event, FailedFrame)]
        assert (
            [event.frame for event in failed] == [1, 2, 3]
            and "red frame" in failed[0].text
            and "3.png" in failed[2].text
        )
        assert events[-1].summary["failed_frames"] == 3
    assert film.faces().faces.frame.tolist() == [0, 4]


def test_footage_without_any_face_is_an_error_that_can_be_tried_again(make_film, draw):
    film = make_film([draw()] * 3)
    for _ in range(2):
        with pytest.raises(NoFaces, match="no face found in any frame"):
            film.run()
    with pytest.raises(NoFaces):
        film.run(face_type="half")


def test_two_runs_on_one_side_do_not_meet(film):
    with Project.load(film.folder).lock("dst"), pytest.raises(Busy):
        film.run()


def test_missing_footage_and_an_unknown_detector_are_named(film, tmp_path):
    with pytest.raises(BadOption, match="cannot be 'nose'"):
        list(
            extract(
                film.folder, "dst", options=film.options().model_copy(update={"detector": "nose"})
            )
        )
    (tmp_path / "clip").rename(tmp_path / "gone")
    with pytest.raises(BadMedia, match="clip"):
        film.run()
    assert not (film.folder / "dst").exists()
