"""`merge --pictures`: the result as a folder of pictures, each marked by itself."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from understudy.io import atomic
from understudy.io.footage.base import Footage
from understudy.io.footage.image_sequence import ImageSequence
from understudy.io.provenance.manifest import Claim
from understudy.io.video import segment_file
from understudy.stages.events import Event, Order, Progress, Started, Stop
from understudy.stages.merge.render import SegmentRenderer


def write_pictures(
    folder: Path, renderer: SegmentRenderer, claim: Claim
) -> Generator[Event, Order | None, bool]:
    """Write the frames of finished segments as pictures; False when told to stop.

    folder: result, or matte for their masks. claim: what is signed into each.
    """
    segments, footage = renderer.segments, renderer.context.footage
    total = sum(len(segment.frames) for segment in segments)
    names = picture_names(footage)
    stage, done = f"write {folder.name}", 0
    yield Started(stage=stage, total=total)
    for segment in segments:
        part = renderer.store.encoded_part(segment, matte=folder.name == "matte")
        pictures = segment_file.read_pictures(part.path, part.sha256)
        for frame, picture in zip(part.frames, pictures, strict=True):
            path = folder / names[frame]
            atomic.write_bytes(path, claim.sign_picture(io.BytesIO(picture), path))
            done += 1
            if isinstance((yield Progress(stage=stage, done=done, total=total)), Stop):
                return False
    return True


def picture_names(footage: Footage) -> list[str]:
    """What the picture of each frame is called: as the footage's own, or by the frame's number.

    By number where the footage is no folder of pictures, or two of them differ by their endings
    alone.
    """
    if isinstance(footage, ImageSequence):
        if not _alike(footage.frame_names):
            return [f"{Path(name).stem}.png" for name in footage.frame_names]
    digits = max(6, len(str(len(footage) - 1)))
    return [f"{frame:0{digits}d}.png" for frame in range(len(footage))]


def _alike(names: Sequence[str]) -> tuple[str, ...]:
    """The first names that differ by their endings or capitals alone; () without any."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(Path(name).stem.lower(), name)
        if other is not name:
            return other, name
    return ()


def picture_notes(footage: Footage) -> Iterator[str]:
    """Yield what pictures do not hold of their footage, which can be told before."""
    if isinstance(footage, ImageSequence) and (alike := _alike(footage.frame_names)):
        yield (
            f"{footage.path.name}: {' and '.join(alike)} would be one picture of the result, so all"
            " are called by the numbers of their frames. Rename these to keep the names."
        )
    if footage.has_audio:
        yield f"{footage.path.name}: its sound is in no picture. Merge without --pictures for that."
    if footage.size != footage.plate_size or footage.field_order is not None:
        width, height = footage.plate_size
        yield (
            f"{footage.path.name}: its pixels are not square, or its frames hold two fields. The"
            f" pictures are {width}x{height}, as the footage has them."
        )
