"""A family of parts made for these tests: what loads, what does not, and what is said of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest

from understudy.errors import BadOption
from understudy.options import Options, option
from understudy.registry import NameIn, Part, Registry, with_parts

GOOD = '''
from understudy.options import option
from understudy.registry import Part
from {package} import family


@family.register("{name}")
class Good(Part):
    """Good."""

    {field}
'''
SIZE = 'size: int = option(1, "How large", low=0)'


@pytest.fixture
def family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., Registry[Part]]:
    """family(file=code, ...): a registry whose folder holds these files; {package} in them is its
    name.
    """

    def make(**files: str) -> Registry[Part]:
        package = f"family_{abs(hash(request.node.name))}"
        (tmp_path / package).mkdir()
        head = "from understudy.registry import Registry\n\nfamily = "
        (tmp_path / package / "__init__.py").write_text(
            f"{head}Registry({package!r}, __name__, 'thing')"
        )
        for name, code in files.items():
            (tmp_path / package / f"{name}.py").write_text(code.replace("{package}", package))
        monkeypatch.syspath_prepend(tmp_path)
        module = __import__(package)
        monkeypatch.setitem(sys.modules, f"understudy.parts.{package}", module)
        return module.family

    return make


def good(name: str, field: str = SIZE) -> str:
    return GOOD.replace("{name}", name).replace("{field}", field)


def test_a_file_that_fails_stops_nobody_and_says_why(family) -> None:
    things = family(one=good("one"), torn="import no_such_package")
    assert list(things) == ["one"] and "torn" not in things
    (problem,) = things.unusable()
    assert problem.name == "torn" and "no_such_package" in problem.reason
    with pytest.raises(BadOption, match=r"torn.*ModuleNotFoundError.*no_such_package.*delete it"):
        things["torn"]
    with pytest.raises(BadOption, match=r"nobody.*no such name. Choose one of: one"):
        things["nobody"]


def test_of_two_parts_with_one_name_the_first_stays_and_the_second_is_told(family) -> None:
    things = family(a=good("one"), b=good("one"))
    assert things["one"].__module__.endswith(".a")
    assert "two parts are called 'one'" in things.unusable()[0].reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (good("One"), "'One' is no name"),
        ("from {package} import family\nfamily.register('f')(lambda: 1)", "inherits Part"),
    ],
)
def test_what_is_no_part_is_not_registered(family, code: str, reason: str) -> None:
    things = family(bad=code)
    assert list(things) == []
    assert reason in things.unusable()[0].reason


def test_options_take_the_settings_of_each_part(family) -> None:
    things = family(one=good("one"), two=good("two-b"), bare=good("bare", "pass"))

    @with_parts(things, affects="render")
    class Asked(Options):
        thing: Annotated[str, NameIn(things.family, ("none",))] = option("none", "Which")

    assert set(Asked.model_fields) == {"thing", "one", "two_b"}
    assert Asked.model_fields["thing"].description == "Which. One of: none, bare, one, two-b."
    chosen = Asked.layered({"two_b": {"size": 5}})
    assert things.configured("two-b", chosen).size == 5
    assert things.configured("one", chosen).size == 1
    assert chosen.deviating("render") == {"two_b.size": 5}
    with pytest.raises(BadOption, match=r"'thing'.*'three'.*none, bare, one, two-b"):
        Asked.layered({"thing": "three"}, where="test")
    assert Asked.model_json_schema()["properties"]["thing"]["enum"][0] == "none"


def test_settings_whose_name_is_taken_are_a_mistake_in_ours(family) -> None:
    things = family(one=good("thing"))
    with pytest.raises(ValueError, match="name 'thing' of its settings is taken"):

        @with_parts(things)
        class Asked(Options):
            thing: str = option("", "Which")


def test_a_part_of_a_package_is_left_out_where_its_settings_do_not_fit(
    family, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = family(a=good("thing"), b=good("bare", "size: int"), c=good("three"))
    monkeypatch.setattr(things, "origins", lambda: dict.fromkeys(("thing", "bare"), "other 1.0"))
    things._origins = things.origins()

    @with_parts(things)
    class Asked(Options):
        thing: str = option("", "Which")

    assert set(Asked.model_fields) == {"thing", "three"} and list(things) == ["three"]
    with pytest.raises(BadOption, match=r"'thing'.*other 1.0.*settings_name"):
        things["thing"]
    with pytest.raises(BadOption, match=r"'bare'.*no defaults"):
        things["bare"]
