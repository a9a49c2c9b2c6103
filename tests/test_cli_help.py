"""Help pages: a newcomer's fits a screen, and everything can be found from it."""

from __future__ import annotations

import re

import pytest

from understudy import cli, cli_help
from understudy.options import OptionGroup, Options, option
from understudy.stages import jobs
from understudy.stages.events import Finished, Stage

pytestmark = pytest.mark.usefixtures("one_parser")
COMMANDS = [jobs.command_words(name) for name in (*jobs.verbs(), "run")]
LARGE = OptionGroup("large", "What is seldom asked")
LARGEST_PAGE = 62


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def page(capsys: pytest.CaptureFixture[str], line: str) -> str:
    assert cli.main(line.split()) == 0
    return capsys.readouterr().out


def flags_in(text: str) -> set[str]:
    """The options that a page describes; a long name may be broken within."""
    names = re.findall(r"^│ (?:\*  \S+ )?(--\S+(?: +[^│]{0,60}│\n│   \.\S+)?)", text, re.MULTILINE)
    return {re.sub(r"\s.*?│\n│\s+", "", each, flags=re.DOTALL) for each in names}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_of_a_command_fits_about_a_screen(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = page(capsys, f"{command} --help").splitlines()
    assert len(lines) <= LARGEST_PAGE and max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_no_help_shows_names_of_python(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = page(capsys, f"{command} --help-all")
    assert not re.search(r"OPTIONS\b(?<!\[OPTIONS)|\b(STR|INT|FLOAT|BOOL|ARGS|NONE)\b", told)
    assert not re.search(r"default: (\(|\[|None|True|False|')", " ".join(told.split()))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_reached_from_the_first_page(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    first = page(capsys, f"{command} --help")
    shown, waiting, seen = flags_in(first), [first], set[str]()
    while waiting:
        listed = waiting.pop().partition("More options, by group")[2]
        for name in re.findall(r"^│ ([a-z][\w.-]*) ", listed, re.MULTILINE):
            if name not in seen:
                seen.add(name)
                waiting.append(page(capsys, f"{command} --help {name}"))
                shown |= flags_in(waiting[-1])
    everything = flags_in(page(capsys, f"{command} --help-all")) - set(cli_help.EVERYWHERE)
    assert shown == everything and (command == "run" or everything)


def test_a_group_is_shown_by_its_name_and_an_option_by_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    group = page(capsys, "swap --help encode")
    assert "--merge.encode.crf" in group and "--minutes" not in group and "Usage" not in group
    assert group == page(capsys, "swap --help merge.encode") == page(capsys, "swap -h encode")
    one = page(capsys, "swap --help erode")
    assert flags_in(one) == {"--merge.erode"}
    assert flags_in(page(capsys, "train --help from")) == {"--from"}
    assert flags_in(page(capsys, "merge --help erode blur")) == {"--erode", "--blur"}
    whole = page(capsys, "swap --help-all merge")
    assert {"--merge.erode", "--merge.encode.crf"} <= flags_in(whole)
    assert "--minutes" not in whole


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("swap --help minuts", ["understudy swap", "'minuts'", "minutes", "merge"]),
        ("trained --help lost", ["understudy trained", "'lost'", "understudy trained --help"]),
        ("swp --help", ["'swp'", "swap"]),
        ("--help swp", ["'swp'", "swap"]),
    ],
)
def test_help_on_what_is_not_there_says_what_there_is(
    line: str, pieces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line.split()) == 2
    told = capsys.readouterr()
    assert told.out == "" and all(piece in told.err for piece in pieces)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("--help swap", "swap --help"),
        ("swap a.mp4 b.mp4 c.mp4 --help", "swap --help"),
        ("swap --help --minutes 5", "swap --help"),
        ("--config mine.toml swap --help", "swap --help"),
        ("trained --help import", "trained import --help"),
        ("--help trained import", "trained import --help"),
        ("--help swap merge", "swap --help merge"),
        ("", "--help"),
        ("--json", "--help"),
        ("--config mine.toml", "--help"),
    ],
)
def test_help_may_be_asked_for_anywhere_in_a_line(
    line: str, same: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert page(capsys, line) == page(capsys, same)


class PaintOptions(Options):
    usual: int = option(1, "Often asked", usual=True)
    rare: int = option(1, "Seldom asked", group=LARGE)
    plain: int = option(1, "Asked now and then")


def paint(options: PaintOptions) -> Stage:
    """Paint."""
    yield Finished(stage="paint", summary={})


def test_a_command_of_few_options_shows_them_all_each_below_its_heading(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_VERBS", {"paint": paint})
    monkeypatch.setattr(jobs, "_MODULES", ())
    monkeypatch.setattr(cli, "build_app", cli.build_app.__wrapped__)  # type: ignore[attr-defined]
    told = page(capsys, "paint --help")
    assert flags_in(told) >= {"--usual", "--rare", "--plain"}
    assert "large: What is seldom asked" in told
    monkeypatch.setattr("understudy.cli_help._FEW", 1)
    told = page(capsys, "paint --help")
    assert "--usual" in flags_in(told) and not {"--rare", "--plain"} & flags_in(told)
    assert "What is seldom asked (1 option)" in told and "Other options: plain" in told
    assert "--rare" in page(capsys, "paint --help large")


def test_weights_of_others_and_models_of_ones_own_name_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert page(capsys, "weights --help") == page(capsys, "models --help")
    assert "weights" not in page(capsys, "--help").replace("List the weights", "").split()
    assert "trained" in page(capsys, "models --help") and "models" in page(capsys, "trained --help")
    parsed = cli.parse(["weights", "--fetch"])
    assert parsed is not None and parsed.job.verb == "models"
    assert cli.main(["models", "my-show"]) == 2
    assert "understudy trained SHOW" in capsys.readouterr().err
    assert cli.main(["trained"]) == 2 and "understudy models" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["--help", "trained --help", "faces check --help", "swap --help"])
def test_from_a_clone_help_shows_commands_as_they_are_typed_there(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CALLED_AS", "python3 run.py")
    told = page(capsys, line)
    assert "Usage: python3 run.py " in told and "understudy" not in told
