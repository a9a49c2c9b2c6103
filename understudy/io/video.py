"""A video file as footage, through PyAV (FFmpeg's libraries)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from understudy.errors import BadMedia
from understudy.io import video_color, video_index
from understudy.io.sequence import Footage, refused_size
from understudy.types import Frame

# So many frames from the start must decode as the packets promise, or all are decoded and counted.
_HEAD = 4
_NO_VIDEO = frozenset({"hls", "concat", "dash", "image2", "tty", "sdp"})


class VideoFootage(Footage):
    """See `Footage` and `open_footage`. Frames that the file itself marks as not to be shown (edit lists) do not count."""

    def __init__(self, path: Path, *, partial: bool = False) -> None:
        self.path = path
        self._random: tuple[int, Generator[Frame]] | None = None
        try:
            self._open(partial)
        except av.FFmpegError as error:
            raise BadMedia(
                f"{path}: cannot be read as a video: {_said(error)}. It may be cut off or of another kind; fetch it again."
            ) from None

    def pick(self, indices: Iterable[int]) -> Generator[Frame]:
        wanted = iter(indices)
        index = next(wanted, None)
        if index is None:
            return
        for at, frame in self._decoded(index):
            while index == at:
                yield self._converted(at, frame)
                # Zip-like: the same index twice is legal, and costs only a conversion.
                index = next(wanted, None)
            if index is None:
                return

    def close(self) -> None:
        if self._random is not None:
            self._random[1].close()
        self._random = None

    def _frame(self, index: int) -> Frame:
        if self._random is None or self._random[0] != index:
            self.close()
            self._random = (index, self.pick(range(index, len(self))))
        frames = self._random[1]
        self._random = None
        frame = next(frames)
        self._random = (index + 1, frames)
        return frame

    def _open(self, partial: bool) -> None:
        with video_index.open_container(self.path) as container:
            stream = self._checked(container)
            self.time_base = stream.time_base or Fraction(1, 1000)
            self.has_audio = bool(container.streams.audio)
            self.pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
            self._index = video_index.build(container, stream, self.path)
            stated = stream.average_rate or stream.guessed_rate
        self.last_duration = self._index.last_duration
        self.is_cut_off = self._index.is_cut_off
        self._is_exact = self._index.is_exact and not self.is_cut_off
        if self.is_cut_off and not partial:
            last = f"{float((self._index.pts[-1] - self._index.pts[0]) * self.time_base):.2f}" if self._index.pts else "0"
            raise BadMedia(
                f"{self.path}: the file is cut off after {last} seconds. Fetch it again, or keep what is there: "
                f"understudy cut {self.path.name} whole.mp4 --end {last}."
            )
        self.pts = self._index.pts
        self._head()
        if not self._is_exact:
            self.pts = self._counted()
        self.fps = video_index.rate(stated, self.pts, self.time_base)
        self.last_duration = self.last_duration or max(1, round(1 / (self.fps * self.time_base)))

    def _checked(self, container: InputContainer) -> av.VideoStream:
        """The picture stream, after a look at what would make it useless or harmful to decode."""
        kind = container.format.name
        if kind.endswith("_pipe") or kind in _NO_VIDEO:
            what = f"a single picture ({kind.removesuffix('_pipe')})" if kind.endswith("_pipe") else f"a list ({kind})"
            raise BadMedia(f"{self.path}: this is {what}, not a video. Give a video, or the folder that holds the pictures.")
        stream = video_index.picture_stream(container)
        if stream is None:
            found = "sound alone" if container.streams.audio else "neither pictures nor sound"
            raise BadMedia(f"{self.path}: no video in this file, {found}. Give one with pictures.")
        if stream.codec_context.width and stream.codec_context.height:
            problem = refused_size(stream.codec_context.width, stream.codec_context.height)
            if problem:
                raise BadMedia(f"{self.path}: not decoded: {problem}. Give an intact file.")
        return stream

    def _head(self) -> None:
        """Learn size, colour, depth and orientation from the first frame; check the index on the first few."""
        head: list[av.VideoFrame] = []
        for frame in self._raw():
            head.append(frame)
            if len(head) == _HEAD:
                break
        if not head:
            raise BadMedia(f"{self.path}: no frame in it can be decoded. Fetch the file again, or give another.")
        self._is_exact = self._is_exact and [frame.pts for frame in head] == self.pts[: len(head)]
        first = head[0]
        self._coded_size = (first.width, first.height)
        self._orientation = video_color.orientation_of(first)
        self.color, self.bits = video_color.resolved(first), video_color.depth(first)
        if not video_color.is_readable(self.color):
            raise BadMedia(f"{self.path}: colour matrix {self.color.matrix} (H.273) is not read. Convert it to BT.709 first.")
        is_turned = video_color.is_turned(self._orientation)
        self.size = (first.height, first.width) if is_turned else (first.width, first.height)
        if is_turned:
            self.pixel_aspect = 1 / self.pixel_aspect

    def _counted(self) -> list[int]:
        """The pts of every frame, by decoding them all; times that are absent or run backwards are mended."""
        step = max(1, round(1 / (Fraction(25) * self.time_base)))
        times: list[int] = []
        try:
            for frame in self._raw():
                after = times[-1] + 1 if times else None
                time = frame.pts if frame.pts is not None else (times[-1] + step if times else 0)
                times.append(time if after is None else max(time, after))
        except av.FFmpegError as error:
            if not self.is_cut_off:
                raise BadMedia(self._broken(len(times), _said(error))) from None
        return times

    def _decoded(self, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frame `first` and all that follow, numbered; each is the one that the index promises. Raises BadMedia."""
        at = first
        try:
            for frame in self._raw_from(first):
                if at == len(self):
                    return
                if self._is_exact and frame.pts != self.pts[at]:
                    raise BadMedia(self._broken(at, "it is missing"))
                if (frame.width, frame.height) != self._coded_size:
                    raise BadMedia(self._broken(at, f"its size changes to {frame.width}x{frame.height}"))
                yield at, frame
                at += 1
        except av.FFmpegError as error:
            raise BadMedia(self._broken(at, _said(error))) from None
        if at < len(self):
            raise BadMedia(self._broken(at, "the video breaks off"))

    def _raw_from(self, first: int) -> Iterator[av.VideoFrame]:
        """The frames from number `first` on, sought where that is exact, else decoded from the beginning."""
        starts = self._index.starts(self.pts[first]) if self._is_exact and first else iter(())
        for start in starts:
            frames = self._raw(start)
            frame = next((frame for frame in frames if frame.pts is not None and frame.pts >= self.pts[first]), None)
            if frame is not None and frame.pts == self.pts[first] and not frame.is_corrupt:
                yield frame
                yield from frames
                return
        for count, frame in enumerate(self._raw()):
            if count >= first:
                yield frame

    def _raw(self, seek_to: int | None = None) -> Iterator[av.VideoFrame]:
        """Frames in display order as the decoder gives them, sound ones only; undecodable ones at the start are left out."""
        has_begun = False
        with video_index.open_container(self.path) as container:
            stream = video_index.picture_stream(container)
            assert stream is not None
            # Frame threads: 1.7 times the default's speed (measured).
            stream.codec_context.thread_type = "AUTO"
            if seek_to is not None:
                container.seek(seek_to, stream=stream, backward=True)
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    if has_begun:
                        raise
                    continue
                for frame in frames:
                    has_begun = has_begun or not frame.is_corrupt
                    if has_begun:
                        yield frame

    def _converted(self, index: int, frame: av.VideoFrame) -> Frame:
        if frame.is_corrupt:
            raise BadMedia(self._broken(index, "its data is damaged"))
        image = video_color.to_rgb(frame, self.color, self.bits, self._orientation)
        return Frame(index, image, self.pts[index], self.time_base, self.color)

    def _broken(self, index: int, why: str) -> str:
        return f"{self.path}, frame {index}: {why}. Fetch the file again, or keep the part before it with understudy cut."


def _said(error: av.FFmpegError) -> str:
    return (error.strerror or str(error)).lower().rstrip(".")
