"""The largest pictures that are read: what a header claims beyond them is broken or hostile."""

from __future__ import annotations

# No camera and no codec of ours goes further; a header that claims more is broken or hostile.
MAX_SIDE = 16384
# What decoding one picture may take.
MAX_BYTES = 768 << 20
# Of a picture: as it was decoded, and as RGB.
BYTES_A_PIXEL = 6
# A frame of a video may have 16 bits, and the decoder holds others to build on.
_VIDEO_BYTES_A_PIXEL = 12
MAX_VIDEO_PIXELS = MAX_BYTES // _VIDEO_BYTES_A_PIXEL


def size_problem(width: int, height: int, bytes_a_pixel: int = BYTES_A_PIXEL) -> str:
    """Return why a picture of this size is not read, as a phrase; "" when it is fine.

    bytes_a_pixel: what decoding it takes.
    """
    if width < 1 or height < 1:
        return f"its header claims {width}x{height} pixels"
    if max(width, height) > MAX_SIDE:
        return f"its header claims {width}x{height} pixels; {MAX_SIDE} a side is the limit"
    if width * height * bytes_a_pixel > MAX_BYTES:
        return (
            f"its header claims {width}x{height} pixels, which take"
            f" {width * height * bytes_a_pixel >> 20} MB to decode; {MAX_BYTES >> 20} MB is the"
            f" limit, {MAX_BYTES // bytes_a_pixel // 10**6} million pixels of this kind"
        )
    return ""


def video_size_problem(width: int, height: int) -> str:
    """Return why a video of this size is not read, as a phrase; "" when it is fine."""
    return size_problem(width, height, _VIDEO_BYTES_A_PIXEL)
