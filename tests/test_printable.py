"""Messages: whatever a name or a file holds, what is shown of it is text on one line, and short."""

from __future__ import annotations

import os
import pickle
import sys

import pytest
from fuzzing import MOST_CHARACTERS, ODD_TEXTS, is_message_fine, json_trees, rounds
from pydantic import ValidationError

from understudy import errors
from understudy.errors import BadMedia, BadOption, UnderstudyError
from understudy.options import Options, option, readable
from understudy.printable import name_some, printable, quoted, shortened

KINDS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, UnderstudyError)
]


def test_names_of_a_list_are_short_however_long_they_are() -> None:
    told = name_some([f"{number}{'n' * 245}.jpg" for number in range(7)])
    assert len(told) < 530 and told.count(".jpg, ") == 4 and told.endswith(".jpg and 2 more")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 名前 😀.mp4", "naïve 名前 😀.mp4"),
        (os.fsdecode(b"caf\xe9.mp4"), r"caf\xe9.mp4"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\x9b31m", r"\x9b31m"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_not_drawn_shows_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown and printable(shown) == shown


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_message_fit_to_be_shown(kind: type[UnderstudyError]) -> None:
    for odd in ODD_TEXTS:
        error = kind(f"{odd}: cannot be read. Give another file.")
        assert is_message_fine(str(error)) and str(error).endswith("Give another file.")
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_long_message_keeps_what_and_what_now() -> None:
    text = str(BadMedia(f"/clips/a.mp4: tag {'x' * 6000} is no text. Take the tag out."))
    assert len(text) == MOST_CHARACTERS
    assert text.startswith("/clips/a.mp4: tag x") and text.endswith("is no text. Take the tag out.")


@pytest.mark.parametrize("most", [20, 60, 500, 2000])
def test_shortened_text_has_at_most_so_many_characters(most: int) -> None:
    for length in (0, 1, most - 1, most, most + 1, 10 * most):
        assert len(shortened("x" * length, most)) == min(length, most)


@pytest.mark.parametrize(
    "value",
    ["x" * 6000, 10**5000, [[[[[[[[1]]]]]]]], {"a": {"b": b"\xff" * 9999}}, "\x1b\ud800"],
    ids=["text", "number", "list", "table", "odd"],
)
def test_a_message_repeats_little_of_a_value(value: object) -> None:
    assert is_message_fine(quoted(value)) and len(quoted(value)) <= 100


class Blur(Options):
    amount: int = option(3, "How much", low=0, high=9)
    name: str | None = option(None, "Its name")
    parts: dict[str, list[int]] = option({}, "Its parts")


def test_fuzz_options_of_any_tree_are_told_in_a_short_message() -> None:
    refused = 0
    for tree in json_trees(rounds(1000), seed=1):
        for values in ({"amount": tree}, {"parts": tree}, {"name": tree}, tree):
            if isinstance(values, dict):
                try:
                    Blur.layered(values, where="blur")
                except BadOption as error:
                    assert is_message_fine(str(error))
                    refused += 1
    assert refused > 1000


def test_of_many_wrong_options_the_first_are_told() -> None:
    with pytest.raises(BadOption) as caught:
        Blur.layered({f"none{number}": number for number in range(999)})
    assert "'none0'" in str(caught.value) and "996 more do not fit." in str(caught.value)


def test_a_number_that_python_does_not_write_is_told() -> None:
    limit = sys.get_int_max_str_digits()
    with pytest.raises(ValidationError) as caught:
        Blur(amount=10 ** (limit + 1))
    assert "cannot be a number of too many digits" in readable(caught.value, "blur")
