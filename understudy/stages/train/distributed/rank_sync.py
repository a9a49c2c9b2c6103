"""How the ranks stay together: rank 0 says what comes next, in blocks of iterations.

Rank 0 alone decides, saves and draws, so nothing has to be decided twice. Within a block nothing
passes between the ranks but gradients; after it the losses, and the orders that the others got.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from understudy.errors import BadOption, BadProject
from understudy.io import data_files
from understudy.nets import ranks
from understudy.nets.optim import optimizers
from understudy.parts.models.base.model import Batch
from understudy.stages.events import Event, Order, Progress, Stage, read_order
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.callbacks.compile_tuner import CompileTuner, compile_modes
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.data.batches import prefetch_batches
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.distributed.process_group import ProcessGroup
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import Phase, TrainState
from understudy.stages.train.train_step import train_step
from understudy.stages.train.trainable import TrainableModel


class Block(BaseModel):
    """What the other ranks do next: iterate until one number, or into another phase.

    Attributes:
        iteration: Where rank 0 stands.
        renew: Whether batches are drawn anew, from the weights that rank 0 has now.
        memory: With `renew`, name, type and shape of each array that its optimizers remember.
        faces: The `_fingerprint` of its faces.
    """

    model_config = ConfigDict(frozen=True)

    iteration: int
    until: int
    phase: Phase
    seconds: float
    lr_scale: float
    options: dict[str, Any]
    recipe: dict[str, Any]
    faces: list[list[float]]
    renew: bool
    memory: list[tuple[str, str, list[int]]] = []


class LeadRank:
    """Rank 0 as the others hear it. Where it is the only process nothing is sent."""

    def __init__(self, group: ProcessGroup, faces: tuple[FaceStore, FaceStore]) -> None:
        self._group, self._faces = group, faces
        self._pace, self._until = 1, 0
        self._orders: list[Order] = []

    @property
    def size(self) -> int:
        return self._group.size

    def send_block(self, state: TrainState, renew: bool = False) -> None:
        """Begin the next block; `renew` where it does not follow from the one before."""
        if self.size == 1:
            return
        memory = (
            optimizers.state_to_arrays(state.optimizers, state.trainable.groups) if renew else {}
        )
        self._until = state.iteration + self._pace
        if state.options.iterations:
            self._until = min(self._until, state.options.iterations)
        block = Block(
            iteration=state.iteration,
            until=self._until,
            phase=state.phase,
            seconds=state.seconds,
            lr_scale=state.lr_scale,
            options=state.options.model_dump(mode="json"),
            recipe=state.recipe.model_dump(mode="json"),
            faces=_fingerprint(self._faces),
            renew=renew,
            memory=[(name, array.dtype.name, list(array.shape)) for name, array in memory.items()],
        )
        self._group.broadcast_message(block.model_dump())
        if renew:
            self._group.broadcast(state.model.state_dict().values())
            self._group.broadcast(torch.from_numpy(array) for array in memory.values())

    def is_due(self, state: TrainState, is_time: bool) -> bool:
        """Whether to report: when it is time, or with other ranks at the end of a block.

        No rank's clock is that of another.
        """
        return is_time if self.size == 1 else state.iteration >= self._until

    def set_pace(self, iterations: float) -> None:
        """Let a block have so many iterations, as fit into the time between two reports."""
        # Not at once: the first ones of a run are slow, and one that follows too long a block
        # answers nobody.
        self._pace = max(1, min(2 * self._pace, int(iterations)))

    def gather(self, loss_log: LossLog) -> None:
        """End a block: average the losses over all ranks, and gather the orders of the others."""
        if self.size > 1:
            loss_log.average_ranks()
            texts = self._group.gather_texts()
            self._orders += [data_files.parse_json_as(text, "a rank", read_order) for text in texts]

    def take_orders(self, own: Order | None) -> list[Order]:
        """The orders to obey now: those gathered since the last time, and this rank's own."""
        gathered, self._orders = self._orders, []
        return [*gathered, own] if own else gathered

    def end(self) -> None:
        """Tell the others that there is no next block."""
        if self.size > 1:
            self._group.broadcast_message({})


