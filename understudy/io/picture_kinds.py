"""What kind of picture a file holds, by its first bytes; some kinds are read, all have a name."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from understudy.io.avif import is_avif
from understudy.io.image_segments import JPEG, PNG

ANIMATED_AVIF: Final = "animated AVIF"
# So many bytes tell.
HEAD: Final = 64
# Pictures of cameras are laid out as TIFF, with a small preview where TIFF has its picture.
_RAW: Final = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf"
    " .raw .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
_READ: Final = (
    (PNG, "PNG"),
    (JPEG + b"\xff", "JPG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_OTHERS: Final = (
    (b"GIF8", "GIF"),
    (b"8BPS", "PSD"),
    (b"\x76\x2f\x31\x01", "EXR"),
    (b"#?RADIANCE", "HDR"),
    (b"%PDF", "PDF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIU\0", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"<svg", "SVG"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"gimp xcf", "XCF"),
    (b"%!PS-Adobe", "EPS"),
    (b"\x01\xda\0\1", "SGI"),
    (b"\x01\xda\1\1", "SGI"),
    *((b"P%d%c" % (number, gap), "PNM") for number in range(1, 8) for gap in b"\n "),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"FLV\1", "video"),
    (b"\0\0\1\xba", "video"),
)
# Where the first bytes say nothing: kinds that have none of their own, and damaged files.
_PICTURES: Final = frozenset(
    ".avif .cin .dds .dpx .eps .exr .gif .hdr .heic .heif .icns .ico .jfif .jp2 .jpe .jxl .kra"
    " .pbm .pcx .pdf .pfm .pgm .pnm .ppm .psb .psd .qoi .sgi .svg .svgz .tga .xbm .xcf"
    " .xpm".split()
)
_VIDEOS: Final = frozenset(
    ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ts .webm .wmv".split()
)
_HEIF: Final = (b"hei", b"hev", b"mif1", b"msf1")
# Lengths of a BMP's second header.
_BMP: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


@dataclass(frozen=True, slots=True)
class PictureKind:
    """name: of the kind. is_read: whether it is a picture that is read here."""

    name: str
    is_read: bool


def kind_of(path: Path) -> PictureKind | None:
    """Return what kind of picture or video a file holds; None where it is none. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        head = file.read(HEAD)
    suffix = path.suffix.lower()
    if suffix in _RAW or (head[:2] == b"II" and head[8:10] == b"CR"):
        return PictureKind("camera raw", is_read=False)
    if read := next((name for magic, name in _READ if head.startswith(magic)), _read_too(head)):
        return PictureKind(read, is_read=True)
    other = next((name for magic, name in _OTHERS if head.startswith(magic)), _box_kind(head))
    if not other and suffix in _PICTURES:
        other = suffix[1:].upper()
    if not other and suffix in _VIDEOS:
        other = "video"
    return PictureKind(other, is_read=False) if other else None


def _read_too(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and len(head) > 18 and struct.unpack_from("<I", head, 14)[0] in _BMP:
        return "BMP"
    return "AVIF" if is_avif(head) else ""


def _box_kind(head: bytes) -> str:
    """Of files made of boxes, and of AVI."""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video"
    if head[4:8] != b"ftyp":
        return "video" if head[4:8] in (b"moov", b"mdat", b"wide") else ""
    brand = head[8:12]
    if brand == b"avis":
        return ANIMATED_AVIF
    if brand == b"crx ":
        return "camera raw"
    return "HEIC" if brand.startswith(_HEIF) else "video"
