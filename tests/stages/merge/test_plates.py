"""A merge into footage whose pixels are not square, or that holds two fields in a frame."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from shaped_clips import shown_order, squeeze, weave, write_plates

from understudy.core.face import align
from understudy.io.footage.options import FootageOptions
from understudy.io.open_footage import open_footage
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_video
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.frames import FrameReport, merge_frames
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.placement import DstFaces
from understudy.types import Face, Faces, Prediction

FRAMES, SIZE, SPEED = 4, (256, 144), 6
TWO, TV = Fraction(2), Fraction(64, 45)
PLAIN = {"color_transfer": "none", "texture": 0, "sharpen": 0, "grain": 0, "steady": 0}


class Painter:
    """A model that paints faces green."""

    resolution, face_type = 48, "full"

    def predict(self, images):
        masks = np.zeros(images.shape[:3], np.float32)
        masks[:, 6:-6, 6:-6] = 1
        return Prediction(np.full_like(images, (0.1, 0.8, 0.2)), masks, masks)


def face(frame, x):
    """A face whose `full` square of 80 px has its middle at (x, 72)."""
    inner = align.template_points("full", 256) * 80 / 256
    points = np.concatenate([np.repeat(inner[:1], 17, 0), inner]) + np.array([x - 40, 32])
    box = np.concatenate([points.min(0), points.max(0)])
    still = np.zeros(3, np.float32)
    return Face(frame, *np.float32([box]), points.astype(np.float32), 0.9, 0, still, None, 0)


def scene(number):
    """A picture of a fiftieth of a second: stripes that move to the right, finer than they may."""
    x = np.arange(SIZE[0]) - SPEED / 2 * number
    y = np.arange(SIZE[1])[:, None]
    levels = [
        110 + 60 * np.sin(x / 5 + y / 9),
        90 + 50 * np.sin(x / 3.0) + 0 * y,
        120 + 0 * (x + y),
    ]
    return np.rint(np.stack(levels, -1)).astype(np.uint8)


def center(number):
    """Where the face is in the frame."""
    return 80 + SPEED * number


def lossless(path, plates, aspect=Fraction(1), orders=(None,)):
    options = {"crf": "0", "preset": "ultrafast"}
    return write_plates(path, plates, aspect, orders, "libx264rgb", "rgb24", options)


def merge(footage, **options):
    table = Faces.of([face(frame, center(frame)) for frame in range(FRAMES)])
    chosen = MergeOptions(**{**PLAIN, **options})
    places = DstFaces(table, ((),) * len(table)).place("full", 48, smooth=False)
    context = MergeContext(
        footage, chosen, Keyframes.parse(chosen), Path("model"), Painter(), places
    )
    return list(merge_frames(context, FrameReport(), range(FRAMES)))


def away_from_faces(frame, aspect=Fraction(1)):
    """Where the plate of a frame is farther from its face than its square reaches."""
    x = (np.arange(round(SIZE[0] / aspect)) + 0.5) * float(aspect)
    y = np.arange(SIZE[1])[:, None]
    return (np.abs(x - center(frame)) > 50) | (np.abs(y - 72) > 50)


@pytest.mark.footage_kind(
    "pixels that are not square (DV, HDV, DVCPRO HD, anamorphic)",
    "Faces are found and replaced in square pixels; the result has the pixels and the aspect of the"
    " plate, which outside of the faces are what they were.",
)
@pytest.mark.parametrize("aspect", [TWO, TV, Fraction(4, 3)])
def test_a_squeezed_plate_gets_the_face_that_the_square_one_gets(tmp_path, aspect):
    square = [scene(2 * number) for number in range(FRAMES)]
    squeezed = [squeeze(each, aspect) for each in square]
    with (
        open_footage(lossless(tmp_path / "square.mkv", square)) as one,
        open_footage(lossless(tmp_path / "squeezed.mkv", squeezed, aspect)) as other,
    ):
        assert other.size == one.size == SIZE and other.plate_size == squeezed[0].shape[1::-1]
        for number, (whole, narrow) in enumerate(zip(merge(one), merge(other), strict=True)):
            away = away_from_faces(number, aspect)
            plate = narrow.frame.plate
            assert (plate[away] == squeezed[number][away]).all()
            expected = squeeze(whole.frame.image, aspect).astype(int)
            assert np.abs(plate - expected)[~away].mean() < 1.5
            # The middle of the face is the model's, with nothing of the stripes below.
            middle = plate[60:84, round((center(number) - 12) / aspect) :][:, : round(24 / aspect)]
            assert middle.reshape(-1, 3).std(0).max() < 2


@pytest.mark.footage_kind(
    "interlaced",
    "Faces are found and replaced in whole fields; the result stays interlaced and is marked so,"
    " with both fields as they were outside of the faces. `--deinterlace bob` makes a frame of each"
    " field, `weave` one of both.",
)
@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize("aspect", [Fraction(1), TV])
def test_an_interlaced_plate_keeps_its_fields_and_their_mark(tmp_path, order, aspect):
    pictures = [squeeze(scene(number), aspect) for number in range(2 * FRAMES)]
    plates = [weave(*pictures[2 * n : 2 * n + 2], order) for n in range(FRAMES)]
    path = lossless(tmp_path / "woven.mkv", plates, aspect, [order])
    out = tmp_path / "result.mov"
    with open_footage(path) as footage:
        assert footage.field_order == order and f"{order} field first" in footage.notes[-1]
        merged = [each.frame for each in merge(footage)]
        options = EncodeOptions(crf=0, chroma="444", preset="ultrafast")
        assert list(write_video(out, merged, footage, options))[-1] == FRAMES
    for number, frame in enumerate(merged):
        away = away_from_faces(number, aspect)
        assert (frame.plate[away] == plates[number][away]).all()
        middle = frame.plate[60:84, round((center(number) - 9) / aspect) :][:, : round(18 / aspect)]
        assert middle.reshape(-1, 3).std(0).max() < 2
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == aspect
        for number, shown in enumerate(container.decode(video=0)):
            assert shown_order(shown) == order
            # As fine as RGB and back in YCbCr of 8 bits.
            away = away_from_faces(number, aspect)
            rgb = shown.to_ndarray(format="rgb24").astype(int)
            assert np.abs(rgb - plates[number])[away].max() <= 6


def test_the_colours_of_two_fields_do_not_mix_in_420(tmp_path):
    """Red in one field, blue in the other: as chroma of one picture they would be violet."""
    plate = np.full((48, 64, 3), (30, 60, 200), np.uint8)
    plate[0::2] = 200, 60, 30
    path = lossless(tmp_path / "woven.mkv", [plate] * 2, orders=["top"])
    with open_footage(path) as footage:
        for codec, out in (("h264", "a.mp4"), ("prores", "a.mov")):
            options = EncodeOptions(codec=codec, crf=1)
            list(write_video(tmp_path / out, footage, footage, options))
            with open_footage(tmp_path / out) as result:
                assert result.field_order == "top"
                seen = result[0].plate >> (8 if result.bits > 8 else 0)
                assert np.abs(seen.astype(int) - plate).mean() < 3


def test_bob_makes_a_frame_of_each_field_and_weave_one_of_both(tmp_path):
    pictures = [cv2.GaussianBlur(scene(number), (0, 0), 2) for number in range(2 * FRAMES)]
    plates = [weave(*pictures[2 * n : 2 * n + 2], "top") for n in range(FRAMES)]
    path = lossless(tmp_path / "woven.mkv", plates, orders=["top"])
    with open_footage(path, reading=FootageOptions(deinterlace="bob")) as footage:
        assert len(footage) == 2 * FRAMES and footage.fps == 50 and footage.field_order is None
        assert footage.duration == Fraction(FRAMES, 25)
        assert [footage.seconds(n) * 50 for n in range(2 * FRAMES)] == list(range(2 * FRAMES))
        for number in (5, 0, 3, 2, 7):
            frame = footage[number]
            assert frame.index == number and frame.pts == footage.pts[number]
            assert np.abs(frame.image.astype(int) - pictures[number]).mean() < 0.5
        again = open_footage(path, index=footage.index)
        assert [each.index for each in again.iter_frames([1, 1, 6])] == [1, 1, 6]
        list(write_video(tmp_path / "bob.mp4", footage, footage, EncodeOptions()))
    with av.open(str(tmp_path / "bob.mp4")) as container:
        shown = list(container.decode(video=0))
        assert [round(each.time * 50, 3) for each in shown] == list(range(2 * FRAMES))
        assert not any(each.interlaced_frame for each in shown)
    with open_footage(path, reading=FootageOptions(deinterlace="weave")) as footage:
        assert footage.field_order is None and (footage[2].image == plates[2]).all()
        assert footage[2].plate is None


def test_frames_are_taken_by_their_own_mark(tmp_path):
    """As in telecined film: whole frames, and woven ones among them, late in the file."""
    plates = [
        scene(2 * n) if n < 30 else weave(scene(2 * n), scene(2 * n + 1), "bottom")
        for n in range(40)
    ]
    orders = [None if n < 30 else "bottom" for n in range(40)]
    path = write_plates(tmp_path / "mixed.mkv", plates, orders=orders, codec="ffv1", layout="bgr0")
    with open_footage(path) as footage:
        assert footage.field_order == "bottom"
        assert [footage[n].fields for n in (0, 29, 30, 39)] == [None, None, "bottom", "bottom"]
        assert footage[3].plate is None


@pytest.mark.parametrize(("is_whole", "way"), [(False, SPEED / 2), (True, 0)])
def test_the_second_field_shows_the_face_where_it_is_by_then(tmp_path, is_whole, way):
    """Or where it was, in film that is marked as interlaced."""
    plates = [
        weave(scene(2 * n), scene(2 * n if is_whole else 2 * n + 1), "top") for n in range(FRAMES)
    ]
    with open_footage(lossless(tmp_path / "woven.mkv", plates, orders=["top"])) as footage:
        for merged in merge(footage):
            plate = merged.frame.plate.astype(int)
            green = np.abs(plate - (26, 204, 51)).max(2) < 12
            first, second = (np.nonzero(green[parity::2])[1].mean() for parity in (0, 1))
            assert abs(second - first - way) < 0.3
