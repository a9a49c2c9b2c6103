"""Footage is the same while it shows the same; other footage is told before any work."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import understudy
from understudy.errors import BadMedia, BadProject
from understudy.io.footage import stills
from understudy.io.footage.fingerprint import digest_files
from understudy.io.provenance.manifest import fingerprint, read_manifest
from understudy.io.video.clip_writer import write_clip
from understudy.stages.events import Event, Finished, Note, Started
from understudy.stages.project import Project
from understudy.types import Bytes

Draw = Callable[..., Bytes]


def told(events: list[Event]) -> str:
    return "\n".join(each.text for each in events if isinstance(each, Note))


def summary(events: list[Event]) -> dict[str, object]:
    return next(each.summary for each in reversed(events) if isinstance(each, Finished))


def is_looked_at_again(film, side: str = "dst") -> bool:
    events = film.run(side)
    return any(isinstance(each, Started) and each.stage == f"find {side}" for each in events)


@pytest.fixture
def clip(film, draw: Draw):
    """clip(shade, frames=9, side=40): dst of the show becomes a video of a square on that grey."""

    def write(shade: int, frames: int = 9, side: int = 40, crop: int = 0) -> Path:
        path = film.folder.parent / "dst.mp4"
        images = [draw((10 + 2 * number, 20, side)) for number in range(frames)]
        for image in images:
            image[(image == 90).all(2)] = shade
        height = 120 - crop
        for _ in write_clip(path, (each[:height] for each in images), (160, height), 25):
            pass
        project = Project.load(film.folder)
        file = project.file.model_copy(update={"dst": str(path)})
        Project(project.folder, file).save()
        return path

    return write


@pytest.mark.footage_kind(
    "moved, copied or renamed footage; a folder that a file manager was in",
    "The same footage: it is known by the size and number of its frames and parts of its files.",
)
def test_footage_that_shows_the_same_is_the_same(film) -> None:
    film.run()
    (film.folder.parent / "clip" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (film.folder.parent / "clip" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(900))
    assert not is_looked_at_again(film)
    for number in range(9):
        picture = film.folder.parent / "clip" / f"{number}.png"
        os.utime(picture, (1e9, 1e9))
        picture.rename(picture.with_name(f"shot_{number + 1001}.png"))
    assert not is_looked_at_again(film)
    # All of it is copied elsewhere, and the old place is gone.
    film.folder.parent.joinpath("moved").mkdir()
    for name in ("show", "clip"):
        shutil.copytree(film.folder.parent / name, film.folder.parent / "moved" / name)
        shutil.rmtree(film.folder.parent / name)
    moved = type(film)(film.folder.parent / "moved" / "show")
    assert not is_looked_at_again(moved)
    # Where nothing is found, it is told where to say so.
    shutil.rmtree(moved.folder.parent / "clip")
    with pytest.raises(BadMedia, match=r"clip: no such .*understudy\.toml: dst = "):
        moved.run()


@pytest.mark.parametrize("frame", [0, 4, 8])
def test_one_other_picture_is_other_footage(film, draw: Draw, frame: int) -> None:
    film.run()
    cv2.imwrite(str(film.folder.parent / "clip" / f"{frame}.png"), draw((50, 50, 30)))
    assert is_looked_at_again(film)


def test_pictures_in_another_order_are_other_footage(film) -> None:
    film.run()
    folder = film.folder.parent / "clip"
    (folder / "0.png").rename(folder / "9.png")
    assert is_looked_at_again(film)


@pytest.mark.footage_kind(
    "dst is another clip than its faces were found in",
    "Refused by merge, measure and swap, with what to do. The same shot in another grade or encode"
    " is taken with `--same-shot`.",
)
def test_faces_are_not_laid_into_other_footage(film, clip, dfm_file) -> None:
    clip(90)
    film.run()
    model = str(dfm_file())
    graded = clip(140)
    for options in ({}, {"preview": True}, {"debug": True}):
        with pytest.raises(BadProject, match=r"dst\.mp4: not the footage .*extract.*--same-shot"):
            list(understudy.merge(film.folder, model=model, **options))
    events = list(understudy.merge(film.folder, model=model, same_shot=True))
    assert "taken as the same shot" in told(events)
    # What was used is named in the file and beside it.
    result = film.folder / "result.mp4"
    assert read_manifest(result).ingredients[0].sha256 == fingerprint(graded)
    record = json.loads((film.folder / "merged/001/merge.json").read_text(encoding="utf-8"))
    assert record["footage"]["name"] == "dst.mp4" and record["footage"]["frames"] == 9
    with pytest.raises(BadProject, match="dst"):
        list(understudy.measure(film.folder, identity="none"))
    # Not even then: fewer frames, another size.
    for changed, why in ({"frames": 8}, "8 frames, were 9"), ({"crop": 20}, "were 160x120"):
        clip(140, **changed)
        with pytest.raises(BadProject, match=why) as refused:
            list(understudy.merge(film.folder, model=model, same_shot=True))
        assert "--same-shot" not in str(refused.value)
    clip(90)
    assert "--same-shot" not in told(list(understudy.merge(film.folder, model=model)))


def test_faces_that_came_from_elsewhere_are_believed(film, clip, dfm_file) -> None:
    clip(90)
    film.run()
    clip(140)
    (film.folder / "dst" / "extract.json").unlink()
    assert summary(list(understudy.merge(film.folder, model=str(dfm_file()))))["frames"] == 9


def test_a_swap_does_not_go_on_with_other_footage(film, clip) -> None:
    path = clip(90)
    film.run()
    film.run("src")
    show = film.folder.rename(film.folder.with_name("out.show"))
    clip_of_src, out = film.folder.parent / "clip", film.folder.parent / "out.mp4"
    original = Path(shutil.copy(path, path.with_name("original.mp4")))
    write_clip_again = np.full((120, 160, 3), 60, np.uint8)
    for _ in write_clip(path, [write_clip_again] * 9, (160, 120), 25):
        pass
    with pytest.raises(BadProject, match=r"dst\.mp4: not the footage .*extract .*out\.show dst"):
        list(understudy.swap(clip_of_src, path, out))
    other = path.rename(path.with_name("other.mp4"))
    with pytest.raises(BadProject, match=r"was made with dst .*dst\.mp4, not .*other\.mp4"):
        list(understudy.swap(clip_of_src, other, out))
    # Under another name it is the same still.
    stage = understudy.swap(clip_of_src.rename(clip_of_src.with_name("photos")), original, out)
    assert "goes on with the work that is there" in next(stage).text
    stage.close()
    with Project.load(show).open_footage("dst") as footage:
        assert footage.path.name == "original.mp4"
    assert (show / "dst" / "faces").is_dir()


def test_a_large_file_is_known_by_parts_of_it(tmp_path: Path) -> None:
    file = tmp_path / "large.mov"
    with file.open("wb") as opened:
        opened.truncate(64 << 20)
    before = digest_files([file])
    for place, changed in ((0, 1), (40 << 20, 3 << 20), ((64 << 20) - 1, 1)):
        with file.open("r+b") as opened:
            opened.seek(place)
            opened.write(b"x" * changed)
        assert digest_files([file]) != before
        before = digest_files([file])


def test_copies_of_face_pictures_are_laid_in_once_and_told(film, clip, dfm_file) -> None:
    clip(90)
    film.run()
    alone = summary(list(understudy.merge(film.folder, model=str(dfm_file()))))
    for path in film.faces().paths:
        shutil.copy(path, path.with_name(f"{path.stem} - Copy{path.suffix}"))
    events = list(understudy.merge(film.folder, model=str(dfm_file())))
    assert (
        "dst/faces: passed over as copies (same footage, frame and place as another), 9 "
        in told(events)
    )
    # What was rendered before is the same: nothing is new.
    assert "9 of 9 frames are there from earlier runs" in told(events)
    assert summary(events)["frames"] == alone["frames"]
    rows = list(understudy.faces(film.folder, "dst"))
    assert summary(rows)["faces"] == 9 and "000000_0 - Copy.jpg" in told(rows)


def test_a_gap_is_filled_from_new_to_merge(film, draw: Draw, dfm_file) -> None:
    folder = film.folder.parent / "shot"
    for number in (1001, 1002, 1003, 1004, 1007, 1008, 1009):
        stills.write_image(folder / f"shot_{number}.png", draw((number - 1000, 20, 40)))
    for gaps, faces, at in (("hold", 9, 4), ("black", 7, None), ("short", 7, 7)):
        show = film.folder.parent / gaps
        made = told(list(understudy.new(show, folder, folder, gaps=gaps)))
        # Of src's photographs nothing is missing.
        assert made.count("frames that are missing: 2, 1005 to 1006") == 1
        one = type(film)(show)
        assert "frames that are missing: 2" in told(one.run())
        assert len(one.faces().faces) == faces
        events = list(understudy.merge(show, model=str(dfm_file())))
        assert "frames that are missing: 2" in told(events)
        assert summary(events)["frames"] == (7 if gaps == "short" else 9)
        with av.open(str(show / "result.mp4")) as file:
            shown = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
            assert file.streams.video[0].frames == len(shown) == summary(events)["frames"]
        # Left and right edge of the square in the frame after the first four.
        bright = np.flatnonzero(shown[4][25, :, 1] > 150)
        assert (bright[0] - at) in (-1, 0, 1) if at else not len(bright)


def test_a_folder_that_was_only_looked_into_is_empty(film) -> None:
    place, clip = film.folder.parent / "new", film.folder.parent / "clip"
    for folder in (place / "show", place / "pictures"):
        folder.mkdir(parents=True)
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"\0")
    list(understudy.new(place / "show", clip, clip))
    list(understudy.frames(clip, place / "pictures"))
    assert (place / "show" / "understudy.toml").is_file()
    assert (place / "pictures" / "00009.png").is_file()
