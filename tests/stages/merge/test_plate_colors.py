"""The new face takes the plate's colours: none where it has none, and not those of what passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.core import affine, image
from understudy.core.face import align
from understudy.errors import BadOption
from understudy.io.faceset.faceset import Faceset
from understudy.io.video.encode_options import EncodeOptions
from understudy.stages.events import Event, Note, Warned
from understudy.stages.merge import context
from understudy.stages.merge.command import merge
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project, ProjectFile
from understudy.types import AlignedFace, Bytes, Face, Floats, Prediction

Change = Callable[[int, Bytes, Floats], Bytes]


class Tinter:
    """A model whose faces are dst's, mirrored, in other colours. It sees no hands."""

    resolution, face_type = 64, "full"
    usual: Floats

    def predict(self, images: Floats) -> Prediction:
        masks = np.zeros(images.shape[:3], np.float32)
        masks[:, 14:56, 14:50] = 1
        faces = np.float32([1.0, 0.8, 0.6]) * cv2.GaussianBlur(self.usual, (0, 0), 1)[:, ::-1]
        return Prediction(np.stack([faces] * len(images)).astype(np.float32), masks, masks)


@pytest.fixture
def show(
    tmp_path: Path, people: dict[str, list[tuple[Bytes, Floats]]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Change], Path]:
    """show(change): a show whose dst are the frames of person b, changed, and that model."""

    def make(change: Change) -> Path:
        folder = tmp_path / f"show-{len(list(tmp_path.iterdir()))}"
        (folder / "models" / "tinter").mkdir(parents=True)
        (folder / "models" / "tinter" / "options.toml").write_text("")
        (stills := folder / "stills").mkdir()
        Project(folder, ProjectFile(src=str(stills), dst=str(stills))).save()
        faceset, model = Faceset(folder / "dst" / "faces"), Tinter()
        for number, (frame, points) in enumerate(people["b"]):
            plate = change(number, frame, points)
            cv2.imwrite(str(stills / f"{number}.png"), plate[..., ::-1])
            matrix = align.face_from_frame(points, "full", 128)
            # Two people, one after the other.
            person = number // 5
            still = Face(
                number, affine.bounding_box(points), points, 0.9, 0, np.zeros(3, "f4"), None, person
            )
            cut = image.warp(plate, matrix, (128, 128), "replicate")
            faceset.add(AlignedFace(still, cut, matrix, "full", source="stills"))
            if number == 0:
                own = align.face_from_frame(points, "full", 64)
                model.usual = image.as_float(image.warp(frame, own, (64, 64), "replicate"))
        monkeypatch.setattr(
            context,
            "load_predictor",
            lambda path, device, *, best: context.LoadedPredictor(model, 1, ""),
        )
        return folder

    return make


def merged(show: Path, **options: object) -> tuple[list[Bytes], list[Event]]:
    encode = EncodeOptions(codec="h264", crf=1, preset="ultrafast", chroma="444")
    chosen = MergeOptions(device="cpu", encode=encode, **options)
    events = list(merge(show, chosen))
    with av.open(show / "result.mp4") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], events


def warnings(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Warned)]


def test_of_several_people_one_can_be_replaced(show: Callable[[Change], Path]) -> None:
    folder = show(lambda number, frame, points: frame)
    plates = [
        cv2.imread(str(folder / "stills" / f"{number}.png"))[..., ::-1] for number in range(10)
    ]

    def replaced(pictures: list[Bytes]) -> list[int]:
        """The frames in which a face is another one."""
        changes = [
            np.abs(each.astype(int) - plate).max()
            for each, plate in zip(pictures, plates, strict=True)
        ]
        return [number for number, change in enumerate(changes) if change > 12]

    pictures, events = merged(folder)
    (said,) = [text for text in warnings(events) if "people are seen" in text]
    assert "person 0 in 5 frames, person 1 in 5 frames. All are replaced." in said
    assert replaced(pictures) == list(range(10))
    pictures, events = merged(folder, person=1)
    assert replaced(pictures) == [5, 6, 7, 8, 9]
    assert not any("people are seen" in text for text in warnings(events))
    with pytest.raises(BadOption, match="--person: there is no person 2"):
        merged(folder, person=2)


def grey(number: int, frame: Bytes, points: Floats) -> Bytes:
    return np.repeat(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def colour_of(pictures: list[Bytes]) -> list[int]:
    return [int(np.ptp(each.astype(int), axis=2).max()) for each in pictures]


@pytest.mark.footage_kind(
    "without colour (grey or toned, as old film)", "The new face has none either; a note says so."
)
def test_a_plate_without_colour_gets_a_face_without_colour(show: Callable[[Change], Path]) -> None:
    pictures, events = merged(show(grey))
    assert max(colour_of(pictures)) <= 3
    assert any("without colour" in event.text for event in events if isinstance(event, Note))
    pictures, events = merged(show(grey), match_tone=False)
    assert min(colour_of(pictures)) > 15
    assert not any("without colour" in event.text for event in events if isinstance(event, Note))


def test_a_few_grey_frames_take_no_colour_from_the_others(show: Callable[[Change], Path]) -> None:
    def some_grey(number: int, frame: Bytes, points: Floats) -> Bytes:
        return grey(number, frame, points) if number in (4, 5) else frame

    pictures, events = merged(show(some_grey))
    assert min(colour_of(pictures[:4] + pictures[6:])) > 40
    assert not any("without colour" in event.text for event in events if isinstance(event, Note))


def test_what_passes_before_the_face_leaves_its_colours_alone(
    show: Callable[[Change], Path],
) -> None:
    """A blue ball before the mouth in two of ten frames, against the same frames without it."""
    mouths: dict[int, tuple[int, ...]] = {}

    def ball(number: int, frame: Bytes, points: Floats) -> Bytes:
        if number not in (5, 6):
            return frame
        mouths[number] = tuple(points[48:68].mean(0).round().astype(int).tolist())
        return cv2.circle(frame.copy(), mouths[number], 20, (30, 50, 190), -1, cv2.LINE_AA)

    plain, covered = show(lambda number, frame, points: frame), show(ball)

    def shift(**options: object) -> float:
        """How far the skin above the ball is from where it is without it, in levels."""
        (with_ball, _), (without, _) = (merged(each, **options) for each in (covered, plain))
        found = []
        for number, (x, y) in mouths.items():
            skin = np.s_[y - 45 : y - 28, x - 22 : x + 22]
            one, other = (each[number][skin].mean((0, 1)) for each in (with_ball, without))
            found.append(np.abs(one - other).max())
        return float(np.mean(found))

    before, after = shift(uncover=False, steady=0), shift(steady=0)
    assert before > 5 and after < before / 4
