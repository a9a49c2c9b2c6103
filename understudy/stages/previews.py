"""What a model can do so far: pictures for people, and its error on faces that it never learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from understudy.core import plot
from understudy.io import atomic, history
from understudy.nets import bridge, losses
from understudy.parts.models import Model
from understudy.stages.batches import FaceStore
from understudy.types import Floats

# Faces shown; half of them from the held-out ones. And at most so many held-out faces are measured.
SHOWN, MEASURED = 6, 64
CHUNK = 16


@torch.inference_mode()
def face_grid(model: Model, src: FaceStore, dst: FaceStore) -> bytes:
    """A PNG: rows of src, src rebuilt, dst, dst rebuilt, the swap, and the last three within their masks."""
    count = min(SHOWN, len(src.pictures), len(dst.pictures))
    src_faces, _ = src.upright(_shown(src, count), model.resolution)
    dst_faces, dst_mask = dst.upright(_shown(dst, count), model.resolution)
    device = next(model.parameters()).device
    made = model.passes(bridge.tensor(src_faces, device), bridge.tensor(dst_faces, device))
    faces = {name: bridge.pictures(face) for name, (face, _) in made.items()}
    masks = {name: bridge.pictures(matte)[..., None] for name, (_, matte) in made.items()}
    columns = {
        "src": src_faces,
        "ss": faces["ss"],
        "dst": dst_faces,
        "dd": faces["dd"],
        "sd": faces["sd"],
        "ss mask": faces["ss"] * masks["ss"],
        "dst mask": dst_faces * dst_mask[..., None],
        "dd mask": faces["dd"] * masks["dd"],
        "sd in dst": faces["sd"] * masks["sd"] + dst_faces * (1 - masks["sd"]),
    }
    return plot.png(plot.grid(columns))


@torch.inference_mode()
def held_out_error(model: Model, src: FaceStore, dst: FaceStore) -> dict[str, float]:
    """How well held-out faces are rebuilt, inside their masks: mean absolute difference and SSIM; {} when none are held out."""
    found: dict[str, float] = {}
    for side, store, pair in (("src", src, "ss"), ("dst", dst, "dd")):
        rows = np.flatnonzero(store.held_out)
        if not len(rows):
            continue
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MEASURED)).round().astype(int)]
        true, mattes = store.upright(rows, model.resolution)
        l1, ssim = _inside(model, pair, true, mattes)
        found |= {f"{side} l1": round(l1, 5), f"{side} ssim": round(ssim, 4)}
    return found


def loss_plot(folder: Path) -> Path:
    """Draw the losses of a model's history; the picture's path."""
    rows = history.read(folder / "history.jsonl")
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        values = {**row.get("losses", {}), **{f"held-out {name}": v for name, v in row.get("held_out", {}).items() if "l1" in name}}
        for name, value in values.items():
            x, y = lines.setdefault(name, ([], []))
            x.append(row["iteration"])
            y.append(value)
    path = folder / "previews" / "loss.png"
    atomic.write_bytes(path, plot.png(plot.curves(lines, f"{folder.name}: losses")))
    return path


def _inside(model: Model, pair: str, true: Floats, mattes: Floats) -> tuple[float, float]:
    device = next(model.parameters()).device
    l1, ssim = 0.0, 0.0
    for at in range(0, len(true), CHUNK):
        goal, matte = bridge.tensor(true[at : at + CHUNK], device), bridge.tensor(mattes[at : at + CHUNK], device)
        face, _ = model.passes(goal, goal)[pair]
        share = len(goal) / len(true)
        l1 += share * float(losses.within((face - goal).abs(), matte))
        ssim += share * float(losses.within(losses.ssim(face, goal), matte))
    return l1, ssim


def _shown(store: FaceStore, count: int) -> NDArray[np.int64]:
    """Rows for the picture: held-out faces for one half, learnt ones for the other, spread over the set."""
    kept, learnt = np.flatnonzero(store.held_out), store.learnt
    first = min(len(kept), count // 2)
    spread = (np.linspace(0, len(rows) - 1, share).round().astype(int) for rows, share in ((kept, first), (learnt, count - first)))
    return np.concatenate([rows[places] for rows, places in zip((kept, learnt), spread, strict=True)])
