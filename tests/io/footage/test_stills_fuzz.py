"""Damaged pictures of every kind are read or refused by an error of our tree."""

from __future__ import annotations

import random
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzing import assert_tree_only, mutations, rounds

from understudy.io.faceset import face_image
from understudy.io.footage import stills
from understudy.io.image_segments import PNG

_COLOURS = np.random.default_rng(16).integers(0, 256, (24, 40, 3), np.uint8)
_DEEP = _COLOURS.astype(np.uint16) * 257
_KINDS: dict[str, tuple[str, np.ndarray, list[int]]] = {
    "png": (".png", _COLOURS, []),
    "png of 16 bits": (".png", _DEEP, []),
    "jpg": (".jpg", _COLOURS, []),
    "progressive jpg": (".jpg", _COLOURS, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    "tif": (".tif", _COLOURS, []),
    "tif of 16 bits": (".tif", _DEEP, [cv2.IMWRITE_TIFF_COMPRESSION, 8]),
    "flat tif": (".tif", _COLOURS, [cv2.IMWRITE_TIFF_COMPRESSION, 1]),
    "bmp": (".bmp", _COLOURS, []),
    "webp": (".webp", _COLOURS, [cv2.IMWRITE_WEBP_QUALITY, 70]),
    "avif": (".avif", _COLOURS, []),
    "avif of 10 bits": (".avif", _DEEP >> 6, [cv2.IMWRITE_AVIF_DEPTH, 10]),
    "lossless webp": (".webp", _COLOURS, [cv2.IMWRITE_WEBP_QUALITY, 101]),
}


def with_checksums(data: bytes) -> bytes:
    """A damaged PNG with a right checksum after each chunk, so that the damage is decoded."""
    made, at = data[:8], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        made += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return made + data[at:]


@pytest.mark.parametrize("kind", _KINDS)
def test_fuzz_pictures(kind: str) -> None:
    suffix, image, options = _KINDS[kind]
    whole = cv2.imencode(suffix, image, options)[1].tobytes()
    rng = random.Random(kind)
    for seed, part in enumerate((whole, whole[:120])):
        for damaged in mutations(part, rounds(60), seed):
            data = damaged + whole[len(part) :]
            if data.startswith(PNG) and rng.random() < 0.8:
                data = with_checksums(data)
            began = time.monotonic()
            assert_tree_only(lambda data=data: stills.decode_image(data, Path("a picture")))
            assert time.monotonic() - began < 20


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_fuzz_face_pictures(kind: str, tmp_path: Path) -> None:
    """Without metadata of ours: what only looks like a face picture."""
    suffix, _, options = _KINDS[kind]
    whole = cv2.imencode(suffix, _COLOURS[:24, :24], options)[1].tobytes()
    path = tmp_path / f"face{suffix}"
    for damaged in mutations(whole, rounds(60), 3):
        path.write_bytes(damaged)
        assert assert_tree_only(lambda: face_image.read(path)) is not None
