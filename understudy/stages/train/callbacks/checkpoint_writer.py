"""Checkpoints and backups, written while the model learns on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from understudy.io.model_files import backups, checkpoint
from understudy.stages.events import Backup, Order, Save, Saved
from understudy.stages.saved_models.recipe import BACKUPS, CHECKPOINTS, backup_files
from understudy.stages.train.callbacks.base import Actions, Callback, SaveCheckpoint
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.state_dict import Parts, Snapshot
from understudy.types import Array

# Seconds between two checkpoints at least.
MIN_PAUSE = 20


class CheckpointWriter(Callback):
    """Writes the checkpoints of one model on a thread, one at a time.

    Use it as a context: at its end what is under way is written. Learning waits only while arrays
    are copied. The copy of a model on the CPU is kept for the next time, since to fill memory anew
    takes ten times as long: as many bytes again as weights and optimizer have.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(1, "checkpoint-writer")
        self._under_way: Future[list[Saved]] | None = None
        self._copies: dict[str, dict[str, Array]] = {}
        # Iteration and seconds of the backups, in the order in which they were made.
        self._backups = [
            (each.iteration, each.seconds) for each in backups.list_backups(folder / BACKUPS)
        ]
        self._last_save = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    def on_start(self, state: TrainState) -> Actions:
        self._last_save = time.monotonic()
        yield from ()

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        """Ask for a checkpoint where one is due or ordered, and tell what lies on disk by now."""
        # Early on more often: a setback or a kill never costs much more than a third of what was
        # learnt.
        pause = min(60 * state.options.save_minutes, max(MIN_PAUSE, state.seconds / 2))
        is_due = time.monotonic() - self._last_save >= pause
        backup = self._backup_reason(state, orders)
        if backup or is_due or any(isinstance(order, Save) for order in orders):
            yield SaveCheckpoint(backup)
        yield from self.poll()

    def on_save(self, state: TrainState, snapshot: Snapshot, backup: str) -> Actions:
        yield from self.write(snapshot, backup, state.options.backups)
        self._last_save = time.monotonic()

    def on_stop(self, state: TrainState) -> Actions:
        yield from self.flush()

    def write(self, snapshot: Snapshot, backup: str, keep: int) -> Actions:
        """Begin to write a checkpoint, once the one before is written.

        Args:
            backup: The reason for a backup of it too; empty = none.
            keep: How many of the rolling backups stay.
        """
        yield from self.flush()
        parts = self._copy(snapshot.parts) if snapshot.is_shared else snapshot.parts
        if backup:
            self._backups.append((snapshot.iteration, float(snapshot.state["seconds"])))
        self._under_way = self._pool.submit(self._write, snapshot, parts, backup, keep)

    def poll(self) -> Actions:
        """Tell what was written since the last time. Raises CannotWrite where that failed."""
        if self._under_way and self._under_way.done():
            yield from self.flush()

    def flush(self) -> Actions:
        """Wait for what is under way, and tell it. Raises CannotWrite."""
        if self._under_way:
            done, self._under_way = self._under_way, None
            # The state comes in with any event, which a list could not take.
            for saved in done.result():  # noqa: UP028
                yield saved

    def is_backup_due(self, options: TrainOptions, iteration: int, seconds: float) -> bool:
        """Whether a rolling backup is due, by iterations or by the time spent learning.

        No clock counts that may jump.
        """
        # After a restore those of another run lie ahead.
        before = [mark for mark in self._backups if mark[0] <= iteration and mark[1] <= seconds]
        last_iteration, last_seconds = before[-1] if before else (0, 0.0)
        every, hours = options.backup_iterations, options.backup_hours
        return bool(
            (every and iteration // every > last_iteration // every)
            or (hours != "never" and seconds - last_seconds >= 3600 * hours)
        )

    def _backup_reason(self, state: TrainState, orders: Sequence[Order]) -> str:
        if any(isinstance(order, Backup) for order in orders):
            return "order"
        is_due = self.is_backup_due(state.options, state.iteration, state.seconds)
        return backups.ROLLING if is_due else ""

    def _copy(self, parts: Parts) -> Parts:
        held, self._copies = self._copies, {}
        for part, arrays in parts.items():
            own = self._copies.setdefault(part, {})
            for name, array in arrays.items():
                copy = held.get(part, {}).get(name)
                if copy is None or copy.shape != array.shape or copy.dtype != array.dtype:
                    copy = np.empty_like(array, order="C")
                np.copyto(copy, array)
                own[name] = copy
        return self._copies

    def _write(self, snapshot: Snapshot, parts: Parts, backup: str, keep: int) -> list[Saved]:
        path = checkpoint.save(self.folder / CHECKPOINTS, snapshot.iteration, parts, snapshot.state)
        saved = [Saved(what="checkpoint", path=path)]
        if backup:
            made = backups.create(
                self.folder / BACKUPS, path, backup_files(self.folder), backup, keep
            )
            saved.append(Saved(what="backup", path=made.folder))
        return saved
