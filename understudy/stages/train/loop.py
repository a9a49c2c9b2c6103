"""The training loop: batches in, events out. `Trainer` is the one writer of the training state.

An iteration is read from here: a batch (`data.batches`), a step (`train_step`), then whoever takes
part (`callbacks`). A few times a second the run reports, takes orders and lets callbacks act.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.errors import BadOption
from understudy.parts.models.base.model import Batch
from understudy.stages.events import (
    Change,
    Event,
    Finished,
    Note,
    Order,
    Progress,
    Stage,
    Started,
    Stop,
    Warned,
)
from understudy.stages.saved_models.recipe import ModelRecipe, write_recipe
from understudy.stages.train import micro_batch, resolve, schedule, state_dict
from understudy.stages.train.callbacks.base import (
    Actions,
    Callback,
    ChangeSettings,
    Evaluate,
    Request,
    Restore,
    SaveCheckpoint,
    StopTraining,
    TrainUntil,
)
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.data.batches import prefetch_batches
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.distributed.rank_sync import LeadRank
from understudy.stages.train.resume import resume, warn_renewed
from understudy.stages.train.state import Phase, TrainState
from understudy.stages.train.train_step import train_step

# Seconds between two reports at least.
REPORT_SECONDS = 0.1


class Trainer:
    """One run of one model.

    Attributes:
        state: Where the run stands. Nobody else puts another state in its place: callbacks read it,
            and ask for what they want by requests.
    """

    def __init__(
        self,
        folder: Path,
        state: TrainState,
        faces: tuple[FaceStore, FaceStore],
        ranks: LeadRank,
        loss_log: LossLog,
        compile_tuner: CompileTuner,
        callbacks: Sequence[Callback],
    ) -> None:
        self.folder, self.state, self.faces, self.ranks = folder, state, faces, ranks
        self.loss_log, self.compile_tuner = loss_log, compile_tuner
        self.callbacks = (loss_log, compile_tuner, *callbacks)
        self._reported = time.monotonic()
        self._waited = 0.0

    def run(self, changes: Sequence[str]) -> Stage:
        """Train until an end, an order or Ctrl-C; what was learnt is always saved.

        Args:
            changes: What the options change in the settings of a model that was there, in words.
        """
        was_exchanged = yield from self._resume()
        yield from self._record_changes(changes)
        yield from self._record_exchange(was_exchanged)
        yield Started(
            stage="train",
            total=self.state.options.iterations or None,
            done=self.state.iteration,
            unit="iteration",
        )
        try:
            yield from self._train()
            self.ranks.end()
        except KeyboardInterrupt:
            self._set(end="interrupted")
            yield from self._save()
        yield from self._call(lambda each: each.on_stop(self.state), self.callbacks[::-1])
        yield Finished(stage="train", summary=self._summary())

    def _resume(self) -> Generator[Event, Order | None, bool]:
        """Begin, or go on from the newest checkpoint that is whole; whether that was exchanged."""
        resumed = yield from resume(self.folder, self.state)
        self.state = resumed.state
        for callback in self.callbacks:
            callback.on_restore(self.state, resumed.saved)
        self._set(options=schedule.with_planned_end(self.state.options, self.loss_log.read()))
        if resumed.is_inherited:
            # At once, so that a setback does not lead back to nothing.
            yield from self._save()
        return resumed.saved is not None and resumed.saved.state.get("exchanged", False)

    def _train(self) -> Stage:
        """Iterations until something ends them."""
        self._reported = time.monotonic()
        yield from self._call(lambda each: each.on_start(self.state))
        while not self._is_over():
            yield from self._train_phase()
            if self._is_over():
                # This may find weights gone bad and go back: then it is not over.
                yield from self._save()
                yield from self._call(lambda each: each.on_end(self.state))

    def _train_phase(self) -> Stage:
        """Iterations until the end, a setback or another phase: then batches are drawn anew."""
        if self.ranks.size > 1:
            # What fitted one process says nothing of shares.
            self._set(fitting_batch=0)
        self.ranks.send_block(self.state, renew=True)
        batches = input_pipeline.make_batches(self.state, *self.faces)
        coming = prefetch_batches(
            batches.make, self.state.iteration, input_pipeline.worker_count(self.state.device)
        )
        try:
            with contextlib.closing(coming):
                yield from self._train_on(coming)
        except (RuntimeError, MemoryError) as error:
            self.state, text = micro_batch.halve_batch(self.state, error)
            self.compile_tuner.attach(self.state.model)
            yield Warned(text=text)

    def _train_on(self, batches: Iterator[tuple[Batch, float]]) -> Stage:
        phase, restores = self.state.phase, self.state.restores
        for batch, waited in batches:
            self._train_iteration(batch, waited)
            is_time = time.monotonic() - self._reported >= REPORT_SECONDS
            if self.ranks.is_due(self.state, is_time) or self._is_phase_over(phase):
                yield from self._report()
                if self.state.restores > restores or self._is_phase_over(phase):
                    return
                self.ranks.send_block(self.state)

    def _train_iteration(self, batch: Batch, waited: float) -> None:
        """Train on one batch. waited: the seconds that it was waited for."""
        start = time.perf_counter()
        self.state, losses = train_step(self.state, batch, self.compile_tuner)
        seconds = waited + time.perf_counter() - start
        self._waited += waited
        for callback in self.callbacks:
            callback.on_step(self.state, losses, seconds)

    def _report(self) -> Stage:
        """Tell how the run goes, take orders, and let callbacks act."""
        self.ranks.gather(self.loss_log)
        count, before, waited = len(self.loss_log), self._reported, self._waited
        if trouble := self._find_trouble(is_saving=False):
            yield from self._recover(trouble)
            return
        state, span = self.state, max(self._reported - before, 1e-6)
        values = {**self.loss_log.latest, "it/s": count / span, "wait": waited / span}
        total = schedule.total_iterations(state.options, state.iteration, state.seconds)
        self.ranks.set_pace(count * REPORT_SECONDS / span)
        progress = Progress(stage="train", done=state.iteration, total=total, values=values)
        self._publish(progress)
        orders = self.ranks.take_orders((yield progress))
        for order in orders:
            if isinstance(order, Stop):
                self._set(end="stopped")
            elif isinstance(order, Change):
                yield from self._change(order)
        yield from self._call(lambda each: each.on_report(self.state, orders))
        # Drawing and saving is no learning: rates and the time spent learning leave it out.
        self._reported = time.monotonic()

    def _find_trouble(self, is_saving: bool) -> str:
        """Fetch the losses since the last time; what is wrong with the model, or an empty text."""
        totals: list[float] = []
        if len(self.loss_log):
            totals = self.loss_log.fetch(self.state.iteration)
            now = time.monotonic()
            self._set(seconds=self.state.seconds + now - self._reported)
            self._reported, self._waited = now, 0.0
        troubles = (each.check(self.state, totals, is_saving) for each in self.callbacks)
        return next(filter(None, troubles), "")

    def _save(self, backup: str = "", anyway: bool = False) -> Stage:
        """Save, unless this iteration is saved; go back instead where the model has gone wrong.

        Args:
            backup: The reason for a backup, if there is one.
            anyway: Save again what is saved.
        """
        if self.state.saved_iteration == self.state.iteration and not backup and not anyway:
            return
        if trouble := self._find_trouble(is_saving=True):
            yield from self._recover(trouble)
            return
        extra: dict[str, Any] = {}
        for callback in self.callbacks:
            extra |= callback.state_dict()
        snapshot = state_dict.take_snapshot(self.state, extra)
        yield from self._call(lambda each: each.on_save(self.state, snapshot, backup))
        self._set(saved_iteration=snapshot.iteration)

    def _recover(self, trouble: str) -> Stage:
        yield from self._call(lambda each: each.on_trouble(self.state, trouble))

    def _restore(self, saved: Restore) -> None:
        """Go back to an earlier state."""
        if saved.recipe is not None:
            self._rebuild(saved.recipe)
        state = (
            state_dict.restore(self.state, saved.saved)[0]
            if saved.saved
            else state_dict.start_over(self.state)
        )
        self.state = replace(
            state,
            lr_scale=state.lr_scale if saved.lr_scale is None else saved.lr_scale,
            restores=state.restores + 1,
            end="" if state.end == "iterations" else state.end,
        )
        for callback in self.callbacks:
            callback.on_restore(self.state, saved.saved)

    def _change(self, order: Change) -> Stage:
        """Take new values of live options; refuse others."""
        state, name = self.state, self.folder.name
        try:
            options, recipe, changes = resolve.change_options(
                order, state.options, state.recipe, name
            )
        except BadOption as error:
            yield Warned(text=str(error))
            return
        self._set(options=options)
        if changes:
            yield from self._change_settings(recipe, changes)

    def _change_settings(self, recipe: ModelRecipe, changes: Sequence[str]) -> Stage:
        """Go on with other live settings of the model."""
        # The losses may be others from here on.
        self.loss_log.write(self.state.iteration)
        renewed = self._rebuild(recipe)
        yield from self._record_changes(changes)
        yield from warn_renewed(self.folder.name, renewed)

    def _rebuild(self, recipe: ModelRecipe) -> list[str]:
        renewed = self.state.trainable.change_settings(recipe)
        for callback in self.callbacks:
            callback.on_change(self.state)
        write_recipe(self.folder, recipe)
        return renewed

    def _record_changes(self, changes: Sequence[str]) -> Stage:
        """Tell and record which live settings of the model have changed."""
        for text in changes:
            self.loss_log.add_row({"iteration": self.state.iteration, "changed": text})
            yield Note(text=text)
        if changes:
            # Who loads the model goes by what was saved with its weights.
            yield from self._save(anyway=True)

    def _record_exchange(self, before: bool) -> Stage:
        """Tell and record where src and dst are exchanged from here on, or back."""
        now = self.state.options.exchange
        if now == before or self._is_over():
            return
        text = "src and dst are exchanged" if now else "src and dst are back in their own places"
        self.loss_log.add_row({"iteration": self.state.iteration, "changed": text})
        more = (
            ": each learns in the other's place, and nothing is measured. Go on without --exchange"
            " before you merge"
        )
        yield Note(text=f"{self.folder.name}: {text}{more if now else ''}.")

    def _call(
        self, hook: Callable[[Callback], Actions], callbacks: Sequence[Callback] | None = None
    ) -> Stage:
        """Let callbacks act, one after the other: tell their events, carry out their requests."""
        for callback in self.callbacks if callbacks is None else callbacks:
            with contextlib.closing(hook(callback)) as actions:
                action = next(actions, None)
                while action is not None:
                    if isinstance(action, Request):
                        yield from self._carry_out(action)
                    else:
                        self._publish(action)
                        yield action
                    try:
                        action = actions.send(self.state)
                    except StopIteration:
                        action = None

    def _carry_out(self, request: Request) -> Stage:
        match request:
            case SaveCheckpoint(backup=backup):
                yield from self._save(backup)
            case Evaluate():
                yield from self._call(lambda each: each.on_evaluate(self.state))
            case Restore():
                self._restore(request)
            case ChangeSettings(recipe=recipe, changes=changes):
                yield from self._change_settings(recipe, changes)
            case TrainUntil(iteration=iteration):
                options = self.state.options.model_copy(update={"iterations": iteration})
                self._set(options=options, end="")
            case StopTraining(reason=reason):
                self._set(end=reason)

    def _publish(self, event: Event) -> None:
        for callback in self.callbacks:
            callback.on_event(event)

    def _is_phase_over(self, phase: Phase) -> bool:
        """Whether the run has come to its end, or into another phase."""
        return self._is_over() or self.state.phase != phase

    def _is_over(self) -> bool:
        """Whether the run has come to its end."""
        state = self.state
        if not state.end:
            self._set(end=schedule.end_reason(state.options, state.iteration, state.seconds))
        return bool(self.state.end)

    def _summary(self) -> dict[str, Any]:
        state = self.state
        found = {
            "model": self.folder.name,
            "ended": state.end,
            "iteration": state.iteration,
            "minutes": round(state.seconds / 60, 2),
            **({"exchanged": "src and dst"} if state.options.exchange else {}),
        }
        for callback in self.callbacks:
            found |= callback.summary()
        return found

    def _set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
