#!/usr/bin/env python3
"""Set Understudy up beside this file, then run one command of it. Needs only Python 3.11.

    python3 run.py demo         a whole swap of two synthetic people; says where the result is
    python3 run.py test         every test; further words go to pytest: run.py test -k footage
    python3 run.py COMMAND ...  any command of `understudy`: extract, train, merge, swap, ...
    python3 run.py              the list of commands
    python3 run.py --with EXTRA [COMMAND ...]
                                with what is only needed for some things, from now on: dlib tells
                                people apart, onnx writes and reads .dfm, tensorboard, farm (Ray)

The set-up lives in .venv beside this file. It is done once, again when pyproject.toml or
constraints.txt change, and is mended when it was broken off. Delete .venv to start afresh.
"""

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

# Whoever comes with an older Python shall read why it does not work.
if sys.version_info < (3, 11):  # noqa: UP036
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(f"run.py: Understudy needs Python 3.11 or newer, this is {found}. Start a newer one.")

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "understudy-setup.json"
# What a command needs beyond the base: see [project.optional-dependencies] in pyproject.toml.
EXTRAS = {"demo": {"demo", "dlib"}, "test": {"demo", "dlib", "onnx", "dev", "docs"}}


# As in understudy/errors.py and understudy/signals.py.
INTERRUPTED = 130
STOP_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
    # `nohup` says so.
    and (name != "SIGHUP" or signal.getsignal(getattr(signal, name)) != signal.SIG_IGN)
]
# Those that came while a program ran.
SEEN: list = []


class SetupFailed(Exception):
    """The set-up did not work; the message says what, and what now."""


class Stopped(Exception):
    """A signal came during the set-up."""


def main(words: list[str]) -> int:
    """Set up what is missing, run the command, return its exit code."""
    # As in understudy/cli.py.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Modules are not looked for in the current folder, where footage lies.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    try:
        extras, words = split_extras(words)
        command = words[0] if words else "--help"
        if command != "test":
            # What it tells people to type can then be typed: see understudy/io/installation.py.
            os.environ["UNDERSTUDY_CALLED_AS"] = typed()
        set_up(EXTRAS.get(command, set()) | extras)
    except SetupFailed as failure:
        print(f"run.py: {failure}", file=sys.stderr)
        return 1
    except Stopped:
        return INTERRUPTED
    if extras and not words:
        say(f"ready, with {', '.join(sorted(extras))}")
        return 0
    if command == "test":
        return run([str(PYTHON), "-m", "pytest", *words[1:]], cwd=ROOT)
    return run([str(PYTHON), "-m", "understudy", *(words or ["--help"])])


def typed() -> str:
    """How this script was called, up to its own name, as a line to type again."""
    words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    if os.name != "nt":
        return shlex.join(words)
    if os.path.isabs(words[0]) and shutil.which("py"):
        # The launcher, too, starts Python by its whole path.
        words[0] = "py"
    return subprocess.list2cmdline(words)


def split_extras(words: list[str]) -> tuple[set[str], list[str]]:
    """The extras that `--with` names before the command, and the other words."""
    extras: set[str] = set()
    while words and words[0].partition("=")[0] == "--with":
        flag, _, value = words[0].partition("=")
        value, words = (value, words[1:]) if value else (" ".join(words[1:2]), words[2:])
        extras |= set(filter(None, value.split(",")))
        known = known_extras()
        if not extras or extras - known:
            raise SetupFailed(
                f"{flag}: there is no extra '{value}'. Choose of: {', '.join(sorted(known))}."
            )
    return extras, words


