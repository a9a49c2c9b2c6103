"""Each change of a faceset is done or taken back whole, wherever its run was killed."""

from __future__ import annotations

import itertools
import os
import random
import re
from pathlib import Path

import pytest

from understudy.errors import BadProject, CannotWrite
from understudy.io.faceset.journal import Journal, Move
from understudy.io.faceset.order import FaceOrder, OrderedFace, load_order, save_order


class Killed(BaseException):
    """The process ends here."""


def make(side: Path, files: dict[str, str]) -> Journal:
    for path, text in files.items():
        (side / path).parent.mkdir(parents=True, exist_ok=True)
        (side / path).write_text(text)
    return Journal(side)


def files_of(side: Path) -> dict[str, str]:
    return {
        path.relative_to(side).as_posix(): path.read_text()
        for folder in ("faces", "faces_trash", "faces_new")
        for path in (side / folder).rglob("*")
        if path.is_file()
    }


FILES = {"faces/a.jpg": "A", "faces/b.jpg": "B", "faces/c.jpg": "C", "faces_new/a.jpg": "N"}
# Names in a ring, a picture that another replaces, and one that goes.
CHANGES: dict[str, tuple[list[Move], dict[str, str], dict[str, str]]] = {
    "trash": (
        [("faces/a.jpg", "faces_trash/a.jpg"), ("faces/b.jpg", "faces_trash/b.jpg")],
        {"faces_trash/a.jpg": "A", "faces_trash/b.jpg": "B", "faces/c.jpg": "C"},
        {"faces/a.jpg": "A", "faces/b.jpg": "B", "faces/c.jpg": "C"},
    ),
    "ring": (
        [
            ("faces/a.jpg", "faces/b.jpg"),
            ("faces/b.jpg", "faces/c.jpg"),
            ("faces/c.jpg", "faces/a.jpg"),
        ],
        {"faces/a.jpg": "C", "faces/b.jpg": "A", "faces/c.jpg": "B"},
        {"faces/a.jpg": "A", "faces/b.jpg": "B", "faces/c.jpg": "C"},
    ),
    "replace": (
        [("faces_new/a.jpg", "faces/a.jpg"), ("faces/a.jpg", "faces_trash/a.jpg")],
        {
            "faces/a.jpg": "N",
            "faces/b.jpg": "B",
            "faces/c.jpg": "C",
            "faces_trash/a.jpg": "A",
        },
        {
            "faces/a.jpg": "A",
            "faces/b.jpg": "B",
            "faces/c.jpg": "C",
            "faces_trash/a.jpg": "N",
        },
    ),
    "chain": (
        [("faces/b.jpg", "faces/d.jpg"), ("faces/a.jpg", "faces/b.jpg")],
        {"faces/b.jpg": "A", "faces/d.jpg": "B", "faces/c.jpg": "C"},
        {"faces/a.jpg": "A", "faces/b.jpg": "B", "faces/c.jpg": "C"},
    ),
}


def prepare(side: Path, change: str) -> Journal:
    kept = FILES if change == "replace" else {k: v for k, v in FILES.items() if "new" not in k}
    journal = make(side, kept)
    faces = (OrderedFace(name="b.jpg"), OrderedFace(name="a.jpg"), OrderedFace(name="c.jpg"))
    save_order(side / "faces", FaceOrder(by="yaw", faces=faces))
    return journal


def ordered(side: Path) -> list[str]:
    """What the pictures hold, in the order that the faces were sorted into."""
    order = load_order(side / "faces")
    assert order is not None
    found = [side / "faces" / face.name for face in order.faces]
    return [path.read_text() for path in found if path.exists()]


def die_at(patch: pytest.MonkeyPatch, count: int) -> None:
    """Before its rename of that number, the process is killed."""
    left, rename, replace = itertools.count(count, -1), os.rename, os.replace

    def guard(real):
        def renamed(*paths, **more):
            if next(left) == 0:
                raise Killed
            return real(*paths, **more)

        return renamed

    patch.setattr(os, "rename", guard(rename))
    patch.setattr(os, "replace", guard(replace))


