"""run.py: sets up once, mends what was broken off, then hands over. Here pip and venv are only
pretended.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "run.py"


class Machine:
    """A pretended machine: it notes what run.py starts, and makes what `venv` would make."""

    def __init__(self, script: ModuleType) -> None:
        self.script = script
        self.started: list[list[str]] = []
        self.fails: str = ""

    def run(self, words: list[str], cwd: Path | None = None, quiet: bool = False) -> int:
        self.started.append(words[1:])
        if "venv" in words:
            self.script.PYTHON.parent.mkdir(parents=True)
            self.script.PYTHON.touch()
        return 1 if self.fails and any(self.fails in word for word in words) else 0

    def told(self, word: str) -> list[list[str]]:
        return [words for words in self.started if word in words]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def machine(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(script)
    # Put back afterwards: `main` sets it.
    monkeypatch.setenv("UNDERSTUDY_CALLED_AS", "")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    venv = tmp_path / ".venv"
    for name, value in {
        "ROOT": tmp_path,
        "VENV": venv,
        "PYTHON": venv / "bin" / "python",
        "STAMP": venv / "stamp.json",
    }.items():
        monkeypatch.setattr(script, name, value)
    monkeypatch.setattr(script, "run", machine.run)
    return machine


def test_the_first_run_sets_up_torch_first_and_pinned_then_hands_over(machine: Machine) -> None:
    assert machine.script.main(["doctor", "--json"]) == 0
    installs = machine.told("install")
    assert len(installs) == 2 and all("constraints.txt" in words for words in installs)
    assert installs[0][-1].startswith("torch==") and installs[1][-2:] == ["-e", "."]
    assert machine.started[-1] == ["-m", "understudy", "doctor", "--json"]


@pytest.mark.parametrize(
    ("system", "launcher", "words", "told"),
    [
        ("posix", None, ["python3", "run.py"], "python3 run.py"),
        ("posix", None, ["/usr/bin/python3.12", "-u", "my clone/run.py"], None),
        ("nt", None, ["python", "run.py"], "python run.py"),
        ("nt", r"C:\\Windows\\py.exe", ["/python.exe", "a b/run.py"], 'py "a b/run.py"'),
        ("nt", None, ["/python.exe", "run.py"], "/python.exe run.py"),
    ],
)
def test_the_program_is_told_how_it_was_called(
    system: str,
    launcher: str | None,
    words: list[str],
    told: str | None,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [*words, "train", "a show"])
    monkeypatch.setattr(sys, "argv", [words[-1], "train", "a show"])
    monkeypatch.setattr(script.shutil, "which", lambda name: launcher)
    with monkeypatch.context() as patch:
        patch.setattr(script.os, "name", system)
        found = script.typed()
    assert found == (told or "/usr/bin/python3.12 -u 'my clone/run.py'")


def test_only_a_command_of_ours_is_told_so(machine: Machine) -> None:
    machine.script.main(["test"])
    assert os.environ["UNDERSTUDY_CALLED_AS"] == ""
    machine.script.main(["doctor"])
    assert os.environ["UNDERSTUDY_CALLED_AS"]


def test_the_second_run_installs_nothing(machine: Machine) -> None:
    machine.script.main(["doctor"])
    machine.started.clear()
    machine.script.main(["extract", "show"])
    assert machine.started == [["-m", "understudy", "extract", "show"]]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_what_is_needed_installs_again(machine: Machine, name: str) -> None:
    machine.script.main(["doctor"])
    machine.started.clear()
    with (machine.script.ROOT / name).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    machine.script.main(["doctor"])
    assert len(machine.told("install")) == 2 and not machine.told("venv")


def test_test_and_demo_bring_their_extras_and_no_later_command_takes_them_away(
    machine: Machine,
) -> None:
    machine.script.main(["demo"])
    assert machine.told("-e")[-1][-1] == ".[demo,dlib]"
    machine.script.main(["test", "-k", "one"])
    assert machine.told("-e")[-1][-1] == ".[demo,dev,dlib,docs,onnx]"
    assert machine.started[-1] == ["-m", "pytest", "-k", "one"]
    machine.started.clear()
    machine.script.main(["demo"])
    assert not machine.told("install")


@pytest.mark.parametrize("line", ["--with dlib", "--with=dlib", "--with dlib --with dlib"])
def test_an_extra_is_brought_by_its_name_with_or_without_a_command(
    machine: Machine, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.script.main(line.split()) == 0
    assert machine.told("-e")[-1][-1] == ".[dlib]" and "ready, with dlib" in capsys.readouterr().out
    assert not machine.told("--help")
    machine.started.clear()
    assert machine.script.main([*line.split(), "extract", "show", "--like", "--with"]) == 0
    assert machine.started == [["-m", "understudy", "extract", "show", "--like", "--with"]]
    assert machine.script.main(["--with", "onnx,tensorboard", "test", "-x"]) == 0
    assert machine.told("-e")[-1][-1] == ".[demo,dev,dlib,docs,onnx,tensorboard]"
    assert machine.started[-1] == ["-m", "pytest", "-x"]


@pytest.mark.parametrize("line", ["--with dilb", "--with dlib,rya doctor", "--with", "--with="])
def test_an_extra_that_is_none_is_refused_with_those_that_there_are(
    machine: Machine, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.script.main(line.split()) == 1
    told = capsys.readouterr().err
    assert "there is no extra" in told and "dlib, docs, farm, onnx" in told
    assert not machine.started


def test_an_install_that_fails_is_one_clear_line_and_is_done_again_next_time(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.script.main(["doctor"])
    machine.fails = "torch=="
    with (machine.script.ROOT / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert machine.script.main(["doctor"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("run.py: pip could not install torch==") and told.count("\n") == 1
    machine.fails = ""
    machine.started.clear()
    assert machine.script.main(["doctor"]) == 0
    assert len(machine.told("install")) == 2


def test_a_venv_whose_python_does_not_run_is_made_anew(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.script.PYTHON.parent.mkdir(parents=True)
    machine.script.PYTHON.touch()
    machine.fails = "pip"
    with pytest.raises(FileExistsError):
        # `venv --clear` empties the folder; the pretended one only shows that it was asked for.
        machine.script.main(["doctor"])
    assert "--clear" in machine.told("venv")[0]


def test_weights_that_cannot_be_had_now_stop_nothing(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.fails = "--fetch"
    assert machine.script.main(["doctor"]) == 0
    assert "weights could not be had" in capsys.readouterr().out


def test_without_words_it_lists_the_commands(machine: Machine) -> None:
    machine.script.main([])
    assert machine.started[-1] == ["-m", "understudy", "--help"]


def test_an_older_python_is_told_in_one_line() -> None:
    # Everything above the check has to be readable for old Pythons, which know neither `match` nor
    # `X | None` at run time.
    text = SCRIPT.read_text(encoding="utf-8").replace("sys.version_info", "(3, 8, 1)")
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1
    assert (
        done.stderr.startswith("run.py: Understudy needs Python 3.11 or newer, this is 3.8.")
        and done.stderr.count("\n") == 1
    )
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_only_the_standard_library_is_needed() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)


def test_the_exit_code_comes_through(script: ModuleType) -> None:
    assert script.run([sys.executable, "-c", "raise SystemExit(20)"]) == 20


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_program_that_a_signal_ended_has_a_positive_exit_code(script: ModuleType) -> None:
    assert (
        script.run(
            [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"]
        )
        == 137
    )


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_waits_for_the_program_to_end_in_its_own_time() -> None:
    # The terminal sends Ctrl-C to both; the program saves and ends with 130, and run.py waits for
    # that.
    ending = "(time.sleep(0.3), print('saved'), exit(130))"
    child = (
        f"import signal, time; signal.signal(2, lambda *_: {ending}); print('on', flush=True);"
        " time.sleep(120)"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import run;"
        f" sys.exit(run.run([sys.executable, '-c', {child!r}]))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None and parent.stdout.readline() == "on\n"
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=100)[0] == "saved\n"
    assert parent.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("child", "code"),
    [
        # It sees to the signal; it dies of it before it can; it does not heed it.
        (
            "import signal, time; signal.signal(15, lambda *_: exit(130)); {tell}; time.sleep(60)",
            130,
        ),
        ("import time; {tell}; time.sleep(60)", 130),
        ("import signal; signal.signal(15, lambda *_: exit(4)); {tell}; signal.pause()", 4),
    ],
)
def test_sigterm_is_passed_on_and_the_code_comes_back(child: str, code: int) -> None:
    child = child.format(tell="print('on', flush=True)")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import run;"
            f" sys.exit(run.run([sys.executable, '-c', {child!r}]))",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None and parent.stdout.readline() == "on\n"
    parent.send_signal(signal.SIGTERM)
    assert parent.communicate(timeout=100)[1] == ""
    assert parent.returncode == code


def test_a_signal_during_the_set_up_ends_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(words: list[str], cwd: Path | None = None, quiet: bool = False) -> int:
        machine.script.SEEN[:] = [signal.SIGTERM] if "install" in words else []
        return machine.run(words, cwd, quiet)

    monkeypatch.setattr(machine.script, "run", stopped)
    assert machine.script.main(["doctor"]) == 130
    assert not machine.told("understudy")
    monkeypatch.setattr(machine.script, "run", machine.run)
    machine.script.SEEN.clear()
    assert machine.script.main(["doctor"]) == 0 and len(machine.told("install")) == 3
