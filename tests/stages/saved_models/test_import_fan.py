"""FANSeg's masks: its weights come in from a file, or another segmenter stands in their place."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption, WeightsMissing
from understudy.io.model_files import segmenter_file
from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.nets.pretrained import fanseg
from understudy.parts.maskers import MaskInput, combine, names_in
from understudy.parts.segmenters import segmenters
from understudy.stages.events import Finished, Note
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project, ProjectFile
from understudy.stages.saved_models.import_dfl import TrainedImportOptions, trained_import
from understudy.stages.saved_models.segmenters import select_segmenter
from understudy.types import Floats

BASE = 4
FILE = "FANSeg_256_full_face.npy"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixteenth of the channels."""
    monkeypatch.setattr(fanseg.FanSeg.__init__, "__defaults__", (BASE,))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "show").mkdir()
    made = Project(tmp_path / "show", ProjectFile(src="a.mp4", dst="b.mp4"))
    made.save()
    return made


def layout() -> dict[str, Floats]:
    """Random kernels (height, width, in, out), transposed ones (…, out, in), as DeepFaceLab keeps
    them, with its fixed filter of the pooling.
    """
    rng, made = np.random.default_rng(0), dict[str, Floats]()

    def add(name: str, came: int, out: int, *, rises: bool = False) -> None:
        shape = (3, 3, out, came) if rises else (3, 3, came, out)
        spread = np.sqrt(2 / (9 * came)) * (2 if rises else 1)
        made[f"{name}/weight:0"] = (rng.standard_normal(shape) * spread).astype(np.float32)
        made[f"{name}/bias:0"] = rng.uniform(-0.1, 0.1, out).astype(np.float32)

    width, half = [BASE * each for each in (1, 2, 4, 8, 8)], BASE // 2
    add("conv1", 3, width[0])
    add("conv2", width[0], width[1])
    for level in (2, 3, 4):
        add(f"conv{level + 1}s", width[level - 1], width[level])
        add(f"conv{level + 1}", width[level], width[level])
    row = np.array([1, 2, 1]) / 4
    made["blur/k:0"] = np.outer(row, row)[..., None, None].astype(np.float32)
    came = width[4]
    for name, inner, up, skip in (
        ("centre", 16, 8, width[4]),
        ("up5", 16, 8, width[3]),
        ("up4", 16, 4, width[2]),
        ("up3", 8, 2, width[1]),
        ("up2", 4, 1, width[0]),
    ):
        add(f"{name}a", came, half * inner)
        add(f"{name}b", half * inner, half * up, rises=True)
        came = half * up + skip
    add("last", came, BASE)
    add("out", BASE, 1)
    return made


def convolve(maps: Floats, file: dict[str, Floats], name: str) -> Floats:
    kernel, (height, width) = file[f"{name}/weight:0"], maps.shape[:2]
    padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
    windows = (
        padded[y : y + height, x : x + width] @ kernel[y, x] for y in range(3) for x in range(3)
    )
    return np.asarray(sum(windows) + file[f"{name}/bias:0"], np.float32)


def rise(maps: Floats, file: dict[str, Floats], name: str) -> Floats:
    maps = np.maximum(convolve(maps, file, f"{name}a"), 0)
    kernel, (height, width) = file[f"{name}b/weight:0"], maps.shape[:2]
    wide = np.zeros((2 * height + 1, 2 * width + 1, kernel.shape[2]), np.float32)
    for y in range(3):
        for x in range(3):
            wide[y : y + 2 * height : 2, x : x + 2 * width : 2] += maps @ kernel[y, x].T
    return np.maximum(wide[:-1, :-1] + file[f"{name}b/bias:0"], 0)


def pool(maps: Floats) -> Floats:
    padded, half = np.pad(maps, ((1, 1), (1, 1), (0, 0))), len(maps) // 2
    taps = (
        (a * b / 16) * padded[y:, x:][: 2 * half : 2, : 2 * half : 2]
        for y, a in enumerate((1, 2, 1))
        for x, b in enumerate((1, 2, 1))
    )
    return np.asarray(sum(taps), np.float32)


