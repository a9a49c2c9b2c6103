"""Processes that are started here take no modules from the folder in which the user works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import understudy

# Each is imported early by one of the processes.
TRAPS = ("json", "numpy", "onnx", "torch", "pip", "loky", "understudy")
PROGRAMS = {
    "limited child": (
        "from understudy.io import limited_child as c;"
        "print(c.call('understudy.io.limited_child:peak_memory', {}, 1 << 30, 60) > 0)"
    ),
    "workers": (
        "from understudy.stages.parallel.workers import map_unordered as m;"
        "print(sorted(m(abs, [-1, -2], 2, 'local')) == [(-2, 2), (-1, 1)])"
    ),
    "child": (
        "import sys; from understudy.io.processes import Child as C\n"
        "with C([sys.executable, '-m', 'understudy', '--version'], {}) as c:\n"
        "    print('.' in ''.join(c.lines()))"
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_files_in_the_current_folder_are_no_modules(name: str, tmp_path: Path) -> None:
    for each in TRAPS:
        (tmp_path / f"{each}.py").write_text(f"open('sprung', 'a').write('{each} ')\n")
    there = Path(understudy.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAMS[name]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(there)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()
    assert done.stdout.strip() == "True", done.stderr
