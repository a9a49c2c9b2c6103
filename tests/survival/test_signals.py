"""SIGTERM and Ctrl-C end a run with the documented code at any moment, without a traceback."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from survival.harness import Expectation, Faults, Runner
from survival.scenarios import SCENARIOS, Scenario

from understudy.errors import EXIT_INTERRUPTED

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

# As pip makes the program `understudy` from the entry point, and as a module.
SCRIPT = "import sys; from understudy.__main__ import main; sys.exit(main())"
PROGRAMS = {"script": ["-c", SCRIPT], "module": ["-m", "understudy"]}
# Tells when signals are seen to. What comes before is the start of Python itself, and less than a
# tenth of a second of ours; how long that takes depends on how busy the machine is.
READY = """
import signal, sys
set_handler = signal.signal
def told(number, handler):
    before = set_handler(number, handler)
    if number == signal.SIGTERM:
        signal.signal = set_handler
        sys.stderr.write("ready\\n")
        sys.stderr.flush()
    return before
signal.signal = told
"""
# Milliseconds between two moments in the first second.
STEP = 20


def end_of(words: list[str], moment: float, number: signal.Signals) -> tuple[int, str]:
    """Send a signal so many seconds after handlers are set: the code, and what was printed."""
    code = f"{READY}import runpy; sys.argv[1:] = {words!r}; "
    code += "runpy.run_module('understudy', run_name='__main__', alter_sys=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None and run.stderr.readline() == "ready\n"
        time.sleep(moment)
        run.send_signal(number)
        told = "".join(run.communicate(timeout=60))
    return run.returncode, told


def first_second(step: int) -> list[float]:
    return [moment / 1000 for moment in range(0, 1000, step)]


def check_first_second(show: Path, moments: list[float]) -> None:
    for number, moment in enumerate(moments):
        which = signal.SIGINT if number % 2 else signal.SIGTERM
        code, told = end_of(["trained", str(show)], moment, which)
        # Without a show the command itself ends with 4, in about a second.
        assert code in (EXIT_INTERRUPTED, 4), f"{which} after {moment}: {code}\n{told}"
        assert "Traceback" not in told and "Error" not in told, told
        assert code == EXIT_INTERRUPTED or "no show here" in told


def test_a_signal_in_the_first_second(tmp_path: Path) -> None:
    check_first_second(tmp_path / "none", first_second(100))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_signal_every_20_ms_of_the_first_second(tmp_path: Path) -> None:
    check_first_second(tmp_path / "none", first_second(STEP))


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_way_to_start_sees_to_signals_before_it_loads_anything(
    program: str, tmp_path: Path
) -> None:
    # Whoever asks for the first package of ours that takes long to load meets a signal.
    (tmp_path / "pydantic.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"}
    words = [sys.executable, *PROGRAMS[program], "doctor"]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr, ended.stdout) == (EXIT_INTERRUPTED, "", "")


def test_a_signal_after_the_end_changes_nothing(tmp_path: Path) -> None:
    for late in ("atexit.register(os.kill, os.getpid(), signal.SIGTERM)", "Late.kept = Late()"):
        code = (
            "import atexit, os, signal, sys\n"
            "class Late:\n    def __del__(self): os.kill(os.getpid(), signal.SIGTERM)\n"
            f"from understudy.__main__ import main\n{late}\n"
            f"sys.argv[1:] = ['trained', {str(tmp_path)!r}]\nsys.exit(main())"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ended.returncode == 4 and "Traceback" not in ended.stderr, ended


def test_importing_the_package_leaves_signals_alone() -> None:
    code = (
        "import signal; before = [signal.getsignal(n) for n in (1, 2, 15)]\n"
        "import understudy, understudy.__main__, understudy.cli\n"
        "assert before == [signal.getsignal(n) for n in (1, 2, 15)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def stop_at(
    runner: Runner, each: Scenario, expectation: Expectation, moment: float, is_group: bool = False
) -> int:
    """Stop a run after so many seconds, then let the same command go on; the code of the first."""
    runner.load(each.state)
    run = runner.start(*each.words)
    time.sleep(moment)
    if is_group:
        os.killpg(run.process, signal.SIGTERM)
    else:
        run.send(signal.SIGTERM)
    ended = run.wait()
    told = f"{each.name}, stopped after {moment:.3f} s: {ended.code}, {ended.told[-2000:]}"
    assert ended.code in (EXIT_INTERRUPTED, *each.again), told
    assert "Traceback" not in ended.told, told
    again = runner.run(*each.words)
    assert again.code in each.again, f"{told}\nagain: {again.code}, {again.told[-600:]}"
    differences = expectation.differences(runner.root, f"{each.extra}|{each.stopped}")
    assert not differences, "\n".join([told, *differences])
    return ended.code


Expect = Callable[[Scenario], Expectation]


@pytest.mark.parametrize("name", ["new", "frames", "extract", "train", "merge"])
def test_a_run_that_is_stopped_goes_on(
    name: str, runner: Runner, scenario: Callable[[str], Scenario], expect: Expect
) -> None:
    each = scenario(name)
    stop_at(runner, each, expect(each), random.Random(name).uniform(0.1, each.cost))


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_a_run_that_is_stopped_at_any_moment_goes_on(
    each: Scenario, runner: Runner, expect: Expect
) -> None:
    expectation, codes, faults = expect(each), [], Faults()
    runner.load(each.state)
    begun = time.monotonic()
    runner.run(*each.words)
    whole = time.monotonic() - begun
    for number in range(30):
        # A group gets a signal from `timeout`, a terminal or a service manager: workers get it too.
        moment, is_group = whole * number / 29, number % 2 == 1
        with faults.gathered():
            codes.append(stop_at(runner, each, expectation, moment, is_group))
    faults.check()
    print(f"{each.name}: {codes.count(EXIT_INTERRUPTED)} of {len(codes)} stopped with 130")
