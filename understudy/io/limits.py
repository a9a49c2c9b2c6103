"""The largest pictures that are read: what a header claims beyond them is broken or hostile."""

from __future__ import annotations

# No camera and no codec of ours goes further; a header that claims more is broken or hostile.
MAX_SIDE = 16384
MAX_PIXELS = 2**27


def size_problem(width: int, height: int) -> str:
    """Return why a picture of this size is not read, as a phrase; "" when it is fine."""
    if width < 1 or height < 1:
        return f"its header claims {width}x{height} pixels"
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        return (
            f"its header claims {width}x{height} pixels; {MAX_SIDE} a side and"
            f" {MAX_PIXELS // 2**20} million in all is the limit"
        )
    return ""
