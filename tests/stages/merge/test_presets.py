"""Presets: below everything that is set by itself, above the defaults, the show's own beside
ours.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import BadOption, BadProject
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.presets import PRESETS, apply_preset
from understudy.stages.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "show", tmp_path / "a.mp4", tmp_path / "b.mp4")


def written(project: Project, name: str, text: str) -> Path:
    path = project.folder / "presets" / f"{name}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_preset_the_options_stay_as_they_are(project: Project) -> None:
    assert apply_preset(project, MergeOptions(erode=3)) == MergeOptions(erode=3)


@pytest.mark.parametrize("name", PRESETS)
def test_ours_fit_the_options_and_change_something(name: str, project: Project) -> None:
    made = apply_preset(project, MergeOptions(preset=name))
    assert made.changed_in(MergeOptions(preset=name))
    for option, value in PRESETS[name].items():
        assert getattr(made, option) == value


def test_dfl_leaves_out_all_that_deepfacelab_does_not_have(project: Project) -> None:
    made = apply_preset(project, MergeOptions(preset="dfl"))
    assert made.formulas == "dfl" and not made.smooth
    assert (
        made.steady,
        made.steady_mask,
        made.feather,
        made.texture,
        made.grain,
        made.compression_degrade,
    ) == (0,) * 6


def test_whatever_is_set_by_itself_wins_over_the_preset(project: Project) -> None:
    written(project, "night", "erode = 9\nblur = 9\nsharpen = 9\n")
    with (project.folder / "understudy.toml").open("a", encoding="utf-8") as file:
        file.write('[options.merge]\npreset = "night"\nblur = 5\n')
    chosen = Project.load(project.folder).options(
        "merge", MergeOptions(sharpen=1, at=("7: erode=0",))
    )
    made = apply_preset(project, chosen)
    assert (made.erode, made.blur, made.sharpen, made.feather) == (9, 5, 1, 0)
    assert made.at == ("7: erode=0",)


def test_a_preset_of_the_show_may_key_its_options_to_frames(project: Project) -> None:
    written(
        project, "night", 'schema_version = 1\nat = ["5-: mode=seamless"]\nencode = {crf = 4}\n'
    )
    made = apply_preset(project, MergeOptions(preset="night"))
    assert made.at == ("5-: mode=seamless",) and made.encode.crf == 4


def test_a_name_that_is_not_there_is_refused_with_the_choices(project: Project) -> None:
    written(project, "night", "erode = 1\n")
    for name in ("day", "../night", "night.toml"):
        with pytest.raises(BadOption, match=r"there is no '.*dfl, .*night.*NAME\.toml"):
            apply_preset(project, MergeOptions(preset=name))


def test_one_of_ours_cannot_be_replaced_in_silence(project: Project) -> None:
    written(project, "dfl", "erode = 1\n")
    with pytest.raises(BadOption, match=r"dfl\.toml.*another name"):
        apply_preset(project, MergeOptions(preset="dfl"))


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("erode = = 1", "not readable as TOML"),
        ("erod = 1", "no option 'erod'"),
        ("erode = 4000", "'erode' cannot be 4000"),
        ('preset = "dfl"', "cannot start from another one"),
        ("schema_version = 2", "newer Understudy"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(text: str, piece: str, project: Project) -> None:
    written(project, "night", text)
    with pytest.raises(BadProject, match=rf"night\.toml.*{piece}"):
        apply_preset(project, MergeOptions(preset="night"))
