"""Files of ours and of others with anything in them: only errors of our tree come out, fit to read.

The clips, pictures and graphs have tests of their own; here are the readers of plain data.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import pickle
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from tests import fuzzing
from understudy.errors import BadData, BadMedia, BadOption, WeightsMissing
from understudy.io import tables
from understudy.io.dfl import models, safe_pickle
from understudy.io.faceset import face_image, manual_marks
from understudy.io.faceset.table import FaceTable
from understudy.io.model_files import segmenter_file
from understudy.io.provenance import manifest, signing_key
from understudy.nets.pretrained import dfl_layers, dfl_memory, dfl_names, dfl_weights
from understudy.stages import jobs, verify
from understudy.stages.extract.detections import Detections
from understudy.stages.extract.record import ExtractRecord, load_detections, record_path
from understudy.stages.merge import presets, versions
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project
from understudy.stages.saved_models import dfl_settings

HOSTILE = Path(__file__).parents[1] / "data" / "hostile"


@pytest.fixture
def still_verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verb checks what it is given, and then does nothing."""

    def stilled(function: jobs.Verb) -> jobs.Verb:
        @functools.wraps(function)
        def nothing(*args: Any, **named: Any) -> Any:
            yield from ()

        nothing.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        nothing.__annotations__ = inspect.get_annotations(function, eval_str=True)
        return nothing

    known = {name: stilled(function) for name, function in jobs.verbs().items()}
    monkeypatch.setattr(jobs, "verbs", lambda: known)


def run_file(path: Path) -> None:
    list(jobs.run(jobs.Job.load(path)))


def test_a_job_with_options_among_its_arguments_is_refused() -> None:
    error = fuzzing.assert_tree_only(lambda: run_file(HOSTILE / "job-options-argument.json"))
    assert isinstance(error, BadOption) and "no argument 'options'" in str(error)


@pytest.mark.usefixtures("still_verbs")
def test_fuzz_job_files(tmp_path: Path) -> None:
    path, rng = tmp_path / "job.json", random.Random(1)
    trees = fuzzing.json_trees(10**9, seed=2)
    for name, function in jobs.verbs().items():
        parameters = [each for each in inspect.signature(function).parameters if each != "options"]
        fields = list(jobs.options_of(function).model_fields)
        for _ in range(fuzzing.rounds(25)):
            arguments = {each: next(trees) for each in parameters if rng.random() < 0.8}
            options = {each: next(trees) for each in rng.sample(fields, min(3, len(fields)))}
            odd = {rng.choice(fuzzing.ODD_TEXTS): next(trees)} if rng.random() < 0.2 else {}
            order = {"verb": name, "arguments": arguments, "options": {**options, **odd}}
            path.write_text(json.dumps(order))
            fuzzing.assert_tree_only(lambda: run_file(path))
    for tree in fuzzing.json_trees(fuzzing.rounds(200), seed=3):
        path.write_text(json.dumps({"verb": "new", "arguments": tree, "options": tree}))
        fuzzing.assert_tree_only(lambda: run_file(path))


@pytest.mark.parametrize("name", ["items-empty", "list", "string"])
def test_odd_values_in_a_validly_signed_manifest_are_passed_over(name: str) -> None:
    found = manifest.read_manifest(HOSTILE / f"c2pa-footage-{name}.png")
    assert isinstance(found, manifest.Manifest)


def test_a_picture_that_would_take_gigabytes_is_not_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0\0\4ab\xff\xda")
    os.truncate(path, 3 << 30)
    error = fuzzing.assert_tree_only(lambda: manifest.read_manifest(path))
    assert isinstance(error, BadMedia) and "larger than 256 MB" in str(error)
    assert manifest._history(path, {"label": "a"}) is None