def known_extras() -> set[str]:
    """The extras that pyproject.toml declares."""
    # Python 3.11 has it; an older one has been sent away.
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def set_up(extras: set[str]) -> None:
    """Make .venv hold Understudy with these extras, as pinned, unless it does already."""
    done = stamp()
    wanted = extras | set(done.get("extras", []))
    if done.get("of") == fingerprint() and wanted == set(done["extras"]):
        return
    # Without the stamp, a set-up that is broken off from here on is done again next time.
    STAMP.unlink(missing_ok=True)
    make_venv()
    target = ".[" + ",".join(sorted(wanted)) + "]" if wanted else "."
    say("installing PyTorch (the largest part, some minutes on a slow line)")
    pip(pinned("torch"))
    say(f"installing Understudy and what else it needs ({target})")
    pip("-e", target)
    say("fetching the default weights")
    if step([str(PYTHON), "-m", "understudy", "models", "--fetch", "--quiet"], cwd=ROOT) != 0:
        say("the weights could not be had now; a command that needs them tries again")
    STAMP.write_text(json.dumps({"of": fingerprint(), "extras": sorted(wanted)}), encoding="utf-8")
    say("set up")


def make_venv() -> None:
    """Make .venv, or make it anew when its Python does not run."""
    works = PYTHON.exists() and step([str(PYTHON), "-m", "pip", "--version"], quiet=True) == 0
    if works:
        return
    say(f"making {VENV}")
    if step([sys.executable, "-m", "venv", "--clear", str(VENV)]) != 0:
        raise SetupFailed(
            f"{VENV} could not be made. Install Python's venv module (python3-venv on Debian)."
        )


def pip(*words: str) -> None:
    """Install, held to constraints.txt."""
    manner = [
        "--no-input",
        "--disable-pip-version-check",
        *([] if sys.stdout.isatty() else ["--quiet"]),
    ]
    if (
        step(
            [str(PYTHON), "-m", "pip", "install", *manner, "-c", "constraints.txt", *words],
            cwd=ROOT,
        )
        != 0
    ):
        raise SetupFailed(
            f"pip could not install {' '.join(words)}. Its reason stands above:"
            " mend that, then run the same command again."
        )


def pinned(package: str) -> str:
    """The line of constraints.txt that pins a package."""
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{package}=="):
            return line.strip()
    raise SetupFailed(f"constraints.txt pins no {package}. Restore the file.")


def stamp() -> dict[str, Any]:
    """What the last set-up that came to its end wrote down; {} without one."""
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8"))) if PYTHON.exists() else {}
    except (OSError, ValueError):
        return {}


def fingerprint() -> str:
    """A hash of what the set-up follows from: both files, the Python, and where this clone lies."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(
        b"\0".join([*parts, sys.version.encode(), str(ROOT).encode()])
    ).hexdigest()


def step(words: list[str], cwd: Path | None = None, quiet: bool = False) -> int:
    """As `run`, for a step of the set-up; raises Stopped where a signal came meanwhile."""
    code = run(words, cwd, quiet)
    if SEEN:
        raise Stopped
    return code


def run(words: list[str], cwd: Path | None = None, quiet: bool = False) -> int:
    """Run a program to its end and return its exit code; 128 + n when signal n ended it.

    Signals are passed on to the program, which ends in its own time; one that they ended before it
    could see to them counts as stopped. Ctrl-C reaches it by itself.
    """
    child = None
    SEEN.clear()

    def pass_on(number, frame):
        SEEN.append(number)
        if child is not None and number != signal.SIGINT:
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in STOP_SIGNALS}
    try:
        output = subprocess.DEVNULL if quiet else None
        with subprocess.Popen(words, cwd=cwd, stdout=output, stderr=output) as child:
            for number in SEEN:
                # It came before there was whom to pass it on to.
                child.send_signal(number)
            code = child.wait()
            return code if code >= 0 else INTERRUPTED if -code in SEEN else 128 - code
    except OSError as error:
        raise SetupFailed(
            f"{words[0]} does not start: {error}. Delete {VENV} and run the same command again."
        ) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Tell what is going on, before what it starts does."""
    print(f"run.py: {text}", flush=True)


if __name__ == "__main__":
    for each in STOP_SIGNALS:
        # Nothing is half done while no program runs.
        signal.signal(each, lambda number, frame: os._exit(INTERRUPTED))
    sys.exit(main(sys.argv[1:]))
