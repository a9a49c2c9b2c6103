"""Writes video: RGB frames with the colour tags, the timing and the sound of their footage."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from understudy.errors import BadMedia, BadOption, CannotWrite
from understudy.io import atomic
from understudy.io.footage.base import Footage
from understudy.io.installation import pip
from understudy.io.video import color as video_color
from understudy.io.video import encode_options, segment_file
from understudy.io.video.audio import AudioClip, SoundPlan, SoundWriter, open_sound
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.faults import reason
from understudy.io.video.read_back import check_shown
from understudy.types import Array, Bytes, Frame

if TYPE_CHECKING:
    from typing_extensions import Buffer

SUFFIXES = (".mp4", ".mov", ".mkv")
_FORMATS: Final = {
    ".mp4": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    segment_file.SUFFIX: segment_file.FORMAT,
}
# Bytes that go through Python at a time.
_BUFFER: Final = 1 << 20
# As many pictures are decoded in the order in which they are shown.
_TOO_FEW: Final = 2
# Ticks a second up to which players are known to follow.
_FINEST = 10_000_000
# Ticks a second in which the start of a track is told at least: less than a sample of sound.
_FINE = 100_000


def write_video(
    path: Path,
    frames: Iterable[Frame],
    like: Footage,
    options: EncodeOptions,
    audio_from: Path | AudioClip | SoundPlan | None = None,
    comment: str = "",
    into: BinaryIO | None = None,
) -> Generator[int]:
    """Write frames as a video and yield how many are coded so far.

    The file takes its name after the last one. Nothing is left when writing fails or the generator
    is closed early.

    Args:
        path: .mp4, .mov or .mkv (whose clock is milliseconds); replaced when it exists.
        frames: Plates (images where there is none) of like's plate_size; pts and time_base are
            kept. Frames without come at options.fps.
        like: Gives size, rate, colour tags, depth and pixel shape.
        options: The codec and its settings.
        audio_from: The file whose sound goes with them, an `AudioClip`, or a plan for it.
        comment: What the container says of itself.
        into: An empty file that takes the video; nothing is then written at `path`, which only
            says what it is to become.

    Raises:
        CannotWrite: The disk is full, or the encoder fails.
        BadOption: The suffix, or the codec for it.
        BadMedia: There are no frames, or the sound does not fit.
    """
    check_target(path, options)
    sound = audio_from
    if isinstance(sound, Path):
        sound = AudioClip.of(like) if sound == like.path else AudioClip(sound)
    with atomic_video(path, into) as file:
        times = yield from _write(file, path, frames, Encoding(like, options), sound, comment)
        yield from check_written(file, path, times)


def write_part(
    path: Path, frames: Iterable[Frame], like: Footage, options: EncodeOptions, threads: int = 0
) -> Generator[int]:
    """Write a part of a video for `concat`: no sound, times from its own first frame on.

    No player opens it, at no time. path: ends in `segment_file.SUFFIX`. threads: of the encoder, 0
    = as it likes. Otherwise as `write_video`.
    """
    with atomic_video(path) as file, segment_file.SegmentFile(file) as movie:
        yield from _write(
            cast(BinaryIO, movie), path, _from_zero(frames), Encoding(like, options, threads)
        )


def check_written(file: BinaryIO, path: Path, times: Sequence[float]) -> Generator[int]:
    """Read back what was written into a file of `atomic_video`; yield the number of frames.

    times: of the frames, in seconds. Raises CannotWrite where it does not show them.
    """
    if isinstance(file, _Output) and file.problem is not None:
        return
    for _ in check_shown(file, path, times):
        yield len(times)


@contextmanager
def atomic_video(path: Path, into: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """Yield a file to write a video into: `into`, or one that becomes `path` when all goes well.

    What FFmpeg cannot do is a CannotWrite.
    """
    with ExitStack() as stack:
        stack.enter_context(atomic.explain_os_errors(path))
        if into is None:
            partial = stack.enter_context(atomic.partial_file(path))
            into = stack.enter_context(partial.open("w+b"))
        output = _Output(into)
        try:
            yield cast(BinaryIO, output)
        except UnknownCodecError as error:
            raise CannotWrite(
                f"{path}: this installation of FFmpeg has no encoder {error}. Choose another codec,"
                f" or install PyAV anew: {pip('install', '--force-reinstall', 'av')}."
            ) from error
        except (av.FFmpegError, ArithmeticError) as error:
            # Its errors bear numbers of the system, and yet are about no disk: what is written goes
            # through our hands.
            if output.problem is None:
                raise CannotWrite(
                    f"{path}: cannot be coded or written: {reason(error)}. Try the default options,"
                    " another kind of file, or leave the sound out with --audio-track none."
                ) from error
        if output.problem is not None:
            raise output.problem


def open_output(file: BinaryIO, path: Path, options: dict[str, str]) -> OutputContainer:
    """Open a container for writing into `file`, of the kind that the suffix of `path` names."""
    return av.open(
        file,
        "w",
        format=_FORMATS[path.suffix.lower()],
        options=options,
        buffer_size=_BUFFER,
        # To put its index first, a muxer reads the file again that it is writing.
        io_open=lambda url, flags, options: _SecondPlace(file),
    )


def check_target(path: Path, options: EncodeOptions) -> None:
    """Raise BadOption when the options cannot be written to a file of that name."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadOption(
            f"{path}: no video file is written as '{path.suffix}'. Name it {', '.join(SUFFIXES)}."
        )
    if options.codec == "prores" and path.suffix.lower() == ".mp4":
        raise BadOption(
            f"{path}: prores does not go into .mp4. Name it .mov, or choose codec h264."
        )


