"""The commands that are killed, and what they begin with."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from survival.harness import Runner

# Two synthetic people, 6 and 10 frames of 240 x 180: data/README.md.
CLIPS = Path(__file__).parents[1] / "data" / "show-0.1.zip"
EXTRACT = ("--workers", "1", "--identity", "none", "--size", "256")
TRAIN = ("--model", "tiny", "--tiny.resolution", "64", "--batch", "2", "--device", "cpu")
MERGE = ("--masks", "dst", "--encode.preset", "ultrafast", "--workers", "1", "--device", "cpu")


@dataclass(frozen=True)
class Scenario:
    """A command line. state: what it begins with, one of `prepare`.

    again: with what code the same line may end where the run before was killed after its work was
    done. extra: names of files, as a pattern, that may differ then. stopped: those that may differ
    where it was stopped. cost: seconds of a
    run, about.
    """

    name: str
    state: str
    words: tuple[str, ...]
    again: tuple[int, ...] = (0,)
    extra: str = "$^"
    stopped: str = "$^"
    cost: float = 0.3


# A stop saves; then the history has a line more, and older checkpoints make room.
SAVED = (
    r"{}/models/tiny/(previews/.*|history\.jsonl|"
    r"checkpoints/0+{}(/.*)?|checkpoints/0+{}/state\.json)"
)
SWAP = tuple(
    f"--{verb}.{word[2:]}" if word.startswith("--") else word
    for verb, words in (("extract", EXTRACT), ("train", TRAIN), ("merge", MERGE))
    for word in words
)
SCENARIOS = [
    Scenario("new", "clips", ("new", "show", "src.mp4", "dst.mp4"), again=(0, 4)),
    Scenario("cut", "clips", ("cut", "dst.mp4", "cut.mp4", "--end", "0.2"), again=(0, 4)),
    Scenario("denoise", "clips", ("denoise", "src.mp4", "clean.mp4"), again=(0, 4)),
    Scenario("frames", "clips", ("frames", "dst.mp4", "pictures", "--fps", "10")),
    Scenario("extract", "new", ("extract", "show", *EXTRACT), cost=3),
    Scenario("extract-2", "new", ("extract", "show", *EXTRACT[2:], "--workers", "2"), cost=9),
    Scenario(
        "extract-anew",
        "curated",
        ("extract", "show", *EXTRACT[:-1], "320"),
        # Killed between the faces and their record, it finds nothing that it would move aside.
        extra=r"show/(src|dst)/extract_old_1\.json",
        cost=3,
    ),
    Scenario(
        "extract-restored", "curated", ("extract", "show", *EXTRACT, "--restore-removed"), cost=2
    ),
    Scenario("faces", "unlisted", ("faces", "check", "show", "dst")),
    Scenario(
        "sort",
        "faces",
        ("sort", "show", "dst", "yaw", "--rename"),
        # The order notes which renames it has followed; the cache keeps the faces as it met them.
        extra=r"show/dst/(order\.json|faces\.safetensors)",
    ),
    Scenario(
        "faces-trash", "faces", ("faces", "trash", "show", "dst", "00000[1-3]*"), again=(0, 2)
    ),
    Scenario("faces-undo", "renamed", ("faces", "undo", "show", "dst")),
    Scenario(
        "recrop",
        "faces",
        ("faces", "recrop", "show", "dst", "--size", "200"),
        extra=r"show/dst/(journal/.*|faces_new)",
        cost=0.6,
    ),
    Scenario(
        "convert",
        "faces",
        ("faces", "convert", "show", "dst"),
        extra=r"show/dst/(journal/.*|faces_new)",
        cost=0.6,
    ),
    Scenario(
        "import-faces",
        "faces",
        ("faces", "import", "show", "src", "show/dst/faces", "--workers", "1"),
        extra=r"show/src/journal/.*",
        cost=0.6,
    ),
    Scenario(
        "export-faces",
        "faces",
        ("faces", "export", "show", "dst", "faceset.pak", "--format", "pak", "--workers", "1"),
        again=(0, 2),
        cost=0.6,
    ),
    Scenario("save-metadata", "faces", ("faces", "save-metadata", "show", "dst")),
    Scenario("debug-faces", "faces", ("faces", "debug", "show", "dst")),
    Scenario("coverage", "faces", ("faces", "coverage", "show", "--propose", "3"), cost=0.6),
    Scenario("cutout", "faces", ("faces", "cutout", "show", "dst", "cut")),
    Scenario(
        "train",
        "faces",
        ("train", "show", *TRAIN, "--iterations", "3"),
        stopped=SAVED.format("show", "[12]", "3"),
        cost=1.5,
    ),
    Scenario(
        "train-on",
        "trained",
        ("train", "show", *TRAIN, "--iterations", "5"),
        stopped=SAVED.format("show", "[1-4]", "5"),
        cost=1.5,
    ),
    Scenario("merge", "trained", ("merge", "show", *MERGE), extra=r"show/merged/002(/.*)?", cost=1),
    Scenario(
        "merge-matte",
        "merged",
        ("merge", "show", *MERGE, "--matte", "--erode", "4"),
        extra=r"show/merged/003(/.*)?",
        cost=1,
    ),
    Scenario(
        "merge-pictures",
        "trained",
        ("merge", "show", *MERGE, "--pictures", "--matte"),
        extra=r"show/merged/002(/.*)?",
        cost=1,
    ),
    Scenario(
        "preview",
        "trained",
        ("merge", "show", *MERGE, "--preview"),
        extra=r"show/merged/preview/002_masks=dst\.jpg",
    ),
    Scenario(
        "debug",
        "trained",
        ("merge", "show", *MERGE, "--debug", "--frames", "3"),
        extra=r"show/merged/debug/000003_masks=dst-2(/.*)?",
    ),
    Scenario(
        "swap",
        "clips",
        ("swap", "src.mp4", "dst.mp4", "out.mp4", "--iterations", "2", *SWAP),
        again=(0, 2),
        extra=r"out\.show/merged/002(/.*)?",
        stopped=SAVED.format(r"out\.show", "1", "2"),
        cost=6,
    ),
    Scenario("export", "trained", ("export", "show", "face.dfm"), again=(0, 2), cost=5),
    Scenario("copy", "trained", ("trained", "copy", "show", "tiny", "twin"), again=(0, 2)),
    Scenario("rename", "trained", ("trained", "rename", "show", "tiny", "other"), again=(0, 4)),
    Scenario("trash", "trained", ("trained", "trash", "show", "tiny"), again=(0, 4)),
    Scenario(
        "restore",
        "trained",
        ("trained", "restore", "show", "tiny", "1"),
        # Once more restores once more: it backs up what the first one restored.
        extra=r"show/models/tiny/(backups/\d+-<time>|checkpoints/0+1-00\d|checkpoints/current).*",
    ),
    Scenario("history", "trained", ("history", "show")),
    Scenario("measure", "merged", ("measure", "show"), cost=4),
]


def prepare(runner: Runner) -> None:
    """Make what the scenarios begin with, each from the one before."""

    def do(*words: str) -> None:
        run = runner.run(*words)
        assert run.code == 0, run.told

    with zipfile.ZipFile(CLIPS) as packed:
        for name in ("src.mp4", "dst.mp4"):
            (runner.root / name).write_bytes(packed.read(f"footage/{name}"))
    runner.save("clips")
    do("new", "show", "src.mp4", "dst.mp4")
    runner.save("new")
    do("extract", "show", *EXTRACT)
    runner.save("faces")
    (runner.root / "show/dst/faces.safetensors").unlink()
    runner.save("unlisted")
    runner.load("faces")
    do("sort", "show", "dst", "yaw", "--rename")
    runner.save("renamed")
    runner.load("faces")
    (runner.root / "show/dst/faces/000004_0.jpg").unlink()
    (runner.root / "show/src/faces/000002_0.jpg").unlink()
    runner.save("curated")
    runner.load("faces")
    do("train", "show", *TRAIN, "--iterations", "1", "--backup-iterations", "1")
    do("train", "show", *TRAIN, "--iterations", "2")
    runner.save("trained")
    do("merge", "show", *MERGE)
    runner.save("merged")
