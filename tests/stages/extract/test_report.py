"""The report's page holds all that it shows, shows everyone, and cannot be broken by a name."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.face import align
from understudy.core.metrics.summary import FootageInfo, Report
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.errors import CannotWrite
from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset
from understudy.stages.extract.report import format_report, write_report
from understudy.types import AlignedFace, Face

FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)
FACE = (FACE - FACE.mean(axis=0)) / np.ptp(FACE[:, 0]) * 60 + 80
FACTS = FootageInfo(
    "<script>clip</script> & 'co'.mp4",
    np.arange(20),
    failed=[(19, "<i>damaged</i>")],
    frame_size=(320, 240),
)


@pytest.fixture(scope="module")
def faceset(tmp_path_factory: pytest.TempPathFactory) -> Faceset:
    """Two people on three tracks, one face hardly certain."""
    faceset = Faceset(tmp_path_factory.mktemp("show") / "dst" / "faces")
    rng = np.random.default_rng(0)
    for frame in range(16):
        for number, (track, person) in enumerate([(0, 0)] + [(1 + frame // 8, 1)] * (frame != 4)):
            points = FACE + np.float32([frame + 100 * number, 0])
            box = np.concatenate([points.min(0), points.max(0)])
            score = 0.2 if (frame, number) == (7, 0) else 0.9
            raw = points + rng.normal(0, 1, points.shape).astype(np.float32)
            face = Face(
                frame,
                box,
                points,
                score,
                track,
                np.array([0, 0.01 * frame, 0], np.float32),
                person=person,
                raw=raw,
            )
            image = rng.integers(0, 255, (48, 48, 3), np.uint8)
            matrix = align.face_from_frame(points, "full", 48)
            faceset.add(AlignedFace(face, image, matrix, "full", source="clip"), number=number)
    (faceset.folder / "000015_0.jpg").rename(faceset.folder / "<img src=x>.jpg")
    faceset.rescan()
    return faceset


class Reader(HTMLParser):
    """What a browser would fetch, run and show."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            assert not name.startswith("on"), name
            if name in ("src", "href"):
                self.pictures.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_fetches_and_runs_nothing_and_its_pictures_are_in_it(
    faceset: Faceset, tmp_path: Path
) -> None:
    write_report(tmp_path, faceset, FACTS)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    read = Reader(page)
    assert not {"script", "link", "iframe", "object", "form"} & set(read.tags)
    assert "url(" not in page and "@import" not in page
    assert re.findall(r"https?://[^\"]*", page.replace("http://www.w3.org/2000/svg", "")) == []
    assert len(read.pictures) > 20
    for source in read.pictures:
        kind, data = source.split(",")
        assert kind == "data:image/jpeg;base64"
        assert cv2.imdecode(
            np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR
        ).shape == (112, 112, 3)


def test_names_and_reasons_are_shown_as_they_are(faceset: Faceset, tmp_path: Path) -> None:
    write_report(tmp_path, faceset, FACTS)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for raw in ("<script>", "<i>damaged", "<img src=x>"):
        assert raw not in page
    text = Reader(page).text
    assert "<script>clip</script> & 'co'.mp4" in text and "19: <i>damaged</i>" in text


def test_the_page_shows_people_tracks_gaps_and_what_is_worth_a_look(
    faceset: Faceset, tmp_path: Path
) -> None:
    write_report(tmp_path, faceset, FACTS)
    text = Reader((tmp_path / "report.html").read_text(encoding="utf-8")).text
    for shown in (
        "Person 0",
        "Person 1",
        "16 faces, 1 track, frames 0–15",
        "15 faces, 2 tracks",
        "Low score",
        "000007_0.jpg",
        "16–18",
    ):
        assert shown in text, shown


def test_the_json_is_the_report(faceset: Faceset, tmp_path: Path) -> None:
    made = write_report(tmp_path, faceset, FACTS)
    assert (
        Report.model_validate_json((tmp_path / "report.json").read_text(encoding="utf-8")) == made
    )
    assert (made.frames, made.faces, made.suspicious["low score"]) == (20, 31, 1)
    assert (
        made.detail is not None
        and made.size is not None
        and made.detail.highest <= made.size.highest * 1.2
    )


def test_the_terminal_gets_a_few_lines(faceset: Faceset, tmp_path: Path) -> None:
    text = format_report(write_report(tmp_path, faceset, FACTS))
    assert len(text.splitlines()) <= 5
    for shown in ("31 faces in 16 of 20 frames", "2 people", "3 tracks", "16-18", "1 low score"):
        assert shown in text, shown


def test_a_set_without_a_face_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    made = write_report(tmp_path, Faceset(tmp_path / "faces"), FACTS)
    assert made.faces == 0 and "0–18" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "0 faces in 0 of 20 frames" in format_report(made)


def test_a_full_disk_leaves_the_old_report(
    faceset: Faceset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(tmp_path, faceset, FACTS)
    before = (tmp_path / "report.html").read_bytes()

    def full(path: Path, data: bytes) -> None:
        raise CannotWrite(f"{path}: the disk is full.")

    monkeypatch.setattr(atomic, "write_bytes", full)
    with pytest.raises(CannotWrite):
        write_report(tmp_path, faceset, FACTS)
    assert (tmp_path / "report.html").read_bytes() == before
