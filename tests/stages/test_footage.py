"""`frames`, `cut` and `denoise`, as somebody types them."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption, BadProject, CannotWrite
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage
from understudy.io.video.clip_writer import write_clip
from understudy.stages import jobs
from understudy.stages.events import Finished, Note, Progress, Saved, Started, Stop, Warned
from understudy.stages.footage import parse_time, pick_frames

SIZE = (64, 48)
DATA = Path(__file__).parents[1] / "data" / "footage"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """20 frames at 10 a second, 64x48, growing brighter by 10, with a tone."""
    path = tmp_path / "clip.mp4"
    images = [np.full((SIZE[1], SIZE[0], 3), 20 + 10 * number, np.uint8) for number in range(20)]
    tone = (0.2 * np.sin(2 * np.pi * 440 * np.arange(96000) / 48000)).astype(np.float32)
    list(write_clip(path, images, SIZE, fps=10, sound=tone))
    return path


def do(verb: str, footage: Path, out: Path, **options: Any) -> list[Any]:
    return list(
        jobs.run(
            jobs.Job(
                verb=verb, arguments={"footage": str(footage), "out": str(out)}, options=options
            )
        )
    )


def numbers(folder: Path) -> list[int]:
    """Which frame of the clip each picture shows."""
    with open_footage(folder) as footage:
        return [round((float(frame.image.mean()) - 20) / 10) for frame in footage]


def test_every_frame_becomes_a_numbered_picture(clip, tmp_path):
    events = do("frames", clip, tmp_path / "out")
    assert isinstance(events[0], Started) and events[0].total == 20
    assert [event.done for event in events if isinstance(event, Progress)] == list(range(1, 21))
    assert isinstance(events[-2], Saved) and isinstance(events[-1], Finished)
    assert (tmp_path / "out" / "00001.png").exists() and (tmp_path / "out" / "00020.png").exists()
    assert numbers(tmp_path / "out") == list(range(20))


@pytest.mark.parametrize(
    ("fps", "expected"), [(5, list(range(0, 20, 2))), (4, [0, 2, 5, 7, 10, 12, 15, 17]), (15, None)]
)
def test_pictures_are_picked_by_time(clip, tmp_path, fps, expected):
    do("frames", clip, tmp_path / "out", fps=fps, format="jpg")
    assert numbers(tmp_path / "out") == (expected or [n * 10 // 15 for n in range(30)])


def test_a_stopped_run_goes_on_and_keeps_what_is_there(clip, tmp_path):
    out = tmp_path / "out"
    stage = jobs.run(jobs.Job(verb="frames", arguments={"footage": str(clip), "out": str(out)}))
    for event in stage:
        if isinstance(event, Progress) and event.done == 5:
            break
    rest = [stage.send(Stop()), *stage]
    assert rest[-1].summary == {"pictures": 5, "of": 20, "stopped": True}
    first = (out / "00001.png").stat().st_mtime_ns
    do("frames", clip, out)
    assert numbers(out) == list(range(20)) and (out / "00001.png").stat().st_mtime_ns == first


def test_a_run_of_version_0_1_goes_on_too(clip, tmp_path):
    out = tmp_path / "out"
    do("frames", clip, out)
    note = out / "frames.json"
    told = json.loads(note.read_text(encoding="utf-8"))
    # There 0 stood for every frame; an option that came later is missing, as quality is here.
    del told["quality"]
    note.write_text(json.dumps({**told, "fps": 0.0}), encoding="utf-8")
    (out / "00003.png").unlink()
    do("frames", clip, out)
    assert numbers(out) == list(range(20))
    note.write_text(json.dumps({**told, "halo": 1}), encoding="utf-8")
    with pytest.raises(BadProject, match="other options"):
        do("frames", clip, out)


def test_other_pictures_are_never_mixed_in_or_overwritten(clip, tmp_path):
    out = tmp_path / "out"
    stills.write_image(out / "00001.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(BadProject, match="not empty"):
        do("frames", clip, out)
    assert len(list(out.glob("*.png"))) == 1
    do("frames", clip, tmp_path / "good", fps=5)
    with pytest.raises(BadProject, match="other options"):
        do("frames", clip, tmp_path / "good", fps=2)
    with pytest.raises(BadProject, match="file of that name"):
        do("frames", clip, clip)


@pytest.mark.parametrize("verb", ["frames", "cut", "denoise"])
def test_a_clip_that_was_cut_off_is_used_with_a_warning(clip, tmp_path, verb):
    # The table of frames lies before the frames.
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 7 // 10])
    out = tmp_path / ("out" if verb == "frames" else "out.mov")
    events = do(verb, clip, out)
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert len(warned) == 1 and "cut off or damaged" in warned[0] and "of 2.00" in warned[0]
    with open_footage(out) as footage:
        assert 5 < len(footage) < 20 and not footage.warnings


def test_cut_keeps_the_part_and_its_sound(clip, tmp_path):
    out = tmp_path / "part.mp4"
    do("cut", clip, out, start="0.5", end="00:00:01.300")
    with open_footage(out) as part:
        assert len(part) == 8 and part.pts[0] == 0 and part.fps == 10 and part.has_audio
        assert [round((float(frame.image.mean()) - 20) / 10) for frame in part] == list(
            range(5, 13)
        )
        assert part.duration == Fraction(8, 10)


def test_sound_that_the_new_file_cannot_hold_is_told_first_and_coded_anew(tmp_path):
    clip, out = DATA / "sound-wma.wmv", tmp_path / "part.mp4"
    for verb in ("cut", "denoise"):
        events = do(verb, clip, out)
        begin = next(place for place, each in enumerate(events) if isinstance(each, Started))
        (told,) = [each.text for each in events[:begin] if isinstance(each, Note)]
        assert "is coded anew as AAC, 128 kb/s" in told
        assert told.endswith(f"For no sound at all: {verb} --audio-track none.")
        with av.open(str(out)) as container:
            assert container.streams.audio[0].codec_context.name == "aac"
        out.unlink()
    do("denoise", clip, out, audio_track="none")
    with open_footage(out) as made:
        assert not made.has_audio


def test_all_sound_tracks_are_kept_or_one_is_chosen(tmp_path):
    clip = DATA / "second-sound-is-default.mkv"
    for number, options in enumerate(({}, {"audio_track": 1})):
        do("cut", clip, tmp_path / f"{number}.mkv", **options)
        with av.open(str(tmp_path / f"{number}.mkv")) as container:
            assert [each.language for each in container.streams.audio] == ["eng", "deu"][number:]


def test_cut_without_sound_and_by_bit_rate(clip, tmp_path):
    do("cut", clip, tmp_path / "part.mkv", audio_track="none", bitrate=1)
    with open_footage(tmp_path / "part.mkv") as part:
        assert len(part) == 20 and not part.has_audio


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"start": "9"}, BadOption),
        ({"start": "1", "end": "0.5"}, BadOption),
        ({"start": "soon"}, BadOption),
        ({"end": "1:75"}, BadOption),
        ({"audio_track": 1}, BadOption),
        ({"crf": 99}, BadOption),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(clip, tmp_path, options, error):
    with pytest.raises(error):
        do("cut", clip, tmp_path / "part.mp4", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_nothing_is_overwritten_not_even_the_source(clip, tmp_path):
    before = clip.read_bytes()
    for verb in ("cut", "denoise"):
        with pytest.raises(BadProject, match="ever overwritten"):
            do(verb, clip, clip)
    assert clip.read_bytes() == before
    with pytest.raises(BadMedia, match="no such file"):
        do("cut", tmp_path / "none.mp4", tmp_path / "out.mp4")


def test_a_stopped_cut_leaves_nothing(clip, tmp_path):
    out = tmp_path / "out" / "part.mp4"
    stage = jobs.run(jobs.Job(verb="cut", arguments={"footage": str(clip), "out": str(out)}))
    assert isinstance(next(stage), Started) and isinstance(next(stage), Progress)
    rest = [stage.send(Stop()), *stage]
    assert rest[-1].summary["stopped"] and list(out.parent.iterdir()) == []


def test_clock_times():
    assert (
        parse_time("90.5", "start")
        == parse_time("1:30.5", "start")
        == parse_time("00:01:30.500", "start")
        == Fraction(181, 2)
    )


def noisy(seed: int, deep: bool = False) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.linspace(60, 180, 96), np.linspace(60, 180, 64))
    clean = np.stack([x, y, np.where(x > 120, 160.0, 90.0)], -1)
    noise = np.random.default_rng(seed).normal(0, 8, clean.shape)
    scale, kind = (257, np.uint16) if deep else (1, np.uint8)
    return (clean * scale), np.round(np.clip(clean + noise, 0, 255) * scale).astype(kind)


def error(image: np.ndarray, clean: np.ndarray) -> float:
    return float(
        np.sqrt(np.mean((image.astype(np.float64) - clean) ** 2))
        / (257 if image.dtype == np.uint16 else 1)
    )


@pytest.mark.parametrize("deep", [False, True])
def test_denoise_of_a_folder_removes_noise_more_by_factor(tmp_path, deep):
    clean, image = noisy(0, deep)
    stills.write_image(tmp_path / "in" / "shot_7.png", image)
    errors = [error(image, clean)]
    for factor in (1, 8):
        out = tmp_path / str(factor)
        do("denoise", tmp_path / "in", out, factor=factor)
        errors.append(error(stills.read_image(out / "shot_7.png"), clean))
    assert errors[2] < 0.5 * errors[0] and errors[2] < errors[1] <= errors[0] * 1.01
    assert np.array_equal(stills.read_image(tmp_path / "in" / "shot_7.png"), image)
    assert stills.read_image(tmp_path / "8" / "shot_7.png").dtype == image.dtype


def test_pictures_with_gaps_filled_otherwise_are_not_mixed(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in (1, 2, 3, 4, 7):
        stills.write_image(folder / f"{number}.png", np.full((16, 16, 3), 90, np.uint8))
    do("denoise", folder, out, gaps="hold")
    assert len(list(out.glob("*.png"))) == 7
    with pytest.raises(BadProject, match="other options"):
        do("denoise", folder, out, gaps="black")


def test_denoise_of_a_video_keeps_length_times_and_sound(tmp_path):
    path, out = tmp_path / "noisy.mp4", tmp_path / "out.mp4"
    list(
        write_clip(
            path,
            [noisy(n)[1] for n in range(5)],
            (96, 64),
            fps=25,
            sound=np.zeros(9600, np.float32),
        )
    )
    do("denoise", path, out, factor=8, crf=4)
    with open_footage(path) as before, open_footage(out) as after:
        assert after.pts == before.pts and after.has_audio and after.color == before.color
        assert error(after[3].image, noisy(3)[0]) < 0.6 * error(before[3].image, noisy(3)[0])


@pytest.mark.skipif(sys.platform == "win32", reason="other limits there")
def test_a_name_that_is_too_long_is_told_before_the_work(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    """Of a show, of a folder of pictures, of a file; and whatever must bear its name beside it."""
    src, dst = clips["src"], clips["dst"]
    longest = tmp_path / f"{'é' * 125}x.mp4"
    too_long = longest.with_name(f"é{longest.name}")
    for verb, arguments in (
        ("cut", (src, too_long)),
        ("denoise", (src, too_long)),
        ("frames", (src, too_long)),
        ("new", (too_long, src, dst)),
        ("swap", (src, dst, too_long)),
        ("swap", (src, dst, longest)),
        ("demo", (too_long,)),
    ):
        with pytest.raises(CannotWrite, match="Choose a shorter"):
            for event in jobs.call(verb)(*arguments):
                assert not isinstance(event, Progress)
    assert not list(tmp_path.iterdir())
    list(jobs.call("cut")(src, longest, end="0.2"))
    assert [path.name for path in tmp_path.iterdir()] == [longest.name]


def test_times_that_make_no_sense_make_no_end_of_pictures(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        stills.write_image(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    with open_footage(tmp_path) as footage:
        footage.pts = [0, 1 << 60]
        assert pick_frames(footage, None) == [0, 1]
        with pytest.raises(BadOption, match="every frame once, 2"):
            pick_frames(footage, 25)
