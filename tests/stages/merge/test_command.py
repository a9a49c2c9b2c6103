import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from shaped_clips import shown_order, squeeze, write_plates

from understudy.core import affine, image
from understudy.core.face import align
from understudy.errors import BadOption, BadProject, Busy, NoFaces
from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import read_manifest
from understudy.io.video.encode_options import EncodeOptions
from understudy.parts.models import models
from understudy.parts.models.base.model import Model
from understudy.stages.events import FailedFrame, Finished, Note, Progress, Saved, Stop, Warned
from understudy.stages.footage import CutOptions, cut
from understudy.stages.merge import context
from understudy.stages.merge.command import merge
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.picture_sequence import picture_names, picture_notes
from understudy.stages.new import NewOptions, new
from understudy.stages.project import Project
from understudy.types import AlignedFace, Face, Prediction

FRAMES, BARE, SIZE = 20, (7, 8, 15), (128, 96)
PTS = [512 * number + 100 * (number % 3) for number in range(FRAMES)]


class Painter:
    """A model that paints faces in one colour."""

    resolution, face_type = 48, "full"
    color: tuple[float, float, float] = (0.1, 0.9, 0.2)

    def predict(self, images):
        assert len(images) <= 8
        self.seen = images
        masks = np.ones(images.shape[:3], np.float32)
        # Else it would be one that learns no mask.
        masks[:, 0, 0] = 0
        return Prediction(
            np.broadcast_to(np.float32(self.color), images.shape).copy(), masks, masks
        )


class Mirror(Painter):
    """A model that gives back what it sees."""

    def predict(self, images):
        return Prediction(images, *np.ones((2, *images.shape[:3]), np.float32))


class Young(Painter):
    """A model whose masks are a grey haze yet."""

    def predict(self, images):
        made = super().predict(images)
        return Prediction(made.image, *np.full((2, *images.shape[:3]), 0.6, np.float32))


class Maskless(Painter):
    """A model that learns no mask."""

    def predict(self, images):
        made = super().predict(images)
        return Prediction(made.image, *np.ones((2, *images.shape[:3]), np.float32))


class Browless(Painter):
    """A model whose mask of dst ends below the brows."""

    def predict(self, images):
        made = super().predict(images)
        made.dst_mask[:, : round(0.35 * self.resolution)] = 0
        return made


def landmarks(x, y, side):
    """68 points of an upright face whose `full` square of `side` px has its middle at x, y."""
    inner = align.template_points("full", 256) * side / 256
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([side * (0.5 + 0.3 * np.cos(angle)), side * (0.45 + 0.4 * np.sin(angle))], -1)
    shift = np.array([x - side / 2, y - side / 2])
    return (np.concatenate([jaw, inner]) + shift).astype(np.float32)


def plate(number):
    soft = cv2.GaussianBlur(
        np.random.default_rng(number // 100).random((SIZE[1], SIZE[0], 3)), (0, 0), 5
    )
    return np.rint(255 * (0.2 + 2 * (soft - soft.min()))).clip(0, 255).astype(np.uint8)


def write_clip(path, tracks=("aac",), muxer=None):
    with av.open(str(path), "w", options=muxer or {}) as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "10"})
        sounds = [output.add_stream(codec, rate=8000, layout="mono") for codec in tracks]
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.time_base = Fraction(1, 12800)
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(plate(number), "rgb24")
            frame.pts, frame.time_base = PTS[number], Fraction(1, 12800)
            output.mux(video.encode(frame))
        for audio in sounds:
            sound = av.AudioFrame.from_ndarray(
                np.sin(np.arange(6400) / 9, dtype=np.float32)[None], "fltp", "mono"
            )
            sound.sample_rate, sound.pts = 8000, 0
            output.mux([*audio.encode(sound), *audio.encode(None)])
        output.mux(video.encode(None))


@pytest.fixture
def show(tmp_path, monkeypatch):
    """A show with dst faces in all frames but BARE, and a model that paints."""
    write_clip(tmp_path / "dst.mp4")
    return make_show(tmp_path / "dst.mp4", monkeypatch)