def send_setup(group: ProcessGroup, options: TrainOptions, recipe: ModelRecipe) -> None:
    """Let the other ranks load their faces. Raises BadOption for a batch that cannot be shared."""
    pairs = options.batch or recipe.model_options.batch
    if pairs % group.size:
        fewer, more = pairs // group.size * group.size, (pairs // group.size + 1) * group.size
        raise BadOption(
            f"batch: {pairs} pairs cannot be shared by {group.size} ranks. Take"
            f" {f'{fewer} or {more}' if fewer else more}: --batch."
        )
    if group.size > 1:
        group.broadcast_message(
            {"options": options.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json")}
        )


def follow(project: Project, group: ProcessGroup) -> Stage:
    """Train as rank 0 says, until it ends. The events only let orders in: they tell nothing new."""
    setup = group.broadcast_message()
    follower = _Follower(
        project,
        group,
        TrainOptions.model_validate(setup["options"]),
        ModelRecipe.model_validate(setup["recipe"]),
    )
    block = follower.receive()
    while block is not None:
        follower.copy_lead(block)
        with contextlib.closing(follower.batches()) as coming:
            block = yield from follower.train(coming, block)


class _Follower:
    """A rank that is not the first. It writes its own state, by what rank 0 sends."""

    def __init__(
        self, project: Project, group: ProcessGroup, options: TrainOptions, recipe: ModelRecipe
    ) -> None:
        self._group = group
        self._faces = input_pipeline.load_faces(project, options, recipe)
        self._state = TrainState(options, TrainableModel(recipe, options, group.device))
        self._tuner = CompileTuner(compile_modes(options.compile, group.device), group.device)
        self._tuner.attach(self._state.model)

    def receive(self) -> Block | None:
        """The next block, with its settings taken over; None when there is none."""
        message = self._group.broadcast_message()
        if not message:
            return None
        block = Block.model_validate(message)
        if not np.allclose(block.faces, _fingerprint(self._faces), rtol=1e-4):
            raise BadProject(
                f"rank {self._group.rank} of {self._group.size}: its faces are not those of the"
                " first rank. Copy the show's folder anew to this machine, or share it by network,"
                " then start all again."
            )
        if block.recipe != self._state.recipe.model_dump(mode="json"):
            self._state.trainable.change_settings(ModelRecipe.model_validate(block.recipe))
            self._tuner.attach(self._state.model)
        self._state = replace(
            self._state,
            options=TrainOptions.model_validate(block.options),
            seconds=block.seconds,
            lr_scale=block.lr_scale,
        )
        return block

    def copy_lead(self, block: Block) -> None:
        """Receive the weights and the optimizer state of rank 0."""
        state = self._state = replace(self._state, iteration=block.iteration)
        self._group.broadcast(state.model.state_dict().values())
        memory = {name: np.empty(shape, kind) for name, kind, shape in block.memory}
        self._group.broadcast(torch.from_numpy(array) for array in memory.values())
        optimizers.load_state(state.optimizers, state.trainable.groups, memory)

    def batches(self) -> Generator[tuple[Batch, float], None, None]:
        """This rank's share of the batches that come."""
        made = input_pipeline.make_batches(self._state, *self._faces)
        return prefetch_batches(
            made.make, self._state.iteration, input_pipeline.worker_count(self._state.device)
        )

    def train(
        self, coming: Iterator[tuple[Batch, float]], block: Block
    ) -> Generator[Event, Order | None, Block | None]:
        """Train block after block. Returns the first that begins anew; None at the end."""
        following: Block | None = block
        while following is not None:
            ranks.all_reduce_mean_(torch.stack(list(self._losses(coming, following))))
            order = yield Progress(stage="train", done=self._state.iteration)
            self._group.gather_texts(order.model_dump_json() if order else "")
            following = self.receive()
            if following is not None and following.renew:
                return following
        return None

    def _losses(self, coming: Iterator[tuple[Batch, float]], block: Block) -> Iterator[Tensor]:
        """Train one block; the losses of each iteration."""
        for batch, _ in coming:
            self._state, losses = train_step(self._state, batch, self._tuner)
            yield torch.stack(list(losses.values()))
            if self._state.phase != block.phase or self._state.iteration >= block.until:
                return


def _fingerprint(faces: tuple[FaceStore, FaceStore]) -> list[list[float]]:
    """What tells facesets apart: how many faces, and where their landmarks lie."""
    return [
        [len(each.landmarks), float(each.landmarks.mean()), float(each.landmarks.std())]
        for each in faces
    ]
