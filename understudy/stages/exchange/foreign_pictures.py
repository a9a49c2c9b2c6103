"""Face pictures from elsewhere: what each is, whether it fits together, and as one of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from understudy.core import affine
from understudy.core.face.foreign_fit import check_fit, pose_without_frame, shown_type
from understudy.core.image import as_bytes, as_float, resize, warp
from understudy.errors import BadMedia, DegeneratePoints
from understudy.io.dfl import face_picture as dfl_picture
from understudy.io.dfl import pak
from understudy.io.faceset import face_image, image_metadata, picture_files
from understudy.io.faceset.foreign_face import ForeignFace
from understudy.io.faceswap import face_picture as faceswap_picture
from understudy.io.footage import stills
from understudy.io.image_segments import JPEG, PNG, Damaged
from understudy.io.provenance.marked import MANIFEST, without_manifest
from understudy.types import AlignedFace, Bytes, Doubles, Face, FaceType, Floats, Polygon

OURS: Final = "Understudy"
Kind = Literal["Understudy", "DeepFaceLab", "faceswap"]
# What a picture that does not fit raises, all told alike.
FAULTS: Final = (BadMedia, DegeneratePoints, Damaged)
_MOST_SIDE: Final = 2048


@dataclass(frozen=True, slots=True)
class PicturePlace:
    """Where a picture lies: a file, or a part of one.

    name: under which it came. person: the folder that it lay in there, "" = none. start, end: of
    the part; end None = all of the file, which may also lie in the pack of its folder. in_pack: the
    file is a pack of ours, and has the picture under that name.
    """

    path: Path
    name: str
    person: str = ""
    start: int = 0
    end: int | None = None
    in_pack: bool = False

    def __str__(self) -> str:
        is_part = self.in_pack or self.end is not None
        return f"{self.path}, {self.name}" if is_part else str(self.path)

    def read(self) -> bytes:
        """The bytes of the picture. Raises BadMedia, CannotRead."""
        if self.in_pack:
            data = self._read_from_pack()
        elif self.end is None:
            data = picture_files.read_bytes(self.path)
        else:
            data = pak.read_picture(self.path, self.start, self.end)
        if not data:
            raise BadMedia(f"{self}: nothing in it: cut short, or empty. Copy it again.")
        return data

    def _read_from_pack(self) -> bytes:
        pack = picture_files.open_pack_file(self.path)
        if pack is None:
            raise BadMedia(f"{self.path}: deleted or moved meanwhile. Run the same command again.")
        return pack.read(self.name)


@dataclass(frozen=True, slots=True)
class Look:
    """What a first look at a picture gave.

    problem: why it cannot come in, "" = it can. kind: whose it is. frame_name: as told. told,
    shown: the face type by its name, and the widest that it shows.
    """

    place: PicturePlace
    problem: str = ""
    kind: Kind = OURS
    frame_name: str = ""
    told: FaceType = "full"
    shown: FaceType = "full"
    suffix: str = ".jpg"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A picture to bring in.

    name: as which. rivals: pictures of the set that have the names it would have had before. frame,
    person, face_type: what it is to say.
    """

    look: Look
    name: str
    rivals: tuple[Path, ...]
    frame: int
    person: int
    face_type: FaceType


