"""The largest pictures that are read: what a header claims beyond them is broken or hostile."""

from __future__ import annotations

# No camera and no codec of ours goes further; a header that claims more is broken or hostile.
MAX_SIDE = 16384
# What decoding one picture may take, in bytes.
MAX_MEMORY = 768 << 20
# How large the file of one picture may be, in bytes.
MAX_PICTURE_FILE = 512 << 20
# Of a picture with 8 bits: as it was decoded, and once more as it is turned upright and into RGB.
BYTES_A_PIXEL = 6
# A frame of a video may have 16 bits, and alpha as it is coded; the decoder holds others to build
# on. 8192 x 4320 pixels are within.
_VIDEO_BYTES_A_PIXEL = 20
MAX_VIDEO_PIXELS = MAX_MEMORY // _VIDEO_BYTES_A_PIXEL


def size_problem(width: int, height: int, memory: int) -> str:
    """Return why a picture of this size is not read, as a phrase; "" when it is fine.

    memory: what decoding it takes, in bytes.
    """
    if width < 1 or height < 1:
        return f"its header claims {width}x{height} pixels"
    if max(width, height) > MAX_SIDE:
        return f"its header claims {width}x{height} pixels; {MAX_SIDE} a side is the limit"
    if memory > MAX_MEMORY:
        return (
            f"its header claims {width}x{height} pixels, which take {-(-memory >> 20)} MB to"
            f" decode; {MAX_MEMORY >> 20} MB is the limit"
        )
    return ""


def video_size_problem(width: int, height: int) -> str:
    """Return why a video of this size is not read, as a phrase; "" when it is fine."""
    return size_problem(width, height, width * height * _VIDEO_BYTES_A_PIXEL)