def make_show(dst, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(dst.parent / "credentials"))
    (dst.parent / "src").mkdir()
    cv2.imwrite(str(dst.parent / "src" / "1.png"), plate(0))
    folder = dst.parent / "show"
    list(new(folder, dst.parent / "src", dst, NewOptions()))
    faceset = Faceset(folder / "dst" / "faces")
    faceset.folder.mkdir(parents=True)
    for number in set(range(FRAMES)) - set(BARE):
        add_face(faceset, number, 60 + number, 50)
    (folder / "models" / "painter" / "checkpoints").mkdir(parents=True)
    (folder / "models" / "painter" / "options.toml").write_text("")
    use(monkeypatch, Painter())
    return folder


def add_face(faceset, number, x, y, side=50):
    points = landmarks(x, y, side)
    face = Face(number, affine.bounding_box(points), points, 0.9, -1, np.zeros(3, np.float32))
    matrix = align.face_from_frame(points, "full", 64)
    faceset.add(
        AlignedFace(
            face, image.warp(plate(number), matrix, (64, 64)), matrix, "full", source="dst.mp4"
        )
    )


def use(monkeypatch, model, iteration=42):
    monkeypatch.setattr(
        context,
        "load_predictor",
        lambda path, device, *, best: context.LoadedPredictor(model, iteration, ""),
    )


def frames(path):
    with open_footage(path) as footage:
        return [frame.image.astype(int) for frame in footage], footage.pts


def sound(path):
    with av.open(str(path)) as container:
        return [(each.pts, bytes(each)) for each in container.demux(audio=0) if each.size]


def versions(show):
    """What there is of a merge besides the segments."""
    return sorted(each.name for each in (show / "merged").iterdir() if each.name != "segments")


PLAIN = MergeOptions(
    masks=("dst",), color_transfer="none", encode=EncodeOptions(crf=4, preset="ultrafast")
)


