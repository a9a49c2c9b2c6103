"""One picture as footage: it works from `new` to `verify`, or what is needed is said first."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import understudy
from understudy.errors import BadMedia, BadProject
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import read_manifest
from understudy.stages.events import Event, Note, Saved
from understudy.stages.project import Project


def told(events: list[Event]) -> str:
    return "\n".join(each.text for each in events if isinstance(each, Note))


@pytest.fixture
def photo(draw, tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    stills.write_image(path, draw((50, 30, 60)))
    return path


@pytest.mark.footage_kind(
    "one picture as src or dst", "Works; the result is a video of one frame, and a PNG beside it."
)
def test_one_picture_is_dst(film, photo: Path, dfm_file) -> None:
    show = film.folder.parent / "one"
    assert "photo.jpg: one picture, 160x120" in told(list(understudy.new(show, photo, photo)))
    one = type(film)(show)
    one.run()
    assert one.names() == ["000000_0.jpg"]
    events = list(understudy.merge(show, model=str(dfm_file())))
    assert [each.what for each in events if isinstance(each, Saved)] == [
        "version",
        "result",
        "picture",
    ]
    with av.open(str(show / "result.mp4")) as file:
        (frame,) = file.decode(video=0)
    picture = cv2.imread(str(show / "result.png"))
    assert picture.shape == (120, 160, 3) and (frame.width, frame.height) == (160, 120)
    shown = frame.to_ndarray(format="bgr24").astype(int)
    assert np.abs(shown - picture).mean() < 4
    # The picture is the plate around the face, and says what it is.
    assert np.array_equal(picture[:, :30], cv2.imread(str(photo))[:, :30])
    assert read_manifest(show / "result.png").is_synthetic


@pytest.mark.usefixtures("small_models")
def test_one_face_of_src_trains_and_it_is_said_that_it_is_few(make_show, tmp_path: Path) -> None:
    show = make_show(tmp_path / "show", 1)
    events = list(understudy.train(show, model="tiny", iterations=1, device="cpu"))
    assert "src: 1 face to learn from, which is little" in told(events)


def encode_animation(path: Path, images: list[np.ndarray]) -> None:
    frames = cv2.Animation()
    frames.frames, frames.durations = images, np.full(len(images), 40, np.int32)
    assert cv2.imwriteanimation(str(path), frames)


def test_what_is_animated_is_a_video_or_says_what_to_do(tmp_path: Path) -> None:
    images = [np.full((24, 32, 3), 60 * number, np.uint8) for number in range(4)]
    for name in ("a.png", "a.gif", "a.webp", "a.avif"):
        encode_animation(tmp_path / name, images)
    for name in ("a.png", "a.gif"):
        with open_footage(tmp_path / name) as footage:
            assert footage.is_video and len(footage) == 4
    for name, kind in (("a.webp", "WebP"), ("a.avif", "animated AVIF")):
        with pytest.raises(
            BadMedia, match=rf"{name}: an animation \({kind}\).*Convert it to a video"
        ):
            open_footage(tmp_path / name)


def test_of_several_pages_the_first_is_taken_and_it_is_said(tmp_path: Path) -> None:
    pages = [np.full((24, 32, 3), 60 * number, np.uint8) for number in range(1, 4)]
    assert cv2.imwritemulti(str(tmp_path / "pages.tif"), pages)
    with open_footage(tmp_path / "pages.tif") as footage:
        assert len(footage) == 1 and footage[0].image.max() == 60
        assert "pages.tif: 3 pictures in one file, of which the first" in footage.notes[0]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"8BPS\0\1", "PSD"),
        (b"\x76\x2f\x31\x01", "EXR"),
        (b"%PDF-1.7", "PDF"),
        (b"P6\n48 48\n255\n", "PNM"),
        (b"qoif\0\0\0\x30", "QOI"),
        (b"DDS |\0\0\0", "DDS"),
    ],
)
def test_a_picture_of_another_kind_says_what_it_is(data: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(data + bytes(200))
    with pytest.raises(BadMedia, match=f"picture.jpg: holds {kind}, .* is not read. Convert"):
        open_footage(path)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_damaged_picture_is_told_as_a_picture(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    with pytest.raises(BadMedia, match=r"picture\.jpg: (this|not a) picture"):
        open_footage(path)


def test_one_picture_is_cut_and_written_as_frames(photo: Path, tmp_path: Path) -> None:
    list(understudy.frames(photo, tmp_path / "out"))
    assert (tmp_path / "out" / "00001.png").is_file()
    list(understudy.cut(photo, tmp_path / "cut.mp4"))
    with open_footage(tmp_path / "cut.mp4") as footage:
        assert len(footage) == 1
    list(understudy.denoise(photo, tmp_path / "clean"))
    assert (tmp_path / "clean" / "photo.jpg").is_file()
    list(understudy.denoise(photo, tmp_path / "clean.png"))
    assert cv2.imread(str(tmp_path / "clean.png")).shape == (120, 160, 3)
    with pytest.raises(BadProject, match=r"clean\.png: is there already"):
        list(understudy.denoise(photo, tmp_path / "clean.png"))


def test_a_show_remembers_its_picture(film, photo: Path) -> None:
    project = Project.create(film.folder.parent / "one", photo, photo)
    with project.open_footage("src") as footage:
        assert footage.files == [photo]
