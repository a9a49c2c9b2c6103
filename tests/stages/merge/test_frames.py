"""Frames through the pipe of a merge: steady in time, the same whatever the range."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.core.face import align
from understudy.core.face.mask import hull_mask
from understudy.io.open_footage import open_footage
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.frames import FrameReport, merge_frames
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.placement import DstFaces
from understudy.types import Face, Faces, Prediction

FRAMES, SIZE, BARE = 24, (128, 96), 12
PLAIN = {"color_transfer": "none", "texture": 0, "sharpen": 0, "grain": 0}


def landmarks(x, y, side):
    """68 points of an upright face whose `full` square of `side` px has its middle at x, y."""
    inner = align.template_points("full", 256) * side / 256
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([side * (0.5 + 0.3 * np.cos(angle)), side * (0.45 + 0.4 * np.sin(angle))], -1)
    return (np.concatenate([jaw, inner]) + np.array([x - side / 2, y - side / 2])).astype(
        np.float32
    )


def face(frame, x=60.0, person=0, track=0):
    points = landmarks(x, 50.0, 60.0)
    box = np.concatenate([points.min(0), points.max(0)])
    return Face(frame, box, points, 0.9, track, np.zeros(3, np.float32), None, person)


class Flickers:
    """A model whose faces are dst's, now darker, now lighter, and towards the chin darker; its
    masks tremble, too.
    """

    resolution, face_type = 48, "full"

    def __init__(self, depth=0.2, tremble=0, tint=0.0):
        self.depth, self.tremble, self.tint = depth, tremble, tint

    def predict(self, images):
        # By what it sees, not by when: a frame that is seen twice must come out alike.
        number = [round(float(image.mean()) * 1e6) for image in images]
        gain = np.array(
            [1 + self.depth * np.random.default_rng(each).uniform(-1, 1) for each in number],
            np.float32,
        )
        masks = np.ones(images.shape[:3], np.float32)
        for mask, each in zip(masks, number, strict=True):
            edge = 8 + np.random.default_rng(each + 1).integers(0, self.tremble + 1)
            mask[:edge], mask[-edge:], mask[:, :edge], mask[:, -edge:] = 0, 0, 0, 0
        ramp = 1 - self.tint * np.linspace(0, 1, images.shape[1], dtype=np.float32)[:, None, None]
        return Prediction(np.clip(images * ramp * gain[:, None, None, None], 0, 1), masks, masks)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A nearly still plate, lossless, that differs from frame to frame by one level in one corner
    of the face.
    """
    path = tmp_path_factory.mktemp("clip") / "dst.mkv"
    soft = cv2.GaussianBlur(np.random.default_rng(0).random((SIZE[1], SIZE[0], 3)), (0, 0), 6)
    still = np.rint(255 * (0.3 + 2 * (soft - soft.min()))).clip(0, 255).astype(np.uint8)
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt, video.codec_context.time_base = (
            *SIZE,
            "bgr0",
            Fraction(1, 25),
        )
        for number in range(FRAMES):
            plate = still.copy()
            plate[40 : 41 + number % 5, 50 : 51 + number // 5] ^= 1
            output.mux(video.encode(av.VideoFrame.from_ndarray(plate, "rgb24")))
        output.mux(video.encode(None))
    return path


def context_of(footage, model, faces=None, **options):
    table = Faces.of(faces or [face(frame) for frame in range(FRAMES) if frame != BARE])
    chosen = MergeOptions(**{**PLAIN, **options})
    places = DstFaces(table, ((),) * len(table)).place(
        model.face_type, model.resolution, smooth=True
    )
    return MergeContext(footage, chosen, Keyframes.parse(chosen), Path("model"), model, places)


def merged(clip, model, frames=range(FRAMES), faces=None, **options):
    report = FrameReport()
    with open_footage(clip) as footage:
        merged = merge_frames(context_of(footage, model, faces, **options), report, frames)
        return [each.frame.image for each in merged], report


def flicker(pictures):
    """How much the middle of the face changes from frame to frame, in levels."""
    bright = np.array([picture[40:60, 50:70].mean() for picture in pictures])
    return np.abs(np.diff(bright)[[*range(BARE - 1), *range(BARE + 1, FRAMES - 1)]]).mean()


def test_colours_and_light_are_steadied(clip):
    """Masks that tremble look at other pixels in every frame; colour and light must not follow."""
    for options in ({"color_transfer": "rct"}, {"mode": "seamless"}):
        jumps, calm = (
            flicker(merged(clip, Flickers(0.0, 8, tint=0.4), steady=steady, **options)[0])
            for steady in (0, 5)
        )
        assert calm < jumps / 2


def test_a_still_plate_under_a_still_face_stays_as_it_is(clip):
    model = Flickers(0.0)
    pictures = merged(
        clip,
        model,
        color_transfer="rct",
        mode="seamless",
        texture=50,
        sharpen=100,
        faces=[face(0), face(5)],
    )[0]
    assert np.array_equal(pictures[0] >> 1, pictures[5] >> 1)


@pytest.mark.parametrize(
    "options",
    [{"color_transfer": "rct"}, {"mode": "seamless", "steady_mask": 2}, {"motion_blur": 180}],
)
def test_a_part_is_as_it_is_in_the_whole(clip, options):
    whole, _ = merged(clip, Flickers(tremble=4), **options)
    part, report = merged(clip, Flickers(tremble=4), range(9, 15), **options)
    assert len(part) == 6 and report.without_face == [BARE]
    assert all(np.array_equal(one, other) for one, other in zip(part, whole[9:15], strict=True))


def test_a_gap_parts_what_is_averaged(clip):
    """What comes after a frame without the face has no say in what was before it."""
    first, _ = merged(clip, Flickers(), range(BARE), color_transfer="rct")
    alone, _ = merged(
        clip,
        Flickers(),
        range(BARE),
        color_transfer="rct",
        faces=[face(frame) for frame in range(BARE)],
    )
    assert all(np.array_equal(one, other) for one, other in zip(first, alone, strict=True))


def test_each_person_has_settings_of_their_own(clip):
    two = [face(3, 35.0, person=0, track=0), face(3, 93.0, person=1, track=1)]
    at = ("person=1: mode=original",)
    picture, plate = (
        merged(clip, Flickers(0.9), range(3, 4), two, **each)[0][0]
        for each in ({"at": at}, {"mode": "original"})
    )
    assert np.abs(picture[30:70, 25:45].astype(int) - plate[30:70, 25:45]).max() > 10
    assert np.array_equal(picture[:, 80:], plate[:, 80:])


def test_masks_are_steadied(clip):
    options = {"mode": "raw-mask", "erode": 0, "blur": 0}
    jumps, calm = (
        np.stack(merged(clip, Flickers(0.0, 6), steady_mask=each, **options)[0]) for each in (0, 5)
    )
    assert (
        np.abs(np.diff(calm[:BARE].astype(int), axis=0)).sum()
        < np.abs(np.diff(jumps[:BARE].astype(int), axis=0)).sum() / 2
    )


def test_the_raw_modes_show_what_the_model_made(clip):
    model = Flickers(0.0)
    mask, square, alone, plate = (
        merged(clip, model, range(4, 5), mode=mode)[0][0]
        for mode in ("raw-mask", "raw-rgb", "raw-predict", "original")
    )
    assert mask[50, 60].tolist() == [255, 255, 255] and not mask[2, 2].any()
    assert not alone[2, 2].any() and np.abs(alone[50, 60].astype(int) - plate[50, 60]).max() <= 2
    assert np.array_equal(square[2, 2], plate[2, 2])
    bare, _ = merged(clip, model, range(BARE, BARE + 1), mode="raw-mask")
    assert not bare[0].any()


def test_a_face_that_fails_leaves_its_frame_and_no_other(clip):
    class Fails(Flickers):
        def predict(self, images):
            made = super().predict(images)
            made.image[3] = np.nan
            return made

    pictures, report = merged(clip, Fails(0.9), range(8))
    plates, _ = merged(clip, Flickers(), range(8), mode="original")
    assert [frame for frame, _ in report.failed] == [3]
    assert np.array_equal(pictures[3], plates[3])
    assert not np.array_equal(pictures[4], plates[4])


def test_grain_and_texture_make_no_frame_different_from_an_equal_one(clip):
    model = Flickers(0.0)
    one, other = (merged(clip, model, range(4, 5), grain=100, texture=100)[0][0] for _ in range(2))
    assert np.array_equal(one, other)


@pytest.fixture(scope="module")
def grainy(tmp_path_factory):
    """A flat plate with noise of 6 levels, other noise in each frame, lossless."""
    path = tmp_path_factory.mktemp("grainy") / "dst.mkv"
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = *SIZE, "bgr0"
        for number in range(FRAMES):
            noise = np.random.default_rng(number).normal(110, 6, (SIZE[1], SIZE[0], 3))
            frame = av.VideoFrame.from_ndarray(np.rint(noise).astype(np.uint8), "rgb24")
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


class Smooth(Flickers):
    """A model whose faces have no grain at all."""

    def predict(self, images):
        made = super().predict(images)
        made.image[:] = 110 / 255
        return made


@pytest.mark.parametrize("steady", [5, 2, 0])
def test_every_face_gets_the_plates_grain_whatever_the_range(grainy, steady):
    """Also where it is seen only in frames in which none is measured."""
    faces = [face(frame) for frame in range(FRAMES) if frame in (6, 7, 8) or frame > 11]
    options = {"grain": 100, "steady": steady}
    whole, _ = merged(grainy, Smooth(), faces=faces, **options)
    bare, _ = merged(grainy, Smooth(), faces=faces, **(options | {"grain": 0}))
    for number in sorted({each.frame for each in faces}):
        given = whole[number][40:60, 50:70] - bare[number][40:60, 50:70].astype(float)
        assert 4.5 < given.std() < 7.5
    part, _ = merged(grainy, Smooth(), range(13, 16), faces, **options)
    np.testing.assert_array_equal(part, whole[13:16])


def test_each_face_carries_the_very_options_that_hold_for_it(clip):
    """No copy with other names between the command line and the pixels."""
    with open_footage(clip) as footage:
        context = context_of(footage, Flickers(), at=("2: erode=7 formulas=dfl",))
        frames = list(merge_frames(context, FrameReport(), range(1, 4)))
    for frame in frames:
        (one,) = frame.faces.values()
        assert one.swap.options is context.keyframes.options_at(frame.frame.index, 0)
    assert [next(iter(each.faces.values())).swap.options.erode for each in frames] == [2, 7, 2]


class Hulls:
    """A model whose faces are dst's, and whose masks are hulls: dst's, and of a lower brow."""

    resolution, face_type = 64, "full"

    def predict(self, images):
        points = landmarks(31.5, 31.5, 64.0)
        low = points.copy()
        low[17:27, 1] += 3
        shown = [hull_mask(each, (64, 64))[None].repeat(len(images), 0) for each in (low, points)]
        return Prediction(images, *shown)


@pytest.mark.parametrize("masks", ["learned", "dst"])
def test_dsts_brows_are_covered_altogether(clip, masks):
    """A mask's edge by default, laid just above them, let a fifth of them through."""
    seen = landmarks(60.0, 50.0, 60.0)[17:27]
    with open_footage(clip) as footage:
        context = context_of(footage, Hulls(), masks=(masks,))
        matte = next(iter(merge_frames(context, FrameReport(), range(1)))).matte
    x, y = np.rint(seen).astype(int).T
    assert matte[y, x].min() > 0.75 and matte[y, x].mean() > 0.9
    # The rest of the edge is as wide as ever.
    assert matte[:, 60].max() == pytest.approx(1, abs=1e-3) and not matte[:20].any()


def test_dsts_brows_are_covered_where_they_are_by_a_face_that_is_laid_in_smaller(clip):
    x, y = np.rint(landmarks(60.0, 50.0, 60.0)[17:27]).astype(int).T
    with open_footage(clip) as footage:
        context = context_of(footage, Hulls(), masks=("dst",), face_scale=-6)
        matte = next(iter(merge_frames(context, FrameReport(), range(1)))).matte
    assert matte[y, x][1:-1].min() > 0.95