def frame_rate_fraction(fps: float) -> Fraction:
    """Return a frame rate as the fraction that is meant: 23.976 is 24000/1001."""
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    return (
        ntsc if ntsc and abs(float(ntsc) - fps) < 0.002 else Fraction(fps).limit_denominator(1001)
    )


def frame_duration(index: int, like: Footage) -> int:
    """Return how long a frame stays, in ticks of like's clock.

    Without it, a file's last frame would stay as long as the one before.
    """
    return round((like.seconds(index + 1) - like.seconds(index)) / like.time_base)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is encoded. threads: of the encoder, 0 = as it likes."""

    like: Footage
    options: EncodeOptions
    threads: int = 0

    @property
    def resolved(self) -> EncodeOptions:
        """The options with what auto means for this footage."""
        return encode_options.resolve_encoding(self.options, self.like)

    @property
    def fps(self) -> Fraction:
        """Frames a second."""
        return self.like.fps if self.like.is_video else frame_rate_fraction(self.options.fps)

    @property
    def time_base(self) -> Fraction:
        """Seconds a tick of its clock."""
        return self.like.time_base if self.like.is_video else 1 / self.fps

    def muxer_options(self, path: Path, is_part: bool = False) -> dict[str, str]:
        """Return the muxer's options: playable while it loads, unless a part; source's ticks."""
        if path.suffix.lower() == ".mkv":
            return {}
        flags = {} if is_part else {"movflags": "+faststart"}
        if self.time_base.denominator > _FINEST:
            return flags
        # The second one is the clock of the edit list, which says when a track that starts late
        # starts, sound too; by default milliseconds.
        ticks = self.time_base.denominator
        fine = ticks * -(-_FINE // ticks)
        return flags | {"video_track_timescale": str(ticks), "movie_timescale": str(fine)}


class _Output(io.RawIOBase):
    """An open file that FFmpeg writes into.

    problem: what its writing failed with, which FFmpeg tells only as a callback that failed; what
    is written after that goes nowhere.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.problem: OSError | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        with memoryview(buffer).cast("B") as room:
            data = self._file.read(len(room))
            room[: len(data)] = data
        return len(data)

    def write(self, data: Buffer, /) -> int:
        if self.problem is not None:
            return memoryview(data).nbytes
        try:
            return self._file.write(data)
        except OSError as error:
            self.problem = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if self.problem is not None:
            return offset
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self.problem = error
            raise


