"""What this machine has: packages, codecs, memory, disk, GPUs."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import tempfile
from importlib.metadata import distributions
from pathlib import Path

import av

# Numbers of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def opencv_packages() -> list[str]:
    """Return every installed package that brings `cv2`; several overwrite each other's files."""
    names = {(one.metadata["Name"] or "").lower().replace("_", "-") for one in distributions()}
    return sorted(
        name for name in names if re.fullmatch(r"opencv(-contrib)?-python(-headless)?", name)
    )


def ffmpeg_versions() -> dict[str, str]:
    """Return the FFmpeg libraries inside PyAV and their versions."""
    return {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()}


def missing_encoders(names: tuple[str, ...]) -> list[str]:
    """Return those of the named encoders that PyAV was built without."""
    return [name for name in names if not _has_encoder(name)]


def free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of `folder`, or of its first parent that exists."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def can_write(folder: Path) -> bool:
    """Return whether a file can be made in `folder`, or in its first parent that exists.

    It is tried, because rights alone can mislead.
    """
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cpu_count() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Return the bytes of memory that are available without swapping; None where unknown."""
    try:
        match = re.search(
            r"^MemAvailable:\s+(\d+) kB",
            Path("/proc/meminfo").read_text(encoding="ascii"),
            re.MULTILINE,
        )
        return 1024 * int(match.group(1)) if match else None
    except OSError:
        return None


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc.

    Else large pieces go back to the system each time, and come again as pages that it must first
    fill with zeros.
    """
    _set_malloc({_TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**26, _MMAP_MAX: 0})


def limit_malloc_arenas() -> None:
    """Let all threads take their memory from two pools, where the C library is glibc.

    Else each has its own, and what passes from thread to thread leaves a hole in one after the
    other.
    """
    _set_malloc({_ARENA_MAX: 2})


def _set_malloc(values: dict[int, int]) -> None:
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for what, value in values.items():
            libc.mallopt(what, value)


def list_gpus() -> list[str]:
    """Return the makers of this machine's GPUs that can compute, with or without a driver."""
    found = []
    for card in sorted(Path("/sys/bus/pci/devices").glob("*")):
        try:
            kind, maker = (
                (card / each).read_text(encoding="ascii").strip() for each in ("class", "vendor")
            )
        except OSError:
            continue
        # Of AMD's those built into a processor look the same; with the driver for computing it is
        # meant for that.
        if kind.startswith("0x03") and (
            maker == "0x10de" or (maker == "0x1002" and Path("/dev/kfd").exists())
        ):
            found.append("NVIDIA" if maker == "0x10de" else "AMD")
    return found


def _has_encoder(name: str) -> bool:
    try:
        return bool(av.codec.Codec(name, "w").is_encoder)
    except ValueError:
        return False
