"""The run behind `train`: batches in, events out; it saves, draws, obeys, and steps back when the losses leave the rails."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from understudy.errors import BadOption, Diverged
from understudy.io import checkpoint
from understudy.io.faceset import Faceset
from understudy.nets import bridge
from understudy.parts.models.contract import Batch
from understudy.stages import beginning, course, feeding, previews
from understudy.stages.batches import ahead
from understudy.stages.events import Change, Finished, Note, Progress, Save, Saved, Stage, Started, Stop, Warned
from understudy.stages.face_store import FaceStore, load_faces
from understudy.stages.learner import Learner
from understudy.stages.ledger import Ledger
from understudy.stages.project import Project
from understudy.stages.recipes import CHECKPOINTS, HISTORY, adjusted, name_of, refuse_foreign, settle, write
from understudy.stages.train import TrainOptions

# Seconds between two reports at least.
REPORT = 0.1
# Seconds between two checkpoints at least.
LEAST_PAUSE = 20
# The share of the step size that is left at the very end.
LEAST_STEP = 0.05
# So many setbacks without a checkpoint in between, and nothing helps.
SETBACKS = 4


def training(project: Project, flags: TrainOptions) -> Stage:
    """Train the model that the options name until they, an order or Ctrl-C end it; what was learnt is always saved."""
    options = project.options("train", flags)
    name = name_of(options)
    with project.held(f"models/{name}"):
        folder, device = project.model(name), bridge.device_of(options.device)
        recipe, changes = settle(folder, options)
        refuse_foreign(flags, recipe, name)
        options = beginning.eased(options, recipe) if options.pretrain else options
        shape = recipe.build(torch.device("meta"))
        margin = max(each.margin for each in feeding.motions(options, recipe.model_options.motion))
        places = [Path(options.pretrain)] if options.pretrain else [project.faces("src"), project.faces("dst")]
        loaded = [load_faces(Faceset(each), shape.face_type, shape.resolution, margin) for each in places]
        src, dst = loaded[0], loaded[-1]
        run = Run(folder, options, src, dst, Learner(recipe, options, device))
        yield Note(text=f"{name}: {len(src.pictures)} src and {len(dst.pictures)} dst faces, on {device}")
        yield from run.resume()
        yield from run.told(changes)
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
        self.error: dict[str, float] = {}
        self.ledger = Ledger(folder / HISTORY)
        self._saved_at = -1
        self._reported = self._last_save = self._last_preview = time.monotonic()
        self._waited = 0.0

    def resume(self) -> Stage:
        """Begin, or go on from the newest checkpoint that is whole."""
        yield from beginning.begin(self.folder, self.learner, self.options)
        self.learner.use(self.options)
        self.ledger.forget(self.learner.iteration)
        whole, _ = checkpoint.intact(self.folder / CHECKPOINTS)
        self._saved_at = whole[0].iteration if whole else -1
        if not whole and self.learner.has_inherited:
            # At once, so that a setback does not lead back to nothing.
            yield from self.save()

    def told(self, changes: list[str]) -> Stage:
        """Tell and record which live settings of the model have changed."""
        for text in changes:
            self.ledger.note({"iteration": self.learner.iteration, "changed": text})
            yield Note(text=text)
        if changes:
            # Who loads the model goes by what was saved with its weights.
            self._saved_at = -1
            yield from self.save()

    def learn(self) -> Stage:
        """Iterations until something ends them."""
        self._reported = self._last_save = self._last_preview = time.monotonic()
        while not self._is_over():
            workers = 1 if self.learner.device.type == "cpu" else min(8, os.cpu_count() or 1)
            finishing = self._finished() > 0
            batches = feeding.batches(self.options, self.src, self.dst, self.learner, finishing)
            with contextlib.closing(ahead(batches.make, self.learner.iteration, workers)) as coming:
                yield from self._stretch(coming, finishing)
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
        self.ledger.write(self.learner.iteration)
        path = self.learner.save(self.folder / CHECKPOINTS)
        self._saved_at, self._last_save, self.setbacks = self.learner.iteration, time.monotonic(), 0
        yield Saved(what="checkpoint", path=path)

    def preview(self) -> Stage:
        """Draw faces and losses, and measure the held-out faces."""
        for path in previews.draw(self.folder, self.learner.iteration, self.learner.model, self.src, self.dst):
            yield Saved(what="preview", path=path)
        self.error = previews.held_out_error(self.learner.model, self.src, self.dst)
        if self.error:
            self.ledger.note({"iteration": self.learner.iteration, "held_out": self.error})
        self.ledger.write(self.learner.iteration)
        yield Saved(what="loss-plot", path=previews.loss_plot(self.folder))
        self._last_preview = time.monotonic()

    def summary(self) -> dict[str, Any]:
        """How far the model is."""
        iteration, minutes = self.learner.iteration, round(self.learner.seconds / 60, 2)
        return {"iteration": iteration, "minutes": minutes, "losses": self.ledger.latest, "held_out": self.error}

    def _stretch(self, coming: Iterator[tuple[Batch, float]], finishing: bool) -> Stage:
        """Iterations until the end, a setback or the finish: after each of them batches must be drawn anew."""
        for batch, waited in coming:
            self.ledger.add(self.learner.step(batch, 1 - (1 - LEAST_STEP) * self._finished()))
            self._waited += waited
            if time.monotonic() - self._reported >= REPORT or self._is_over():
                setbacks = self.setbacks
                yield from self._report()
                if self.setbacks > setbacks or self._is_over():
                    return
            if (self._finished() > 0) != finishing:
                return

    def _report(self) -> Stage:
        """Say how it goes, take orders, save and draw when it is time."""
        count, before, waited = len(self.ledger), self._reported, self._waited
        if trouble := self._collect():
            yield from self._step_back(trouble)
            return
        span = max(self._reported - before, 1e-6)
        values = {**self.ledger.latest, "it/s": count / span, "wait": waited / span}
        total = course.total(self.options, self.learner.iteration, self.learner.seconds)
        order = yield Progress(stage="train", done=self.learner.iteration, total=total, values=values)
        now, live = time.monotonic(), self.options
        if isinstance(order, Stop):
            self.ended = "stopped"
        elif isinstance(order, Change):
            yield from self._change(order)
        # Early on more often: a setback or a kill never costs much more than a third of what was learnt.
        pause = min(60 * live.save_minutes, max(LEAST_PAUSE, self.learner.seconds / 2))
        if isinstance(order, Save) or now - self._last_save >= pause:
            yield from self.save()
        if live.preview_minutes and now - self._last_preview >= 60 * live.preview_minutes:
            yield from self.preview()
        # Drawing and saving is no learning: rates and the time spent learning leave it out.
        self._reported = time.monotonic()

    def _collect(self) -> str:
        """Fetch the losses since the last time; what is wrong with them, or an empty text."""
        if not len(self.ledger):
            return ""
        totals = self.ledger.fetch(self.learner.iteration)
        now = time.monotonic()
        self.learner.seconds += now - self._reported
        self._reported, self._waited = now, 0.0
        return self.learner.watch.broken(totals)

    def _change(self, order: Change) -> Stage:
        """Take new values of live options; refuse others."""
        name, recipe = self.folder.name, self.learner.recipe
        try:
            options = TrainOptions.layered(self.options.set_values(), order.options, where="train")
            refuse_foreign(TrainOptions.layered(order.options), recipe, name)
            fixed = sorted(set(self.options.changed_in(options)) - TrainOptions.live_names())
            if fixed:
                raise BadOption(f"train: {', '.join(fixed)} cannot change while the model learns. Stop it, set it, start again.")
            recipe, changes = adjusted(recipe, options.settings_of(recipe.model), name)
            if options.pretrain:
                beginning.refuse_powers(recipe)
        except BadOption as error:
            yield Warned(text=str(error))
            return
        self.options = options
        if changes:
            # What it tells may be of another kind from here on.
            self.ledger.write(self.learner.iteration)
            anew = self.learner.change(recipe)
            write(self.folder, recipe)
            yield from self.told(changes)
            yield from beginning.anew(name, anew)
        self.learner.use(options)

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
        self.ledger.forget(self.learner.iteration)
        yield Warned(text=f"{self.folder.name}, iteration {at}: {trouble}. Back to {self.learner.iteration}, step size halved.")

    def _become(self, saved: checkpoint.Checkpoint) -> None:
        self.learner.restore(saved)
        self.learner.use(self.options)
        self._saved_at = saved.iteration

    def _is_over(self) -> bool:
        self.ended = self.ended or course.end(self.options, self.learner.iteration, self.learner.seconds)
        return bool(self.ended)

    def _finished(self) -> float:
        return course.finish(self.options, self.learner.iteration, self.learner.seconds)
