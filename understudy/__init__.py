"""Understudy: one person's face onto another person's performance, with consent.

Every command is a function here that yields the command's events: `for event in
understudy.swap("a.mp4", "b.mp4", "c.mp4")`.
"""

from __future__ import annotations

# As little as possible is loaded here: before this is through, a signal cannot be seen to.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("understudy")
    import importlib.util

    missing = AttributeError(f"understudy has no command '{name}'. See `understudy --help`.")
    # `from understudy import core` asks here first: its own modules are no commands.
    if name.startswith("_") or importlib.util.find_spec(f"understudy.{name}") is not None:
        raise missing
    # Late, so that `import understudy` stays quick and no layer below the stages ever loads them.
    jobs = importlib.import_module("understudy.stages.jobs")
    if name not in jobs.verbs():
        raise missing
    return jobs.call(name)
