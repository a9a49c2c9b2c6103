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
# So many processes share the kinds.
GROUPS = [list(KINDS)[start::3] for start in range(3)]


@pytest.mark.parametrize("kinds", GROUPS, ids=" ".join)
def test_fuzz_clips(kinds: list[str], tmp_path: Path) -> None:
    """What does not come out of our tree, takes too long or too much ends the process."""
    count = rounds(6)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    done = subprocess.run(
        [sys.executable, str(TESTS / "clip_fuzzer.py"), str(tmp_path), "16", str(count), *kinds],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 + 5 * count * len(kinds),
        check=False,
    )
    assert done.returncode == 0, f"{tmp_path / 'current'}: {done.stderr[-3000:]}"
    outcomes = json.loads(done.stdout.splitlines()[-1])
    for kind in kinds:
        assert sum(outcomes[kind].values()) == count
        print(kind, outcomes[kind])
    # Damage that only the first look meets would try little.
    assert sum(found.get("all frames", 0) for found in outcomes.values()) > count
