"""Who trains: this process alone, the first of a team, one that follows it, or others that are
started for it.
"""

from __future__ import annotations

from understudy.stages.events import Finished, Note, Stage, Started
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import CHECKPOINTS
from understudy.stages.train import device_errors, resume
from understudy.stages.train.auto import settled
from understudy.stages.train.callbacks import gan_phase
from understudy.stages.train.callbacks.checkpoint_writer import Saver
from understudy.stages.train.callbacks.thread_tuner import Threads, counts_of
from understudy.stages.train.data import feed
from understudy.stages.train.distributed.launch import launched
from understudy.stages.train.distributed.process_group import Team, gpus, joined
from understudy.stages.train.distributed.rank_sync import Lead, follow, prepare
from understudy.stages.train.learner import Learner
from understudy.stages.train.loop import Run
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.resolve import model_name, refuse_other_models, resolve_recipe


def training(project: Project, flags: TrainOptions) -> Stage:
    """Train the model that the options name until they, an order or Ctrl-C end it; what was learnt
    is always saved.
    """
    options, reason = settled(project, flags)
    if (count := gpus(options.device)) > 1:
        yield from launched(project, flags, count)
        return
    if reason:
        yield Note(text=f"auto: {reason}.")
    with (
        joined(options.device) as team,
        Threads(counts_of(options, team.device, team.size)) as threads,
    ):
        yield from (
            _leading(project, flags, options, team, threads)
            if team.first
            else follow(project, team)
        )


def _leading(
    project: Project, flags: TrainOptions, options: TrainOptions, team: Team, threads: Threads
) -> Stage:
    """The same for the first rank of a team, which mostly is alone."""
    name = model_name(options)
    folder = project.model(name)
    with project.held(f"models/{name}"), Saver(folder) as saver:
        recipe, changes = resolve_recipe(folder, options)
        refuse_other_models(flags, recipe, name)
        gan_phase.refuse_without(options, recipe)
        options = resume.eased(options, recipe) if options.pretrain else options
        prepare(team, options, recipe)
        yield from device_errors.unused(options.device, team.device)
        src, dst = feed.loaded(project, options, recipe)
        run = Run(
            options,
            src,
            dst,
            Lead(team, Learner(recipe, options, team.device), (src, dst)),
            saver,
            threads,
        )
        yield Note(
            text=(
                f"{name}: {len(src.pictures)} src and {len(dst.pictures)} dst faces, on"
                f" {team.device}{team.others}"
            )
        )
        with device_errors.explained(team.device, folder / CHECKPOINTS):
            yield from run.resume()
            yield from run.told(changes)
            yield Started(stage="train", total=options.iterations or None, unit="iteration")
            try:
                yield from run.learn()
                run.lead.end()
            except KeyboardInterrupt:
                run.ended = "interrupted"
                yield from run.save()
            yield from run.preview()
            yield from saver.told(wait=True)
            yield from run.learner.compiling.said()
        yield Finished(stage="train", summary={"model": name, "ended": run.ended, **run.summary()})
