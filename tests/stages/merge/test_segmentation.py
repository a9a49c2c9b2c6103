"""A segmenter's masks in a merge. Weights are set so that it is known what XSeg sees: whatever is
bright.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.core import affine, image
from understudy.core.face import align
from understudy.errors import BadOption, WeightsMissing
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files import segmenter_file
from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.io.open_footage import open_footage
from understudy.io.video.encode_options import EncodeOptions
from understudy.nets.pretrained.xseg import XSeg
from understudy.parts.segmenters import Segment, Segmenter, segmenters
from understudy.stages.events import Note, Warned
from understudy.stages.merge import context
from understudy.stages.merge.command import merge
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.segmentation import FaceSegmenter
from understudy.stages.project import Project, ProjectFile
from understudy.stages.saved_models.segmenters import select_segmenter
from understudy.types import AlignedFace, Array, Bytes, Face, FaceType, Floats, Prediction

BRIGHT = 0.5
GREEN = (26, 230, 51)


def landmarks(x: float, y: float, side: float, turn: float = 0) -> Floats:
    """68 points of a face whose half square of `side` px has its middle at x, y."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + turn + 0.5 * np.cos(angle), 0.4 + 0.7 * np.sin(angle)], -1)
    return (np.concatenate([jaw, align.TEMPLATE]) * side + (x - side / 2, y - side / 2)).astype(
        np.float32
    )


def weights(red: float = 1 / 3) -> dict[str, Array]:
    """XSeg's weights, so set that its mask is 1 where the picture is brighter than BRIGHT, 0
    elsewhere; red: its share in that.
    """
    # An epsilon of nought would divide nought by nought.
    tensors = {
        name: torch.full_like(value, name.endswith("epsilon"))
        for name, value in XSeg().state_dict().items()
    }
    rest = (1 - red) / 2
    tensors["down.0.0.0.weight"][0, :, 1, 1] = torch.tensor([rest, rest, red])
    for block in ("down.0.0", "down.0.1", "rises.5.blocks.0", "rises.5.blocks.1"):
        # So large a number that the norm does not depend on the picture, and brings back what went
        # in.
        tensors[f"{block}.1.epsilon"], tensors[f"{block}.1.gamma"][0] = torch.tensor(1e6), 1e3
    # What came across lies behind the 32 maps that rose.
    tensors["rises.5.blocks.0.0.weight"][0, 32, 1, 1] = 1
    for name in ("down.0.1.0.weight", "rises.5.blocks.1.0.weight"):
        tensors[name][0, 0, 1, 1] = 1
    tensors["head.weight"][0, 0, 1, 1], tensors["head.bias"][0] = 400, -400 * BRIGHT
    return {name: value.numpy() for name, value in tensors.items()}


def keep(
    show: Path,
    name: str,
    face_type: FaceType = "full",
    kind: str = "xseg",
    tensors: dict[str, Array] | None = None,
) -> Path:
    path = show / "segmenters" / f"{name}.safetensors"
    segmenter_file.write(
        SegmenterFile(
            path, kind, face_type, 256, "a test", weights() if tensors is None else tensors
        )
    )
    return path


class Painter:
    """A model that paints faces green."""

    resolution, face_type = 64, "full"

    def predict(self, images: Floats) -> Prediction:
        masks = np.ones(images.shape[:3], np.float32)
        masks[:, 0, 0] = 0  # else it would be one that learns no mask
        return Prediction(
            np.broadcast_to(np.float32(GREEN) / 255, images.shape).copy(), masks, masks
        )


