"""How the ranks of a team stay together: the first says what comes next and the others do it, in
blocks of iterations.

The first rank alone decides, saves and draws, so nothing that it thinks of needs to be thought of
twice. Within a block nothing passes between them but gradients; after it the losses, and what the
others were asked to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from understudy.errors import BadOption, BadProject
from understudy.nets import ranks
from understudy.nets.optim import optimizers
from understudy.parts.models.base.model import Batch
from understudy.stages.events import Event, Order, Progress, Stage, read_order
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train import schedule
from understudy.stages.train.callbacks.loss_log import Ledger
from understudy.stages.train.data import feed
from understudy.stages.train.data.batches import ahead
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.distributed.process_group import Team
from understudy.stages.train.learner import Learner
from understudy.stages.train.options import TrainOptions


class Block(BaseModel):
    """What the others do next: learn until an iteration, or until the finish begins, with these
    options.

    anew: draw batches anew, from what the first rank has learnt by `iteration`; memory: name, type
    and shape of each array that its optimizers remember. faces: what `_looks` finds in the first
    rank's.
    """

    model_config = ConfigDict(frozen=True)

    iteration: int
    until: int
    finishing: bool
    seconds: float
    slowed: float
    options: dict[str, Any]
    recipe: dict[str, Any]
    faces: list[list[float]]
    anew: bool
    memory: list[tuple[str, str, list[int]]] = []


class Lead:
    """What the first rank says. Of a team of one it says nothing."""

    def __init__(self, team: Team, learner: Learner, faces: tuple[FaceStore, FaceStore]) -> None:
        self.team, self.learner = team, learner
        self._faces, self._pace, self._until = faces, 1, 0
        self._asked: list[Order] = []

    def begin(self, options: TrainOptions, finishing: bool, anew: bool = False) -> None:
        """The next block begins; `anew` where it does not follow from the one before."""
        if self.team.size == 1:
            return
        learner, memory = self.learner, {}
        if anew:
            # What fitted one process says nothing of shares.
            learner.fits = 0
            memory = optimizers.state_to_arrays(learner.optimizers, learner.groups)
        self._until = learner.iteration + self._pace
        if options.iterations:
            self._until = min(self._until, options.iterations)
        block = Block(
            iteration=learner.iteration,
            until=self._until,
            finishing=finishing,
            seconds=learner.seconds,
            slowed=learner.slowed,
            options=options.model_dump(mode="json"),
            recipe=learner.recipe.model_dump(mode="json"),
            faces=_looks(self._faces),
            anew=anew,
            memory=[(name, array.dtype.name, list(array.shape)) for name, array in memory.items()],
        )
        self.team.told(block.model_dump())
        if anew:
            self.team.spread(learner.model.state_dict().values())
            self.team.spread(torch.from_numpy(array) for array in memory.values())

    def is_due(self, is_time: bool) -> bool:
        """Whether to report: when it is time, and with others at the end of a block, since no
        rank's clock is that of another.
        """
        return is_time if self.team.size == 1 else self.learner.iteration >= self._until

    def pace(self, iterations: float) -> None:
        """So many iterations fit into the time between two reports."""
        # Not at once: the first ones of a run are slow, and one that follows too long a block
        # answers nobody.
        self._pace = max(1, min(2 * self._pace, int(iterations)))

    def meet(self, ledger: Ledger) -> None:
        """A block is over: put together what all ranks lost, and hear what the others were asked to
        do.
        """
        if self.team.size > 1:
            ledger.share()
            self._asked += [read_order.validate_json(words) for words in self.team.asked()]

    def orders(self, own: Order | None) -> list[Order]:
        """The orders to obey now: those that the others were given since the last time, and this
        rank's own.
        """
        asked, self._asked = self._asked, []
        return [*asked, own] if own else asked

    def end(self) -> None:
        """There is no next block."""
        if self.team.size > 1:
            self.team.told({})


def prepare(team: Team, options: TrainOptions, recipe: ModelRecipe) -> None:
    """Let the other ranks load their faces. Raises BadOption for a batch that cannot be shared."""
    pairs = options.batch or recipe.model_options.batch
    if pairs % team.size:
        fewer, more = pairs // team.size * team.size, (pairs // team.size + 1) * team.size
        raise BadOption(
            f"batch: {pairs} pairs cannot be shared by {team.size} ranks. Take"
            f" {f'{fewer} or {more}' if fewer else more}: --batch."
        )
    if team.size > 1:
        team.told(
            {"options": options.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json")}
        )


def follow(project: Project, team: Team) -> Stage:
    """Learn as the first rank says, until it says no more. Its events are for orders only: they
    tell nothing new.
    """
    first = team.told()
    follower = _Follower(
        project,
        team,
        TrainOptions.model_validate(first["options"]),
        ModelRecipe.model_validate(first["recipe"]),
    )
    block = follower.heard()
    while block is not None:
        follower.take_over(block)
        with contextlib.closing(follower.batches(block.finishing)) as coming:
            block = yield from follower.stretch(coming, block)


class _Follower:
    """A rank that is not the first."""

    def __init__(
        self, project: Project, team: Team, options: TrainOptions, recipe: ModelRecipe
    ) -> None:
        self.team, self.options = team, options
        self.faces = feed.loaded(project, options, recipe)
        self.learner = Learner(recipe, options, team.device)

    def heard(self) -> Block | None:
        """The next block, with its settings taken; None when there is none."""
        words = self.team.told()
        if not words:
            return None
        block, learner = Block.model_validate(words), self.learner
        if not np.allclose(block.faces, _looks(self.faces), rtol=1e-4):
            raise BadProject(
                f"rank {self.team.rank} of {self.team.size}: its faces are not those of the first"
                " rank. Copy the show's folder anew to this machine, or share it by network, then"
                " start all again."
            )
        if block.recipe != learner.recipe.model_dump(mode="json"):
            learner.change(ModelRecipe.model_validate(block.recipe))
        self.options = TrainOptions.model_validate(block.options)
        learner.seconds, learner.slowed = block.seconds, block.slowed
        learner.use(self.options)
        return block

    def take_over(self, block: Block) -> None:
        """Become as the first rank is."""
        learner = self.learner
        learner.iteration = block.iteration
        self.team.spread(learner.model.state_dict().values())
        memory = {name: np.empty(shape, kind) for name, kind, shape in block.memory}
        self.team.spread(torch.from_numpy(array) for array in memory.values())
        optimizers.load_state(learner.optimizers, learner.groups, memory)

    def batches(self, finishing: bool) -> Generator[tuple[Batch, float], None, None]:
        made = feed.batches(self.options, *self.faces, self.learner, finishing)
        return ahead(made.make, self.learner.iteration, feed.workers(self.learner.device))

    def stretch(
        self, coming: Iterator[tuple[Batch, float]], block: Block
    ) -> Generator[Event, Order | None, Block | None]:
        """Blocks until one begins anew, which it returns, or None when there is no more."""
        following: Block | None = block
        while following is not None:
            ranks.all_reduce_mean_(torch.stack(list(self._losses(coming, following))))
            order = yield Progress(stage="train", done=self.learner.iteration)
            self.team.asked(order.model_dump_json() if order else "")
            following = self.heard()
            if following is not None and following.anew:
                return following
        return None

    def _losses(self, coming: Iterator[tuple[Batch, float]], block: Block) -> Iterator[Tensor]:
        """Learn one block; the losses of each iteration."""
        learner = self.learner
        for batch, _ in coming:
            losses = learner.step(
                batch, schedule.step_size(self.options, learner.iteration, learner.seconds)
            )
            yield torch.stack(list(losses.values()))
            has_turned = (
                schedule.finish(self.options, learner.iteration, learner.seconds) > 0
            ) != block.finishing
            if has_turned or learner.iteration >= block.until:
                return


def _looks(faces: tuple[FaceStore, FaceStore]) -> list[list[float]]:
    """What tells facesets apart: how many faces, and where their landmarks lie."""
    return [
        [len(each.landmarks), float(each.landmarks.mean()), float(each.landmarks.std())]
        for each in faces
    ]
