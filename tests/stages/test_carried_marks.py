"""What is made from a film with a replaced face says so, as the film does."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from understudy.errors import BadOption
from understudy.io.dfl import face_picture as dfl_picture
from understudy.io.faceset import face_image
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import COMMENT, Claim, Manifest, read_manifest
from understudy.io.provenance.marked import is_marked, written_consent
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_video
from understudy.stages import jobs
from understudy.stages.events import Note, Stop
from understudy.stages.exchange.export_faces import FacesExportOptions, faces_export
from understudy.stages.exchange.import_faces import FacesImportOptions, faces_import
from understudy.types import Bytes

SIZE = (64, 48)


CONSENT = "Both signed; folder 12."


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))


def image(number: int) -> Bytes:
    return np.full((SIZE[1], SIZE[0], 3), 20 + 20 * number, np.uint8)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Six pictures without a mark."""
    folder = tmp_path / "plain"
    folder.mkdir()
    for number in range(6):
        stills.write_image(folder / f"{number}.png", image(number))
    return folder


@pytest.fixture
def film(plain: Path, tmp_path: Path) -> Path:
    """A result: manifest and comment."""
    commented(plain, tmp_path / "commented.mp4")
    with (tmp_path / "commented.mp4").open("rb") as file:
        Claim.edited([plain], consent=CONSENT).sign(file, tmp_path / "result.mp4")
    return tmp_path / "result.mp4"


def commented(plain: Path, path: Path, comment: str = COMMENT) -> Path:
    with open_footage(plain) as footage:
        list(write_video(path, footage, footage, EncodeOptions(), comment=comment))
    return path


def do(verb: str, footage: Path, out: Path, **options: Any) -> list[Any]:
    arguments = {"footage": str(footage), "out": str(out)}
    return list(jobs.run(jobs.Job(verb=verb, arguments=arguments, options=options)))


def notes(events: list[Any]) -> str:
    return " ".join(event.text for event in events if isinstance(event, Note))


def comment_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.metadata.get("comment", "")


def assert_carries(path: Path, parent: str, consent: str = CONSENT) -> Manifest:
    manifest = read_manifest(path)
    assert (manifest.state, manifest.is_synthetic, manifest.tool) == ("valid", True, "Understudy")
    (first, *_) = [each for each in manifest.ingredients if each.role == "parentOf"]
    assert first.title == parent and first.sha256
    assert manifest.consent == consent
    return manifest


@pytest.mark.parametrize(
    ("verb", "name", "options"),
    [
        ("cut", "out.mp4", {"start": "0.04"}),
        ("cut", "out.mov", {"codec": "prores"}),
        ("denoise", "out.mp4", {}),
    ],
)
def test_a_video_made_from_a_result_is_marked(
    verb: str, name: str, options: dict[str, Any], film: Path, tmp_path: Path
) -> None:
    events = do(verb, film, tmp_path / "new" / name, **options)
    assert "result.mp4: marked as synthetic" in notes(events)
    assert_carries(tmp_path / "new" / name, "result.mp4")
    assert comment_of(tmp_path / "new" / name) == COMMENT
    # What the result says of itself lies inside: the footage that it was made from.
    assert b"plain" in (tmp_path / "new" / name).read_bytes()
    assert len(list((tmp_path / "new").iterdir())) == 1
    # And again, from one to the next.
    do("cut", tmp_path / "new" / name, tmp_path / "second.mp4")
    assert_carries(tmp_path / "second.mp4", name)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_pictures_made_from_a_result_are_marked_one_by_one(
    kind: str, film: Path, tmp_path: Path
) -> None:
    do("frames", film, tmp_path / "out", format=kind)
    pictures = sorted((tmp_path / "out").glob(f"*.{kind}"))
    assert len(pictures) == 6
    for path in pictures:
        assert_carries(path, "result.mp4")
    # From a folder of such pictures each goes its own way, and a video of them is marked.
    do("denoise", tmp_path / "out", tmp_path / "clean")
    for path in pictures:
        assert_carries(tmp_path / "clean" / path.name, path.name)
    do("cut", tmp_path / "clean", tmp_path / "again.mp4")
    assert_carries(tmp_path / "again.mp4", "clean")
    assert comment_of(tmp_path / "again.mp4") == COMMENT


def test_one_marked_picture_among_others(film: Path, plain: Path, tmp_path: Path) -> None:
    Claim.drawn("A face.", consent=CONSENT).write_picture(plain / "4.png", image(4))
    do("frames", plain, tmp_path / "out")
    marked = [is_marked(path) for path in sorted((tmp_path / "out").glob("*.png"))]
    assert marked == [False, False, False, False, True, False]
    do("cut", plain, tmp_path / "out.mp4")
    assert {each.title for each in assert_carries(tmp_path / "out.mp4", "plain").ingredients} == {
        "plain",
        "4.png",
    }


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_the_comment_alone_is_a_mark(name: str, plain: Path, tmp_path: Path) -> None:
    """Another program has dropped the manifest; it may have added to the comment."""
    path = commented(plain, tmp_path / name, f"Copied. {COMMENT}")
    do("cut", path, tmp_path / "out.mp4")
    assert_carries(tmp_path / "out.mp4", name, "")
    do("frames", path, tmp_path / "out")
    assert_carries(tmp_path / "out" / "00001.png", name, "")


