"""What FFmpeg fails at, told as what it is: not as a failing disk, which bears the same numbers."""

from __future__ import annotations

import errno
from pathlib import Path

import av
import pytest
from fuzzing import is_message_fine

from understudy.errors import BadMedia, CannotWrite
from understudy.io.open_footage import open_footage
from understudy.io.video.faults import as_bad_media
from understudy.io.video.writer import atomic_video, open_output

NOT_VIDEOS = {
    "empty": (b"", "it is empty"),
    "zeros": (bytes(50_000), "it holds zeros, as a copy that was not finished"),
    "web page": (b"\r\n<!DOCTYPE html><html><body>Not found</body></html>", "web page"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
    "ZIP": (b"PK\x03\x04" + bytes(range(200)), "an archive. Unpack it"),
    "playlist": (b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/a.ts\n", "a list of other files"),
    "XML": (b"<?xml version='1.0'?><xmeml/>", "a text (XML)"),
    "text": (b"shots for Monday\n" * 9, "it is a text"),
    "never closed": (b"\0\0\0\x10ftypisom\0\0\0\0\0\1\0\0mdat" + b"x" * 9999, "never closed"),
    "noise": (b"\xa9\x17" * 9999, "its data is damaged, or of another kind than its name says"),
}


@pytest.mark.footage_kind(
    "no video, whatever its name says: a web page, an archive, a playlist, a text, zeros, nothing",
    "Refused, with what it is and what to do.",
)
@pytest.mark.parametrize("what", NOT_VIDEOS)
def test_a_file_that_is_no_video_is_told_what_it_is(what: str, tmp_path: Path) -> None:
    data, told = NOT_VIDEOS[what]
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(BadMedia, match=r"clip\.mp4: cannot be read as a video: ") as caught:
        open_footage(tmp_path / "clip.mp4")
    assert told in str(caught.value) and is_message_fine(str(caught.value))


def raise_as_ffmpeg(code: int) -> None:
    av.error.err_check(-code)


@pytest.mark.parametrize("code", [errno.EIO, errno.EPERM, errno.ENOSPC, errno.EINVAL, errno.ENODEV])
def test_an_encoder_that_fails_is_no_disk_that_fails(tmp_path: Path, code: int) -> None:
    with pytest.raises(CannotWrite) as caught, atomic_video(tmp_path / "out.mp4"):
        raise_as_ffmpeg(code)
    told = str(caught.value)
    assert "cannot be coded or written" in told and is_message_fine(told)
    assert "disk" not in told and "rights" not in told and not list(tmp_path.iterdir())


def test_a_full_disk_is_one_whatever_ffmpeg_makes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotWrite, match="the disk is full"):
        with atomic_video(tmp_path / "out.mp4") as file:
            monkeypatch.setattr(
                file, "_file", type("Full", (), {"write": lambda self, data: full(), "tell": int})()
            )
            with open_output(file, tmp_path / "out.mp4", {}) as output:
                output.add_stream("mpeg4", rate=25).encode(av.VideoFrame(64, 64, "yuv420p"))
                output.start_encoding()


def full() -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="no encoder libx999"):
        with atomic_video(tmp_path / "out.mp4") as file:
            open_output(file, tmp_path / "out.mp4", {}).add_stream("libx999")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.EACCES, "a.mp4: its sound cannot be read: permission denied. Ask its owner"),
        (errno.EIO, "a.mp4: its sound cannot be read: the disk fails"),
        (av.error.tag_to_code(b"EOF "), "cannot be read: it ends too early. Fetch it again."),
        (av.error.tag_to_code(b"INDA"), "cannot be read: its data is damaged, or of another kind"),
        (av.error.tag_to_code(b"\xf8DEC"), "nothing here can decode it. Fetch it again."),
        (errno.ENOMEM, "cannot be read: it takes more memory than there is. Fetch it again."),
    ],
)
def test_a_file_that_cannot_be_read_says_why(code: int, told: str) -> None:
    with pytest.raises(BadMedia) as caught:
        with as_bad_media(Path("a.mp4"), "its sound cannot be read", "Fetch it again."):
            raise_as_ffmpeg(code)
    assert told in str(caught.value) and is_message_fine(str(caught.value))
