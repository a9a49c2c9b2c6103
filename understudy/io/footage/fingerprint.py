"""What footage is known again by: what it shows, and not its name, its place or its time stamps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from understudy.io.footage.many_files import map_files

# So much is read of a file of its own, and of each picture of a folder: blocks evenly over it, with
# its first and its last bytes. What is no larger than them together is read whole.
_BLOCKS_OF_A_FILE, _BLOCKS_OF_A_PICTURE = 32, 3
_BLOCK_OF_A_FILE, _BLOCK_OF_A_PICTURE = 64 << 10, 4 << 10


class FootageFingerprint(BaseModel):
    """Footage as it was: a change of any of these means that it shows something else.

    frames, size: of the footage. choices: of how it is read, those that make a difference. bytes,
    sha256: of its files in their order, the sum of their sizes and a hash of parts of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int
    size: tuple[int, int]
    choices: tuple[str, ...]
    bytes: int
    sha256: str

    @classmethod
    def of(
        cls, files: Sequence[Path], frames: int, size: tuple[int, int], choices: tuple[str, ...]
    ) -> Self:
        """The fingerprint of footage that these files hold. Raises OSError."""
        bytes_, sha256 = digest_files(files)
        return cls(frames=frames, size=size, choices=choices, bytes=bytes_, sha256=sha256)

    @property
    def key(self) -> str:
        """The fingerprint in 32 letters and digits, as face pictures carry it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]

    def has_same_files(self, files: Sequence[Path]) -> bool:
        """Whether these files hold the same; the footage need not be opened. Raises OSError."""
        return digest_files(files) == (self.bytes, self.sha256)


def digest_files(files: Sequence[Path]) -> tuple[int, str]:
    """Return the bytes of these files in all, and a SHA-256 of parts of each. Raises OSError."""
    is_one = len(files) == 1
    count = _BLOCKS_OF_A_FILE if is_one else _BLOCKS_OF_A_PICTURE
    block = _BLOCK_OF_A_FILE if is_one else _BLOCK_OF_A_PICTURE
    whole, total = hashlib.sha256(), 0
    for size, digest in map_files(lambda file: _digest(file, count, block), files):
        whole.update(size.to_bytes(8, "big") + digest)
        total += size
    return total, whole.hexdigest()


def _digest(file: Path, count: int, block: int) -> tuple[int, bytes]:
    """The size of a file, and the SHA-256 of `count` blocks of it; of none where it cannot be read.

    Such a picture is a bad frame, and no reason to give up the others.
    """
    digest = hashlib.sha256()
    try:
        opened = file.open("rb", buffering=0)
    except PermissionError:
        return file.stat().st_size, digest.digest()
    with opened:
        size = opened.seek(0, 2)
        if size <= count * block:
            opened.seek(0)
            digest.update(opened.read(size))
        else:
            for number in range(count):
                opened.seek((size - block) * number // (count - 1))
                digest.update(opened.read(block))
    return size, digest.digest()