def test_a_mark_that_does_not_hold_is_still_one(film: Path, tmp_path: Path) -> None:
    data = bytearray(film.read_bytes())
    data[data.index(b"mdat") + 300] ^= 1
    film.write_bytes(data.replace(COMMENT[:20].encode(), b"x" * 20))
    assert read_manifest(film).state == "invalid" and COMMENT not in comment_of(film)
    do("frames", film, tmp_path / "out")
    # Its mark is carried on, but not what it says of consent, which somebody may have changed.
    assert_carries(tmp_path / "out" / "00001.png", "result.mp4", consent="")


def test_what_cannot_carry_the_mark_on_is_not_written(film: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"cannot carry the mark on\. Name it \.mp4"):
        do("cut", film, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_a_stop_leaves_nothing(film: Path, tmp_path: Path) -> None:
    arguments = {"footage": str(film), "out": str(tmp_path / "new" / "out.mp4")}
    running = jobs.run(jobs.Job(verb="cut", arguments=arguments, options={}))
    while next(running).event != "progress":
        pass
    list((running.send(Stop()), *running))
    assert list((tmp_path / "new").iterdir()) == []


def test_consent_that_somebody_changed_is_not_signed_anew(film: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged.mp4"
    forged.write_bytes(film.read_bytes().replace(b"Both signed", b"All signed "))
    assert written_consent(film) == CONSENT and written_consent(forged) is None


def test_other_footage_stays_without_a_mark(plain: Path, tmp_path: Path) -> None:
    path = commented(plain, tmp_path / "a.mp4", "a day at the sea, synthetic fibres")
    for events in (
        do("cut", path, tmp_path / "out.mkv"),
        do("frames", path, tmp_path / "out"),
        do("denoise", plain, tmp_path / "clean"),
    ):
        assert "marked" not in notes(events)
    made = [
        tmp_path / "out.mkv",
        *(tmp_path / "out").glob("*.png"),
        *(tmp_path / "clean").iterdir(),
    ]
    assert not any(map(is_marked, made)) and not (tmp_path / "credentials").exists()


def test_faces_and_what_was_found_in_a_marked_film_are_marked(make_film: Any, draw: Any) -> None:
    film = make_film([draw((10, 20, 40))] * 4)
    picture = film.folder.parent / "clip" / "2.png"
    Claim.drawn("A face.", consent=CONSENT).write_picture(picture, stills.read_image(picture))
    events = film.run(debug="video")
    assert "clip: marked as synthetic" in notes(events)
    assert len(film.faces().faces.frame) == 4
    for path in film.faces().paths:
        assert_carries(path, "clip")
    page = (film.folder / "dst" / "report.html").read_text(encoding="utf-8")
    shown = re.findall("data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    assert shown
    for data in set(shown):
        (film.folder / "shown.jpg").write_bytes(base64.b64decode(data))
        assert_carries(film.folder / "shown.jpg", "clip")
    debug = film.folder / "dst" / "debug.mp4"
    assert_carries(debug, "clip")
    assert comment_of(debug) == COMMENT
    # Outlines drawn later change the file, and not that it is known as marked.
    face_image.write_polygons(film.faces().paths[0], [])
    assert is_marked(film.faces().paths[0]) and len(film.faces().paths) == 4

    # Nor do they lose it on the way to other tools, or cut by what these say.
    out = film.folder.parent / "aligned"
    list(faces_export(film.folder, "dst", out, options=FacesExportOptions()))
    found = sorted(out.iterdir())
    assert len(found) == 4 and all(map(is_marked, found))
    assert {read_manifest(each).state for each in found} == {
        read_manifest(film.faces().paths[1]).state
    }
    assert all(dfl_picture.read_face(each.read_bytes(), each.name) for each in found)
    given = film.folder.parent / "alignments.fsa"
    as_told = FacesExportOptions(format="fsa")
    list(faces_export(film.folder, "dst", given, options=as_told))
    shutil.rmtree(film.folder / "dst/faces")
    list(faces_import(film.folder, "dst", [given], options=FacesImportOptions()))
    assert len(film.faces().paths) == 4 and all(map(is_marked, film.faces().paths))
    # Nor on the way back, where each is signed for what it is now; twice imported, each is there.
    shutil.rmtree(film.folder / "dst/faces")
    (film.folder / "dst/faces.safetensors").unlink()
    list(faces_import(film.folder, "dst", [out], options=FacesImportOptions()))
    back = film.faces().paths
    states = {read_manifest(each).state for each in back}
    assert len(back) == 4 and all(map(is_marked, back)) and states == {"valid"}
    assert read_manifest(back[1]).consent == CONSENT
    (*_, last) = faces_import(film.folder, "dst", [out], options=FacesImportOptions())
    assert last.summary["already_there"] == 4 and len(film.faces().paths) == 4