def test_fuzz_manifest_reports() -> None:
    texts = ("title", "role", "sha256", "label", "code", "when", "name", "version", "relationship")
    rng, trees = random.Random(4), fuzzing.json_trees(10**9, seed=5)

    def oddly(value: object) -> object:
        return next(trees) if rng.random() < 0.25 else value

    def rows() -> object:
        return oddly([oddly({each: oddly(each) for each in texts}) for _ in range(2)])

    for _ in range(fuzzing.rounds(1500)):
        data = {"footage": rows(), "actions": rows()}
        labels = ("c2pa.actions.v2", "org.understudy.footage")
        active = {
            "claim_generator_info": rows(),
            "assertions": oddly([oddly({"label": oddly(x), "data": oddly(data)}) for x in labels]),
            "ingredients": rows(),
            "signature_info": oddly({each: oddly(each) for each in ("common_name", "time")}),
        }
        report = {
            "active_manifest": oddly("a"),
            "manifests": oddly({"a": oddly(active)}),
            "validation_results": oddly({"activeManifest": oddly({"failure": rows()})}),
        }
        found = manifest._parse_report(oddly(report), "valid")
        told = (found.tool, found.version, found.signer, found.made, *found.problems)
        assert all(isinstance(each, str) and len(each) <= 500 for each in told)
        for each in found.ingredients:
            assert isinstance(each.title, str) and isinstance(each.sha256, str)


def a_table() -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    empty = Detections.of([], [0, 1], [np.ones(3, np.float32)] * 2, [(1, "torn")])
    return empty.columns(), empty.notes()


@pytest.mark.parametrize("taught", [False, True])
def test_numbers_that_numpy_has_not_are_bad_data(taught: bool) -> None:
    if taught:
        # onnx loads it, and numpy knows bfloat16 from then on.
        pytest.importorskip("ml_dtypes")
    for name in ("found-bf16", "segmenter-f8"):
        error = fuzzing.assert_tree_only(
            lambda name=name: tables.read_tensors(HOSTILE / f"{name}.safetensors")
        )
        assert isinstance(error, BadData)
    assert tables.read_table(HOSTILE / "found-bf16.safetensors") is None
    with pytest.raises(WeightsMissing, match="not the file of a segmenter"):
        segmenter_file.read(HOSTILE / "segmenter-f8.safetensors")


def test_a_header_of_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    assert isinstance(fuzzing.assert_tree_only(lambda: tables.read_tensors(path)), BadData)


def test_fuzz_tables_of_detections(tmp_path: Path) -> None:
    """A table is read as one, or made again: columns of other kinds and lengths are no table."""
    columns, notes = a_table()
    rng = np.random.default_rng(6)
    place = tmp_path / "found" / "000000.safetensors"
    place.parent.mkdir()
    for data in fuzzing.mutations(save(columns, notes), fuzzing.rounds(300), seed=7):
        place.write_bytes(data)
        load_detections(tmp_path, "000000")
    kinds = (np.float32, np.float64, np.int64, np.uint8, np.bool_)
    for _ in range(fuzzing.rounds(200)):
        name = str(rng.choice(list(columns)))
        shape = tuple(rng.integers(0, 4, rng.integers(0, 4)))
        odd = np.full(shape, rng.choice([-1, 0, 1, 2]), kinds[rng.integers(len(kinds))])
        save_file({**columns, name: odd}, place, notes)
        found = load_detections(tmp_path, "000000")
        if found is not None:
            found.select(np.ones(len(found.frame), bool), np.ones(len(found.frames), bool))


def test_fuzz_files_of_segmenters(tmp_path: Path) -> None:
    path = tmp_path / "xseg.safetensors"
    weights = {"a": np.ones((2, 3), np.float32), "b": np.zeros((), np.float32)}
    segmenter_file.write(
        segmenter_file.SegmenterFile(path, "xseg", "whole", 256, "a test", weights)
    )
    for data in fuzzing.mutations(path.read_bytes(), fuzzing.rounds(400), seed=8):
        path.write_bytes(data)
        fuzzing.assert_tree_only(lambda: segmenter_file.read(path))


@pytest.mark.parametrize("digits", [400, 6000])
def test_a_number_of_any_length_is_no_iteration_and_no_name(digits: int, tmp_path: Path) -> None:
    path, huge = tmp_path / "x_SAEHD_data.dat", 10**digits
    for held in ({"iter": huge, "options": {}}, {"iter": 1, "options": {huge: 1}}):
        path.write_bytes(pickle.dumps(held))
        (place,) = models.list_models(tmp_path)
        assert fuzzing.assert_tree_only(lambda place=place: models.read_model(place)) is not None
    for odd in ({huge: np.ones(2)}, {(huge,): np.ones(2)}, {"a": huge}):
        path.write_bytes(pickle.dumps(odd))
        assert fuzzing.assert_tree_only(lambda: safe_pickle.load_arrays(path)) is not None


