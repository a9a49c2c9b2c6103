"""Checkpoints and backups, written while the model learns on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from understudy.io.model_files import backups, checkpoint
from understudy.stages.events import Saved, Stage
from understudy.stages.saved_models.recipe import BACKUPS, CHECKPOINTS, backup_files
from understudy.stages.train.options import TrainOptions
from understudy.types import Array

Parts = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds. is_shared: its arrays are still the model's own, and change when it
    learns.
    """

    iteration: int
    parts: Parts
    state: Mapping[str, Any]
    is_shared: bool


class Saver:
    """Writes the checkpoints of one model on a thread, one at a time. Use it as a context: at its
    end what is under way is written.

    Learning waits only while arrays are copied. The copy of a model on the CPU is kept for the next
    time, since to fill memory anew takes ten times as long: as many bytes again as weights and
    optimizer have.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(1, "saver")
        self._under_way: Future[list[Saved]] | None = None
        self._copies: dict[str, dict[str, Array]] = {}
        # Iteration and seconds of the backups, in the order in which they were made.
        self._marks = [
            (each.iteration, each.seconds) for each in backups.list_backups(folder / BACKUPS)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    def put(self, snapshot: Snapshot, backup: str, keep: int) -> Stage:
        """Begin to write a checkpoint, and where `backup` gives a reason for one a backup too;
        `keep` of the rolling ones stay.
        """
        yield from self.told(wait=True)
        parts = self._copied(snapshot.parts) if snapshot.is_shared else snapshot.parts
        if backup:
            self._marks.append((snapshot.iteration, float(snapshot.state["seconds"])))
        self._under_way = self._pool.submit(
            self._write, snapshot.iteration, parts, snapshot.state, backup, keep
        )

    def told(self, wait: bool = False) -> Stage:
        """What has come to lie on disk since the last time; `wait` for what is under way. Raises
        CannotWrite if it did not.
        """
        if self._under_way and (wait or self._under_way.done()):
            done, self._under_way = self._under_way, None
            # An order may come in with any event, which a list could not take.
            for saved in done.result():  # noqa: UP028
                yield saved

    def is_backup_due(self, options: TrainOptions, iteration: int, seconds: float) -> bool:
        """Whether a backup's hour or iteration has come; by the time spent learning, so that no
        clock that jumps matters.
        """
        # After a restore those of another course lie ahead.
        before = [mark for mark in self._marks if mark[0] <= iteration and mark[1] <= seconds]
        last_iteration, last_seconds = before[-1] if before else (0, 0.0)
        every, hours = options.backup_iterations, options.backup_hours
        return bool(
            (every and iteration // every > last_iteration // every)
            or (hours != "never" and seconds - last_seconds >= 3600 * hours)
        )

    def _copied(self, parts: Parts) -> Parts:
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

    def _write(
        self, iteration: int, parts: Parts, state: Mapping[str, Any], backup: str, keep: int
    ) -> list[Saved]:
        path = checkpoint.save(self.folder / CHECKPOINTS, iteration, parts, state)
        saved = [Saved(what="checkpoint", path=path)]
        if backup:
            made = backups.create(
                self.folder / BACKUPS, path, backup_files(self.folder), backup, keep
            )
            saved.append(Saved(what="backup", path=made.folder))
        return saved
