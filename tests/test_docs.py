"""The documents tell the truth: every command has a page, every line to type is understood, every
link leads somewhere.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import understudy
from understudy import cli, errors
from understudy.stages import jobs

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])
NAMES = [str(page.relative_to(REPOSITORY)) for page in PAGES]
# Signs of a pattern to fill in, not of a line to type.
PATTERN = re.compile(r"[\[\]|…<>]|\.\.\.")


def lines_to_type(page: Path) -> list[str]:
    """Every line of a code block, and every piece of code within text, that starts one of our
    programs.
    """
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    within = re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    joined = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines = [re.sub(r"\s+#.*", "", line).removeprefix("$ ") for line in joined + within]
    return [
        line
        for line in lines
        if re.match(r"(understudy|python3? run\.py|python3? -m understudy) ", line)
    ]


def words_of(line: str) -> list[str]:
    """What the command line gets of a line to type; [] for `run.py test`, whose words are
    pytest's, and without `--with EXTRA`, which is for run.py.
    """
    words = shlex.split(line)
    words = words[2:] if words[1] == "run.py" else words[3:] if words[1] == "-m" else words[1:]
    words = words[2:] if words[0] == "--with" else words
    return [] if words[:1] == ["test"] else words


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("verb", [*jobs.verbs(), "run"])
def test_every_command_has_a_page_that_the_index_links(verb: str) -> None:
    # A command such as `faces check` stands on the page of `faces`, or on one called faces-….md.
    first, folder = verb.split("_")[0], REPOSITORY / "docs"
    pages = [folder / f"{first}.md", *(folder.glob(f"{first}-*.md") if "_" in verb else ())]
    telling = [
        page
        for page in pages
        if f"understudy {jobs.command_words(verb)}" in page.read_text(encoding="utf-8")
    ]
    assert telling
    index = (folder / "index.md").read_text(encoding="utf-8")
    assert any(f"({page.name})" in index for page in telling)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
@pytest.mark.usefixtures("one_parser")
def test_every_line_to_type_is_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in lines_to_type(page):
        words = [] if PATTERN.search(line) else words_of(line)
        if words == ["run", "job.json"] or not words:
            continue
        parse_once(tuple(words))


@functools.cache
def parse_once(words: tuple[str, ...]) -> None:
    """Raise BadOption for a line that is not understood. Several pages have the same line."""
    cli.parse(words)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links {target}, which is not there"
        assert linked.is_relative_to(REPOSITORY), (
            f"{page.name} links {target}, which is no part of the project"
        )
        assert not anchor or anchor in anchors(linked), (
            f"{page.name} links {target}, a heading that is not there"
        )


def test_the_index_links_every_page() -> None:
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name


def test_every_term_is_used_on_another_page() -> None:
    others = "\n".join(
        page.read_text(encoding="utf-8") for page in PAGES if page.name != "terms.md"
    )
    text = (REPOSITORY / "docs" / "terms.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\*\*.+?) \| ", text, re.MULTILINE)
    terms = [
        each
        for row in rows
        for term in re.findall(r"\*\*(.+?)\*\*", row)
        for each in term.split(", ")
    ]
    assert len(terms) > 50
    for term in terms:
        words = r"[\s-]+".join(re.escape(word) for word in term.strip("`").split())
        assert re.search(rf"\b{words}", others, re.IGNORECASE), term


def test_the_readme_starts_with_the_two_commands() -> None:
    lines = lines_to_type(REPOSITORY / "README.md")
    assert {"python3 run.py demo", "python3 run.py test"} <= set(lines)
    assert "python3 run.py test\n" in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")


def test_the_page_of_exit_codes_holds_every_one() -> None:
    rows = (REPOSITORY / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.UnderstudyError):
            assert re.search(
                rf"^\| {kind.exit_code} \|.*\b{kind.__name__}\b", rows, re.MULTILINE
            ), kind.__name__
    for code in (0, errors.EXIT_FAILED_FRAMES, errors.EXIT_INTERRUPTED):
        assert re.search(rf"^\| {code} \|", rows, re.MULTILINE)


def test_the_newest_version_has_its_lines_in_the_changelog() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(
        rf"^## \[(Unreleased|{re.escape(understudy.__version__)})\]", text, re.MULTILINE
    )


@pytest.mark.skipif(os.name == "nt", reason="scripts/docs is written for bash")
def test_the_site_fails_on_a_broken_link_a_broken_anchor_and_a_page_without_a_place(
    tmp_path: Path,
) -> None:
    for part in ("mkdocs.yml", "scripts/docs", "scripts/docs_hook.py", "understudy/__init__.py"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / part, tmp_path / part)
    for file in REPOSITORY.iterdir():
        if file.suffix == ".md" or file.name in ("LICENSE", "NOTICE"):
            shutil.copy(file, tmp_path)
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "docs" / "lost.md").write_text("# Lost\n", encoding="utf-8")
    with (tmp_path / "docs" / "cut.md").open("a", encoding="utf-8") as page:
        page.write("\n[one](nowhere.md) [two](merge.md#nothing) [three](../NOTHING.md)\n")
    built = subprocess.run([tmp_path / "scripts" / "docs"], capture_output=True, text=True)
    assert built.returncode != 0
    for fault in ("'nowhere.md'", "'#nothing'", "'../NOTHING.md'", "lost.md"):
        assert fault in built.stderr, built.stderr
    assert built.stderr.count("WARNING") == 4, built.stderr


def texts_of(path: Path) -> Iterator[str]:
    """The texts of a module that are no docstrings; what is filled in stands there as X."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        id(part)
        for each in ast.walk(tree)
        if isinstance(each, ast.JoinedStr)
        for part in each.values
    }
    said = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for each in ast.walk(tree):
        if isinstance(each, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in each.values
            )
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            if id(each) not in inner | said:
                yield each.value


def test_commands_in_messages_can_be_typed_as_they_stand() -> None:
    """None leaves out an argument that it needs."""
    verbs = {jobs.command_words(name): verb for name, verb in jobs.verbs().items()}
    names = "|".join(sorted(verbs, key=len, reverse=True))
    told = 0
    for path in (REPOSITORY / "understudy").rglob("*.py"):
        for text in texts_of(path):
            for verb, rest in re.findall(rf"\bunderstudy ({names})\b((?: +[^\s`;,)]+)*)", text):
                told += 1
                parameters = inspect.signature(verbs[verb]).parameters.values()
                needed = [each for each in parameters if each.default is each.empty][:-1]
                words = rest.partition(". ")[0].rstrip(".").split()
                first = next((at for at, each in enumerate(words) if each[0] == "-"), len(words))
                named = {each.lstrip("-") for each in words[first:]}
                missing = [each.name for each in needed[first:] if each.name not in named]
                # `understudy models` says where: words behind a command may be prose.
                assert not missing, f"{path}: understudy {verb}{rest}: {missing}"
    assert told > 25
