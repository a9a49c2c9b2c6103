"""A run of `train`: batches in, events out; it saves, draws, obeys, and steps back when the losses
leave the rails.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from understudy.errors import BadOption
from understudy.io.model_files import backups, history
from understudy.parts.models.base.model import Batch
from understudy.stages.events import (
    Backup,
    Change,
    Note,
    Order,
    Progress,
    Save,
    Saved,
    Stage,
    Stop,
    Warned,
)
from understudy.stages.saved_models.recipe import HISTORY, ModelRecipe, write_recipe
from understudy.stages.train import live_options, micro_batch, schedule
from understudy.stages.train import resume as train_resume
from understudy.stages.train.callbacks import gan_phase, previews
from understudy.stages.train.callbacks.checkpoint_writer import Saver
from understudy.stages.train.callbacks.collapse_check import Vigil
from understudy.stages.train.callbacks.evaluator import Standing
from understudy.stages.train.callbacks.loss_log import Ledger
from understudy.stages.train.callbacks.recovery import Safety
from understudy.stages.train.callbacks.thread_tuner import Threads
from understudy.stages.train.data import feed
from understudy.stages.train.data.batches import ahead
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.distributed.rank_sync import Lead
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.options import TrainOptions

# Seconds between two reports at least.
REPORT = 0.1
# Seconds between two checkpoints at least.
LEAST_PAUSE = 20


class Run:
    """One run of one model. ended: why it is over; empty while it is not."""

    def __init__(
        self,
        options: TrainOptions,
        src: FaceStore,
        dst: FaceStore,
        lead: Lead,
        saver: Saver,
        threads: Threads,
    ) -> None:
        self.options, self.src, self.dst, self.lead, self.saver, self.threads = (
            options,
            src,
            dst,
            lead,
            saver,
            threads,
        )
        self.learner = learner = lead.learner
        self.folder = folder = saver.folder
        self.ended = ""
        self.ledger = Ledger(folder / HISTORY)
        self.standing = Standing(folder, learner, self.ledger, Validation(src, dst), options.until)
        self.safety = Safety(folder, learner, self.ledger, saver, Vigil(src, dst))
        self._reported = self._last_preview = time.monotonic()
        self._waited = 0.0

    def resume(self) -> Stage:
        """Begin, or go on from the newest checkpoint that is whole."""
        yield from train_resume.begin(self.folder, self.learner, self.options)
        self.learner.use(self.options)
        self.ledger.forget(self.learner.iteration)
        self.options = schedule.planned(self.options, history.read(self.ledger.path))
        if not self.safety.begin() and self.learner.has_inherited:
            # At once, so that a setback does not lead back to nothing.
            yield from self.save()

    def told(self, changes: list[str]) -> Stage:
        """Tell and record which live settings of the model have changed."""
        for text in changes:
            self.ledger.note({"iteration": self.learner.iteration, "changed": text})
            yield Note(text=text)
        if changes:
            # Who loads the model goes by what was saved with its weights.
            self.safety.saved_at = -1
            yield from self.save()

    def learn(self) -> Stage:
        """Iterations until something ends them."""
        self._reported = self._last_preview = time.monotonic()
        yield from self._harden()
        while not self._is_over():
            finishing = self._finished() > 0
            self.lead.begin(self.options, finishing, anew=True)
            batches = feed.batches(self.options, self.src, self.dst, self.learner, finishing)
            coming = ahead(batches.make, self.learner.iteration, feed.workers(self.learner.device))
            try:
                with contextlib.closing(coming):
                    yield from self._stretch(coming, finishing)
            except (RuntimeError, MemoryError) as error:
                yield Warned(text=micro_batch.lighter(self.learner, error))
            if self._is_over():
                # This may find weights gone bad and step back: then it is not over.
                yield from self.save()
                yield from self._harden()

    def _harden(self) -> Stage:
        """Where the finish is over: go on against a critic, from a state that can be gone back
        to.
        """
        learner, rows = self.learner, history.read(self.ledger.path)
        if self.ended not in ("", "iterations") or not gan_phase.is_due(
            self.options, learner.recipe, learner.iteration, rows
        ):
            return
        at = learner.iteration
        yield from self._measured()
        yield from self.save(gan_phase.BEFORE)
        yield from self.saver.told(wait=True)
        if learner.iteration != at:
            # It was not fit to be saved, and has stepped back.
            return
        end = schedule.against_critic(self.options, learner.iteration)
        self.ledger.note({"iteration": learner.iteration, schedule.CRITIC: end})
        yield from self._become(*gan_phase.with_critic(learner.recipe, self.folder.name))
        self.options, self.ended = self.options.model_copy(update={"iterations": end}), ""
        yield Note(
            text=(
                f"{self.folder.name}: it learns against a critic, for fine detail, until iteration"
                f" {end}."
            )
        )

    def save(self, backup: str = "") -> Stage:
        """Save, with a backup where there is a reason for one; steps back in place of saving what
        has gone wrong.
        """
        if self.safety.saved_at == self.learner.iteration and not backup:
            return
        if trouble := self._collect() or self.safety.trouble():
            yield from self._step_back(trouble)
        else:
            yield from self.safety.save(self.options, backup)

    def preview(self) -> Stage:
        """Draw faces and losses, and measure the held-out faces."""
        with self.learner.averaged():
            for path in previews.draw(
                self.folder, self.learner.iteration, self.learner.model, self.src, self.dst
            ):
                yield Saved(what="preview", path=path)
            previews.thin(self.folder, previews.KEPT if self.options.preview_history else 1)
        yield from self._measured()
        self.ledger.write(self.learner.iteration)
        yield Saved(what="loss-plot", path=previews.loss_plot(self.folder))
        self._last_preview = time.monotonic()

    def summary(self) -> dict[str, Any]:
        """How far the model is."""
        iteration, minutes = self.learner.iteration, round(self.learner.seconds / 60, 2)
        return {
            "iteration": iteration,
            "minutes": minutes,
            "losses": self.ledger.latest,
            **self.standing.summary(),
        }

    def _stretch(self, coming: Iterator[tuple[Batch, float]], finishing: bool) -> Stage:
        """Iterations until the end, a setback or the finish: after each of them batches must be
        drawn anew.
        """
        for batch, waited in coming:
            start = time.perf_counter()
            self.ledger.add(self.learner.step(batch, self._step_size()))
            self.threads.took(waited + time.perf_counter() - start)
            self._waited += waited
            has_turned = (self._finished() > 0) != finishing
            if (
                self.lead.is_due(time.monotonic() - self._reported >= REPORT)
                or has_turned
                or self._is_over()
            ):
                setbacks = self.safety.setbacks
                yield from self._report()
                if (
                    self.safety.setbacks > setbacks
                    or self._is_over()
                    or (self._finished() > 0) != finishing
                ):
                    return
                self.lead.begin(self.options, finishing)

    def _report(self) -> Stage:
        """Say how it goes, take orders, save and draw when it is time."""
        self.lead.meet(self.ledger)
        count, before, waited = len(self.ledger), self._reported, self._waited
        if trouble := self._collect() or self.safety.seen():
            yield from self._step_back(trouble)
            return
        span = max(self._reported - before, 1e-6)
        values = {**self.ledger.latest, "it/s": count / span, "wait": waited / span}
        total = schedule.total(self.options, self.learner.iteration, self.learner.seconds)
        self.lead.pace(count * REPORT / span)
        orders = self.lead.orders(
            (yield Progress(stage="train", done=self.learner.iteration, total=total, values=values))
        )
        now, options = time.monotonic(), self.options
        for order in orders:
            if isinstance(order, Stop):
                self.ended = "stopped"
            elif isinstance(order, Change):
                yield from self._change(order)
        # Early on more often: a setback or a kill never costs much more than a third of what was
        # learnt.
        pause = min(60 * options.save_minutes, max(LEAST_PAUSE, self.learner.seconds / 2))
        backup = self._backup_reason(orders)
        if (
            backup
            or any(isinstance(order, Save) for order in orders)
            or now - self.safety.last_save >= pause
        ):
            yield from self.save(backup)
        yield from self.saver.told()
        yield from self.learner.compiling.said()
        yield from self.threads.said()
        often = options.preview_minutes
        if often != "never" and now - self._last_preview >= 60 * often:
            yield from self.preview()
        if self.standing.is_due():
            yield from self._measured()
        # Drawing and saving is no learning: rates and the time spent learning leave it out.
        self._reported = time.monotonic()

    def _measured(self) -> Stage:
        """Measure the held-out faces; where they rest, the finish may begin."""
        with self.learner.averaged():
            yield from self.standing.check()
        if (
            self.standing.is_at_rest
            and not self.ended
            and (end := schedule.finishing(self.options, self.learner.iteration))
        ):
            self.options = self.options.model_copy(update={"iterations": end})
            self.ledger.note({"iteration": self.learner.iteration, schedule.PLANNED: end})
            yield Note(
                text=(
                    f"{self.folder.name}: nothing is bent any more, and the step size falls, until"
                    f" iteration {end}."
                )
            )
        if worse := gan_phase.harm(history.read(self.ledger.path)):
            yield from self._soften(worse)

    def _soften(self, worse: float) -> Stage:
        """Go back to before the critic came, which is the end."""
        yield from self.saver.told(wait=True)
        learner, at = self.learner, self.learner.iteration
        gan_phase.undo(self.folder, learner)
        self.safety.begin()
        self.ledger.forget(learner.iteration)
        told = (
            f"back from {at}: under the critic the score on held-out faces became {worse:.0%} worse"
        )
        self.ledger.note(
            {"iteration": learner.iteration, "setback": told, schedule.PLANNED: learner.iteration}
        )
        self.ledger.write(learner.iteration)
        self.options, self.ended = (
            self.options.model_copy(update={"iterations": learner.iteration}),
            "iterations",
        )
        yield Warned(
            text=(
                f"{self.folder.name}: {told}. It is as it was at iteration {learner.iteration}, and"
                " that is the end."
            )
        )

    def _collect(self) -> str:
        """Fetch the losses since the last time; what is wrong with them, or an empty text."""
        if not len(self.ledger):
            return ""
        totals = self.ledger.fetch(self.learner.iteration)
        now = time.monotonic()
        self.learner.seconds += now - self._reported
        self._reported, self._waited = now, 0.0
        return self.learner.watch.broken(totals)

    def _backup_reason(self, orders: list[Order]) -> str:
        """Why to make a backup now; empty where there is no reason."""
        if any(isinstance(order, Backup) for order in orders):
            return "order"
        learner = self.learner
        return (
            backups.ROLLING
            if self.saver.is_backup_due(self.options, learner.iteration, learner.seconds)
            else ""
        )

    def _change(self, order: Change) -> Stage:
        """Take new values of live options; refuse others."""
        name = self.folder.name
        try:
            self.options, recipe, changes = live_options.taken(
                order, self.options, self.learner.recipe, name
            )
        except BadOption as error:
            yield Warned(text=str(error))
            return
        if changes:
            yield from self._become(recipe, changes)
        self.learner.use(self.options)

    def _become(self, recipe: ModelRecipe, changes: list[str]) -> Stage:
        """Go on with other live settings of the model."""
        # What it tells may be of another kind from here on.
        self.ledger.write(self.learner.iteration)
        anew = self.learner.change(recipe)
        write_recipe(self.folder, recipe)
        yield from self.told(changes)
        yield from train_resume.anew(self.folder.name, anew)

    def _step_back(self, trouble: str) -> Stage:
        """Return to a good checkpoint, with a smaller step size. Raises Diverged when that is in
        vain.
        """
        if self.ended == "iterations":
            self.ended = ""
        yield from self.safety.step_back(trouble, self.options)

    def _is_over(self) -> bool:
        learner, is_at_rest = self.learner, self.standing.is_at_rest
        self.ended = self.ended or schedule.end(
            self.options, learner.iteration, learner.seconds, is_at_rest
        )
        return bool(self.ended)

    def _step_size(self) -> float:
        return schedule.step_size(self.options, self.learner.iteration, self.learner.seconds)

    def _finished(self) -> float:
        return schedule.finish(self.options, self.learner.iteration, self.learner.seconds)