@pytest.mark.parametrize("name", ["huge", "ragged"])
def test_losses_that_are_none_are_left_out(name: str) -> None:
    (place,) = models.list_models(HOSTILE / f"dfl-loss-{name}")
    assert models.read_model(place).losses == ()


def test_an_empty_kernel_is_named() -> None:
    path = HOSTILE / "XSeg_256-empty-kernel.npy"
    error = fuzzing.assert_tree_only(
        lambda: dfl_layers.group_layers(safe_pickle.load_arrays(path), str(path))
    )
    assert error is not None and "'a/weight:0' is empty" in str(error)


def test_fuzz_models_of_deepfacelab(tmp_path: Path) -> None:
    path = tmp_path / "x_SAEHD_data.dat"
    options = {
        "resolution": 128,
        "face_type": "wf",
        "archi": "liae-ud",
        **{name: 64 for name in ("ae_dims", "e_dims", "d_dims", "d_mask_dims")},
        "gan_power": 0.1,
        "batch_size": 8,
        "target_iter": 0,
    }
    held = {"iter": 5, "options": options, "loss_history": [[1.0, 2.0], np.array([1.0, 2.0])]}
    rng, trees = random.Random(9), fuzzing.json_trees(10**9, seed=10)

    def take() -> None:
        (place,) = models.list_models(tmp_path)
        info = models.read_model(place)
        dfl_settings.convert_recipe(info)
        dfl_settings.train_flags(info.options)

    for data in fuzzing.mutations(pickle.dumps(held), fuzzing.rounds(600), seed=11):
        path.write_bytes(data)
        fuzzing.assert_tree_only(take)
    for _ in range(fuzzing.rounds(300)):
        odd = {
            name: next(trees) if rng.random() < 0.2 else value for name, value in options.items()
        }
        losses = [next(trees), (next(trees), next(trees)), [1.0, next(trees)]]
        path.write_bytes(pickle.dumps({"iter": 5, "options": odd, "loss_history": losses}))
        fuzzing.assert_tree_only(take)


def test_fuzz_weights_of_xseg(tmp_path: Path) -> None:
    path, rng = tmp_path / "XSeg_256.npy", np.random.default_rng(12)
    whole = {
        "conv/weight:0": np.ones((3, 3, 4, 8), np.float32),
        "conv/bias:0": np.zeros(8, np.float32),
        "frn/eps:0": np.ones(1, np.float16),
        "frn/gamma:0": np.ones((1, 1, 1, 8), np.float32),
        "frn/beta:0": np.ones((1, 1, 1, 8), np.float32),
        "tlu/tau:0": np.ones((1, 1, 1, 8), np.float32),
    }

    def take() -> None:
        layers = dfl_layers.group_layers(safe_pickle.load_arrays(path), str(path))
        dfl_layers.is_up_path_reversed(layers)
        dfl_layers.assign_layers(layers, [], str(path))

    for data in fuzzing.mutations(pickle.dumps(whole), fuzzing.rounds(400), seed=13):
        path.write_bytes(data)
        fuzzing.assert_tree_only(take)
    for _ in range(fuzzing.rounds(300)):
        shape = tuple(rng.integers(0, 4, rng.integers(0, 6)))
        odd = {str(rng.choice(list(whole))): np.ones(shape, np.float32)}
        path.write_bytes(pickle.dumps({**whole, **odd}))
        fuzzing.assert_tree_only(take)


