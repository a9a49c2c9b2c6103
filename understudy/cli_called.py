"""Commands as the reader types them: `understudy` is not on the path of who runs a clone."""

from __future__ import annotations

import re
from typing import Final

from understudy.cli_app import ALIASES
from understudy.io.installation import called_as
from understudy.stages import jobs

# The name and a word behind it; not of a path, nor the beginning of a longer name.
_CALL: Final = re.compile(r"(?<![\w./\\-])understudy (?=([A-Za-z-]+)(?![\w-]|\.\w))")
_OTHERS: Final = {"run", "COMMAND", "--help", "--version"}


def as_called(text: str) -> str:
    """The text with every `understudy VERB` as the reader called the program.

    For what is printed for people: files and JSON are read elsewhere, too.
    """

    def name(match: re.Match[str]) -> str:
        verbs = {each.partition("_")[0] for each in jobs.verbs()}
        return f"{called_as()} " if match[1] in verbs | _OTHERS | ALIASES.keys() else match[0]

    return text if called_as() == "understudy" else _CALL.sub(name, text)
