"""What `extract` holds of a long film, in a process that imports what it imports: made-up tables,
solved, cut and reported.

    python benchmarks/extract_memory.py HOURS FACES

Prints the largest size of the process after each step, in MB. Pictures are left out, so the page of
the report is too: neither finding nor cutting holds more than a few frames, whatever the length.
The files take about 10 kB a face in the folder for temporary files while it runs (TMPDIR).
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.face.pose import HEAD_MODEL
from understudy.core.metrics.outliers import find_outliers
from understudy.core.metrics.summary import FootageInfo, summarize
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.manual_marks import Marks
from understudy.stages.extract import pipeline, record
from understudy.stages.extract.crop import CropTask, CropTasks
from understudy.stages.extract.detection_store import DetectionStore
from understudy.stages.extract.detections import Detections
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.track import track_faces
from understudy.types import AlignedFace

CHUNK = 96
NO_PICTURE = np.zeros((1, 1, 3), np.uint8)


def main() -> None:
    """One film, step by step."""
    assert pipeline  # with all that it imports
    hours, faces = float(sys.argv[1]), int(sys.argv[2])
    frames = range(round(hours * 3600 * 24))
    with tempfile.TemporaryDirectory() as folder:
        run(frames, faces, Path(folder) / "faces")


def run(frames: range, count: int, folder: Path) -> None:
    """All that extract does between finding and pictures, and after them."""
    chance = np.random.default_rng(0)
    chunks = [frames[first : first + CHUNK] for first in range(0, len(frames), CHUNK)]
    for chunk in chunks:
        record.save_detections(
            folder, record.chunk_name(chunk[0]), made_up(np.array(chunk), count, chance)
        )
    told("tables written")
    # Nothing is to be filled, so no frame is asked for.
    footage: Any = Film(len(frames))
    found = DetectionStore.collect(
        record.iter_detections(folder, chunks), record.detections_folder(folder)
    )
    told("gathered")
    solved = track_faces(found, footage, ExtractOptions(fill=0), Marks())
    told("solved")
    film: Any = None
    tasks = CropTasks(
        film,
        solved,
        np.arange(len(solved)),
        [np.array(chunk) for chunk in chunks],
        ExtractOptions(),
    )
    folder.mkdir()
    for task in tasks:
        pretend(folder, task)
    told("cut")
    # As in the run itself, where they do not outlive their step.
    del found, tasks, task
    faceset = Faceset(folder)
    faces = faceset.faces
    told("read")
    facts, detail = (
        FootageInfo("film", np.array(frames), (), (1280, 720)),
        np.full(len(faces), np.nan, np.float32),
    )
    odd = find_outliers(faces, frame_size=facts.frame_size, detail=detail)
    told("looked through")
    summarize(faces, facts, detail, odd)
    told(f"reported: {len(faces)} faces")


class Film:
    """As much of a footage as solving looks at."""

    size, fps = (1280, 720), Fraction(24)

    def __init__(self, frames: int) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return self._frames


def made_up(frames: np.ndarray, count: int, chance: np.random.Generator) -> Detections:
    """So many faces in each frame, that move a little."""
    frame, who = np.repeat(frames, count), np.tile(np.arange(count), len(frames))
    rows = len(frame)
    middle = np.stack(
        [150 + 350 * who + 100 * np.sin(frame / 50), 360 + 50 * np.cos(frame / 70)], 1
    )
    points = (
        HEAD_MODEL[None, :, :2] * 1.5 + middle[:, None] + chance.normal(0, 0.3, (rows, 68, 2))
    ).astype(np.float32)
    known = np.flatnonzero(frame % 12 == 0)
    identity = chance.normal(0, 0.02, (len(known), 128)) + 0.6 * np.eye(128)[who[known]]
    return Detections(
        frame=frame.astype(np.int64),
        box=np.concatenate([points.min(1), points.max(1)], 1),
        landmarks=points,
        score=np.full(rows, 0.9, np.float32),
        frame_size=np.tile([1280, 720], (rows, 1)),
        ahead=points.copy(),
        ahead_error=np.full((rows, 68), 0.2, np.float32),
        back=points.copy(),
        back_error=np.full((rows, 68), 0.2, np.float32),
        known=known,
        identity=identity.astype(np.float32),
        frames=frames.astype(np.int64),
        signature=np.full((len(frames), 144), 100, np.float32),
    )


def pretend(folder: Path, task: CropTask) -> None:
    """Empty files in place of the pictures of a task, and what the cache says of them."""
    cache = folder.with_name(f"{folder.name}.jsonl")
    with cache.open("a") as lines:
        if not lines.tell():
            lines.write('{"cache":"understudy faces","version":1}\n')
        for row, number in enumerate(task.numbers.tolist()):
            face = task.faces.face(row)
            path = folder / f"{face.frame:06d}_{number}.jpg"
            path.touch()
            picture = AlignedFace(
                face, NO_PICTURE, np.eye(3)[:2], "full", source="film.mp4", pts=face.frame / 24
            )
            metadata = face_image.metadata_json(picture)
            mtime_ns = path.stat().st_mtime_ns
            lines.write(
                f'{{"name":"{path.name}","bytes":0,"mtime_ns":{mtime_ns},"side":512,"metadata":{metadata}}}\n'
            )


BEGAN = time.perf_counter()


def told(step: str) -> None:
    """Print how far it came."""
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{step}: {time.perf_counter() - BEGAN:.0f} s, {megabytes:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
