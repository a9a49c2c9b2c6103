"""`trained restore`: a model as it was when a backup of it was made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from understudy.errors import BadOption, BadProject
from understudy.io import atomic
from understudy.io.model_files import backups, checkpoint, history
from understudy.stages.events import Finished, Note, Saved, Stage, Warned
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.saved_models.command import TrainedOptions, find_model_folder
from understudy.stages.saved_models.recipe import (
    BACKUPS,
    CHECKPOINTS,
    HISTORY,
    OPTIONS_FILE,
    backup_files,
    train_command,
)


@verb
def trained_restore(
    show: Path, name: str, backup: str | None = None, *, options: TrainedOptions
) -> Stage:
    """Bring a model back to one of its backups, or list them; its present state is backed up.

    name: the model. backup: the name of the backup, or its iteration where that names only one;
    nothing = list them.
    """
    project = Project.load(show)
    folder = find_model_folder(project, name)
    if not backup:
        yield from _list_backups(folder)
        return
    with project.lock(f"models/{name}"), atomic.explain_os_errors(folder):
        chosen = _choose_backup(folder, backup)
        yield from _backup_present_state(folder)
        found = checkpoint.copy_as_current(folder / CHECKPOINTS, chosen.folder)
        for file in (OPTIONS_FILE, HISTORY):
            if (chosen.folder / file).is_file():
                with atomic.partial_file(folder / file) as partial:
                    shutil.copyfile(chosen.folder / file, partial)
        # A copy of the history may be a moment younger than the checkpoint.
        history.truncate(folder / HISTORY, found.iteration)
    yield Note(
        text=(
            f"{name}: as it was on {chosen.made}, at iteration {found.iteration}. To go on:"
            f" {train_command(folder)}."
        )
    )
    yield Finished(
        stage="trained_restore",
        summary={"model": name, "backup": chosen.folder.name, "iteration": found.iteration},
    )


def _list_backups(folder: Path) -> Stage:
    summary: dict[str, Any] = {}
    for each in reversed(backups.list_backups(folder / BACKUPS)):
        told = {
            "iteration": each.iteration,
            "minutes": round(each.seconds / 60, 1),
            "made": each.made,
        }
        summary[each.folder.name] = {
            **told,
            "kept": (
                "until newer ones come" if each.why == backups.ROLLING else "until you delete it"
            ),
        }
    if not summary:
        yield Note(
            text=f"{folder.name}: no backups yet. `train` makes one every hour, see --backup-hours."
        )
    yield Finished(stage="trained_restore", summary=summary)


def _choose_backup(folder: Path, wanted: str) -> backups.Backup:
    """Raises BadOption, with the names there are, when none or several are meant."""
    known = backups.list_backups(folder / BACKUPS)
    found = [each for each in known if wanted in (each.folder.name, str(each.iteration))]
    if len(found) != 1:
        what = "names several backups" if found else "is no backup"
        names = ", ".join(each.folder.name for each in found or known) or "none yet"
        raise BadOption(f"backup: '{wanted}' {what} of {folder.name}. There are: {names}.")
    return found[0]


def _backup_present_state(folder: Path) -> Stage:
    """Make the present state a backup."""
    try:
        whole, torn = checkpoint.load_intact(folder / CHECKPOINTS)
    except BadProject as error:
        whole, torn = [], [str(error)]
    for text in torn:
        yield Warned(text=text)
    if whole:
        made = backups.create(folder / BACKUPS, whole[0].folder, backup_files(folder), "restore")
        yield Saved(what="backup", path=made.folder)