def look_at(places: list[PicturePlace]) -> list[Look]:
    """Look at each picture: a task for one process. Nothing is written."""
    return [_look(each) for each in places]


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a picture. problem: why it does not come in. is_there: the set has it.

    has_manifest: it said how it was made, and does not any more, since it was changed.
    """

    incoming: Incoming
    problem: str = ""
    is_there: bool = False
    has_manifest: bool = False


def bring_in(task: tuple[Path, list[Incoming]]) -> list[Brought]:
    """Write pictures into a folder as face pictures of ours: a task for one process."""
    folder, pictures = task
    done = []
    for each in pictures:
        try:
            given = each.look.place.read()
            data = _as_ours(each, given)
        except FAULTS as error:
            done.append(Brought(each, _reason(error, each.look.place)))
            continue
        is_there = is_among(data, each.rivals)
        if not is_there:
            (folder / each.name).write_bytes(data)
        has_manifest = each.look.kind != OURS and MANIFEST in given
        done.append(Brought(each, is_there=is_there, has_manifest=has_manifest))
    return done


def is_among(data: bytes, rivals: Iterable[Path]) -> bool:
    """Whether a picture of the set is this one, byte for byte: it was brought in before.

    Manifests do not count: each time that a picture is signed, it is another.
    """
    bare = without_manifest(data)
    for path in rivals:
        try:
            if without_manifest(picture_files.read_bytes(path)) == bare:
                return True
        except (BadMedia, Damaged):
            # Deleted this moment, or no face at all.
            continue
    return False


def _look(place: PicturePlace) -> Look:
    try:
        data = place.read()
        suffix = _suffix(data, place)
        stills.check_image(data, str(place))
        if _is_ours(data, place):
            face_image.parse(data, Path(str(place)))
            return Look(place, suffix=suffix)
        face, size, _ = _read_foreign(data, place)
        assert face.face_from_frame is not None
        problem = check_fit(
            face.face_from_frame, face.landmarks, face.face_landmarks, face.face_type, size
        )
        shown = shown_type(face.face_from_frame, face.landmarks, face.face_type, size)
        if problem or shown is None:
            reason = problem or "it shows less of the face than the narrowest type"
            return Look(place, f"{place}: {reason}. Leave it out, or cut it anew.")
        kind: Kind = "DeepFaceLab" if face.tool == dfl_picture.TOOL else "faceswap"
        return Look(place, "", kind, face.frame_name, face.face_type, shown, suffix)
    except FAULTS as error:
        return Look(place, _reason(error, place))


def _as_ours(incoming: Incoming, data: bytes) -> bytes:
    place = incoming.look.place
    if incoming.look.kind == OURS:
        return data
    face, size, image = _read_foreign(data, place)
    aligned = _align(face, image, incoming)
    if aligned.size != size or image.shape[0] != image.shape[1]:
        # The whole frame, which is no square.
        return face_image.encode(aligned, incoming.look.suffix)
    clean = {"DeepFaceLab": dfl_picture.without_face, "faceswap": faceswap_picture.without_face}
    # A manifest would no longer hold.
    return face_image.embed(without_manifest(clean[incoming.look.kind](data)), aligned)


def _read_foreign(data: bytes, place: PicturePlace) -> tuple[ForeignFace, int, Bytes]:
    """The face, the side of its picture, and the pixels. Raises BadMedia and Damaged."""
    image = stills.decode_image(data, Path(str(place)))
    height, width = image.shape[:2]
    readers: list[Callable[[], ForeignFace | None]] = [
        lambda: dfl_picture.read_face(data, str(place)),
        lambda: faceswap_picture.read_face(data, width, str(place)),
    ]
    for read in readers:
        if (face := read()) is not None:
            if width != height and face.face_type != "mark-only":
                raise BadMedia(
                    f"{place}: {width}x{height} pixels, and a face picture is square. Leave it out."
                )
            return face, max(width, height), np.asarray(as_bytes(image), np.uint8)
    raise BadMedia(
        f"{place}: not a face picture: neither Understudy, nor DeepFaceLab, nor faceswap says"
        " anything of a face in it. Leave it out."
    )


def _align(face: ForeignFace, image: Bytes, incoming: Incoming) -> AlignedFace:
    """The face as one of ours. Raises DegeneratePoints."""
    matrix, polygons = face.face_from_frame, face.polygons
    assert matrix is not None
    height, width = image.shape[:2]
    side = min(max(width, height), _MOST_SIDE)
    mask = None
    if width != height:
        square = affine.square_crop(
            (np.array([width, height]) - 1) / 2, max(width, height), 0, side
        )
        image = warp(image, square, (side, side), "replicate")
        matrix = affine.compose(square, matrix)
        polygons = tuple(
            Polygon(affine.apply(square, each.points).astype(np.float32), each.includes)
            for each in polygons
        )
    elif face.mask is not None:
        mask = warped_mask(face, matrix, side)
    return AlignedFace(
        face=face_in_frame(face, incoming.frame, incoming.person, None),
        image=image,
        face_from_frame=matrix,
        face_type=incoming.face_type,
        mask=mask,
        polygons=polygons,
    )


def face_in_frame(face: ForeignFace, frame: int, person: int, pose: Floats | None) -> Face:
    """What is known of the face in its frame. pose: None = reckoned without the frame."""
    landmarks = face.landmarks.astype(np.float32)
    return Face(
        frame=frame,
        box=face.box.astype(np.float32),
        landmarks=landmarks,
        # Somebody took it for a face, and nobody says how surely.
        score=1.0,
        track=-1,
        pose=pose_without_frame(landmarks) if pose is None else pose,
        person=person,
    )


def warped_mask(face: ForeignFace, matrix: Doubles, side: int) -> Floats | None:
    """The mask (S, S) in the picture that `matrix` (2, 3) cuts out of the frame."""
    if face.mask is None:
        return None
    levels = as_float(face.mask.levels)
    if face.mask.mask_from_frame is None:
        return np.clip(resize(levels, (side, side)), 0, 1)
    to_face = affine.compose(matrix, affine.invert(face.mask.mask_from_frame))
    return np.clip(warp(levels, to_face, (side, side), filter="linear"), 0, 1)


def _suffix(data: bytes, place: PicturePlace) -> str:
    for start, suffix in ((JPEG, ".jpg"), (PNG, ".png")):
        if data.startswith(start):
            return suffix
    raise BadMedia(f"{place}: neither a JPG nor a PNG. Leave it out.")


def _is_ours(data: bytes, place: PicturePlace) -> bool:
    return image_metadata.inspect(data, str(place)).block is not None


def _reason(error: Exception, place: PicturePlace) -> str:
    """What an error says, with the place in front where it does not name it itself."""
    text = str(error)
    return text if text.startswith(str(place)) else f"{place}: {text}"