def mask_of(face: Floats, file: dict[str, Floats]) -> Floats:
    """FANSeg by NumPy alone."""
    maps, skips = face[..., ::-1], list[Floats]()
    for names in (("conv1",), ("conv2",), *((f"conv{n}s", f"conv{n}") for n in (3, 4, 5))):
        for name in names:
            maps = np.maximum(convolve(maps, file, name), 0)
        skips.append(maps)
        maps = pool(maps)
    for name in ("centre", "up5", "up4", "up3", "up2"):
        maps = np.concatenate([rise(maps, file, name), skips.pop()], -1)
    found = convolve(np.maximum(convolve(maps, file, "last"), 0), file, "out")[..., 0]
    mask = (np.tanh(found) + 1) / 2
    return np.where(mask < 0.1, 0, mask)


def test_its_weights_come_in_and_see_what_numpy_sees(project: Project, tmp_path: Path) -> None:
    file = layout()
    (tmp_path / FILE).write_bytes(pickle.dumps(file, 4))
    told = list(trained_import(project.folder, tmp_path / FILE, TrainedImportOptions()))
    assert isinstance(told[-1], Finished) and told[-1].summary["face_type"] == "full"
    assert any("look at them first" in event.text for event in told if isinstance(event, Note))
    chosen = select_segmenter(project, None, ["fan-dst"], MergeOptions())
    assert chosen is not None and (chosen.kind, chosen.face_type) == ("fan", "full")
    face = np.random.default_rng(1).random((256, 256, 3), np.float32)
    made = segmenters[chosen.kind]().build(chosen, "cpu")(face[None])[0]
    expected = mask_of(face, file)
    assert 0.2 < expected.mean() < 0.8 and expected.std() > 0.02, "a mask that shows nothing"
    assert np.abs(made - expected).max() < 1e-3


def test_a_file_of_another_network_is_refused_and_named(project: Project, tmp_path: Path) -> None:
    file = layout()
    del file["last/weight:0"], file["last/bias:0"]
    (tmp_path / FILE).write_bytes(pickle.dumps(file, 4))
    with pytest.raises(BadMedia, match="is left for our last"):
        list(trained_import(project.folder, tmp_path / FILE, TrainedImportOptions()))
    keras = tmp_path / "FANSeg_256_full_face.h5"
    keras.write_bytes(b"x")
    with pytest.raises(BadMedia, match=r"\.npy alone.*--segmenter multiclass"):
        list(trained_import(project.folder, keras, TrainedImportOptions()))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("FAN-prd", {"fan-prd"}),
        ("FAN-prd*FAN-dst", {"fan-prd", "fan-dst"}),
        ("learned*FAN-prd*FAN-dst", {"learned", "fan-prd", "fan-dst"}),
        ("XSeg-prd*XSeg-dst", {"xseg-prd", "xseg-dst"}),
    ],
)
def test_masks_are_called_as_people_know_them(typed: str, meant: set[str]) -> None:
    assert names_in([typed]) == meant


def test_without_its_weights_it_is_said_what_stands_in_their_place(project: Project) -> None:
    with pytest.raises(WeightsMissing, match=r"FANSeg.*--segmenter multiclass"):
        select_segmenter(project, None, ["FAN-dst"], MergeOptions())
    for name, kind in (("mine", "xseg"), ("other", "fan")):
        path = project.folder / "segmenters" / f"{name}.safetensors"
        tensors = {"head.bias": np.zeros(1, np.float32)}
        segmenter_file.write(SegmenterFile(path, kind, "full", 256, "a test", tensors))
        found = select_segmenter(project, None, ["FAN-dst"], MergeOptions())
        assert found is not None and found.path.stem == name, "FANSeg comes first where it is"
    with pytest.raises(BadOption, match="several"):
        select_segmenter(project, None, ["FAN-dst", "xseg-prd"], MergeOptions())


def test_the_masks_are_those_of_the_segmenter() -> None:
    one, other = np.full((4, 4), 0.5, np.float32), np.full((4, 4), 0.25, np.float32)
    seen = MaskInput(np.zeros((68, 2), np.float32), one, one, one, other)
    assert (combine(["FAN-prd*FAN-dst"], seen, MergeOptions()) == 0.125).all()
