"""What a merge has rendered is not rendered again, wherever and whenever the rest is done."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from clocks import clock_ahead
from fuzzing import mutations, rounds
from loky import get_reusable_executor
from pydantic import create_model

from understudy.core import affine, image
from understudy.core.face import align
from understudy.errors import BadMedia, BadOption, BadProject, CannotWrite
from understudy.io import system
from understudy.io.faceset.faceset import Faceset
from understudy.io.open_footage import open_footage
from understudy.io.provenance import manifest, signing_key
from understudy.io.video.clip_writer import write_clip
from understudy.io.video.encode_options import EncodeOptions
from understudy.options import Options, option
from understudy.stages import signer
from understudy.stages.events import Event, Finished, Note, Progress, Saved, Started, Stop
from understudy.stages.merge import render
from understudy.stages.merge.command import merge
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.segments import Segment, SegmentRecord, SegmentStore, make_segments
from understudy.stages.parallel import chunks, workers
from understudy.stages.project import Project
from understudy.types import AlignedFace, Bytes, Face

pytest.importorskip("onnxruntime")

# Four segments of six frames.
FRAMES, LENGTH, SIZE = 24, 6, (128, 96)
HDR10 = (
    "log-level=error:colorprim=9:transfer=16:colormatrix=9:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
)
KILLED = """
import os, signal, sys
from pathlib import Path
from understudy.stages.parallel import chunks
from understudy.stages.merge.command import merge
from understudy.stages.merge.options import MergeOptions
chunks._FEWEST = 6
for _ in merge(Path(sys.argv[1]), MergeOptions.model_validate_json(sys.argv[2])):
    if list(Path(sys.argv[1]).glob("merged/segments/[!.]*.json")):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A show with a face in every frame that moves to the right, cut into segments of six
    frames.
    """
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    monkeypatch.setattr(chunks, "_FEWEST", LENGTH)
    tone = np.sin(np.arange(48000, dtype=np.float32) / 9)
    assert (
        len(list(write_clip(tmp_path / "dst.mp4", map(plate, range(FRAMES)), SIZE, sound=tone)))
        == FRAMES
    )
    project = Project.create(tmp_path / "show", tmp_path / "dst.mp4", tmp_path / "dst.mp4")
    for number in range(FRAMES):
        add_face(project.folder, number, 50 + number)
    return project.folder


def plate(number: int) -> Bytes:
    x, y = np.meshgrid(np.linspace(60, 180, SIZE[0]), np.linspace(60, 180, SIZE[1]))
    return np.stack([x, y, np.full_like(x, 90 + number)], -1).astype(np.uint8)


def add_face(show: Path, number: int, x: float) -> None:
    inner = align.template_points("full", 50) + np.float32([x - 25, 25])
    points = np.concatenate([np.repeat(inner[:1], 17, 0), inner]).astype(np.float32)
    face = Face(number, affine.bounding_box(points), points, 0.9, 0, np.zeros(3, np.float32))
    matrix = align.face_from_frame(points, "full", 64)
    picture = image.warp(plate(number), matrix, (64, 64))
    Faceset(show / "dst" / "faces").add(
        AlignedFace(face, picture, matrix, "full", source="dst.mp4")
    )


@pytest.fixture
def plain(dfm_file: Callable[..., Path]) -> MergeOptions:
    """A model that gives back what it sees, turned grey by the look; nothing reaches from frame to
    frame.
    """
    coding = EncodeOptions(crf=4, preset="ultrafast")
    return MergeOptions(
        model=str(dfm_file()),
        masks=("full",),
        mode="hist-match-bw",
        steady=0,
        smooth=False,
        device="cpu",
        encode=coding,
    )


def with_(options: MergeOptions, **changes: object) -> MergeOptions:
    return MergeOptions.layered(options.set_values(), changes)


def segments(show: Path) -> dict[str, int]:
    """When each finished segment was written."""
    return {
        path.name: path.stat().st_mtime_ns
        for path in (show / "merged" / "segments").glob("[!.]*.segment")
    }


def pictures(path: Path) -> list[np.ndarray]:
    with open_footage(path) as footage:
        return [frame.image.astype(int) for frame in footage]


def notes(events: Iterable[Event]) -> str:
    return " ".join(event.text for event in events if isinstance(event, Note))


def test_what_is_rendered_is_not_rendered_again(show: Path, plain: MergeOptions) -> None:
    list(merge(show, plain))
    before = segments(show)
    events = list(merge(show, plain))
    assert len(before) == 4 and segments(show) == before
    assert "24 of 24 frames are there from earlier runs" in notes(events)
    one, other = (show / "merged" / number / "result.mp4" for number in ("001", "002"))
    assert all(
        np.array_equal(left, right)
        for left, right in zip(pictures(one), pictures(other), strict=True)
    )


def test_a_choice_for_some_frames_renders_only_those(show: Path, plain: MergeOptions) -> None:
    list(merge(show, plain))
    before = segments(show)
    list(merge(show, with_(plain, at=["8-9: mode=original"])))
    after = segments(show)
    assert len(after.keys() - before.keys()) == 1 and before.items() <= after.items()
    plates, merged = pictures(show.parent / "dst.mp4"), pictures(show / "result.mp4")
    changed = [
        np.abs(one - other)[40:60].mean() > 2 for one, other in zip(plates, merged, strict=True)
    ]
    assert [number for number, is_changed in enumerate(changed) if not is_changed] == [8, 9]


@pytest.mark.parametrize(
    ("smooth", "steady", "touched"), [(False, 0, 1), (True, 0, 2), (False, 3, 2)]
)
def test_a_face_that_goes_touches_only_the_frames_that_it_reaches(
    show: Path, plain: MergeOptions, smooth: bool, steady: int, touched: int
) -> None:
    options = with_(plain, smooth=smooth, steady=steady, grain=0)
    list(merge(show, options))
    before = segments(show)
    faceset = Faceset(show / "dst" / "faces")
    faceset.trash(faceset.faces.frame == 7)
    list(merge(show, options))
    assert len(segments(show).keys() - before.keys()) == touched


def keys_of(show: Path, options: MergeOptions) -> list[str]:
    """The keys of the segments that a merge would need."""
    project = Project.load(show)
    with open_footage(project.footage("dst")) as footage:
        context = MergeContext.open(project, footage, options, Keyframes.parse(options))
        return [each.key for each in make_segments(context, [range(len(footage))])]


def variant(options: MergeOptions, **fields: Any) -> MergeOptions:
    """These options in a class with other fields."""
    made = create_model("Variant", __base__=MergeOptions, **fields)
    return made.model_validate(options.set_values())


def test_frames_are_known_again_when_an_option_comes_or_moves(
    show: Path, plain: MergeOptions
) -> None:
    known = keys_of(show, plain)
    halo: Any = (float, option(0, "Glow", affects="render"))
    assert keys_of(show, variant(plain, halo=halo)) == known
    assert keys_of(show, variant(with_(plain, device="auto", workers=2))) == known
    moved = dict(reversed(MergeOptions.model_fields.items()))
    fields: Any = {name: (info.annotation, info) for name, info in moved.items()}
    turned = create_model("Turned", __base__=Options, **fields)
    assert list(turned.model_fields) == list(moved)
    assert turned.model_validate(plain.set_values()).deviating("render") == plain.deviating(
        "render"
    )


def test_frames_are_not_taken_for_those_of_another_choice(show: Path, plain: MergeOptions) -> None:
    known = keys_of(show, plain)
    halo: Any = (float, option(3, "Glow", affects="render"))
    later = variant(plain, halo=halo)
    for other in (
        with_(plain, encode={"depth": "10"}),
        with_(plain, face_type="half"),
        with_(plain, encode={"chroma": "444"}),
        later.model_copy(update={"halo": 4}),
    ):
        assert not set(keys_of(show, other)) & set(known)


def test_frames_of_another_default_are_rendered_anew(tmp_path: Path) -> None:
    segment = Segment(range(6), "0123")
    (tmp_path / "0123.segment").touch()
    SegmentStore(tmp_path, False, {"blur": 8}).finish(segment, SegmentRecord(bare=(1,)))
    for now in ({"blur": 8}, {"grain": 0, "blur": 8}, {}):
        known = SegmentStore(tmp_path, False, now).record_of(segment)
        assert known is not None and known.bare == (1,)
    assert SegmentStore(tmp_path, False, {"grain": 0, "blur": 9}).record_of(segment) is None


def test_other_weights_or_another_coding_render_all_anew(show: Path, plain: MergeOptions) -> None:
    list(merge(show, plain))
    list(merge(show, with_(plain, encode={"crf": 5})))
    assert len(segments(show)) == 8
    model = Path(plain.model)
    model.write_bytes(
        model.read_bytes().replace(b"understudy-test", b"understudy-tesT") + b"\x7a\x00"
    )
    list(merge(show, plain))
    assert len(segments(show)) == 12


def test_a_killed_run_loses_only_what_was_under_way(show: Path, plain: MergeOptions) -> None:
    order = [sys.executable, "-c", KILLED, str(show), plain.model_dump_json(exclude_unset=True)]
    assert subprocess.run(order, check=False).returncode == -signal.SIGKILL
    done = [
        path.with_suffix(".segment").name
        for path in (show / "merged" / "segments").glob("[!.]*.json")
    ]
    before = {name: time for name, time in segments(show).items() if name in done}
    events = list(merge(show, plain))
    assert before and before.items() <= segments(show).items()
    assert f"{LENGTH * len(before)} of 24 frames are there" in notes(events)
    assert isinstance(events[-1], Finished) and len(pictures(show / "result.mp4")) == FRAMES
    assert not list((show / "merged" / "segments").glob(".*"))


def test_damage_in_a_kept_segment_never_passes(show: Path, plain: MergeOptions) -> None:
    """200 zeroed bytes anywhere, or any other damage to its files: rendered again, and told."""
    options = with_(plain, matte=True)
    list(merge(show, options))
    truth = {name: pictures(show / "merged" / "001" / name) for name in ("result.mp4", "matte.mp4")}
    kept = sorted((show / "merged" / "segments").glob("*.[sj]*"))
    whole = {path: path.read_bytes() for path in kept}
    assert len(kept) == 12 and {path.suffix for path in kept} == {".segment", ".json"}
    rng = random.Random(0)
    for number in range(rounds(8)):
        path = rng.choice([each for each in kept if number % 2 or each.suffix == ".segment"])
        data = whole[path]
        if number % 3:
            start = rng.randrange(max(1, len(data) - 200))
            damaged = data[:start] + bytes(len(data[start : start + 200])) + data[start + 200 :]
        else:
            (damaged,) = mutations(data, 1, number)
        path.write_bytes(damaged)
        told = notes(merge(show, options))
        if path.suffix == ".segment" and damaged != data:
            assert f"{LENGTH} frames from earlier runs were damaged on the disk" in told, path
            assert f"{FRAMES - LENGTH} of {FRAMES} frames are there" in told
            assert path.read_bytes() == data
        newest = max((show / "merged").glob("0*"))
        for name, frames in truth.items():
            assert np.array_equal(pictures(newest / name), frames), (name, path, number)


def test_damage_between_rendering_and_joining_is_refused(show: Path, plain: MergeOptions) -> None:
    running = merge(show, plain)
    while not (isinstance(event := next(running), Progress) and event.done == FRAMES):
        pass
    while not (isinstance(event := next(running), Started) and event.stage == "join result"):
        pass
    path = sorted((show / "merged" / "segments").glob("*.segment"))[2]
    data = path.read_bytes()
    path.write_bytes(data[:500] + bytes(200) + data[700:])
    with pytest.raises(BadMedia, match="changed since it was written"):
        list(running)
    assert not (show / "result.mp4").exists() and not list((show / "merged").glob("0*"))
    assert "18 of 24 frames are there" in notes(merge(show, plain))
    assert path.read_bytes() == data and (show / "result.mp4").exists()


def test_at_no_time_is_there_a_film_without_its_mark(show: Path, plain: MergeOptions) -> None:
    """Whatever moment the run is killed at: all there is to play says what it is."""
    looked: dict[str, bool] = {}
    for _ in merge(show, with_(plain, matte=True)):
        for path in [*show.rglob("*"), *show.rglob(".*")]:
            if path.is_file() and path.suffix not in {".jpg", ".toml", ".json", ".txt"}:
                looked[path.name] = plays(path)
    films = {name for name, is_film in looked.items() if is_film}
    assert films == {"result.mp4", "matte.mp4"} and len(looked) > 10
    for path in (*show.rglob("result.mp4"), *show.rglob("matte.mp4")):
        assert manifest.read_manifest(path).state == "valid"


@pytest.mark.parametrize("days", [400, -4000])
def test_a_merge_after_one_under_another_clock(
    days: int, show: Path, plain: MergeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    # C2PA asks the clock of the machine, which is right: what it would refuse then it does not see.
    with clock_ahead(days), monkeypatch.context() as patch:
        patch.setattr(signer, "validate_credentials", signing_key.load_credentials)
        patch.setattr(manifest.Claim, "sign", lambda self, unsigned, path: path.write_bytes(b"x"))
        assert "certificate" not in notes(merge(show, plain))
    events = list(merge(show, plain))
    assert "this computer's certificate" in notes(events)
    assert "24 of 24 frames are there" in notes(events)
    assert manifest.read_manifest(show / "result.mp4").state == "valid"
    assert "certificate" not in notes(merge(show, plain))


def plays(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            videos = container.streams.video
            return any(packet.decode() for each in videos for packet in container.demux(each))
    except av.FFmpegError:
        return False


def test_a_stop_keeps_what_is_finished_and_says_so(show: Path, plain: MergeOptions) -> None:
    running = merge(show, plain)
    while not (isinstance(event := next(running), Progress) and event.done == 2 * LENGTH):
        pass
    rest = [running.send(Stop()), *running]
    assert "12 of 24 frames are finished, and the same command goes on" in notes(rest)
    assert len(segments(show)) == 2 and not (show / "result.mp4").exists()


def test_two_processes_make_what_one_makes_even_when_one_dies(
    show: Path, plain: MergeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_TICK", 0.05)
    list(merge(show, plain))
    alone = pictures(show / "result.mp4")
    (show / "merged" / "segments").rename(show.parent / "elsewhere")
    running = merge(show, with_(plain, workers=2))
    done = [next(event.done for event in running if isinstance(event, Progress))]
    os.kill(next(iter(get_reusable_executor(2, reuse=True)._processes)), signal.SIGKILL)
    done += [
        event.done for event in running if isinstance(event, Progress) and event.stage == "merge"
    ]
    # Heard of before a segment is finished, and never going back.
    assert done[0] < LENGTH and done == sorted(done) and done[-1] == 24
    for one, other in zip(alone, pictures(show / "result.mp4"), strict=True):
        assert np.abs(one - other).mean() < 0.5


@pytest.mark.parametrize("asked", [{"matte": True}, {"mode": "raw-rgb-mask"}], ids=str)
def test_the_mask_as_a_video(asked: dict[str, Any], show: Path, plain: MergeOptions) -> None:
    list(merge(show, plain))
    events = list(merge(show, with_(plain, masks=["full"], **asked)))
    matte = show / "merged" / "002" / "matte.mp4"
    assert {
        event.path for event in events if isinstance(event, Saved) and event.what == "matte"
    } == {matte}
    assert manifest.read_manifest(matte).is_synthetic
    with open_footage(matte) as masks, open_footage(show / "result.mp4") as result:
        assert masks.pts == result.pts and not masks.has_audio
        for frame in masks:
            assert frame.image[48, 52 + frame.index].min() > 240 and frame.image[5].max() < 16


def test_how_hdr_was_mastered_comes_through_all_segments(show: Path, plain: MergeOptions) -> None:
    """The joined film tells it in every keyframe, as the footage does."""
    source = show.parent / "dst.mp4"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx265", rate=25)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p10le"
        video.options = {"preset": "ultrafast", "x265-params": HDR10}
        for number in range(FRAMES):
            output.mux(video.encode(av.VideoFrame.from_ndarray(plate(number), format="rgb24")))
        output.mux(video.encode(None))
    list(merge(show, with_(plain, encode=EncodeOptions(preset="ultrafast"))))
    assert len(segments(show)) > 1
    told = light_of(source)
    assert len(told) == 2
    with av.open(str(show / "result.mp4")) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    assert len(frames) == FRAMES
    assert all(light_of(frame) == told for frame in frames if frame.key_frame)
    assert sum(frame.key_frame for frame in frames) > 1


def light_of(shown: Path | av.VideoFrame) -> dict[str, bytes]:
    """The records of mastering display and content light of a frame, or of a film's first one."""
    if isinstance(shown, Path):
        with av.open(str(shown)) as container:
            return light_of(next(container.decode(video=0)))
    kinds = (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)
    return {kind.name: bytes(found) for kind in kinds if (found := shown.side_data.get(kind))}


