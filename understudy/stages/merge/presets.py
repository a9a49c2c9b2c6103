"""Presets: sets of merge options under a name, our own and those of a show."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from understudy.errors import BadOption, BadProject
from understudy.io import settings_file
from understudy.options import option
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project

SCHEMA: Final = 1

PRESETS: Final[dict[str, dict[str, Any]]] = {
    # What a merge of DeepFaceLab does when every question is answered with Enter, with the masks
    # that its class has.
    "dfl": {
        "formulas": "dfl",
        "mode": "overlay",
        "masks": ("learned",),
        "erode": 0,
        "blur": 0,
        "edge_fade": 0,
        "color_transfer": "rct",
        "hist_match_threshold": 238,
        "steady": 0,
        "texture": 0,
        "sharpen": 0,
        "sharpen_mode": "box",
        "grain": 0,
        "degrade": "frame",
        "smooth": False,
        "follow_jaw": False,
    },
    # An outline that shows: each scale of detail crosses it over its own width. More erosion would
    # let dst's brows through.
    "hidden-edge": {"mode": "pyramid", "blur": 12},
    # A plate whose shutter was open for half of each frame; its grain is matched anyway.
    "matched-plate": {"grain": 100, "motion_blur": 180},
}


class Preset(MergeOptions):
    """What a file presets/NAME.toml of a show holds: options of `merge`, as few as one likes."""

    schema_version: int = option(SCHEMA, "Version of this file's layout", low=1)


def apply_preset(project: Project, options: MergeOptions) -> MergeOptions:
    """Lay the options over those of the preset that they name.

    Whatever was set by itself, in any file or by a flag, wins. Raises BadOption for a name that is
    not there, BadProject for a file that cannot be used.
    """
    if not options.preset:
        return options
    return MergeOptions.layered(
        _values(project, options.preset), options.set_values(), where="merge"
    )


def _values(project: Project, name: str) -> dict[str, Any]:
    folder = project.folder / "presets"
    own = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if name in own and name in PRESETS:
        raise BadOption(
            f"{own[name]}: '{name}' is a preset of Understudy itself. Give the file another name."
        )
    if name in PRESETS:
        return PRESETS[name]
    if name not in own:
        choices = ", ".join([*PRESETS, *own])
        raise BadOption(
            f"preset: there is no '{name}'. Choose one of: {choices}; or write"
            f" {folder / 'NAME.toml'}."
        )
    return _read(own[name])


def _read(path: Path) -> dict[str, Any]:
    values = settings_file.read(
        path, Preset, SCHEMA, f"{path}: is not there any more. Choose another --preset."
    ).set_values()
    values.pop("schema_version", None)
    if "preset" in values:
        raise BadProject(f"{path}: a preset cannot start from another one. Take 'preset' out.")
    return values
