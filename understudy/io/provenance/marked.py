"""Whether footage says of itself that it shows a replaced face."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.image_segments import PNG, cut_out, jpeg_segments, png_chunks
from understudy.io.picture_kinds import kind_of
from understudy.io.provenance.manifest import COMMENT, read_manifest
from understudy.io.video import faults, packets

# The comment of results of any version begins like this.
_SAYS = COMMENT.partition(" by a trained model")[0]
_BLOCK = 1 << 20
# What every file with a manifest of C2PA has somewhere.
MANIFEST = b"c2pa"


def is_marked(file: Path) -> bool:
    """Whether a video or picture has a manifest that says so, valid or not, or our comment."""
    try:
        kind = kind_of(file)
    except OSError:
        return False
    is_picture = kind is not None and kind.is_read
    try:
        # Of the many pictures of a folder most have none, which is quickly seen.
        if (not is_picture or _names_c2pa(file)) and read_manifest(file).is_synthetic:
            return True
    except (OSError, BadMedia):
        pass  # None, or none that can be read: others drop it, and leave the comment.
    return not is_picture and _has_comment(file)


def written_consent(file: Path) -> str | None:
    """What the manifest of a file says of consent; None where it says nothing, or does not hold."""
    try:
        manifest = read_manifest(file)
    except (OSError, BadMedia):
        # None that can be read.
        return None
    # What somebody changed is not signed anew as if it had been said.
    return manifest.consent or None if manifest.state != "invalid" else None


def without_manifest(data: bytes) -> bytes:
    """Return the file of a JPG or PNG without manifests of C2PA; all else stays. Raises Damaged.

    They lie in JPEG's APP11 segments, and in a PNG chunk of their own (C2PA 2.1, A.3).
    """
    if MANIFEST not in data:
        return data
    if data.startswith(PNG):
        return cut_out(data, [each for each in png_chunks(data) if each.kind == b"caBX"])
    parts = jpeg_segments(data)
    return cut_out(
        data, [each for each in parts if each.kind == b"\xeb" and each.body.startswith(b"JP")]
    )


def _names_c2pa(file: Path) -> bool:
    with file.open("rb") as opened:
        end = b""
        while block := opened.read(_BLOCK):
            if MANIFEST in end + block:
                return True
            end = block[-3:]
    return False


def _has_comment(file: Path) -> bool:
    try:
        with packets.open_container(file) as container:
            told = [container.metadata, *(stream.metadata for stream in container.streams)]
    except (BadMedia, *faults.FOREIGN):
        return False
    return any(_SAYS in value for metadata in told for value in metadata.values())