class _SecondPlace(io.RawIOBase):
    """An open file, read from a place of its own; closing it leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        first = self._file.tell()
        if whence == os.SEEK_CUR:
            self._file.seek(self._place)
        self._place = self._file.seek(offset, whence)
        self._file.seek(first)
        return self._place

    def readinto(self, buffer: Buffer, /) -> int:
        first = self._file.tell()
        self._file.seek(self._place)
        with memoryview(buffer).cast("B") as room:
            data = self._file.read(len(room))
            room[: len(data)] = data
        self._place += len(data)
        self._file.seek(first)
        return len(data)


def _write(
    file: BinaryIO,
    path: Path,
    frames: Iterable[Frame],
    coding: Encoding,
    sound: AudioClip | SoundPlan | None = None,
    comment: str | None = None,
) -> Generator[int, None, list[float]]:
    """Into `file`; returns when each frame is shown, in seconds.

    comment: None = a part, which has none and need not play while it loads.
    """
    with ExitStack() as stack:
        output = stack.enter_context(
            open_output(file, path, coding.muxer_options(path, comment is None))
        )
        if comment:
            output.metadata["comment"] = comment
        stream = _stream(output, coding)
        heard = stack.enter_context(open_sound(sound, output, path)) if sound else None
        durations: dict[int, int] = {}
        done = coded = 0
        times: list[float] = []
        for frame in frames:
            picture = _to_av_frame(frame, done, str(stream.codec_context.pix_fmt), coding)
            if (
                frame.pts is not None
                and frame.time_base == coding.like.time_base
                and 0 <= frame.index < len(coding.like)
            ):
                durations[frame.pts] = frame_duration(frame.index, coding.like)
            coded += _mux_packets(output, stream.encode(picture), durations, heard)
            ticks, time_base = _time(frame, done, coding)
            times.append(float(ticks * time_base))
            done += 1
            yield done
        if done == 0:
            raise BadMedia(
                f"{path}: there are no frames to write. Give footage, or a range, with at least"
                " one."
            )
        rest = stream.encode(None)
        for packet in rest if done <= _TOO_FEW else []:
            # To so few pictures x265 gives a random time to be decoded at.
            packet.dts = packet.pts
        coded += _mux_packets(output, rest, durations, heard)
        if heard:
            heard.write_until(None)
        if coded != done:
            raise CannotWrite(
                f"{path}: the encoder gave {coded} pictures back for {done}. Try another codec or"
                " preset."
            )
    return times


def _from_zero(frames: Iterable[Frame]) -> Iterator[Frame]:
    first: int | None = None
    for frame in frames:
        if frame.pts is None:
            yield frame
            continue
        first = frame.pts if first is None else first
        yield replace(frame, pts=frame.pts - first)


def _time(frame: Frame, place: int, coding: Encoding) -> tuple[int, Fraction]:
    """When the frame is shown: ticks, and seconds a tick. place: as for `_to_av_frame`."""
    ticks = coding.time_base
    return (place, ticks) if frame.pts is None else (frame.pts, frame.time_base or ticks)


def _to_av_frame(frame: Frame, place: int, layout: str, coding: Encoding) -> av.VideoFrame:
    """The frame as it goes to the encoder; place: its number, its time where it has none."""
    image, size = frame.image if frame.plate is None else frame.plate, coding.like.plate_size
    if image.shape[:2] != size[::-1]:
        raise ValueError(f"frame {frame.index} has shape {image.shape}, expected {size[::-1]}.")
    picture = video_color.from_rgb(
        _to_integers(image),
        layout,
        video_color.output_color(coding.like.color),
        coding.like.field_order and (frame.fields or coding.like.field_order),
    )
    picture.pts, picture.time_base = _time(frame, place, coding)
    return picture


def _stream(output: OutputContainer, coding: Encoding) -> VideoStream:
    like, options, color = coding.like, coding.resolved, video_color.output_color(coding.like.color)
    stream = output.add_stream(encode_options.ENCODERS[options.codec], rate=coding.fps)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    if coding.threads:
        context.thread_count = coding.threads
    context.width, context.height = like.plate_size
    context.pix_fmt = encode_options.pixel_format(options, like)
    context.time_base = coding.time_base
    context.sample_aspect_ratio = like.pixel_aspect
    context.color_primaries, context.color_trc = color.primaries, color.transfer
    context.colorspace, context.color_range = color.matrix, color.range
    if options.bitrate:
        context.bit_rate = round(options.bitrate * 1e6)
    if options.codec == "prores":
        context.options = {"profile": "4" if "444" in context.pix_fmt else "3", "vendor": "apl0"}
    else:
        context.options = {"preset": options.preset} | (
            {} if options.bitrate else {"crf": str(options.crf)}
        )
    if like.field_order:
        marks = {"flags": "+ildct+ilme", "field_order": "tt" if like.field_order == "top" else "bb"}
        context.options = {**context.options, **marks}
    if options.codec == "h265":
        # Apple's players want this tag.
        context.codec_tag = "hvc1"
    context.options = {
        **context.options,
        **encode_options.own_parameters(options.codec, like.light),
    }
    return stream


def _to_integers(image: Array) -> Bytes | NDArray[np.uint16]:
    """The image as uint8 or uint16; float pictures are 0..1 and become uint16."""
    if image.dtype == np.uint8:
        return cast(Bytes, image)
    if image.dtype == np.uint16:
        return cast(NDArray[np.uint16], image)
    return np.round(np.clip(image.astype(np.float32), 0, 1) * 65535).astype(np.uint16)


def _mux_packets(
    output: OutputContainer,
    packets: list[Packet[VideoStream]],
    durations: dict[int, int],
    heard: SoundWriter | None,
) -> int:
    """Write coded pictures and the sound up to them; returns how many pictures there were."""
    for packet in packets:
        packet.duration = (
            durations.pop(packet.pts, 0) if packet.pts is not None else 0
        ) or packet.duration
        if heard and packet.dts is not None:
            heard.write_until(packet.dts * packet.time_base)
        output.mux(packet)
    return len(packets)