def test_fuzz_what_optimizers_of_deepfacelab_remember(tmp_path: Path) -> None:
    path, rng = tmp_path / "x_SAEHD_src_dst_opt.npy", np.random.default_rng(14)
    slot = dfl_layers.Slot("dense layer", "own", {"weight": (2, 3), "bias": (2,)})
    held = dfl_weights.dfl_places(dfl_names.DflPart([slot], [["dense1"]]))
    places = {f"inter/{name}": place for name, place in held.items()}
    whole: dict[str, Any] = {"iters:0": np.array(5)}
    for word in ("ms", "vs"):
        whole |= {
            f"{word}_inter/dense1/weight_0:0": np.ones((3, 2), np.float32),
            f"{word}_inter/dense1/bias_0:0": np.zeros(2, np.float32),
        }

    def take() -> None:
        arrays = safe_pickle.load_arrays(path, has_counts=True)
        dfl_memory.convert_memory(arrays, places, 4, str(path))

    for data in fuzzing.mutations(pickle.dumps(whole), fuzzing.rounds(300), seed=15):
        path.write_bytes(data)
        fuzzing.assert_tree_only(take)
    for _ in range(fuzzing.rounds(300)):
        shape = tuple(rng.integers(0, 4, rng.integers(0, 6)))
        kind = rng.choice(["f2", "f4", "f8", "i8", "u8", "b1"])
        odd = {str(rng.choice(list(whole))): np.ones(shape, kind)}
        path.write_bytes(pickle.dumps({**whole, **odd}))
        fuzzing.assert_tree_only(take)


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """What waits for ever fails."""

    def fail(*_: object) -> None:
        raise AssertionError(f"still at it after {seconds} s")

    former = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_read(kind: str, tmp_path: Path) -> None:
    def put(path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to(os.devnull)
            case _:
                path.mkdir()
        return path

    (place,) = models.list_models(put(tmp_path / "dfl/x_SAEHD_data.dat").parent)
    weights, picture = put(tmp_path / "x.npy"), put(tmp_path / "x.jpg")
    credentials, trust = put(tmp_path / "certificate.pem"), put(tmp_path / "trust.pem")
    for read in (
        lambda: models.read_model(place),
        lambda: safe_pickle.load_arrays(weights),
        lambda: face_image.read(picture),
        lambda: signing_key._read(credentials, credentials),
        lambda: list(verify.verify("x.mp4", verify.VerifyOptions(trust=str(trust)))),
    ):
        with within(5):
            error = fuzzing.assert_tree_only(read)
        assert error is not None and "no ordinary file" in str(error)
    put(tmp_path / "faces.safetensors")
    (tmp_path / "faces").mkdir()
    with within(5):
        assert not FaceTable.scan(tmp_path / "faces").names


def a_show(folder: Path) -> Project:
    return Project.create(folder, Path("a.mp4"), Path("b.mp4"))


def test_a_project_file_of_notepad_is_read(tmp_path: Path) -> None:
    shutil.copy(HOSTILE / "understudy-with-bom.toml", tmp_path / "understudy.toml")
    assert Project.load(tmp_path).footage("src") == tmp_path / "a.mp4"


def test_fuzz_files_of_a_show(tmp_path: Path) -> None:
    project = a_show(tmp_path / "show")
    faces, merged = project.faces("dst"), project.merged / "001"
    for folder in (faces, merged, project.folder / "presets"):
        folder.mkdir(parents=True)
    record = {
        "version": 2,
        "source": {"name": "a.mp4", "bytes": 5, "mtime_ns": 9, "frames": 7},
        "finding": {},
        "cutting": {},
        "bare": [[0, 5]],
        "cut": [0],
    }
    marks = {"version": 1, "frames": {"3": [{"box": [1, 2, 30, 40]}], "4": None}}
    readers: dict[Path, tuple[bytes, Callable[[], object]]] = {
        project.folder / "understudy.toml": (
            b'schema_version = 1\nsrc = "a.mp4"\n[options.train]\nminutes = 5\n[options.merge]\n',
            lambda: Project.load(project.folder).footage("src"),
        ),
        project.folder / "presets/own.toml": (
            b"schema_version = 1\nerode = 4\nmode = 'overlay'\n",
            lambda: presets.apply_preset(project, MergeOptions(preset="own")),
        ),
        record_path(faces.parent): (
            json.dumps(record).encode(),
            lambda: ExtractRecord.load(faces.parent),
        ),
        project.folder / "dst/marks.json": (
            json.dumps(marks).encode(),
            lambda: manual_marks.read_marks(
                project.folder / "dst/marks.json", manual_marks.FrameNames(9)
            ),
        ),
        merged / versions.RECORD: (
            json.dumps({"segments": ["a" * 40], "model": "x"}).encode(),
            lambda: versions.newest_segment_keys(project.merged),
        ),
    }
    for path, (whole, read) in readers.items():
        for data in fuzzing.mutations(whole, fuzzing.rounds(250), seed=14):
            path.write_bytes(data)
            fuzzing.assert_tree_only(read)
        for tree in fuzzing.json_trees(fuzzing.rounds(100), seed=15):
            if path.suffix == ".json":
                keys = list(json.loads(whole))
                path.write_text(json.dumps({**json.loads(whole), keys[-1]: tree}))
                fuzzing.assert_tree_only(read)
        path.write_bytes(whole)
