"""Sound in another kind of file: what is copied, what is coded anew, and that it stays in step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from understudy.io.open_footage import open_footage
from understudy.io.video.audio import (
    AudioClip,
    SoundOptions,
    SoundPlan,
    choose_sound,
    plan_sound,
)
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_video

DATA = Path(__file__).parents[2] / "data" / "footage"
SECONDS = 0.6


def melody(rate: int, channels: int, seconds: float = SECONDS) -> np.ndarray:
    """A tone that rises, with a burst of noise now and then: it fits onto itself at one place only.
    (samples, channels) float32.
    """
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(0).standard_normal(len(time)) * (time % 0.2 < 0.04)
    sound = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time) + 0.1 * noise
    return np.stack([sound * (1 - 0.1 * each) for each in range(channels)], 1).astype(np.float32)


def film(
    path: Path,
    codec: str,
    rate: int = 48000,
    layout: str = "stereo",
    format: str | None = None,
    begin: float = 0,
    without: range = range(0),
) -> Path:
    """A clip of 15 frames and a track of `melody`. without: blocks of 1024 that are left out."""
    video = {".webm": "libvpx", ".wmv": "wmv2"}.get(path.suffix, "mpeg4")
    with av.open(str(path), "w") as output:
        pictures = output.add_stream(video, rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        track = output.add_stream(codec, rate=rate, layout=layout)
        if format:
            track.codec_context.format = format
        if codec == "vorbis":
            track.codec_context.options = {"strict": "-2"}
        for number in range(15):
            image = np.full((32, 32, 3), 10 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        sound = melody(rate, track.codec_context.layout.nb_channels)
        for place, start in enumerate(range(0, len(sound), 1024)):
            block = np.ascontiguousarray(sound[start : start + 1024]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = start + round(begin * rate)
            coded = track.encode(frame)
            if place not in without:
                output.mux(coded)
        output.mux(track.encode(None))
    return path


def heard(path: Path, track: int = 0) -> np.ndarray:
    """What a player plays of a track, from the start of the file on: (samples,) at 48 kHz, mono."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
    with av.open(str(path)) as container:
        begin, blocks = None, []
        for packet in container.demux(container.streams.audio[track]):
            for frame in packet.decode():
                begin = frame.pts * frame.time_base if begin is None else begin
                frame.pts = None
                blocks += resampler.resample(frame)
        blocks += resampler.resample(None)
    samples = np.concatenate([block.to_ndarray()[0] for block in blocks])
    return np.concatenate([np.zeros(round((begin or 0) * 48000)), samples])