def test_a_result_and_its_matte_have_the_pixels_and_the_fields_of_the_plate(tmp_path, monkeypatch):
    narrow = [squeeze(plate(number), Fraction(2)) for number in range(FRAMES)]
    dst = write_plates(tmp_path / "dst.mp4", narrow, Fraction(2), ["bottom"])
    show = make_show(dst, monkeypatch)
    *_, last = merge(show, PLAIN.model_copy(update={"matte": True}))
    for name in ("result.mp4", "matte.mp4"):
        with av.open(str(Path(last.summary["version"]).parent / name)) as container:
            assert container.streams.video[0].sample_aspect_ratio == 2
            shown = list(container.decode(video=0))
            assert {shown_order(each) for each in shown} == {"bottom"} and len(shown) == FRAMES
            assert {(each.width, each.height) for each in shown} == {(SIZE[0] // 2, SIZE[1])}
    # As wide as the face is that a square plate has there: neither half nor twice.
    with open_footage(Path(last.summary["version"]).parent / "matte.mp4") as matte:
        white = matte[3].image[:, :, 1] > 128
        assert matte.size == SIZE and abs(np.ptp(np.nonzero(white)[1]) - 30) < 5


def test_a_merge_keeps_frames_times_and_sound_and_marks_the_result(show):
    *_, last = events = list(merge(show, PLAIN))
    (before, times), (after, times_after) = (
        frames(show.parent / "dst.mp4"),
        frames(show / "result.mp4"),
    )
    assert times_after == times
    assert sound(show / "result.mp4") == sound(show.parent / "dst.mp4")
    for number in range(FRAMES):
        middle = np.s_[45:55, 55 + number : 65 + number]
        if number in BARE:
            assert np.abs(after[number] - before[number]).max() < 25
        else:
            assert np.abs(after[number][middle] - np.array([26, 230, 51])).mean() < 8
            assert np.abs(after[number][:15] - before[number][:15]).mean() < 2
    assert isinstance(last, Finished)
    assert last.summary["frames_without_a_face"] == [[7, 8], [15, 15]]
    assert [
        event.done for event in events if isinstance(event, Progress) and event.stage == "merge"
    ] == list(range(1, FRAMES + 1))
    assert {event.what for event in events if isinstance(event, Saved)} == {"version", "result"}
    manifest = read_manifest(show / "result.mp4")
    assert (manifest.state, manifest.is_synthetic) == ("valid", True)
    assert {each.title for each in manifest.ingredients} == {"dst.mp4", "src"}
    with av.open(str(show / "result.mp4")) as container:
        assert "synthetic" in container.metadata["comment"]


@pytest.mark.parametrize("start", [36000, 2**33 / 90000 - 0.5], ids=["ten hours", "wraps"])
def test_a_merge_of_a_recording_starts_at_zero_whatever_its_clock(tmp_path, monkeypatch, start):
    dst = tmp_path / "dst.ts"
    write_clip(dst, muxer={"output_ts_offset": str(start)})
    show = make_show(dst, monkeypatch)
    list(merge(show, PLAIN.model_copy(update={"matte": True})))
    for path in (show / "result.mp4", show / "merged" / "001" / "matte.mp4"):
        with av.open(str(path)) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert len(times) == FRAMES
        assert np.allclose(times, np.array(PTS) / 12800, atol=0.001)
    with av.open(str(show / "result.mp4")) as container:
        assert next(container.decode(audio=0)).time == pytest.approx(0, abs=0.13)
        assert container.duration < 1e6


def test_what_becomes_of_the_sound_is_said_first_and_nothing_of_it_ends_the_merge(
    tmp_path, monkeypatch
):
    dst = tmp_path / "dst.mov"
    write_clip(dst, ("aac", "pcm_s16le", "pcm_mulaw"))
    dst.write_bytes(dst.read_bytes().replace(b"ulaw", b"zzzz"))
    show = make_show(dst, monkeypatch)
    events = list(merge(show, PLAIN))
    begin = next(place for place, each in enumerate(events) if isinstance(each, Progress))
    told = [each.text for each in events[:begin] if isinstance(each, Note | Warned)]
    (anew,) = [text for text in told if "sound track 1" in text]
    assert "coded anew as ALAC, 16 bits" in anew and "merge with --encode.codec prores" in anew
    (lost,) = [text for text in told if "sound track 2" in text]
    assert "left out: it is coded in a way that is not known here" in lost
    assert not any("sound track 0" in text for text in told)
    with av.open(str(show / "result.mp4")) as container:
        assert [each.codec_context.name for each in container.streams.audio] == ["aac", "alac"]
        samples = [frame.to_ndarray()[0] for frame in container.decode(audio=1)]
    with av.open(str(dst)) as container:
        before = [frame.to_ndarray()[0] for frame in container.decode(audio=1)]
    assert np.array_equal(np.concatenate(samples), np.concatenate(before))


def test_another_choice_of_sound_renders_nothing_anew(show, monkeypatch):
    list(merge(show, PLAIN))
    with_sound = frames(show / "result.mp4")
    monkeypatch.setattr(Painter, "predict", None)
    list(merge(show, PLAIN.model_copy(update={"audio_track": "none"})))
    with av.open(str(show / "result.mp4")) as container:
        assert not container.streams.audio
    (before, times), (after, times_after) = with_sound, frames(show / "result.mp4")
    assert times == times_after and np.array_equal(before, after)
    with pytest.raises(BadOption, match="no sound track 1, only track 0"):
        list(merge(show, PLAIN.model_copy(update={"audio_track": 1})))
    assert versions(show) == ["001", "002"]


def test_a_model_that_changes_nothing_gives_the_plate(show, monkeypatch):
    use(monkeypatch, Mirror())
    for mode in ("overlay", "seamless"):
        list(merge(show, PLAIN.model_copy(update={"mode": mode})))
        for one, other in zip(
            frames(show.parent / "dst.mp4")[0], frames(show / "result.mp4")[0], strict=True
        ):
            assert np.abs(one - other).mean() < 1.5


def test_every_run_gets_a_number_and_the_newest_is_the_result(show):
    list(merge(show, PLAIN))
    first = (show / "merged" / "001" / "result.mp4").read_bytes()
    list(merge(show, PLAIN.model_copy(update={"face_scale": 20})))
    assert (show / "merged" / "001" / "result.mp4").read_bytes() == first
    assert (
        (show / "result.mp4").read_bytes()
        == (show / "merged" / "002" / "result.mp4").read_bytes()
        != first
    )
    record = json.loads((show / "merged" / "002" / "merge.json").read_text())
    assert record["options"]["face_scale"] == 20
    assert (record["model"], record["iteration"], record["failed_frames"]) == ("painter", 42, [])
    assert versions(show) == ["001", "002"]


def test_all_faces_of_a_frame_are_replaced(show):
    add_face(Faceset(show / "dst" / "faces"), 0, 105, 75, side=36)
    list(merge(show, PLAIN))
    after = frames(show / "result.mp4")[0][0]
    for x, y in ((60, 50), (105, 75)):
        assert np.abs(after[y, x] - np.array([26, 230, 51])).mean() < 12


def test_a_frame_that_fails_is_told_listed_and_left_as_it_was(show, monkeypatch):
    class Sick(Painter):
        def predict(self, images):
            made = super().predict(images)
            made.image[0] = np.nan
            return made

    use(monkeypatch, Sick())
    events = list(merge(show, PLAIN))
    failed = [event.frame for event in events if isinstance(event, FailedFrame)]
    assert failed == [0, 9, 16]
    assert (
        json.loads((show / "merged" / "001" / "merge.json").read_text())["failed_frames"] == failed
    )
    # Once rendered it is not tried again, but told again.
    assert [event.frame for event in merge(show, PLAIN) if isinstance(event, FailedFrame)] == failed
    assert (
        np.abs(frames(show / "result.mp4")[0][0] - frames(show.parent / "dst.mp4")[0][0]).mean()
        < 1.5
    )


def test_a_frame_that_cannot_be_read_is_the_one_before_it_with_its_new_face(show):
    dst = show.parent / "dst.mp4"
    with av.open(str(dst)) as source:
        spoilt = next(packet for packet in source.demux(video=0) if packet.pts == PTS[10])
    data = bytearray(dst.read_bytes())
    data[spoilt.pos + 8 : spoilt.pos + spoilt.size] = np.random.default_rng(1).bytes(
        spoilt.size - 8
    )
    dst.write_bytes(data)
    events = list(merge(show, PLAIN))
    failed = {event.frame: event.text for event in events if isinstance(event, FailedFrame)}
    assert "frame 10: " in failed[10] and "In its place: frame 9 again." in failed[10]
    assert json.loads((show / "merged" / "001" / "merge.json").read_text())[
        "failed_frames"
    ] == list(failed)
    after, times = frames(show / "result.mp4")
    assert times == PTS and len(after) == FRAMES
    assert np.abs(after[10][45:55, 64:74] - np.array([26, 230, 51])).mean() < 8


def test_a_stopped_merge_leaves_nothing_half_done(show):
    list(merge(show, PLAIN))
    kept = (show / "result.mp4").read_bytes()
    running = merge(show, PLAIN)
    while not isinstance(next(running), Progress):
        pass
    rest = [running.send(Stop()), *running]
    assert not any(isinstance(event, Finished) for event in rest)
    assert isinstance(rest[-1], Note)
    assert versions(show) == ["001"]
    assert (show / "result.mp4").read_bytes() == kept


def test_a_merge_that_is_dropped_or_breaks_leaves_nothing(show, monkeypatch):
    running = merge(show, PLAIN)
    while not isinstance(next(running), Progress):
        pass
    running.close()

    class Broken(Painter):
        def predict(self, images):
            raise RuntimeError("out of memory")

    use(monkeypatch, Broken())
    with pytest.raises(RuntimeError, match="out of memory"):
        list(merge(show, PLAIN))
    assert versions(show) == []
    assert not (show / "result.mp4").exists()


def test_src_footage_that_has_moved_away_does_not_spoil_a_merge(show):
    (show.parent / "src").rename(show.parent / "elsewhere")
    list(merge(show, PLAIN))
    src = next(
        each for each in read_manifest(show / "result.mp4").ingredients if each.role == "inputTo"
    )
    assert (src.title, src.sha256) == ("src", "")


def test_what_a_killed_run_left_is_swept(show):
    with atomic.partial_folder(show / "merged" / "dead") as left:
        pass
    left.path.mkdir()
    list(merge(show, PLAIN))
    assert versions(show) == ["001"] and not left.path.exists()


@pytest.mark.parametrize("kind", ["preview", "debug"])
def test_pictures_to_look_at_are_made_while_another_merge_runs(show, kind):
    options = MergeOptions.layered({kind: True, "frames": "3", "erode": 4})
    with Project.load(show).lock("merged"):
        saved = [event.path for event in merge(show, options) if isinstance(event, Saved)]
        with pytest.raises(Busy):
            list(merge(show, MergeOptions()))
    assert len(saved) == 1 and "_erode=4" in str(saved[0])


def test_without_faces_there_is_nothing_to_merge(show):
    faceset = Faceset(show / "dst" / "faces")
    faceset.trash(np.ones(len(faceset), bool))
    with pytest.raises(NoFaces, match="understudy extract"):
        list(merge(show, PLAIN))


def test_the_model_is_the_only_one_or_must_be_named(show):
    (show / "models" / "other" / "checkpoints").mkdir(parents=True)
    (show / "models" / "other" / "options.toml").write_text("")
    with pytest.raises(BadProject, match=r"other, painter.*--model"):
        list(merge(show, PLAIN))
    with pytest.raises(BadProject, match="no model 'third'"):
        list(merge(show, PLAIN.model_copy(update={"model": "third"})))
    assert isinstance(list(merge(show, MergeOptions(model="other", masks=("dst",))))[-1], Finished)


def test_without_a_model_it_says_how_to_get_one(show):
    (show / "models" / "painter" / "options.toml").unlink()
    with pytest.raises(BadProject, match="understudy train"):
        list(merge(show, PLAIN))


def test_a_morph_reaches_the_model_and_where_there_is_no_such_choice_nothing_is_written(
    show, monkeypatch
):
    class Grey(Painter):
        def set_morph(self, share):
            self.color = (share, share, share)

    use(monkeypatch, Grey())
    list(merge(show, PLAIN.model_copy(update={"morph": 0.5})))
    assert np.abs(frames(show / "result.mp4")[0][0][45:55, 55:65] - 128).mean() < 8
    monkeypatch.setattr(Grey, "set_morph", Model.set_morph)
    with pytest.raises(BadOption, match="morph"):
        list(merge(show, PLAIN.model_copy(update={"morph": 0.5})))
    assert versions(show) == ["001"]


def test_an_unknown_mask_is_refused_before_any_work(show):
    with pytest.raises(BadOption, match="learned-prd"):
        list(merge(show, MergeOptions(masks=("xseg",))))
    assert not (show / "merged").exists()


def test_options_of_the_project_file_count(show):
    project = Project.load(show)
    file = project.file.model_copy(
        update={"options": {"merge": {"face_scale": 7, "masks": ["dst"]}}}
    )
    Project(project.folder, file).save()
    list(merge(show, MergeOptions(erode=1)))
    options = json.loads((show / "merged" / "001" / "merge.json").read_text())["options"]
    assert (options["face_scale"], options["masks"], options["erode"]) == (7, ["dst"], 1)


def test_what_an_option_cannot_do_is_told(show):
    told = [
        event.text
        for event in merge(
            show, PLAIN.model_copy(update={"formulas": "dfl", "feather": 5.0, "frames": "0-1"})
        )
        if isinstance(event, Warned)
    ]
    assert any("feather: does nothing" in text for text in told)


def test_masks_that_are_none_yet_are_not_used_and_better_ones_are_merged_anew(show, monkeypatch):
    def run(**options):
        events = list(merge(show, MergeOptions.layered({"color_transfer": "none", **options})))
        told = [
            each.text
            for each in events
            if isinstance(each, Warned) and each.text.startswith("masks: ")
        ]
        record = json.loads(sorted((show / "merged").glob("[0-9]*/merge.json"))[-1].read_text())
        red, green, _ = frames(show / "result.mp4")[0][0][60, 60]
        return told, record["options"]["masks"], green - red, events

    use(monkeypatch, Young())
    (told,), masks, covered, events = run()
    assert masks == ["dst"] and covered > 150
    assert "those that painter learnt are no masks yet (iteration 42: 0.60 of 1 solid" in told
    assert "dst, the hull of the landmarks, is taken instead" in told and "understudy train" in told
    # Before any work.
    kinds = [type(each).__name__ for each in events]
    assert kinds.index("Warned") < kinds.index("Progress")
    assert run(preset="dfl")[1] == ["dst"]
    # Who asks for them gets them.
    (told,), masks, covered, _ = run(masks=["learned"])
    assert masks == ["learned"] and covered < 120 and "dst shows through. Take --masks dst" in told
    (told,), masks, _, _ = run(at=["3-5: masks=learned-prd,full"], masks=["full"])
    assert masks == ["full"] and "dst shows through" in told
    # A model that learnt more is merged with its own.
    use(monkeypatch, Painter(), iteration=43)
    told, masks, covered, events = run()
    assert (told, masks) == ([], ["learned"]) and covered > 150
    assert not any("from earlier runs" in each.text for each in events if isinstance(each, Note))
    # What needs no mask of the model's looks at none.
    use(monkeypatch, Young())
    assert run(masks=["dst"])[0] == []


def test_masks_that_a_mode_is_to_show_are_the_models_own(show, monkeypatch):
    use(monkeypatch, Young())

    def run(**options):
        events = list(merge(show, MergeOptions.layered({"frames": "0-5", **options})))
        record = json.loads(sorted((show / "merged").glob("[0-9]*/merge.json"))[-1].read_text())
        told = [each.text for each in events if isinstance(each, Warned) and "masks" in each.text]
        return record["options"]["masks"], record["options"]["at"], told

    assert run(mode="raw-mask") == (["learned"], [], [])
    masks, at, told = run(at=["0-2: mode=raw-rgb-mask", "4: erode=5"])
    assert (masks, at) == (["dst"], ["0-2: mode=raw-rgb-mask masks=learned", "4: erode=5"]) and told
    masks, at, _ = run(mode="raw-mask", at=["3: mode=overlay"])
    assert (masks, at) == (["learned"], ["3: mode=overlay masks=dst"])


def test_chins_that_leave_the_square_are_told_with_what_would_help(tmp_path, monkeypatch):
    write_clip(tmp_path / "dst.mp4")
    near, far = models["tiny"].motion, models["saehd"].motion

    def told(motion):
        monkeypatch.setattr(
            context,
            "load_predictor",
            lambda path, device, *, best: context.LoadedPredictor(Painter(), 42, "", motion=motion),
        )
        events = list(merge(show, PLAIN.model_copy(update={"frames": "0-1"})))
        return [each.text for each in events if isinstance(each, Note) and "chin" in each.text]

    def open_mouth(x, y, side):
        points = closed(x, y, side)
        points[4:13, 1] += 0.2 * side
        return points

    closed = landmarks
    monkeypatch.setitem(globals(), "landmarks", open_mouth)
    show = make_show(tmp_path / "dst.mp4", monkeypatch)
    (text,) = told(near)
    assert "in 17 of 17 frames" in text and "--shift 0.05 --scale 0.15" in text
    assert told(far) == []


def test_a_model_that_learns_no_mask_gets_dsts_hull(show, monkeypatch):
    use(monkeypatch, Maskless())
    events = list(merge(show, MergeOptions(frames="0-1")))
    (told,) = [each.text for each in events if isinstance(each, Warned) and "masks" in each.text]
    assert told == ("masks: painter learns none: dst, the hull of the landmarks, is taken instead.")
    record = json.loads((show / "merged" / "001" / "merge.json").read_text())
    assert record["options"]["masks"] == ["dst"]
    events = list(merge(show, MergeOptions(frames="0-1", masks=("learned",))))
    assert any("its whole square is laid in. Take --masks dst." in str(each) for each in events)


def test_a_result_as_pictures_has_the_plates_own_pixels_and_each_is_marked(show):
    chosen = PLAIN.model_copy(update={"pictures": True, "matte": True, "frames": "3-5,8"})
    *events, last = merge(show, chosen)
    assert any("encode: does nothing with --pictures" in str(each) for each in events)
    version = Path(last.summary["version"]).parent
    names = ["000003.png", "000004.png", "000005.png", "000008.png"]
    before, _ = frames(show.parent / "dst.mp4")
    for folder in ("result", "matte"):
        assert sorted(path.name for path in (version / folder).iterdir()) == names
        for name in names:
            manifest = read_manifest(version / folder / name)
            assert (manifest.state, manifest.is_synthetic) == ("valid", True)
    for name in names:
        picture = stills.read_image(version / "result" / name).astype(int)
        matte = cv2.imread(str(version / "matte" / name), cv2.IMREAD_UNCHANGED)
        assert matte.shape == SIZE[::-1] and matte.dtype == np.uint8
        number = int(Path(name).stem)
        assert np.array_equal(picture[matte == 0], before[number][matte == 0]), "bit for bit"
        assert (matte > 250).sum() > (500 if number not in BARE else -1)
        assert not np.array_equal(picture, before[number]) or number in BARE
    assert not (show / "result.mp4").exists()
    assert any("sound is in no picture" in each.text for each in events if isinstance(each, Note))


def test_pictures_that_were_stopped_go_on_and_are_no_videos_segments(show, monkeypatch):
    chosen = PLAIN.model_copy(update={"pictures": True})
    running = merge(show, chosen)
    while not (isinstance(event := next(running), Progress) and event.stage == "write result"):
        pass
    assert any("stopped" in each.text for each in [running.send(Stop()), *running])
    assert versions(show) == []
    monkeypatch.delattr(Painter, "predict")
    notes = [event.text for event in merge(show, chosen) if isinstance(event, Note)]
    assert any("20 of 20 frames are there" in text for text in notes), "rendered again"
    assert versions(show) == ["001"]
    assert len(list((show / "merged" / "001" / "result").iterdir())) == FRAMES


def test_pictures_of_a_folder_keep_their_names_and_become_a_video(tmp_path, monkeypatch):
    folder = tmp_path / "dst"
    folder.mkdir()
    for number in range(FRAMES):
        deep = plate(number).astype(np.uint16) * 257
        stills.write_image(folder / f"shot_{1001 + number}.tif", deep)
    show = make_show(folder, monkeypatch)
    *_, last = merge(show, PLAIN.model_copy(update={"pictures": True}))
    made = Path(last.summary["version"])
    first = stills.read_image(made / "shot_1001.png")
    assert first.dtype == np.uint16 and len(list(made.iterdir())) == FRAMES
    assert np.array_equal(first[:10], stills.read_image(folder / "shot_1001.tif")[:10])
    out = tmp_path / "out.mp4"
    told = list(cut(made, out, CutOptions(fps=24)))
    with av.open(str(out)) as container:
        assert container.streams.video[0].average_rate == 24
        assert container.streams.video[0].frames == FRAMES
    assert read_manifest(out).is_synthetic
    assert not any("a second" in each.text for each in told if isinstance(each, Note))
    notes = [each.text for each in merge(show, PLAIN) if isinstance(each, Note)]
    assert any("no rate and no sound; the video shows 25" in text for text in notes)


def test_pictures_that_differ_by_their_endings_alone_are_numbered(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        stills.write_image(tmp_path / name, plate(0))
    with open_footage(tmp_path) as footage:
        assert picture_names(footage) == ["000000.png", "000001.png", "000002.png"]
        (note,) = picture_notes(footage)
    assert "a.jpg and a.png would be one picture" in note or "a.png and a.jpg" in note


def test_brows_that_the_learnt_mask_misses_are_told_before_any_work(show, monkeypatch):
    def told(**options):
        events = list(merge(show, MergeOptions.layered({"frames": "0-1", **options})))
        return [each.text for each in events if isinstance(each, Warned) and "brows" in each.text]

    assert told() == []
    use(monkeypatch, Browless())
    (text,) = told()
    assert "miss 100% of dst's brows" in text and "Take --masks learned+dst" in text
    assert told(masks=["learned+dst"]) == []
