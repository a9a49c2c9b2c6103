"""The run behind `train`: batches in, events out; it saves, draws, obeys, and steps back when the losses leave the rails."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from understudy.core.augment import Motion
from understudy.errors import BadOption, Diverged
from understudy.io import atomic, checkpoint, history
from understudy.io.faceset import Faceset
from understudy.nets import bridge
from understudy.parts.models import Batch
from understudy.stages import previews
from understudy.stages.batches import Batches, FaceStore, ahead, load_faces
from understudy.stages.events import Change, Event, Finished, Note, Order, Progress, Save, Saved, Stage, Started, Stop, Warned
from understudy.stages.learner import Learner
from understudy.stages.project import Project
from understudy.stages.saved_model import CHECKPOINTS, name_of, settle
from understudy.stages.train import TrainOptions

HISTORY = "history.jsonl"
# Seconds between two reports at least, and iterations between two lines of the history.
REPORT, LINE = 0.1, 10
# So many setbacks without a checkpoint in between, and nothing helps.
SETBACKS = 4


def training(project: Project, options: TrainOptions) -> Stage:
    """Train the model that the options name until they, an order or Ctrl-C end it; what was learnt is always saved."""
    name = name_of(options)
    with project.held(f"models/{name}"):
        folder = project.model(name)
        recipe, device = settle(folder, options), bridge.device_of(options.device)
        shape = recipe.build(torch.device("meta"))
        motion = Motion(math.radians(options.rotation), options.shift, options.scale, options.src_flip, options.warp)
        sets = (Faceset(project.faces("src")), Faceset(project.faces("dst")))
        src, dst = (load_faces(each, shape.face_type, shape.resolution, motion.margin) for each in sets)
        run = Run(folder, options, src, dst, Learner(recipe, options, device))
        yield Note(text=f"{name}: {len(src.pictures)} src and {len(dst.pictures)} dst faces, on {device}")
        yield from run.resume()
        yield Started(stage="train", total=options.iterations or None, unit="iteration")
        try:
            yield from run.learn()
        except KeyboardInterrupt:
            run.ended = "interrupted"
            yield from run.save()
        yield from run.preview()
        yield Finished(stage="train", summary={"model": name, "ended": run.ended, **run.summary()})


class Run:
    """One run of one model. ended: why it is over; empty while it is not."""

    def __init__(self, folder: Path, options: TrainOptions, src: FaceStore, dst: FaceStore, learner: Learner) -> None:
        self.folder, self.options, self.src, self.dst, self.learner = folder, options, src, dst, learner
        self.ended = ""
        self.setbacks = 0
        self.losses: dict[str, float] = {}
        self.error: dict[str, float] = {}
        self._orders: list[Order] = []
        self._pending: list[torch.Tensor] = []
        self._names: list[str] = []
        self._line: list[list[float]] = []
        self._rows: list[history.Row] = []
        self._saved_at = -1
        self._began = self._reported = self._last_save = self._last_preview = time.monotonic()
        self._waited = 0.0

    def resume(self) -> Iterator[Event]:
        """Go on from the newest checkpoint that is whole."""
        whole, torn = checkpoint.intact(self.folder / CHECKPOINTS)
        for text in torn:
            yield Warned(text=text)
        if whole:
            self._become(whole[0])
            yield Note(text=f"{self.folder.name}: goes on from iteration {self.learner.iteration}")
        history.truncate(self.folder / HISTORY, self.learner.iteration)

    def learn(self) -> Stage:
        """Iterations until something ends them."""
        self._began = self._reported = self._last_save = self._last_preview = time.monotonic()
        while not self._is_over():
            workers = 1 if self.learner.device.type == "cpu" else min(8, os.cpu_count() or 1)
            with contextlib.closing(ahead(self._batches().make, self.learner.iteration, workers)) as coming:
                yield from self._stretch(coming)
            if self._is_over():
                # This may find weights gone bad and step back: then it is not over.
                yield from self.save()

    def save(self) -> Stage:
        """Write checkpoint and history; steps back in place of saving weights that are no numbers."""
        if self._saved_at == self.learner.iteration:
            return
        if trouble := self._collect() or ("" if self.learner.is_sound() else "a weight is not a number"):
            yield from self._step_back(trouble)
            return
        self._flush()
        path = self.learner.save(self.folder / CHECKPOINTS)
        self._saved_at, self._last_save, self.setbacks = self.learner.iteration, time.monotonic(), 0
        yield Saved(what="checkpoint", path=path)

    def preview(self) -> Stage:
        """Draw faces and losses, and measure the held-out faces."""
        path = self.folder / "previews" / f"{self.learner.iteration:09d}.png"
        atomic.write_bytes(path, previews.face_grid(self.learner.model, self.src, self.dst))
        self.error = previews.held_out_error(self.learner.model, self.src, self.dst)
        if self.error:
            self._rows.append({"iteration": self.learner.iteration, "held_out": self.error})
        self._flush()
        yield Saved(what="preview", path=path)
        yield Saved(what="loss-plot", path=previews.loss_plot(self.folder))
        self._last_preview = time.monotonic()

    def summary(self) -> dict[str, Any]:
        """How far the model is."""
        done = {"iteration": self.learner.iteration, "minutes": round(self.learner.seconds / 60, 2)}
        return {**done, "losses": self.losses, "held_out": self.error}

    def _stretch(self, coming: Iterator[tuple[Batch, float]]) -> Stage:
        """Iterations until the end or a setback: after either, batches must be drawn anew."""
        for batch, waited in coming:
            losses = self.learner.step(batch)
            self._names = list(losses)
            self._pending.append(torch.stack(list(losses.values())))
            self._waited += waited
            if time.monotonic() - self._reported >= REPORT or self._is_over():
                setbacks = self.setbacks
                yield from self._report()
                if self.setbacks > setbacks or self._is_over():
                    return

    def _report(self) -> Stage:
        """Say how it goes, take orders, save and draw when it is time."""
        count, before, waited = len(self._pending), self._reported, self._waited
        if trouble := self._collect():
            yield from self._step_back(trouble)
            return
        span = max(self._reported - before, 1e-6)
        values = {**self.losses, "it/s": count / span, "wait": waited / span}
        total = self.options.iterations or None
        order = yield Progress(stage="train", done=self.learner.iteration, total=total, values=values)
        now, live = time.monotonic(), self.options
        if isinstance(order, Stop):
            self.ended = "stopped"
        elif isinstance(order, Change):
            yield from self._change(order)
        if isinstance(order, Save) or now - self._last_save >= 60 * live.save_minutes:
            yield from self.save()
        if live.preview_minutes and now - self._last_preview >= 60 * live.preview_minutes:
            yield from self.preview()
        # Drawing and saving is no learning: rates and the time spent learning leave it out.
        self._reported = time.monotonic()

    def _collect(self) -> str:
        """Fetch the losses since the last time; what is wrong with them, or an empty text."""
        if not self._pending:
            return ""
        fetched = torch.stack(self._pending).tolist()
        self._pending.clear()
        now = time.monotonic()
        self.learner.seconds += now - self._reported
        self._reported, self._waited = now, 0.0
        first = self.learner.iteration - len(fetched)
        for place, values in enumerate(fetched, start=first + 1):
            self._line.append(values)
            if place % LINE == 0:
                self._end_line(place)
        self.losses = dict(zip(self._names, fetched[-1], strict=True))
        return self.learner.watch.broken(sum(values) for values in fetched)

    def _end_line(self, iteration: int) -> None:
        means = [sum(column) / len(self._line) for column in zip(*self._line, strict=True)]
        self._rows.append({"iteration": iteration, "losses": dict(zip(self._names, (round(m, 6) for m in means), strict=True))})
        self._line.clear()

    def _flush(self) -> None:
        if self._line:
            self._end_line(self.learner.iteration)
        history.append(self.folder / HISTORY, self._rows)
        self._rows.clear()

    def _change(self, order: Change) -> Stage:
        """Take new values of live options; refuse others."""
        fixed = sorted(set(order.options) - TrainOptions.live_names())
        if fixed:
            yield Warned(text=f"train: {', '.join(fixed)} cannot change while the model learns. Stop it, set it, start again.")
            return
        try:
            self.options = TrainOptions.layered(self.options.set_values(), order.options, where="train")
        except BadOption as error:
            yield Warned(text=str(error))
        self.learner.use(self.options)

    def _step_back(self, trouble: str) -> Stage:
        """Return to a good checkpoint, each time to an older one, with half the step size. Raises Diverged when that is in vain."""
        self.setbacks += 1
        at = self.learner.iteration
        if self.setbacks > SETBACKS:
            raise Diverged(
                f"{self.folder.name}, iteration {at}: {trouble}, for the {self.setbacks}th time. The last good checkpoint is kept. "
                f"Lower --lr or set --precision fp32, and look for broken pictures in the facesets."
            )
        if self.ended == "iterations":
            self.ended = ""
        slowed = self.learner.slowed / 2
        whole, _ = checkpoint.intact(self.folder / CHECKPOINTS)
        if whole:
            self._become(whole[min(self.setbacks, len(whole)) - 1])
            checkpoint.drop_after(self.folder / CHECKPOINTS, self.learner.iteration)
        else:
            self.learner.start_over()
        self.learner.slowed = slowed
        self.learner.use(self.options)
        for held in (self._pending, self._line, self._rows):
            held.clear()
        history.truncate(self.folder / HISTORY, self.learner.iteration)
        yield Warned(text=f"{self.folder.name}, iteration {at}: {trouble}. Back to {self.learner.iteration}, step size halved.")

    def _become(self, saved: checkpoint.Checkpoint) -> None:
        self.learner.restore(saved)
        self.learner.use(self.options)
        self._saved_at = saved.iteration

    def _is_over(self) -> bool:
        options = self.options
        if not self.ended and options.iterations and self.learner.iteration >= options.iterations:
            self.ended = "iterations"
        if not self.ended and options.minutes and time.monotonic() - self._began >= 60 * options.minutes:
            self.ended = "minutes"
        return bool(self.ended)

    def _batches(self) -> Batches:
        options, learner = self.options, self.learner
        angle = math.radians(options.rotation)
        src_motion, dst_motion = (
            Motion(angle, options.shift, options.scale, flip, options.warp) for flip in (options.src_flip, options.dst_flip)
        )
        pairs = options.batch or learner.recipe.model_options.batch
        resolution, seed = learner.model.resolution, learner.recipe.seed
        return Batches(self.src, self.dst, src_motion, dst_motion, options.random_color, resolution, pairs, learner.device, seed)
