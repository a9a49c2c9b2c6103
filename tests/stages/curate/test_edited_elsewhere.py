"""Face pictures that another tool has edited get their metadata back, and no face another's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import cli
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.errors import BadProject
from understudy.io.faceset import face_image, image_metadata
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal
from understudy.io.faceset.saved_metadata import SavedMetadata
from understudy.stages.project import Project
from understudy.types import AlignedFace, Bytes, Face, Polygon

SIDE, COUNT = 64, 7
FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)


def face(number: int) -> AlignedFace:
    noise = np.random.default_rng(number).integers(0, 200, (8, 8, 3), np.uint8)
    image = cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return AlignedFace(
        Face(number, np.float32([1, 2, 90, 80]), FACE, 0.9, 0, np.zeros(3, np.float32)),
        np.asarray(image, np.uint8),
        np.array([[0.3, 0.01, 4], [-0.01, 0.3, 5]]),
        "whole",
        mask=np.eye(SIDE, dtype=np.float32),
        source="clip",
        polygons=(Polygon(np.float32([[1, 1], [9, 1], [5, 7]]), includes=False),),
    )


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = Project.create(tmp_path / "show", tmp_path / "a", tmp_path / "b").faces("src")
    for number in range(COUNT):
        face_image.write(folder / f"{number:06d}_0.jpg", face(number))
    return folder


@pytest.fixture
def run(faces: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """run("save", …): the command on that set; what it told."""

    def command(verb: str, *words: object, code: int = 0) -> str:
        line = ["faces", f"{verb}-metadata", str(faces.parents[1]), "src", *map(str, words)]
        assert cli.main(line) == code
        told = capsys.readouterr()
        return " ".join((told.out + told.err).split())

    return command


def blocks(folder: Path) -> dict[str, bytes | None]:
    return {
        path.stem: image_metadata.inspect(path.read_bytes(), path.name).block
        for path in Faceset(folder).paths
    }


def edit(path: Path, *, side: int = SIDE, suffix: str = ".jpg", to: Path | None = None) -> Bytes:
    """Save a picture as a tool that knows nothing of metadata does; its pixels."""
    image = cv2.resize(cv2.imread(str(path)), (side, side)) // 2 + 30
    if to is None:
        path.unlink()
    goal = (to or path.parent) / (path.stem + suffix)
    assert cv2.imwrite(str(goal), image)
    return np.asarray(cv2.imread(str(goal)), np.uint8)


def test_what_was_edited_in_its_place_is_a_face_again(faces: Path, run: Callable[..., str]) -> None:
    known = blocks(faces)
    run("save")
    pixels = [
        edit(faces / f"{n:06d}_0.jpg", side=side, suffix=suffix)
        for n, (side, suffix) in enumerate(
            [(64, ".jpg"), (96, ".png"), (64, ".tif"), (48, ".webp")]
        )
    ]
    (faces / "000005_0.jpg").unlink()
    told = run("restore")
    assert "1 faces were saved and have no picture any more (000005_0.jpg)" in told
    del known["000005_0"]
    same = {
        name: block and face_image.FaceMetadata.model_validate_json(block)
        for name, block in known.items()
    }
    found = {
        name: block and face_image.FaceMetadata.model_validate_json(block)
        for name, block in blocks(faces).items()
    }
    assert found == same
    names = ["000000_0.jpg", "000001_0.png", "000002_0.png", "000003_0.png", "000004_0.jpg"]
    assert Faceset(faces).names == [*names, "000006_0.jpg"]
    for name, image in zip(names, pixels, strict=False):
        read = face_image.read(faces / name)
        assert np.array_equal(read.image[:, :, ::-1], image)
        # At another size the points, the mask and the polygons lie where they lay.
        assert np.allclose((read.landmarks + 0.5) / read.size, (face(0).landmarks + 0.5) / SIDE)
    assert "no picture to put right" in run("restore")
    Journal(faces.parent).undo()
    assert (faces / "000002_0.tif").is_file() and not (faces / "000002_0.png").exists()


def test_pictures_from_another_folder_take_the_place_of_their_originals(
    faces: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    file, folder = tmp_path / "said.jsonl", tmp_path / "edited"
    folder.mkdir()
    run("save", "--file", file)
    image = edit(faces / "000003_0.jpg", suffix=".png", to=folder)
    run("restore", "--file", file, "--pictures", folder)
    assert len(Faceset(faces)) == COUNT and (folder / "000003_0.png").is_file()
    assert np.array_equal(face_image.read(faces / "000003_0.png").image[:, :, ::-1], image)


def test_what_does_not_fit_its_name_is_left_out_and_told(
    faces: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    run("save")
    swapped, cropped, nameless = (faces / f"00000{n}_0.jpg" for n in (1, 2, 3))
    swapped.write_bytes(edit_bytes(faces / "000000_0.jpg"))
    cv2.imwrite(str(cropped), cv2.imread(str(cropped))[:40])
    nameless.rename(faces / "mine.jpg")
    edit(faces / "mine.jpg")
    edit(faces / "000004_0.jpg", suffix=".png")
    told = run("restore")
    assert "000001_0.jpg: looks more like 000000_0.jpg than" in told or (
        "000001_0.jpg: does not look like the face of that name" in told
    )
    assert "64x40 pixels, a face picture is square" in told
    assert "names that were not saved (mine.jpg)" in told
    assert Faceset(faces, tolerant=True).names == [
        "000000_0.jpg", "000004_0.png", "000005_0.jpg", "000006_0.jpg",
    ]  # fmt: skip
    run("restore", "--no-check")
    assert "000001_0.jpg" in Faceset(faces, tolerant=True).names


def edit_bytes(path: Path) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.imread(str(path)))
    assert done
    return bytes(data)


def test_a_damaged_file_is_refused_by_its_line(faces: Path, run: Callable[..., str]) -> None:
    assert "faces_metadata.jsonl" in run("restore", code=4)
    run("save")
    path = faces.with_name("faces_metadata.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in (b"{}\n", b'{"name": "../x.jpg", "picture": "", "metadata": {}}\n', lines[1]):
        path.write_bytes(b"".join([*lines[:3], wrong]))
        with pytest.raises(BadProject, match=r"faces_metadata\.jsonl"):
            SavedMetadata(path)