def plate() -> Bytes:
    """Dark, with a bright disc."""
    drawn = np.full((192, 256, 3), 40, np.uint8)
    cv2.circle(drawn, (140, 100), 20, (200, 200, 200), -1, cv2.LINE_AA)
    return drawn


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A show of two frames, a face in each, and a model that paints."""
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    folder, stills = tmp_path / "show", tmp_path / "stills"
    stills.mkdir()
    (folder / "models" / "painter").mkdir(parents=True)
    (folder / "models" / "painter" / "options.toml").write_text("")
    Project(folder, ProjectFile(src=str(stills), dst=str(stills))).save()
    faceset = Faceset(folder / "dst" / "faces")
    for number in range(2):
        cv2.imwrite(str(stills / f"{number}.png"), plate())
        points = landmarks(128, 96, 80)
        matrix = align.face_from_frame(points, "full", 64)
        face = Face(number, affine.bounding_box(points), points, 0.9, -1, np.zeros(3, np.float32))
        faceset.add(
            AlignedFace(
                face, image.warp(plate(), matrix, (64, 64)), matrix, "full", source="stills"
            )
        )
    monkeypatch.setattr(
        context,
        "load_predictor",
        lambda path, device, *, best: context.LoadedPredictor(Painter(), 1, ""),
    )
    return folder


def options(*masks: str, **more: object) -> MergeOptions:
    encode = EncodeOptions(crf=2, preset="ultrafast")
    return MergeOptions(
        masks=masks,
        match_tone=False,
        color_transfer="none",
        erode=0,
        blur=0,
        encode=encode,
        device="cpu",
        **more,
    )


def green(show: Path) -> Floats:
    """How green each pixel of the first frame has become, 0..1."""
    with open_footage(show / "result.mp4") as footage:
        return np.clip(
            np.abs(next(iter(footage)).image.astype(np.float32) - plate()).max(-1) / 100, 0, 1
        )


def test_the_face_shows_only_where_xseg_sees_one_in_the_plate(show: Path) -> None:
    keep(show, "mine")
    events = list(merge(show, options("xseg-dst", "learned")))
    disc = plate()[..., 0] > 120
    became = green(show) > 0.5
    assert (became & disc).sum() / (became | disc).sum() > 0.9
    assert any(isinstance(event, Note) and "segmenter mine" in event.text for event in events)
    assert not [event for event in events if isinstance(event, Warned)]


def test_what_xseg_sees_in_the_prediction_counts_for_xseg_prd(show: Path) -> None:
    # The painted green holds hardly any red; and pictures go in as BGR.
    for red, shows in ((0.0, True), (1.0, False)):
        keep(show, "mine", tensors=weights(red))
        list(merge(show, options("xseg-prd")))
        assert (green(show)[90:110, 100:150].mean() > 0.9) == shows


def test_without_weights_nothing_is_merged(show: Path) -> None:
    for masks in (("xseg-dst",), ("learned", "xseg-prd")):
        with pytest.raises(
            WeightsMissing,
            match=r"segmenters: no segmenter.*trained import.*--segmenter multiclass",
        ):
            list(merge(show, options(*masks)))
    assert not (show / "merged").exists()


def test_one_of_several_segmenters_must_be_named(show: Path) -> None:
    for name in ("one", "two"):
        keep(show, name, tensors={"a": np.zeros(1)})
    with pytest.raises(BadOption, match=r"several segmenters \(one, two\).*--segmenter"):
        list(merge(show, options("xseg-dst")))
    with pytest.raises(WeightsMissing, match=r"no segmenter 'three'. There are: one, two"):
        list(merge(show, options("xseg-dst", segmenter="three")))


def test_a_file_of_another_network_is_refused(show: Path) -> None:
    path = keep(
        show,
        "mine",
        tensors={name: array for name, array in weights().items() if name != "code.bias"},
    )
    with pytest.raises(WeightsMissing, match=rf"{path.name}: tensor 'code.bias' is missing"):
        list(merge(show, options("xseg-dst")))
    assert not (show / "merged").exists() and not (show / "result.mp4").exists()


def test_a_segmenter_that_no_mask_asks_for_is_told(show: Path) -> None:
    events = list(merge(show, options("dst", segmenter="mine")))
    assert any(isinstance(event, Note) and "mine: not used" in event.text for event in events)


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segmenter from outside: whatever is brighter than BRIGHT."""

    class Bright(Segmenter):
        def build(self, file: SegmenterFile, device: str) -> Segment:
            return lambda faces: (faces.mean(-1) > BRIGHT).astype(np.float32)

    monkeypatch.setitem(segmenters._parts, "bright", Bright)


@pytest.mark.usefixtures("bright")
def test_a_segmenter_that_needs_no_training_serves_a_show_without_a_file(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SegmenterFile(show / "some.tflite", "bright", "full", 256, "somebody's", {})
    monkeypatch.setattr(segmenters["multiclass"], "pretrained_file", lambda self: file)
    list(merge(show, options("xseg-dst", segmenter="multiclass")))
    became, disc = green(show) > 0.5, plate()[..., 0] > 120
    assert (became & disc).sum() / (became | disc).sum() > 0.9
    # One of the show's own of that name comes first.
    keep(show, "multiclass")
    assert (
        select_segmenter(Project.load(show), "multiclass", ("xseg-dst",), MergeOptions()).kind
        == "xseg"
    )


@pytest.mark.usefixtures("bright")
@pytest.mark.parametrize("seen", ["half", "full", "whole", "head"])
@pytest.mark.parametrize("model", ["half", "full", "head"])
def test_masks_are_carried_between_face_types(
    tmp_path: Path, model: FaceType, seen: FaceType
) -> None:
    file = SegmenterFile(tmp_path, "bright", seen, 256, "", {})
    segmenter = FaceSegmenter.load(file, "cpu", ("xseg-prd", "xseg-dst"), MergeOptions())
    points = landmarks(130, 90, 60, turn=0.2)
    # Steadied: the face's square does not stand where its own points would put it.
    face_from_frame = affine.compose(
        [[1, 0, 4], [0, 1, -3]], align.face_from_frame(points, model, 128)
    )
    crop = image.as_float(image.warp(plate(), face_from_frame, (128, 128), "replicate"))
    view = segmenter.crop(plate(), points, face_from_frame, (model, 128))
    ((on_prd, on_dst),) = segmenter.masks([view], [crop])
    whole = np.ones((256, 256), np.float32)
    within = (
        image.warp(whole, affine.invert(view.seen_from_face), (128, 128), filter="linear") > 0.5
    )
    expected = (crop.mean(-1) > BRIGHT) & within
    assert within.all() == (model == seen or align.contains(seen, model)) or within.mean() > 0.99
    for mask in (on_prd, on_dst):
        assert mask is not None and mask.shape == (128, 128)
        assert ((mask > 0.5) & expected).sum() / ((mask > 0.5) | expected).sum() > 0.93


@pytest.mark.usefixtures("bright")
def test_a_segmenter_of_other_faces_says_what_that_means(tmp_path: Path) -> None:
    def told(seen: FaceType, *masks: str) -> list[str]:
        return FaceSegmenter.load(
            SegmenterFile(tmp_path, "bright", seen, 256, "", {}), "cpu", masks, MergeOptions()
        ).coverage_warnings("full")

    assert told("full", "xseg-prd", "xseg-dst") == [] == told("whole", "xseg-dst")
    assert "less sure" in told("whole", "xseg-prd")[0]
    assert "nothing counts as face" in told("half", "xseg-dst")[0]
