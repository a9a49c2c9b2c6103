"""The examples of docs/extend.md, installed as a package by pip, do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "extend.md"
# Parts that cannot be loaded: one for want of a package, one because its name is taken.
BROKEN = {
    "torn": "import no_such_package\n",
    "second": (
        "from understudy.parts.models import ModelOptions, models\n\n\n"
        '@models.register("tiny")\nclass Other(ModelOptions):\n    """Another one."""\n'
    ),
}


def examples() -> dict[str, tuple[str, str]]:
    """The examples of the page by module: the family that each registers in, and its code."""
    codes = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    found = {}
    for code in codes:
        registered = re.search(r"^@(\w+)\.register\(\"([\w-]+)\"\)", code, re.M)
        assert registered, "every example registers a part"
        found[registered[2].replace("-", "_")] = (registered[1], code)
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the examples, and two broken parts beside them."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    project = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)[0]
    assert "[build-system]" in project and "[project.entry-points." in project
    head = project[: project.index("[project.entry-points.")]
    parts = {**examples(), **{name: ("models", code) for name, code in BROKEN.items()}}
    (source / "my_parts").mkdir()
    (source / "my_parts" / "__init__.py").write_text("")
    for module, (_, code) in parts.items():
        (source / "my_parts" / f"{module}.py").write_text(code, encoding="utf-8")
    for family in sorted({family for family, _ in parts.values()}):
        head += f'[project.entry-points."understudy.{family}"]\n'
        for module, (of, _) in parts.items():
            head += f'{module} = "my_parts.{module}"\n' if of == family else ""
    (source / "pyproject.toml").write_text(head, encoding="utf-8")
    flags = (
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--quiet",
        "--no-warn-script-location",
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *flags, "--target", target, source],
        check=True,
        capture_output=True,
    )
    return target


def test_the_page_has_an_example_of_each_family() -> None:
    families = {path.parent.name for path in (ROOT / "understudy/parts").glob("*/__init__.py")}
    assert {family for family, _ in examples().values()} == families
    for module, (_, code) in examples().items():
        assert len(code.splitlines()) <= 36, f"{module} is short enough to be read at a glance"


def test_the_examples_do_what_the_page_says(installed: Path) -> None:
    paths = [str(installed), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/extended.py", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-9000:] + run.stderr[-2000:]