@pytest.mark.parametrize("change", CHANGES)
def test_a_step_is_carried_out_and_taken_back(tmp_path: Path, change: str) -> None:
    journal, (moves, after, before) = prepare(tmp_path, change), CHANGES[change]
    step = journal.carry_out("what is done", moves)
    assert step is not None and (step.what, step.is_done, step.missing) == (
        "what is done",
        True,
        (),
    )
    assert files_of(tmp_path) == after and [each.what for each in journal.steps()] == [step.what]
    assert not (tmp_path / "faces_new").exists()
    assert journal.undo() is not None
    assert files_of(tmp_path) == before and journal.steps() == [] and journal.undo() is None


@pytest.mark.parametrize("change", CHANGES)
def test_killed_between_any_two_renames_it_is_finished_or_taken_back(
    tmp_path: Path, change: str
) -> None:
    moves, after, before = CHANGES[change]
    for at in itertools.count():
        journal = prepare(side := tmp_path / f"{at}", change)
        with pytest.MonkeyPatch.context() as patch:
            die_at(patch, at)
            try:
                journal.carry_out("step", moves)
            except Killed:
                pass
            else:
                break
        # The folder of a set that is being renamed shows all its pictures at any moment.
        if change in ("ring", "chain"):
            assert sorted(files_of(side).values()) == ["A", "B", "C"]
        was_begun = Journal(side).unfinished() is not None
        if at % 2 and was_begun:
            Journal(side).undo()
            assert files_of(side) == before
        else:
            Journal(side).finish()
            assert files_of(side) == after or not was_begun
        assert Journal(side).unfinished() is None
        wanted = {"A", "B", "C"} & {v for k, v in files_of(side).items() if k.startswith("faces/")}
        assert ordered(side) == [each for each in ("B", "A", "C") if each in wanted] or (
            change == "replace"
        )
    assert at > 3


@pytest.mark.parametrize("change", CHANGES)
def test_killed_while_it_is_taken_back_the_next_run_takes_it_back(
    tmp_path: Path, change: str
) -> None:
    moves, _, before = CHANGES[change]
    for at in itertools.count():
        journal = prepare(side := tmp_path / f"{at}", change)
        journal.carry_out("step", moves)
        with pytest.MonkeyPatch.context() as patch:
            die_at(patch, at)
            try:
                journal.undo()
            except Killed:
                pass
            else:
                break
        if Journal(side).unfinished() is not None:
            Journal(side).finish()
        else:
            Journal(side).undo()
        assert files_of(side) == before
        assert Journal(side).steps() == []
        assert change == "replace" or ordered(side) == ["B", "A", "C"]
    assert at > 3


def test_what_cannot_be_moved_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, count = Path.rename, itertools.count()

    def refuse(path: Path, goal: Path) -> Path:
        if path.suffix == ".jpg" and next(count) == 4:
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, goal)

    journal, (moves, _, before) = prepare(tmp_path, "ring"), CHANGES["ring"]
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(CannotWrite, match=r"\.jpg: this place cannot be written to"):
        journal.carry_out("step", moves)
    assert files_of(tmp_path) == before and journal.steps() == []


def test_a_taken_place_moves_nothing_and_trash_gives_numbers(tmp_path: Path) -> None:
    journal = make(tmp_path, FILES | {"faces_trash/a.jpg": "old"})
    with pytest.raises(CannotWrite, match="something else is there already"):
        journal.carry_out("s", [("faces/b.jpg", "x.jpg"), ("faces/a.jpg", "faces_trash/a.jpg")])
    assert (tmp_path / "faces/b.jpg").exists()
    moves = journal.into_trash(["faces/a.jpg", "faces/b.jpg"])
    assert [goal for _, goal in moves] == ["faces_trash/a-2.jpg", "faces_trash/b.jpg"]


