"""What pictures of a merge say of their options: flags that can be typed, names that are safe."""

from __future__ import annotations

import re
import shlex

import pytest

from understudy import cli
from understudy.stages.merge.chosen_options import ChosenOptions
from understudy.stages.merge.options import MergeOptions

EVERYTHING = {
    "preset": "night",
    "mode": "seamless",
    "masks": ("learned*dst", "xseg-prd+xseg-dst"),
    "erode": -3.5,
    "uncover": False,
    "at": ("100-120: erode=4 blur=10 ease=12", "-30: blur=-4", "person=1: masks=learned,dst"),
    "person": 1,
    "model": "/some where/it's mine.dfm",
    "checkpoint": "best",
    "smooth": False,
    "frames": "1-2",
    "device": "cpu",
}


def chosen(**options: object) -> ChosenOptions:
    return ChosenOptions.of("model m", MergeOptions.layered(options), MergeOptions())


def test_the_flags_can_be_typed_again() -> None:
    made = chosen(**EVERYTHING)
    words = shlex.split(made.flags)
    command = cli.parse(["merge", "show", *words])
    assert command is not None
    seen = {name: value for name, value in EVERYTHING.items() if name not in ("frames", "device")}
    assert command.job.options == MergeOptions.layered(seen).set_values()
    assert "--device" not in made.flags, "what the picture does not show"
    # No flag is parted from its value at the end of a line.
    assert [part.split("\N{NO-BREAK SPACE}")[0] for part in made.heading[1].split(" ")] == [
        word for word in words if word.startswith("--")
    ]


def test_without_a_choice_that_is_said() -> None:
    assert chosen().heading == ("model m", "all options at their defaults")
    assert chosen().name_of("001", ".jpg") == "001.jpg"


def test_a_preset_stands_for_what_it_sets() -> None:
    base = MergeOptions.layered({"preset": "p", "erode": 0, "mode": "seamless"})
    made = base.model_copy(update={"erode": 4.0})
    assert ChosenOptions.of("m", made, base).flags == "--preset p --erode 4"
    back = base.model_copy(update={"mode": "overlay"})
    assert ChosenOptions.of("m", back, base).flags == "--preset p --mode overlay"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"erode": -8.0}, "001_erode=-8.jpg"),
        ({"smooth": False, "blur": 2.5}, "001_blur=2.5_no-smooth.jpg"),
        ({"masks": ("learned", "dst")}, "001_masks=learned,dst.jpg"),
        ({"masks": ("a+b*c",)}, "001_masks=a+b-c.jpg"),
        ({"model": "../../a b\\c:é.dfm"}, "001_model=a-b-c-.dfm.jpg"),
        ({"model": "画像"}, "001_model=x.jpg"),
    ],
)
def test_names_are_plain(options: dict[str, object], name: str) -> None:
    made = MergeOptions.model_construct(**{**MergeOptions().__dict__, **options})
    assert ChosenOptions.of("m", made, MergeOptions()).name_of("001", ".jpg") == name


def test_names_are_short_and_say_where_something_is_missing() -> None:
    for suffix in ("", ".jpg"):
        name = chosen(**EVERYTHING).name_of("001", suffix)
        assert len(name.encode()) <= 60 and name.endswith(f"_more{suffix}")
        assert re.fullmatch(r"[A-Za-z0-9_.,+=-]+", name)
