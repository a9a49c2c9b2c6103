"""Contracts that every part and every command keeps, found through the registries: a new one is
tested by being there.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from types import NoneType
from typing import get_args

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import understudy.parts
from understudy import cli
from understudy.cli_app import GlobalFlags
from understudy.errors import BadOption
from understudy.options import Options
from understudy.parts import families
from understudy.stages import jobs

FAMILIES = {registry.family: registry for registry in families.FAMILIES}
PARTS = [(family, name) for family, registry in FAMILIES.items() for name in registry]
VERBS = jobs.verbs()


def options_within(
    options: type[Options], prefix: str = ""
) -> Iterator[tuple[str, type[Options], str]]:
    """Every single option as (dotted name, the class that declares it, its name there)."""
    for name, info in options.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Options):
            yield from options_within(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", options, name


def check_options(options: type[Options]) -> None:
    """Each has help and a default; a set survives JSON; a wrong name is refused by name."""
    assert options.__doc__, f"{options.__name__} says what it steers"
    for dotted, owner, name in options_within(options):
        info = owner.model_fields[name]
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), (
            f"{dotted}: a name is lower case with underscores"
        )
        assert info.description, f"{dotted} has help"
        # A choice keeps its own spelling, at the start of a sentence too.
        starts_well = info.description[0].isupper() or info.description.split()[0] in get_args(
            info.annotation
        )
        assert starts_well, f"{dotted} has help that starts with a capital"
        assert info.description.endswith(".") and not info.description.endswith(".."), (
            f"{dotted}: help ends with one full stop"
        )
        default = info.get_default(call_default_factory=True)
        assert default is not PydanticUndefined, f"{dotted} has a default"
    chosen = options()
    assert options.model_validate_json(chosen.model_dump_json()) == chosen
    assert chosen.set_values() == {}
    with pytest.raises(BadOption, match="no_such_option"):
        options.layered({"no_such_option": 1})


def check_unset(dotted: str, default: object, info: FieldInfo) -> None:
    """What is not set is None and nothing else, and help says what then holds."""
    help = info.description or ""
    assert default not in ("", -1), f"{dotted}: None stands for what is not set"
    assert not re.search(r"(?<![\d.])(-1|0|empty) =", help), f"{dotted}: no number means 'not set'"
    if NoneType in get_args(info.annotation):
        # A file of TOML cannot say null, so None has to be what holds where nothing is said.
        assert default is None, f"{dotted}: None is the default"
        assert "none" not in get_args(info.annotation), f"{dotted}: the word none means None"
    else:
        assert "not set =" not in help, f"{dotted} is always set"


def every_options(root: type[Options] = Options) -> Iterator[type[Options]]:
    """Every set of options that the package declares, of files too."""
    for options in root.__subclasses__():
        if options.__module__.startswith("understudy."):
            yield options
        yield from every_options(options)


def test_nothing_but_none_means_not_set() -> None:
    declared = set(every_options())
    assert {"ProjectFile", "ModelRecipe", "EncodeOptions"} <= {each.__name__ for each in declared}
    for options in declared:
        for name, info in options.model_fields.items():
            default = info.get_default(call_default_factory=True)
            check_unset(f"{options.__name__}.{name}", default, info)


def test_every_folder_of_parts_is_a_family() -> None:
    folders = {each.name for each in pkgutil.iter_modules(understudy.parts.__path__) if each.ispkg}
    assert folders == set(FAMILIES)


def test_help_comes_without_loading_torch() -> None:
    script = "import sys; from understudy import cli; cli.main(['train', '--help']); "
    script += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_part_of_ours_loads(family: str) -> None:
    ours = [each for each in FAMILIES[family].unusable() if each.origin.startswith("understudy.")]
    assert ours == []


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_part_is_refused_with_the_choices(family: str) -> None:
    registry = FAMILIES[family]
    assert list(registry), f"{family} has parts"
    with pytest.raises(
        BadOption, match=f"{family}.*nobody.*Choose one of: .*{next(iter(registry))}"
    ):
        registry["nobody"]


@pytest.mark.parametrize(("family", "name"), PARTS)
def test_a_part_has_a_name_to_type_and_says_what_it_does(family: str, name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    part = FAMILIES[family][name]
    # An inherited docstring would be that of the family, which says nothing of this part.
    assert vars(part).get("__doc__") if inspect.isclass(part) else part.__doc__


@pytest.mark.parametrize(("family", "name"), PARTS)
def test_a_part_with_options_declares_them_well(family: str, name: str) -> None:
    part = FAMILIES[family][name]
    if not (isinstance(part, type) and issubclass(part, Options)):
        pytest.skip("a part without options")
    check_options(part)
    assert callable(getattr(part, "build", None)), "options that `build()` their part"


@pytest.mark.parametrize("name", VERBS)
def test_a_command_says_what_it_does(name: str) -> None:
    first = inspect.cleandoc(VERBS[name].__doc__ or "").split("\n\n")[0]
    assert first and first[0].isupper() and first.rstrip().endswith((".", "…")), (
        "its first paragraph is its line in --help"
    )


@pytest.mark.parametrize("name", VERBS)
def test_a_command_declares_its_options_well(name: str) -> None:
    options = jobs.options_of(VERBS[name])
    check_options(options)
    assert options.live_names() <= {dotted for dotted, _, _ in options_within(options)}
    taken = {*GlobalFlags.__dataclass_fields__, "help", "version"}
    arguments = {one for one in inspect.signature(VERBS[name]).parameters if one != "options"}
    own = {dotted for dotted, _, _ in options_within(options)}
    assert not own & taken and not arguments & taken, "these flags mean the same in every command"
    assert not own & arguments, "an argument and an option share a name"


@pytest.mark.usefixtures("one_parser")
@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_command_names_every_argument_and_option(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main([*jobs.command_words(name).split(), "--help-all"]) == 0
    told = capsys.readouterr().out
    for dotted, _, _ in options_within(jobs.options_of(VERBS[name])):
        assert f"--{dotted.replace('_', '-').rstrip('-')}" in told
    for argument in inspect.signature(VERBS[name]).parameters:
        assert argument == "options" or argument.upper() in told


@pytest.mark.usefixtures("one_parser")
@pytest.mark.parametrize("name", VERBS)
def test_a_command_refuses_what_it_does_not_know(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*jobs.command_words(name).split(), "--no-such-option", "1"]) == 2
    assert f"understudy {jobs.command_words(name)}" in capsys.readouterr().err