def test_files_that_people_deleted_or_put_back_stay_as_they_are(tmp_path: Path) -> None:
    journal = prepare(tmp_path, "trash")
    journal.carry_out("step", CHANGES["trash"][0])
    (tmp_path / "faces_trash/a.jpg").unlink()
    (tmp_path / "faces/b.jpg").write_text("by hand")
    step = journal.undo()
    assert step is not None
    assert (step.missing, step.left) == ((step.moves[0],), (step.moves[1],))
    assert files_of(tmp_path) == {
        "faces/b.jpg": "by hand",
        "faces/c.jpg": "C",
        "faces_trash/b.jpg": "B",
    }


def test_steps_are_taken_back_one_after_the_other_in_any_names(tmp_path: Path) -> None:
    draw, names = random.Random(4), [f"{at} ü {at % 3}.png" for at in range(40)]
    names.append(os.fsdecode(b"\xff\xfe.jpg"))
    journal = make(tmp_path, {f"faces/{name}": name[:5] for name in names if name.isprintable()})
    (tmp_path / "faces" / names[-1]).write_text("odd")
    states = [files_of(tmp_path)]
    for number in range(6):
        there = sorted(states[-1])
        chosen = draw.sample(there, 20)
        goals = draw.sample(chosen, 20) if number % 2 else None
        moves = (
            list(zip(chosen, goals, strict=True))
            if goals
            else journal.into_trash([each for each in chosen if each.startswith("faces/")])
        )
        journal.carry_out(f"step {number}", moves)
        states.append(files_of(tmp_path))
    assert [step.number for step in journal.steps()] == [1, 2, 3, 4, 5, 6]
    for state in reversed(states[:-1]):
        journal.undo()
        assert files_of(tmp_path) == state


@pytest.mark.parametrize(
    "path", ["../../x.jpg", "/etc/x.jpg", "faces/%2e%2e/%2e%2e/x", "", "faces/a%00b.jpg"]
)
def test_a_record_that_leads_out_of_the_show_is_refused(tmp_path: Path, path: str) -> None:
    journal = prepare(tmp_path, "trash")
    journal.carry_out("step", CHANGES["trash"][0])
    record = tmp_path / "journal/000001.json"
    record.write_text(record.read_text().replace("faces_trash/a.jpg", path))
    with pytest.raises(BadProject, match=r"000001\.json: moves.*can no longer be taken back"):
        journal.undo()


def test_nothing_waits_outside_of_the_show(tmp_path: Path) -> None:
    journal = prepare(tmp_path / "show/src", "ring")
    journal.carry_out("step", CHANGES["ring"][0])
    record = journal.side / "journal/000001.json"
    record.write_text(re.sub(r'"aside":"[^"]*"', '"aside":"../../../x"', record.read_text()))
    with pytest.raises(BadProject, match=r"000001\.json: aside"):
        journal.undo()
    assert [each.name for each in tmp_path.iterdir()] == ["show"]


def test_what_is_forgotten_no_step_brings_back_wherever_that_was_killed(tmp_path: Path) -> None:
    for at in itertools.count():
        journal = prepare(side := tmp_path / f"{at}", "trash")
        journal.carry_out("names", [(f"faces/{a}.jpg", f"faces/{a}1.jpg") for a in "ab"])
        journal.carry_out("trash", journal.into_trash(f"faces/{a}1.jpg" for a in "ab"))
        with pytest.MonkeyPatch.context() as patch:
            die_at(patch, at)
            try:
                journal.forget(["faces_trash/a1.jpg"])
            except Killed:
                pass
            else:
                break
        Journal(side).forget(["faces_trash/a1.jpg"])
        (side / "faces/a1.jpg").write_text("another of that name")
        steps = [Journal(side).undo(), Journal(side).undo()]
        assert not any(step is None or step.missing or step.left for step in steps)
        assert files_of(side) == {
            "faces/a1.jpg": "another of that name",
            "faces/b.jpg": "B",
            "faces/c.jpg": "C",
            "faces_trash/a1.jpg": "A",
        }
        assert ordered(side) == ["B", "C"] and not Journal(side).steps()
    assert at >= 3