def test_only_some_frames(show: Path, plain: MergeOptions) -> None:
    list(merge(show, plain))
    result, before = (show / "result.mp4").read_bytes(), segments(show)
    *_, last = merge(show, with_(plain, frames="4-7,14"))
    assert isinstance(last, Finished) and last.summary["frames"] == 5
    part = Path(last.summary["version"])
    with open_footage(part) as few, open_footage(show / "result.mp4") as whole:
        assert few.pts == [whole.pts[number] - whole.pts[4] for number in (4, 5, 6, 7, 14)]
        for number, frame in zip((4, 5, 6, 7, 14), few, strict=True):
            assert np.abs(frame.image.astype(int) - whole[number].image).mean() < 2
    with av.open(str(part)) as container:
        assert (
            0.3
            < float(container.streams.audio[0].duration * container.streams.audio[0].time_base)
            < 0.45
        )
    assert (show / "result.mp4").read_bytes() == result and before.items() <= segments(show).items()
    with pytest.raises(BadOption, match="beyond the end"):
        list(merge(show, with_(plain, frames="90-")))


def test_segments_of_the_newest_three_versions_are_kept(show: Path, plain: MergeOptions) -> None:
    for erode in range(4):
        list(merge(show, with_(plain, erode=erode)))
    assert len(segments(show)) == 12
    keys = [
        json.loads((show / "merged" / number / "merge.json").read_text())["segments"]
        for number in ("002", "003", "004")
    ]
    assert {Path(name).stem for name in segments(show)} == {key for some in keys for key in some}


