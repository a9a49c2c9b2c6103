"""Pages of the site that are not kept by hand: the API reference, and the files beside docs/.

MkDocs calls the `on_...` functions while it builds; mkdocs.yml names this file under `hooks`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "understudy"
API = "api/index.md"
# Files outside docs/ that pages link, and the page of the site that shows each.
OUTSIDE = {
    "README.md": "project/readme.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CODE_OF_CONDUCT.md": "project/code-of-conduct.md",
    "SECURITY.md": "project/security.md",
    "LICENSE": "project/license.md",
    "NOTICE": "project/notice.md",
}
LINK = re.compile(r"(?<=\]\()[^)\s#:]+(?=[)#])")


def on_config(config: MkDocsConfig) -> None:
    """Add the packages to the section of the navigation that holds the page of the API."""
    for section in config.nav or []:
        for entries in section.values():
            if API in entries:
                entries.extend(navigation(PACKAGE))


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add one page for each package, and one for each file beside docs/."""
    for package in packages(PACKAGE):
        files.append(File.generated(config, page_of(package), content=reference(package)))
    for name, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=shown(name)))


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead the links out of docs/ to the pages that show those files; list the packages."""
    up = "../" * page.file.src_uri.count("/")
    pages = {f"{up}../{name}": up + target for name, target in OUTSIDE.items()}
    if page.file.src_uri == API:
        markdown += f"\n{table()}"
    return LINK.sub(lambda link: pages.get(link[0], link[0]), markdown)


def packages(folder: Path) -> Iterator[Path]:
    """The folders of a package and of all packages in it, each before its own, by name."""
    yield folder
    for inner in sorted(folder.iterdir()):
        if (inner / "__init__.py").is_file():
            yield from packages(inner)


def navigation(folder: Path) -> list[Any]:
    """The navigation entries of a package: its page, then its packages."""
    inner = [package for package in packages(folder) if package.parent == folder]
    return [page_of(folder), *({package.name: navigation(package)} for package in inner)]


def page_of(package: Path) -> str:
    """The page of a package, as a path in docs/."""
    if package == PACKAGE:
        return f"api/{PACKAGE.name}.md"
    return f"api/{package.relative_to(PACKAGE).as_posix()}/index.md"


def reference(package: Path) -> str:
    """What the page of a package says: its own docstring, then every public module."""
    name = dotted(package)
    modules = [path.stem for path in sorted(package.glob("*.py")) if not path.stem.startswith("_")]
    options = "    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n"
    itself = f"# {name}\n\n::: {name}\n{options}"
    return "\n".join([itself, *(f"::: {name}.{module}\n" for module in modules)])


def table() -> str:
    """The packages with the first line of their docstrings, as a table."""
    lines = ["| package | what it holds |", "| --- | --- |"]
    for package in packages(PACKAGE):
        page = page_of(package).removeprefix("api/")
        lines.append(f"| [{dotted(package)}]({page}) | {first_line(package)} |")
    return "\n".join([*lines, ""])


def first_line(package: Path) -> str:
    """The first line of a package's docstring; empty without one."""
    source = (package / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def dotted(package: Path) -> str:
    """The name by which a package is imported."""
    return ".".join(package.relative_to(ROOT).parts)


def shown(name: str) -> str:
    """A file beside docs/ as a page: Markdown with its links led along, other text as it stands."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if not name.endswith(".md"):
        return f"# {name}\n\n```text\n{text}```\n"
    # Pages that show such files lie one folder deep.
    pages = {linked: f"../{page}" for linked, page in OUTSIDE.items()}
    return LINK.sub(lambda link: pages.get(link[0], re.sub("^docs/", "../", link[0])), text)
