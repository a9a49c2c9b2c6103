"""What counts of a folder is what holds a picture; what is passed over is told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.footage.options import FootageOptions
from understudy.io.open_footage import open_footage
from understudy.stages.project import PROJECT_FILE, Project

PICTURE = np.full((24, 40, 3), (200, 90, 30), np.uint8)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


def encoded(suffix: str) -> bytes:
    return stills.encode_image(PICTURE, suffix)


@pytest.mark.footage_kind(
    "pictures with odd endings (.jfif, none, a JPG named .png), AVIF", "Read, by what is inside."
)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jfif", ".jpg"),
        ("a.jpe", ".jpg"),
        ("a.jpeg_large", ".jpg"),
        ("a.JPG", ".jpg"),
        ("a", ".jpg"),
        ("a.png", ".jpg"),
        ("a.jpg", ".webp"),
        ("a.orig", ".bmp"),
        ("a.tif", ".tif"),
        ("a.avif", ".avif"),
        ("a.jpg", ".avif"),
    ],
)
def test_a_picture_is_known_by_what_is_inside(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(encoded(kind))
    with open_footage(tmp_path) as footage:
        (frame,) = footage
    assert np.abs(frame.image.astype(int) - PICTURE).max() <= 3


@pytest.mark.footage_kind(
    "pictures that are not read (HEIC, GIF, PSD, camera raw, EXR, PDF), videos among pictures",
    "Passed over; `new` and `extract` name them.",
)
def test_what_is_not_read_is_named_and_what_is_no_picture_is_not(tmp_path: Path) -> None:
    stills.write_image(tmp_path / "b.png", PICTURE)
    (tmp_path / "a.HEIC").write_bytes(HEIC)
    (tmp_path / "c.png").write_bytes(b"GIF89a" + bytes(50))
    (tmp_path / "d.NEF").write_bytes(encoded(".tif"))
    (tmp_path / "e").write_bytes(b"8BPS" + bytes(50))
    (tmp_path / "f.mov").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(50))
    (tmp_path / "g.exr").write_bytes(b"\x76\x2f\x31\x01" + bytes(50))
    (tmp_path / "h.ppm").write_bytes(b"P6\n2 2\n255\n" + bytes(12))
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._b.png", "frames.json", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0\1text")
    with open_footage(tmp_path) as footage:
        assert len(footage) == 1
        (note,) = footage.notes
    assert "7 files are passed over, since such are not read: a.HEIC (HEIC), c.png (GIF)" in note
    assert "d.NEF (camera raw), e (PSD), f.mov (video) and 2 more" in note
    assert "Convert pictures to JPG or PNG" in note


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"a.heic": HEIC, "b.heic": HEIC},
            r"no pictures .*, but a\.heic \(HEIC\), b\.heic .*Convert",
        ),
        ({"photos/a.jpg": encoded(".jpg")}, r"no pictures .*only folders: photos\. Give the one"),
        ({"a.mov": b"\0\0\0\x14ftypqt  "}, r"but a\.mov \(video\)\..*give that file"),
        ({"a.txt": b"text"}, r"no pictures in this folder\. Give one with .*\.png"),
    ],
)
def test_a_folder_without_pictures_says_what_is_there(
    content: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    for name, data in content.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with pytest.raises(BadMedia, match=message):
        open_footage(tmp_path)


def test_a_show_of_a_former_version_keeps_the_numbers_of_its_frames(tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    for name in ("1.png", "3.png"):
        stills.write_image(clip / name, PICTURE)
    (clip / "2.jfif").write_bytes(encoded(".jpg"))
    show = Project.create(tmp_path / "show", clip, clip)
    with show.open_footage("dst") as footage:
        assert len(footage) == 3
    file = show.folder / PROJECT_FILE
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.index("[footage]")], encoding="utf-8")
    with Project.load(show.folder).open_footage("dst") as footage:
        assert [path.name for path in footage.files] == ["1.png", "3.png"]
        assert "1 file is passed over: 2.jfif" in "\n".join(footage.notes)


def test_a_broken_first_picture_is_one_bad_frame(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(encoded(".jpg")[:80])
    stills.write_image(tmp_path / "2.jpg", PICTURE)
    with open_footage(tmp_path) as footage:
        assert len(footage) == 2 and footage.size == (40, 24)
        assert footage[1].image.shape == (24, 40, 3)
        with pytest.raises(BadMedia, match="cut off"):
            footage[0]


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_an_avif_has_its_colours_at_any_depth(bits: int, tmp_path: Path) -> None:
    values = (
        PICTURE[:, :, ::-1]
        if bits == 8
        else (PICTURE[:, :, ::-1].astype(np.uint16) * 257) >> (16 - bits)
    )
    settings = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 95]
    (tmp_path / "a.avif").write_bytes(cv2.imencode(".avif", values, settings)[1].tobytes())
    with open_footage(tmp_path, reading=FootageOptions()) as footage:
        assert footage.bits == (8 if bits == 8 else 16)
        image = footage[0].image / (1 if bits == 8 else 257)
    assert np.abs(image - PICTURE).max() < 4


def test_an_avif_is_turned_upright(tmp_path: Path) -> None:
    image = np.zeros((24, 40, 3), np.uint8)
    image[:, :8] = 255
    whole = cv2.imencode(".avif", image)[1].tobytes()
    # In place of the fourth property, its colours: a quarter turn anticlockwise, which counts.
    assert b"\1\2\x83\4" in whole and b"colrnclx" in whole
    turned = whole.replace(b"\1\2\x83\4", b"\1\2\x83\x84").replace(b"colrnclx", b"irot\1clx")
    (tmp_path / "a.avif").write_bytes(turned)
    with open_footage(tmp_path) as footage:
        upright = footage[0].image
    assert upright.shape == (40, 24, 3) and upright[-8:].min() > 240 and upright[:30].max() < 15
