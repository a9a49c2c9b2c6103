"""Whether footage says of itself that it shows a replaced face."""

from __future__ import annotations

from pathlib import Path

import av

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.provenance.manifest import COMMENT, read_manifest
from understudy.io.video import packets

# The comment of results of any version begins like this.
_SAYS = COMMENT.partition(" by a trained model")[0]


def is_marked(file: Path) -> bool:
    """Whether a video or picture has a manifest that says so, valid or not, or our comment."""
    try:
        if read_manifest(file).is_synthetic:
            return True
    except BadMedia:
        pass  # None, or none that can be read: others drop it, and leave the comment.
    if file.suffix.lower() in stills.SUFFIXES:
        return False
    try:
        with packets.open_container(file) as container:
            told = [container.metadata, *(stream.metadata for stream in container.streams)]
    except av.FFmpegError:
        return False
    return any(_SAYS in value for metadata in told for value in metadata.values())
