"""Damaged clips of every container give frames or an error of our tree: no crash, no hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clip_fuzzer import KINDS
from fuzzing import rounds

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", KINDS)
def test_fuzz_clips(kind: str, tmp_path: Path) -> None:
    """Of each kind, about half give frames: else the damage would only try the first check."""
    count = rounds(8)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    done = subprocess.run(
        [sys.executable, str(TESTS / "clip_fuzzer.py"), str(tmp_path), kind, "16", str(count)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 + 10 * count,
        check=False,
    )
    assert done.returncode == 0, f"{tmp_path / 'current'}: {done.stderr[-3000:]}"
    outcomes = json.loads(done.stdout.splitlines()[-1])
    assert sum(outcomes.values()) == count
    print(kind, outcomes)
