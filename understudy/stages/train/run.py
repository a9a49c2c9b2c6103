"""Puts a run of `train` together: what it trains, in which processes, and who takes part in it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from understudy.io.provenance.manifest import Claim
from understudy.stages.events import Note, Stage
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import CHECKPOINTS, HISTORY
from understudy.stages.signer import find_signer
from understudy.stages.train import device_errors
from understudy.stages.train.auto import Resolved
from understudy.stages.train.callbacks import tensorboard
from understudy.stages.train.callbacks.base import Callback
from understudy.stages.train.callbacks.checkpoint_writer import CheckpointWriter
from understudy.stages.train.callbacks.collapse_check import CollapseCheck
from understudy.stages.train.callbacks.compile_tuner import CompileTuner, compile_modes
from understudy.stages.train.callbacks.evaluator import Evaluator
from understudy.stages.train.callbacks.gan_phase import GanPhase, validate_gan_phase
from understudy.stages.train.callbacks.loss_guard import LossGuard
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.callbacks.pace import Pace
from understudy.stages.train.callbacks.previews import Previews
from understudy.stages.train.callbacks.recovery import Recovery
from understudy.stages.train.callbacks.tensorboard import TensorBoard
from understudy.stages.train.callbacks.thread_tuner import ThreadTuner, thread_counts
from understudy.stages.train.data import input_pipeline, training_faces
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.distributed.launch import launch
from understudy.stages.train.distributed.process_group import (
    ProcessGroup,
    join,
    processes_to_start,
)
from understudy.stages.train.distributed.rank_sync import LeadRank, follow, send_setup
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.loop import Trainer
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.resolve import (
    apply_pretraining,
    model_name,
    resolve_recipe,
    validate_model_flags,
)
from understudy.stages.train.state import TrainState
from understudy.stages.train.trainable import TrainableModel


def run_training(project: Project, resolved: Resolved) -> Stage:
    """Train the model that the options name until an end, an order or Ctrl-C.

    What was learnt is always saved.
    """
    options = resolved.options
    if options.tensorboard:
        tensorboard.require_tensorboard()
    if resolved.reason:
        yield Note(text=f"auto: {resolved.reason}.")
    if (count := processes_to_start(options.device)) > 1:
        yield from launch(project, resolved.flags, count)
        return
    with join(options.device) as group:
        counts = thread_counts(options, group.device, group.size)
        with ThreadTuner(counts) as thread_tuner:
            yield from (
                _lead(project, resolved, group, thread_tuner)
                if group.is_lead
                else follow(project, group)
            )


def _lead(
    project: Project, resolved: Resolved, group: ProcessGroup, thread_tuner: ThreadTuner
) -> Stage:
    """Train as rank 0, which mostly is the only one."""
    options, name = resolved.options, model_name(resolved.options)
    folder = project.model(name)
    with contextlib.ExitStack() as stack:
        stack.enter_context(project.lock(f"models/{name}"))
        signer = yield from find_signer()
        recipe, changes = resolve_recipe(folder, options)
        validate_model_flags(resolved.flags, recipe, name)
        validate_gan_phase(options, recipe)
        options = training_faces.choose_people(project, apply_pretraining(options, recipe))
        send_setup(group, options, recipe)
        yield from device_errors.warn_unused_gpu(options.device, group.device)
        yield from training_faces.remarks_on_faces(project, options)
        src, dst = input_pipeline.load_faces(project, options, recipe)
        shown = (dst, src) if options.exchange else (src, dst)
        if not options.pretrain:
            yield from training_faces.remarks_on_few(len(shown[0].pictures))
        state = TrainState(options, TrainableModel(recipe, options, group.device))
        yield Note(
            text=(
                f"{name}: {len(shown[0].pictures)} src and {len(shown[1].pictures)} dst faces, on"
                f" {group.device}{group.others}"
            )
        )
        compile_tuner = CompileTuner(compile_modes(options.compile, group.device), group.device)
        loss_log = LossLog(folder / HISTORY)
        claim = Claim.drawn(
            "Faces as a model draws them while it learns.", signer, consent=project.file.consent
        )
        callbacks = _callbacks(stack, folder, options, (src, dst), loss_log, claim)
        trainer = Trainer(
            folder,
            state,
            (src, dst),
            LeadRank(group, (src, dst)),
            loss_log,
            compile_tuner,
            [*callbacks, thread_tuner],
        )
        with device_errors.translate_device_errors(group.device, folder / CHECKPOINTS):
            yield from trainer.run(changes)


def _callbacks(
    stack: contextlib.ExitStack,
    folder: Path,
    options: TrainOptions,
    faces: tuple[FaceStore, FaceStore],
    loss_log: LossLog,
    claim: Claim,
) -> list[Callback]:
    """Who takes part in a run, in the order in which they take turns. claim: of its previews."""
    writer = stack.enter_context(CheckpointWriter(folder))
    callbacks: list[Callback] = [
        # Both look for trouble: what costs least comes first.
        LossGuard(),
        CollapseCheck(*faces),
        # It answers trouble with an older checkpoint.
        Recovery(writer, loss_log),
        writer,
        # Pictures and measurements come after a checkpoint, which is written meanwhile.
        Previews(folder, loss_log, *faces, claim),
        Evaluator(folder, loss_log, Validation(*faces, options.exchange), options.until),
        # It goes by what was measured.
        GanPhase(writer, loss_log),
        Pace(folder.name),
    ]
    if options.tensorboard:
        callbacks.append(stack.enter_context(TensorBoard(folder)))
    return callbacks