def seen(path: Path) -> float:
    """When a player shows the sixth frame."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)][5]


def lag(one: np.ndarray, other: np.ndarray) -> float:
    """By how many milliseconds `one` comes later than `other`."""
    size = len(one) + len(other)
    match = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    best = int(np.argmax(match))
    return (best - size if best > size // 2 else best) / 48


def written(path: Path, out: Path, **sound: object) -> SoundPlan:
    """Write the clip anew with its sound, as a merge does; what became of the sound."""
    with open_footage(path) as footage:
        plan = plan_sound(AudioClip.of(footage, **sound), out.suffix)
        frames = list(write_video(out, footage, footage, EncodeOptions(preset="ultrafast"), plan))
        assert len(frames) == len(footage)
    return plan


def codecs(path: Path) -> list[str]:
    """How the sound tracks of a file are coded."""
    with av.open(str(path)) as container:
        return [each.codec_context.codec.canonical_name for each in container.streams.audio]


# What a clip is, and what its sound is in a file of another kind. "=": sample by sample as it was.
KINDS = [
    ("a.mov", {"codec": "pcm_s24le", "format": "s32", "layout": "mono"}, ".mp4", "alac="),
    ("a.mov", {"codec": "pcm_s24le"}, ".mov", "pcm_s24le="),
    ("a.mov", {"codec": "pcm_mulaw", "rate": 8000, "layout": "mono"}, ".mp4", "alac="),
    ("a.mov", {"codec": "pcm_alaw", "rate": 8000, "layout": "mono"}, ".mov", "pcm_alaw="),
    ("a.mov", {"codec": "pcm_mulaw", "rate": 8000, "layout": "mono"}, ".mkv", "pcm_s16le="),
    ("a.avi", {"codec": "pcm_u8", "rate": 11025}, ".mp4", "alac="),
    ("a.mkv", {"codec": "pcm_f32le"}, ".mp4", "alac"),
    ("a.mov", {"codec": "pcm_s16le", "layout": "5.1(side)"}, ".mp4", "alac="),
    ("a.mov", {"codec": "pcm_s16le", "layout": "6.1"}, ".mp4", "flac="),
    ("a.mov", {"codec": "pcm_s16le", "layout": "7.1"}, ".mp4", "flac="),
    ("a.mov", {"codec": "pcm_s16le", "layout": "7.1.4"}, ".mp4", "aac"),
    ("a.mkv", {"codec": "flac", "format": "s32", "rate": 96000}, ".mp4", "flac="),
    ("a.mkv", {"codec": "flac", "format": "s32", "rate": 96000}, ".mov", "pcm_s32le="),
    ("a.mkv", {"codec": "wavpack"}, ".mp4", "alac="),
    ("a.mkv", {"codec": "vorbis", "rate": 44100}, ".mp4", "aac"),
    ("a.mkv", {"codec": "vorbis", "rate": 44100}, ".mkv", "vorbis="),
    ("a.webm", {"codec": "libopus"}, ".mp4", "opus"),
    ("a.webm", {"codec": "libopus", "layout": "7.1"}, ".mov", "aac"),
    ("a.avi", {"codec": "adpcm_ms", "rate": 22050}, ".mp4", "aac"),
    ("a.mov", {"codec": "adpcm_ima_qt", "rate": 44100}, ".mov", "adpcm_ima_qt="),
    ("a.mov", {"codec": "adpcm_ima_qt", "rate": 44100}, ".mkv", "aac"),
    ("a.avi", {"codec": "libmp3lame", "rate": 44100}, ".mp4", "mp3="),
    ("a.avi", {"codec": "libmp3lame", "rate": 8000}, ".mp4", "aac"),
    ("a.ts", {"codec": "mp2"}, ".mkv", "mp2="),
    ("a.mkv", {"codec": "aac", "rate": 96000}, ".mp4", "aac"),
    ("a.mkv", {"codec": "eac3", "layout": "5.1(side)"}, ".mp4", "eac3"),
    ("a.3gp", {"codec": "libopencore_amrnb", "rate": 8000, "layout": "mono"}, ".mp4", "aac"),
]


@pytest.mark.footage_kind(
    "sound that few players of an .mp4 know (PCM of any kind, Vorbis, WMA, ADPCM, AMR, …)",
    "Coded anew and in step: what is lossless as ALAC or FLAC, the rest as AAC; `new` and every"
    " command that writes say so first. `.mov` keeps PCM as it is.",
)
@pytest.mark.parametrize(
    ("name", "made", "suffix", "expected"),
    KINDS,
    ids=[f"{made['codec']}-{made.get('layout', '')}{suffix}" for _, made, suffix, _ in KINDS],
)
def test_any_sound_is_in_the_result_and_in_step(tmp_path, name, made, suffix, expected):
    source, out = film(tmp_path / name, **made), tmp_path / f"out{suffix}"
    (track,) = written(source, out).tracks
    assert codecs(out) == [expected.rstrip("=")]
    assert (track.becomes == "copy") == (expected.rstrip("=") == track.told.split(",")[0])
    before, after = heard(source), heard(out)
    late = lag(after, before)
    # Where the picture begins with the sound, both are moved to the start.
    assert abs(late - 1000 * (seen(out) - seen(source))) < 1
    before = before[max(0, round(-48 * late)) :]
    after = after[max(0, round(48 * late)) :]
    if expected.endswith("="):
        # But for rounding, where channels are mixed and rates are changed for this comparison.
        size = min(len(before), len(after))
        assert size > 0.93 * SECONDS * 48000
        assert np.abs(after[48:size] - before[48:size]).max() < 1e-4


@pytest.mark.parametrize(("channels", "expected"), [(12, ["aac"]), (11, [])])
def test_more_channels_than_an_mp4_takes_are_mixed_or_left_out(tmp_path, channels, expected):
    layout, out = f"{channels} channels", tmp_path / "out.mp4"
    (track,) = written(film(tmp_path / "a.mov", "pcm_s16le", layout=layout), out).tracks
    # A .mov keeps them all, and that is said.
    assert track.kept_in == ".mov"
    assert codecs(out) == expected


def test_windows_media_sound_is_in_the_result(tmp_path):
    out = tmp_path / "out.mp4"
    (track,) = written(DATA / "sound-wma.wmv", out).tracks
    assert codecs(out) == ["aac"] and track.becomes.bit_rate == 128_000
    # The picture of the source, and so that of the result, began with the sound but for 46 ms.
    assert abs(lag(heard(out), heard(DATA / "sound-wma.wmv")) + 46) < 1
    with av.open(str(out)) as container:
        assert next(container.decode(video=0)).time == 0


def test_the_same_sound_gives_the_same_bytes(tmp_path):
    source = film(tmp_path / "a.mkv", "vorbis")
    outs = [tmp_path / "1.mp4", tmp_path / "2.mp4"]
    for out in outs:
        written(source, out)
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.footage_kind(
    "a sound track that no decoder knows (the second one of new phones)",
    "Left out, which `new` and `merge` say before any work; the other tracks are kept.",
)
def test_a_track_that_nobody_can_decode_is_left_out_and_the_others_stay(tmp_path):
    out = tmp_path / "out.mp4"
    plan = written(DATA / "unknown-sound-codec.mov", out)
    assert [track.becomes for track in plan.tracks] == ["copy", None]
    assert "not known here" in plan.tracks[1].why
    assert codecs(out) == ["aac"]
    assert lag(heard(out), heard(DATA / "unknown-sound-codec.mov")) == 0
    written(DATA / "unknown-sound-codec.mov", out, track=1)
    assert codecs(out) == []


@pytest.mark.footage_kind(
    "several sound tracks",
    "All are kept, in their order, with language, title, default mark and the marks for comments"
    " and for the hard of hearing, as far as the new kind of file has them; `--audio-track` takes"
    " one or none.",
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tracks_keep_their_order_and_what_they_say_of_themselves(tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    written(DATA / "second-sound-is-default.mkv", out)
    with av.open(str(out)) as container:
        first, second = container.streams.audio
        assert not first.disposition & Disposition.default
        assert second.disposition & Disposition.default
        assert first.language == "eng"
        # QuickTime knows German by other letters.
        assert second.language == ("ger" if suffix == ".mov" else "deu")
        told = second.metadata.get("title") or second.metadata.get("name")
        assert told == "Kommentar"
    again = tmp_path / f"again{suffix}"
    written(out, again)
    with av.open(str(again)) as container:
        assert container.streams.audio[1].metadata.get("title", "Kommentar") == "Kommentar"
        assert "Kommentar" in container.streams.audio[1].metadata.values()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_marks_of_commentary_and_for_the_hard_of_hearing_stay(tmp_path, suffix):
    source, out = tmp_path / "a.mkv", tmp_path / f"out{suffix}"
    marks = [Disposition.default, Disposition.comment, Disposition.hearing_impaired]
    with av.open(str(source), "w") as output:
        pictures = output.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        # One is copied, two are coded anew.
        tracks = [output.add_stream(codec, rate=48000) for codec in ("aac", "pcm_s16le", "wavpack")]
        for track, mark in zip(tracks, marks, strict=True):
            track.disposition = mark
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        output.mux([*pictures.encode(frame), *pictures.encode(None)])
        for track in tracks:
            block = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.float32), "flt", "stereo")
            block.sample_rate, block.pts = 48000, 0
            output.mux([*track.encode(block), *track.encode(None)])
    written(source, out)
    with av.open(str(out)) as container:
        found = [each.disposition for each in container.streams.audio]
    assert all(mark in each for mark, each in zip(marks, found, strict=True))
    assert not any(Disposition.default in each for each in found[1:])


def written_in_part(source: Path, out: Path, first: int, last: int) -> Fraction:
    """Write some frames with their sound, as `cut` does; returns when they begin in the source."""
    with open_footage(source) as footage:
        frames = [
            replace(frame, pts=frame.pts - footage.pts[first])
            for frame in footage.frames(first, last)
        ]
        start, stop = ((footage.pts[each] * footage.time_base) for each in (first, last))
        plan = plan_sound(AudioClip.of(footage, None, start, stop), out.suffix)
        list(write_video(out, frames, footage, EncodeOptions(preset="ultrafast"), plan))
    return start + footage.clock.origin


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_that_is_coded_anew_is_cut_to_the_sample(tmp_path, suffix):
    source, out = film(tmp_path / "a.mov", "pcm_mulaw", 8000, "mono"), tmp_path / f"out{suffix}"
    start = written_in_part(source, out, 3, 10)
    with av.open(str(source)) as one, av.open(str(out)) as other:
        before, after = (
            np.concatenate([frame.to_ndarray()[0] for frame in each.decode(audio=0)])
            for each in (one, other)
        )
    begin = round(start * 8000)
    assert np.array_equal(after, before[begin : begin + 8000 * 7 // 25])


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "libmp3lame"), ("a.mp4", "aac")])
def test_packets_of_a_part_keep_their_time(tmp_path, name, codec):
    # An AVI counts its sound in packets, and its pictures at 25 ticks a second.
    source, out = film(tmp_path / name, codec, 44100), tmp_path / "out.mp4"
    start = written_in_part(source, out, 3, 14)
    before, after = heard(source)[round(start * 48000) :], heard(out)
    assert abs(lag(after[4800:], before[4800:])) < 0.1


def test_late_sound_and_holes_in_it_keep_their_time(tmp_path):
    source = film(tmp_path / "a.mkv", "pcm_s16le", begin=0.25, without=range(6, 12))
    out = tmp_path / "out.mp4"
    written(source, out)
    before, after = melody(48000, 1)[:, 0], heard(out)
    start = round(0.25 * 48000)
    assert abs(len(after) - start - len(before)) < 48
    assert np.abs(after[: start - 48]).max() == 0
    assert np.abs(after[start + 6 * 1024 + 48 : start + 12 * 1024 - 48]).max() == 0
    tail = slice(start + 14 * 1024, None)
    assert abs(lag(after[tail], np.concatenate([np.zeros(start), before])[tail])) < 1


@pytest.mark.footage_kind(
    "damaged packets of sound, holes in it, coding that changes on the way",
    "The rest stays in step; what cannot be decoded is silent, and a warning counts it. A coding"
    " that changes is made one.",
)
def test_damaged_packets_are_silent_and_the_rest_keeps_its_time(tmp_path):
    source, out = film(tmp_path / "a.mkv", "flac"), tmp_path / "out.mov"
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        places = [data.index(bytes(packet)) for packet in packets[2:4]]
    for place in places:
        data[place + 8 : place + 200] = bytes(192)
    source.write_bytes(data)
    plan = written(source, out)
    assert plan.losses == [
        "a.mkv: sound track 0: packets that are damaged or come twice, and are left out: 2."
    ]
    clean, after = melody(48000, 1)[:, 0], heard(out)
    assert np.abs(after[2 * 4608 + 48 : 4 * 4608 - 48]).max() == 0
    assert lag(after[5 * 4608 :], clean[5 * 4608 :] * 1.0) == 0


def test_coding_that_changes_on_the_way_becomes_one(tmp_path):
    one = film(tmp_path / "1.ts", "aac", 44100, "mono")
    other = film(tmp_path / "2.ts", "aac", 48000, "stereo")
    both, out = tmp_path / "both.ts", tmp_path / "out.mp4"
    both.write_bytes(one.read_bytes() + other.read_bytes())
    (track,) = written(both, out).tracks
    assert track.why == "its coding changes on the way" and track.becomes.encoder == "aac"
    after = heard(out)
    half = len(after) // 2
    assert lag(after[:half], melody(48000, 1)[:, 0]) < 30
    assert np.abs(after[half + 4800 : half + 14400]).max() > 0.1


def test_a_track_without_any_packet_costs_nothing(tmp_path):
    source, out = tmp_path / "a.mkv", tmp_path / "out.mp4"
    with av.open(str(source), "w") as output:
        pictures = output.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        output.add_stream("ac3", rate=48000)
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        output.mux([*pictures.encode(frame), *pictures.encode(None)])
    (track,) = written(source, out).tracks
    assert track.becomes is None and track.why == "there is nothing in it"
    assert codecs(out) == []


def test_a_track_of_which_nothing_can_be_decoded_is_left_out(tmp_path):
    source, out = tmp_path / "a.ts", tmp_path / "out.mp4"
    with av.open(str(source), "w") as output:
        pictures = output.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        track = output.add_stream("aac", rate=48000)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts = number
            output.mux(pictures.encode(frame))
            noise = av.Packet(np.random.default_rng(number).bytes(400))
            noise.stream, noise.pts, noise.dts = track, 1920 * number, 1920 * number
            noise.time_base = Fraction(1, 48000)
            output.mux(noise)
        output.mux(pictures.encode(None))
    (track,) = written(source, out).tracks
    # It has no rate and no channels.
    assert track.becomes is None and track.why == "nothing in it can be decoded"
    assert codecs(out) == []


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac", "vorbis"])
def test_damage_anywhere_in_the_sound_still_gives_a_result(tmp_path, codec):
    intact, out = film(tmp_path / "a.mkv", codec), tmp_path / "out.mp4"
    with open_footage(intact) as footage:
        frames = list(footage)[:2]
        for number, damaged in enumerate(damages(intact.read_bytes())):
            source = tmp_path / f"{number}.mkv"
            source.write_bytes(damaged)
            plan = plan_sound(AudioClip(source), ".mp4")
            assert list(write_video(out, frames, footage, EncodeOptions(), plan)) == [1, 2]


def damages(data: bytes) -> Iterator[bytes]:
    """Copies of a file with bytes changed between its head and its end."""
    for seed in range(6):
        random = np.random.default_rng(seed)
        copy = np.frombuffer(data, np.uint8).copy()
        places = random.integers(3000, len(copy) - 1000, 30)
        copy[places] = random.integers(0, 256, 30)
        yield copy.tobytes()


def test_times_that_drift_and_catch_up_cut_nothing_out(tmp_path):
    source, out = tmp_path / "drift.mkv", tmp_path / "out.mp4"
    with av.open(str(film(tmp_path / "a.mkv", "vorbis", 44100))) as intact:
        with av.open(str(source), "w") as output:
            streams = {each: output.add_stream_from_template(each) for each in intact.streams}
            for packet in intact.demux():
                if packet.size:
                    if packet.stream.type == "audio":
                        # As RealMedia does: 17 ms behind in the end, and then on time again.
                        late = packet.pts % 300 * 17 // 300
                        packet.pts, packet.dts = packet.pts - late, packet.dts - late
                    packet.stream = streams[packet.stream]
                    output.mux(packet)
    written(source, out)
    before, after = heard(tmp_path / "a.mkv"), heard(out)
    size = min(len(before), len(after))
    assert np.corrcoef(before[4800:size], after[4800:size])[0, 1] > 0.98


def test_without_sound_or_where_none_is_wanted_there_is_no_plan(tmp_path):
    source = film(tmp_path / "a.mkv", "aac")
    with open_footage(source) as footage:
        assert choose_sound(footage, SoundOptions(audio_track="none"), ".mp4") is None
        plan = choose_sound(footage, SoundOptions(audio_track=0), ".mp4")
        assert plan is not None and len(plan.tracks) == 1
