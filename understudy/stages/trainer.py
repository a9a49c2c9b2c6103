"""Who trains: this process alone, the first of a team, one that follows it, or others that are started for it."""

from __future__ import annotations

from understudy.stages import beginning, device_loss, feeding, hardening
from understudy.stages.auto import settled
from understudy.stages.events import Finished, Note, Stage, Started
from understudy.stages.launching import launched
from understudy.stages.learner import Learner
from understudy.stages.project import Project
from understudy.stages.recipes import CHECKPOINTS, name_of, refuse_foreign, settle
from understudy.stages.saver import Saver
from understudy.stages.team import Team, gpus, joined
from understudy.stages.threads import Threads, counts_of
from understudy.stages.together import Lead, follow, prepare
from understudy.stages.train import TrainOptions
from understudy.stages.training import Run


def training(project: Project, flags: TrainOptions) -> Stage:
    """Train the model that the options name until they, an order or Ctrl-C end it; what was learnt is always saved."""
    options, reason = settled(project, flags)
    if (count := gpus(options.device)) > 1:
        yield from launched(project, flags, count)
        return
    if reason:
        yield Note(text=f"auto: {reason}.")
    with joined(options.device) as team, Threads(counts_of(options, team.device, team.size)) as threads:
        yield from _leading(project, flags, options, team, threads) if team.first else follow(project, team)


def _leading(project: Project, flags: TrainOptions, options: TrainOptions, team: Team, threads: Threads) -> Stage:
    """The same for the first rank of a team, which mostly is alone."""
    name = name_of(options)
    folder = project.model(name)
    with project.held(f"models/{name}"), Saver(folder) as saver:
        recipe, changes = settle(folder, options)
        refuse_foreign(flags, recipe, name)
        hardening.refuse_without(options, recipe)
        options = beginning.eased(options, recipe) if options.pretrain else options
        prepare(team, options, recipe)
        yield from device_loss.unused(options.device, team.device)
        src, dst = feeding.loaded(project, options, recipe)
        run = Run(options, src, dst, Lead(team, Learner(recipe, options, team.device), (src, dst)), saver, threads)
        yield Note(text=f"{name}: {len(src.pictures)} src and {len(dst.pictures)} dst faces, on {team.device}{team.others}")
        with device_loss.explained(team.device, folder / CHECKPOINTS):
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
