"""Draws what a model makes of faces, and its losses."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from understudy.core.drawing import svg
from understudy.core.drawing.contact_sheet import draw_grid
from understudy.io import atomic, file_list
from understudy.io.footage import stills
from understudy.io.model_files import history
from understudy.io.provenance.manifest import Claim
from understudy.nets.device import to_numpy, to_tensor
from understudy.parts.models.base.model import Model
from understudy.stages.events import Order, Saved
from understudy.stages.train.callbacks.base import Actions, Callback, Evaluate
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.state import TrainState
from understudy.types import Floats

# Faces shown; half of them from the held-out ones.
ROWS = 6
# Iterations whose previews are kept.
KEPT = 100
# Pixels of faces below one another, where more than two are shown; and the largest faces of which
# five go side by side.
TALLEST, WIDE = 1000, 256
PAIRS = ("ss", "dd", "sd")

Columns = dict[str, Floats]
# What the columns of true faces are called: of src and dst, and where they are exchanged.
People = tuple[str, str]
_OWN: Final[People] = ("src", "dst")
_EXCHANGED: Final[People] = ("dst-as-src", "src-as-dst")


class Previews(Callback):
    """Draws previews now and then, and at the end."""

    def __init__(
        self, folder: Path, loss_log: LossLog, src: FaceStore, dst: FaceStore, claim: Claim
    ) -> None:
        self._folder, self._loss_log, self._src, self._dst = folder, loss_log, src, dst
        self._claim = claim
        self._last = time.monotonic()

    def on_start(self, state: TrainState) -> Actions:
        self._last = time.monotonic()
        yield from ()

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        minutes = state.options.preview_minutes
        if minutes != "never" and time.monotonic() - self._last >= 60 * minutes:
            yield from self._draw(state)

    def on_stop(self, state: TrainState) -> Actions:
        yield from self._draw(state)

    def _draw(self, state: TrainState) -> Actions:
        """Draw faces, have them measured, and draw the losses."""
        with state.trainable.averaged():
            for path in write_previews(
                self._folder,
                state.iteration,
                state.model,
                self._src,
                self._dst,
                self._claim,
                _EXCHANGED if state.options.exchange else _OWN,
            ):
                yield Saved(what="preview", path=path)
            thin_out(self._folder, KEPT if state.options.preview_history else 1)
        state = yield Evaluate()
        self._loss_log.write(state.iteration)
        yield Saved(what="loss-plot", path=write_loss_plot(self._folder))
        self._last = time.monotonic()


def write_previews(
    folder: Path,
    iteration: int,
    model: Model,
    src: FaceStore,
    dst: FaceStore,
    claim: Claim,
    people: People = _OWN,
) -> Iterator[Path]:
    """Write every page of `draw_pages` for a model in `folder`, marked; their paths."""
    pages = {
        f"{iteration:09d}{page and '-'}{page}.png": picture
        for page, picture in draw_pages(model, src, dst, people).items()
    }
    file_list.add(folder / "previews", pages)
    for name, picture in pages.items():
        path = folder / "previews" / name
        atomic.write_bytes(path, claim.sign_picture(io.BytesIO(picture), path))
        yield path


@torch.inference_mode()
def draw_pages(
    model: Model, src: FaceStore, dst: FaceStore, people: People = _OWN
) -> dict[str, bytes]:
    """PNGs of what the model makes of both people, by page; "" is the one to look at first.

    "": src, ss, dst, dd, sd; "masked": the same within their masks. Of large faces a page holds two
    columns. "more": dst, dd and whatever else the model's `passes` give; "more-masked": that within
    its masks and dst's. people: whose faces stand in src's and in dst's place.
    """
    size = model.resolution
    count = min(ROWS, max(2, TALLEST // size), len(src.pictures), len(dst.pictures))
    src_faces, src_mask = src.aligned(_preview_rows(src, count), size)
    dst_faces, dst_mask = dst.aligned(_preview_rows(dst, count), size)
    device = next(model.parameters()).device
    made = model.reconstruct(to_tensor(src_faces, device), to_tensor(dst_faces, device))
    faces = {name: to_numpy(face) for name, (face, _) in made.items()}
    masks = {name: to_numpy(matte)[..., None] for name, (_, matte) in made.items()}
    # What dst does not show of its own face there is no place for; a head may be larger than the
    # one it covers.
    within = {
        name: mask if model.face_type == "head" else mask * masks["dd"]
        for name, mask in masks.items()
    }
    laid = within["sd"]
    plain = {
        "src": src_faces,
        "ss": faces["ss"],
        "dst": dst_faces,
        "dd": faces["dd"],
        "sd": faces["sd"],
    }
    masked = {
        "src mask": src_faces * src_mask[..., None],
        "ss mask": faces["ss"] * masks["ss"],
        "dst mask": dst_faces * dst_mask[..., None],
        "dd mask": faces["dd"] * masks["dd"],
        "sd mask": faces["sd"] * laid,
        "sd in dst": faces["sd"] * laid + dst_faces * (1 - laid),
    }
    found = _split_pages(plain, masked, size)
    if further := [name for name in faces if name not in PAIRS]:
        found["more"] = {
            "dst": dst_faces,
            "dd": faces["dd"],
            **{name: faces[name] for name in further},
        }
        shown = {f"{name} mask": faces[name] * within[name] for name in further}
        found["more-masked"] = {
            "dst mask": masked["dst mask"],
            "dd mask": masked["dd mask"],
            **shown,
        }
    return {
        name: stills.encode_image(draw_grid(_labelled(columns, people)), ".png")
        for name, columns in found.items()
    }


def _labelled(columns: Columns, people: People) -> Columns:
    """The columns of true faces under the names of those whose faces they are."""
    named = dict(zip(_OWN, people, strict=True))
    return {
        " ".join(named.get(word, word) for word in name.split(" ")): pictures
        for name, pictures in columns.items()
    }


def thin_out(folder: Path, most: int) -> None:
    """Remove previews of a model in `folder` until those of `most` iterations are left.

    Those are evenly spread, the newest among them.
    """
    found: dict[int, list[str]] = {}
    for name in file_list.listed(folder / "previews"):
        number = re.match(r"([0-9]{9,18})[-.]", name)
        if number and (folder / "previews" / name).is_file():
            found.setdefault(int(number[1]), []).append(name)
    iterations = sorted(found)
    removed: list[str] = []
    while len(iterations) > most:
        gaps = [after - before for before, after in zip(iterations, iterations[2:], strict=False)]
        # The one whose neighbours lie closest together; of two the oldest, and never the newest.
        gone = iterations.pop(1 + gaps.index(min(gaps)) if most > 2 else 0)
        removed += found[gone]
    if removed:
        file_list.remove(folder / "previews", removed)


def write_loss_plot(folder: Path) -> Path:
    """Draw the losses of a model's history; the picture's path."""
    rows = history.read(folder / "history.jsonl")
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        values = {
            **row.get("losses", {}),
            **{
                f"held-out {name}": v for name, v in row.get("held_out", {}).items() if "l1" in name
            },
        }
        for name, value in values.items():
            x, y = lines.setdefault(name, ([], []))
            x.append(row["iteration"])
            y.append(value)
    path = folder / "previews" / "loss.svg"
    atomic.write_text(path, svg.draw_curves_file([svg.CurvePlot(f"{folder.name}: losses", lines)]))
    return path


def _split_pages(plain: Columns, masked: Columns, size: int) -> dict[str, Columns]:
    found = {"": plain, "masked": masked}
    if size > WIDE:
        columns = {**plain, **masked}
        first = {"": ("dst", "sd"), "src": ("src", "ss"), "dst": ("dst", "dd")}
        within = {
            "masked": ("dst mask", "sd mask"),
            "src-masked": ("src mask", "ss mask"),
            "dst-masked": ("dst mask", "dd mask"),
        }
        found = {
            page: {name: columns[name] for name in names}
            for page, names in {**first, **within}.items()
        }
    return found


def _preview_rows(store: FaceStore, count: int) -> NDArray[np.int64]:
    """Rows for the picture: held-out faces for one half, learnt ones for the other."""
    kept, learnt = np.flatnonzero(store.held_out), store.train_rows
    first = min(len(kept), count // 2)
    spread = (
        np.linspace(0, len(rows) - 1, share).round().astype(int)
        for rows, share in ((kept, first), (learnt, count - first))
    )
    return np.concatenate(
        [rows[places] for rows, places in zip((kept, learnt), spread, strict=True)]
    )