def test_too_little_room_is_told_before_any_work(
    show: Path, plain: MergeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "free_bytes", lambda folder: 1000)
    with pytest.raises(CannotWrite, match=r"0\.0 GB are free.*Free some space"):
        list(merge(show, plain))
    assert not segments(show)


def test_a_disk_that_fills_up_loses_nothing(
    show: Path, plain: MergeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = render.write_part, iter(range(9))

    def full(*given: object) -> Iterator[int]:
        if next(calls) == 2:
            raise CannotWrite(f"{given[0]}: the disk is full.") from OSError(errno.ENOSPC, "full")
        yield from whole(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(render, "write_part", full)
    with pytest.raises(CannotWrite, match="the disk is full"):
        list(merge(show, plain))
    before = segments(show)
    assert len(before) == 2 and not (show / "merged" / "001").exists()
    monkeypatch.setattr(render, "write_part", whole)
    assert isinstance(list(merge(show, plain))[-1], Finished)
    assert before.items() <= segments(show).items()


def test_what_others_put_among_the_segments_stays(show: Path, plain: MergeOptions) -> None:
    """And ends no run, whatever it is; segments that are no longer needed go all the same."""
    list(merge(show, plain))
    folder, first = show / "merged" / "segments", segments(show)
    own = ["notes.txt", f"{'0a' * 16}.segment", f"{'0b' * 16}.json", "holiday.mov"]
    for name in own:
        (folder / name).write_text("mine")
    (folder / f"{'0c' * 16}.segment").mkdir()
    (folder / f"{'0d' * 16}.json").write_text(
        json.dumps({"files": {"notes.txt": "", "../../dst/extract.json": ""}})
    )
    (show / "dst" / "extract.json").write_text("mine")
    # What a run that died had finished without a record, and what a former version kept.
    died, former = ("0e" * 16, "0f" * 16)
    for name in (f"{died}.begun", f"{died}.segment", f"{former}.mov", f"{former}.matte.mov"):
        (folder / name).write_text("ours")
    (folder / f"{former}.json").write_text('{"bare": [], "failed": [], "defaults": {}}')
    # Called like one, and no record of a merge.
    (folder / f"{'0a' * 16}.json").write_text("{}")
    (folder / f"{'0a' * 16}.mov").write_text("mine")
    for level in (11, 12, 13):
        list(merge(show, with_(plain, erode=level)))
    left = {path.name for path in folder.iterdir()}
    assert left.issuperset([*own, f"{'0c' * 16}.segment"]) and not left.intersection(first)
    assert not [name for name in left if name.startswith((died, former))]
    assert {f"{'0a' * 16}.json", f"{'0a' * 16}.mov"} <= set(left)
    for path in [show / "dst" / "extract.json", *(folder / name for name in own)]:
        assert path.read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_segments_that_are_a_link_are_refused(show: Path, plain: MergeOptions) -> None:
    outside = show.parent / "outside"
    outside.mkdir()
    (outside / "notes.txt").write_text("foreign")
    (show / "merged").mkdir()
    (show / "merged" / "segments").symlink_to(outside)
    with pytest.raises(BadProject, match=r"merged.segments: a link.*Put the folder itself there"):
        list(merge(show, plain))
    assert [path.name for path in outside.iterdir()] == ["notes.txt"]
