"""Command lines at random: each ends with a code of the table and one line, never with a crash."""

from __future__ import annotations

import inspect
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing import ODD_TEXTS, is_message_fine, json_trees, parser, rounds

from understudy import cli, errors
from understudy.errors import UnderstudyError
from understudy.options import Options
from understudy.stages import jobs

# These begin to work, or to fetch, without any footage.
BUSY = {"demo", "doctor", "models"}
CODES = {
    0,
    *(
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, UnderstudyError)
    ),
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, and a parser that is built once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "build_app", parser)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setenv("UNDERSTUDY_CONFIG", "")
    yield tmp_path


def _flags(options: type[Options], prefix: str = "") -> Iterator[str]:
    """The flags of a command, those of its parts too."""
    for name, info in options.model_fields.items():
        flag = f"{prefix}{name.replace('_', '-')}"
        if isinstance(info.annotation, type) and issubclass(info.annotation, Options):
            yield from _flags(info.annotation, f"{flag}.")
        else:
            yield flag


def _line(rng: random.Random, verbs: dict[str, jobs.Verb]) -> list[str]:
    name = rng.choice(sorted(set(verbs) - BUSY))
    arguments = list(inspect.signature(verbs[name]).parameters)
    line = name.split("_", 1)
    for argument in arguments[:-1]:
        value = rng.choice(("none", "src", "dst", rng.choice(ODD_TEXTS)))
        line.append(rng.choice((value, f"--{argument.replace('_', '-')}={value}")))
    flags = list(_flags(jobs.options_of(verbs[name])))
    for flag in rng.sample(flags, min(len(flags), rng.randrange(4))):
        value = rng.choice((*ODD_TEXTS, "1", "0.5", "-1", "full", "none", "auto", "tiny"))
        line += rng.choice(([f"--{flag}={value}"], [f"--{flag}", value], [f"--no-{flag}"]))
    line += rng.sample(["--quiet", "--config=none.toml", rng.choice(ODD_TEXTS)], rng.randrange(2))
    return line


def _check(line: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """Run it; returns the exit code."""
    code = cli.main(line)
    told = capsys.readouterr()
    assert code in CODES, line
    for text in (told.out, told.err):
        assert all(each.isprintable() for each in text.split("\n")), ascii(line)
    assert "a mistake of ours" not in told.err, ascii((line, told.err))
    if code:
        assert is_message_fine(told.err.split("\n")[-2]), ascii((line, told.err))
    return code


def test_fuzz_a_command_line_of_odd_words(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    rng, verbs = random.Random(1), jobs.verbs()
    codes = [_check(_line(rng, verbs), capsys) for _ in range(rounds(150))]
    assert {2, 4} <= set(codes)
    assert not list(place.iterdir()), "what cannot work leaves nothing behind"


def test_fuzz_a_job_of_odd_values(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory, place: Path
) -> None:
    rng, verbs = random.Random(2), jobs.verbs()
    job = tmp_path_factory.mktemp("jobs") / "job.json"
    names = sorted(set(verbs) - BUSY)
    for tree in json_trees(rounds(200), seed=3):
        name = rng.choice(names)
        parameters = list(inspect.signature(verbs[name]).parameters)
        arguments = {each: rng.choice(("none", tree)) for each in parameters[:-1]}
        flags = list(_flags(jobs.options_of(verbs[name])))
        options = {flag: tree for flag in rng.sample(flags, min(len(flags), 2))}
        values = rng.choice(
            (
                {"verb": name, "arguments": arguments, "options": options},
                {"verb": name, "arguments": arguments},
                {"verb": name, "arguments": tree, "options": tree},
                {"verb": tree},
                tree,
            )
        )
        try:
            text = json.dumps(values)
        except ValueError:
            # A number that Python does not write.
            continue
        job.write_text(text)
        assert _check(["run", str(job)], capsys) > 0
    assert not list(place.iterdir())
