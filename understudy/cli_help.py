"""Help pages: the usual options first, the others by group or by name, or all of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cyclopts import App, ArgumentCollection, Group, default_name_transform
from cyclopts.argument import Argument
from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel, create_parameter_help_panel
from rich.console import Console

from understudy.cli_app import ALIASES
from understudy.cli_called import as_called
from understudy.errors import BadOption
from understudy.options import OptionGroup, Options, notes_of
from understudy.printable import quoted

FLAGS = ("--help", "-h")
ALL_FLAG = "--help-all"
# A line of nothing else asks for the list of commands.
EVERYWHERE = ("--json", "--quiet", "--config", "--orders")
# So few options are shown without being asked for.
_FEW = 20
_FEW_NAMES = 4
# What a value is, in words in place of names of Python's types.
_METAVARS = {"STR": "TEXT", "INT": "NUMBER", "FLOAT": "NUMBER"}
_OTHER = OptionGroup("other", "Other options")


@dataclass(frozen=True)
class Topic:
    """Options that a help page can be about.

    Args:
        name: What is typed behind --help, such as "merge.encode"; "" = a whole command.
        about: Its heading.
        shown: The options that its page shows, without hyphens before them.
        below: The topics that its page lists.
    """

    name: str
    about: str
    shown: tuple[str, ...] = ()
    below: tuple[Topic, ...] = ()

    def __len__(self) -> int:
        """How many options are in it and below."""
        return len(self.options())

    def options(self) -> list[str]:
        """The options in it and below."""
        return list(dict.fromkeys(name for each in self.whole() for name in each.shown))

    def whole(self) -> Iterator[Topic]:
        """Itself and all below it."""
        yield self
        for each in self.below:
            yield from each.whole()

    def find(self, word: str) -> list[Topic]:
        """What a word means: topics, else single options, of that name or with that ending."""
        name = _flag(word)
        options = [Topic(each, f"--{each}", (each,)) for each in self.options()]
        for known in ([each for each in self.whole() if each.name], options):
            if found := [each for each in known if f".{each.name}".endswith(f".{name}")]:
                return [each for each in found if each.name == name] or found
        return []


@dataclass(frozen=True)
class HelpRequest:
    """Which help is asked for: of which command, and all of it or only these topics."""

    words: tuple[str, ...]
    topics: tuple[str, ...] = ()
    everything: bool = False

    @classmethod
    def from_tokens(cls, tokens: Sequence[str], app: App) -> HelpRequest | None:
        """What a command line asks for; None where it asks for no help.

        Words right behind the flag that name no command are topics.
        """
        line = list(tokens[: tokens.index("--")] if "--" in tokens else tokens)
        if "--config" in line[:-1]:
            # Its value is no command.
            del line[line.index("--config") + 1]
        flags = [each for each in line if each in (*FLAGS, ALL_FLAG)]
        if not flags:
            return None if any(each not in EVERYWHERE for each in line) else cls(())
        first = line.index(flags[0])
        before, behind = line[:first], [each for each in line[first:] if each not in flags]
        words, rest = _descend([each for each in before if not each.startswith("-")], app, ())
        unknown = rest[:1] if not words else []
        words, rest = _descend(behind, app, words)
        end = next((at for at, each in enumerate(rest) if each.startswith("-")), len(rest))
        return cls(words, (*unknown, *rest[:end]), ALL_FLAG in flags)


def print_help(asked: HelpRequest, app: App, options: type[Options] | None) -> None:
    """Print a help page. options: of the command; None = it takes none.

    Raises BadOption for a command or topic that is none.
    """
    command = app
    for word in asked.words:
        command = command[word]
    chain = " ".join((*app.name, *asked.words))
    if asked.topics and not asked.words:
        raise BadOption(_no_command(asked.topics[0], app))
    tree = Topic("", "Options") if options is None else topic_of(options)
    arguments = _arguments_of(command, app)
    chosen, listed = [tree], list[Topic]()
    if asked.topics:
        chosen = [each for word in asked.topics for each in _found(tree, word, chain)]
    sections = []
    for topic in chosen:
        is_whole = asked.everything or len(topic) <= _FEW
        sections += _unfolded(topic) if is_whole else [topic]
        listed += () if is_whole else topic.below
    panels = [_section(each, arguments) for each in sections]
    console, form = Console(highlight=False), DefaultFormatter()
    if not asked.topics:
        own = [each for each in arguments if each.index is not None]
        panels = [_parameters("Arguments", own), _commands(command), *panels]
        usage = as_called(_usage(chain, command, own, bool(len(tree))))
        form.render_usage(console, console.options, usage)
        console.print(as_called(command.help.rstrip()) + "\n", markup=False)
        if command is app or asked.everything:
            flags = [each for each in _arguments_of(app.meta, app) if each.show]
            panels.append(_parameters("Options of every command", flags))
    for panel in [*panels, _list_of(listed)]:
        form(console, console.options, panel)
    if advice := _advice(chain, command, tree if listed else None):
        console.print(as_called(advice), markup=False)
    if not (asked.topics or asked.everything or command is app):
        also = f"{', '.join(EVERYWHERE[:-1])} and {EVERYWHERE[-1]}"
        console.print(f"Every command also takes {also} ({ALL_FLAG}).", markup=False)


def topic_of(options: type[Options], path: str = "", about: str = "Options") -> Topic:
    """The options of a command, or those below one option of it, as a topic."""
    prefix = f"{path}." if path else ""
    usual: list[str] = []
    leaves: dict[OptionGroup, list[str]] = {}
    sets: dict[OptionGroup | None, list[Topic]] = {}
    for field, info in options.model_fields.items():
        notes, name, kind = notes_of(info), f"{prefix}{_flag(field)}", info.annotation
        if isinstance(kind, type) and issubclass(kind, Options):
            title = (info.description or "").removesuffix(".")
            sets.setdefault(notes.group, []).append(topic_of(kind, name, title))
            inner = notes.usual if isinstance(notes.usual, tuple) else ()
            usual += [f"{name}.{_flag(each)}" for each in inner]
        elif notes.usual:
            usual.append(name)
        else:
            leaves.setdefault(notes.group or _OTHER, []).append(name)
    if not usual:
        # Where none is said to be usual, all are.
        usual = leaves.pop(_OTHER, [])
    below = [
        Topic(f"{prefix}{_flag(group.name)}", _about(group, names), tuple(names))
        for group, names in sorted(leaves.items(), key=lambda each: each[0] is _OTHER)
    ]
    below += sets.pop(None, [])
    for group, topics in sets.items():
        assert group is not None
        names = ", ".join(each.name.removeprefix(prefix) for each in topics)
        title = f"{group.about}: {names}" if len(topics) > 1 else topics[0].about
        below.append(Topic(f"{prefix}{_flag(group.name)}", title, (), tuple(topics)))
    return Topic(path, about, tuple(usual), tuple(below))


def _about(group: OptionGroup, names: Sequence[str]) -> str:
    if group is not _OTHER or len(names) > _FEW_NAMES:
        return group.about
    return f"{group.about}: {', '.join(each.rpartition('.')[2] for each in names)}"


def _unfolded(topic: Topic) -> list[Topic]:
    """A topic and all below it, each option in its own place only."""
    below = [each for inner in topic.below for each in _unfolded(inner)]
    elsewhere = {name for each in below for name in each.shown}
    own = tuple(name for name in topic.shown if name not in elsewhere)
    return [replace(topic, shown=own, below=()), *below]


def _flag(name: str) -> str:
    """The name of an option as the command line spells it."""
    return ".".join(default_name_transform(each) for each in name.lstrip("-").split("."))


def _descend(
    tokens: Sequence[str], app: App, words: tuple[str, ...]
) -> tuple[tuple[str, ...], list[str]]:
    """The command that these tokens lead to from that of `words`, and what is left of them."""
    command, rest = app, list(tokens)
    for word in words:
        command = command[word]
    while rest and not rest[0].startswith("-") and rest[0] in command:
        word = rest.pop(0)
        command, words = command[word], (*words, ALIASES.get(word, word))
    return words, rest


def _found(tree: Topic, word: str, chain: str) -> list[Topic]:
    found = tree.find(word)
    if not found:
        names = [each.name for each in tree.whole() if each.name]
        close = difflib.get_close_matches(_flag(word), [*names, *tree.options()], 1)
        hint = f"Did you mean {close[0]}? " if close else ""
        groups = ", ".join(each.name for each in tree.below)
        advice = f"Choose one of: {groups}." if groups else f"See `{chain} --help`."
        raise BadOption(
            f"{chain}: there is no option or group of options {quoted(word)}. {hint}{advice}"
        )
    return found


def _no_command(word: str, app: App) -> str:
    names = _names(app)
    return f"understudy: there is no command {quoted(word)}. Choose one of: {', '.join(names)}."


def _usage(chain: str, command: App, arguments: Sequence[Argument], has_options: bool) -> str:
    words = [chain]
    words += ["[COMMAND]" if command.default_command else "COMMAND"] if _names(command) else []
    for each in arguments:
        label = each.name.lstrip("-").upper()
        words.append(label if each.required else f"[{label}]")
    return " ".join([*words, "[OPTIONS]"] if has_options or not arguments else words) + "\n"


def _names(command: App) -> list[str]:
    """The commands below a command, in the order of work."""
    names = [each for each in command if not each.startswith("-") and each not in ALIASES]
    return sorted(names, key=lambda each: command[each].sort_key or 0)


def _commands(command: App) -> HelpPanel:
    rows = [
        (each, " ".join(command[each].help.split("\n\n")[0].split())) for each in _names(command)
    ]
    return _rows("Commands", rows)


def _arguments_of(command: App, app: App) -> list[Argument]:
    if command.default_command is None:
        return []
    return list(command.assemble_argument_collection(default_parameter=app.default_parameter))


def _section(topic: Topic, arguments: Iterable[Argument]) -> HelpPanel:
    """The options that stand right in a topic."""
    named = {each.name.lstrip("-"): each for each in arguments if each.index is None}
    heading = topic.about
    if topic.below and not topic.name:
        heading = "Usual options"
    elif topic.name and topic.shown != (topic.name,):
        heading = f"{topic.name}: {topic.about}"
    return _parameters(heading, [named[each] for each in topic.shown])


def _parameters(title: str, arguments: Iterable[Argument]) -> HelpPanel:
    group = Group(title)
    collection = ArgumentCollection(arguments)  # type: ignore[no-untyped-call]
    panel = create_parameter_help_panel(group, collection, "plaintext")
    panel.entries = [
        _entry(entry, argument) for entry, argument in zip(panel.entries, collection, strict=True)
    ]
    return panel


def _entry(entry: HelpEntry, argument: Argument) -> HelpEntry:
    """An option as people read it: no types of Python, and no value that says nothing."""
    default, told = argument.field_info.default, entry.default
    if isinstance(default, bool):
        told = "on" if default else None
    elif isinstance(default, tuple):
        told = " ".join(map(str, default)) or None
    metavar = entry.metavar and re.sub(
        "[A-Z]+", lambda match: _METAVARS.get(match[0], match[0]), entry.metavar
    )
    # Off already where nothing is said.
    negatives = () if default is False else entry.negative_names
    return entry.copy(default=told, metavar=metavar, negative_names=negatives)


def _list_of(topics: Sequence[Topic]) -> HelpPanel:
    rows = []
    for each in topics:
        count = len(each)
        rows.append((each.name, f"{each.about} ({count} option{'s' * (count != 1)})"))
    return _rows("More options, by group", rows)


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> HelpPanel:
    entries = [HelpEntry(positive_names=(name,), description=about) for name, about in rows]
    return HelpPanel(format="command", title=title, entries=entries)


def _advice(chain: str, command: App, tree: Topic | None) -> str:
    """How to see more. tree: of all options, where not all were shown."""
    if tree:
        return f"`--help NAME` shows a group or one option, `{ALL_FLAG}` all {len(tree)}."
    return f"`{chain} COMMAND --help` shows more of a command." if _names(command) else ""
