"""XSeg comes in from a file as DeepFaceLab lays one out, and sees what an independent reckoning
with the same kernels sees.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption
from understudy.io.model_files.segmenter_file import read
from understudy.parts.segmenters import segmenters
from understudy.stages.events import Event, Finished, Note, Saved, Warned
from understudy.stages.project import Project, ProjectFile
from understudy.stages.saved_models import segmenters as segmenters_stage
from understudy.stages.saved_models.segmenters import import_segmenter
from understudy.types import Floats

WIDTHS, COUNTS, BLURS, UPS = (
    (32, 64, 128, 256, 256, 256),
    (2, 2, 2, 3, 3, 3),
    (4, 3, 2, 2, 2, 2),
    (32, 64, 128, 128, 128, 128),
)
File = dict[str, Floats]


def file_of(upwards: bool = False) -> File:
    """The arrays of a weight file, random: kernels (height, width, in, out), dense (in, out)."""
    rng, made = np.random.default_rng(0), {}

    def add(name: str, kernel: tuple[int, ...], bias: int, norm: bool = True) -> None:
        spread = np.sqrt(
            2
            / (np.prod(kernel[:-2], initial=1) * (kernel[-2] if bias == kernel[-1] else kernel[-1]))
        )
        own = f"{name}/conv" if norm else name
        made[f"{own}/weight:0"] = rng.standard_normal(kernel, np.float32) * np.float32(spread)
        made[f"{own}/bias:0"] = rng.uniform(-0.2, 0.2, bias).astype(np.float32)
        if norm:
            made[f"{name}/frn/weight:0"] = rng.uniform(0.5, 1.5, bias).astype(np.float32)
            made[f"{name}/frn/bias:0"] = rng.uniform(-0.5, 0.5, bias).astype(np.float32)
            made[f"{name}/frn/eps:0"] = rng.uniform(-0.5, 0.5, 1).astype(np.float32)
            made[f"{name}/tlu/tau:0"] = rng.uniform(-0.5, 0.2, bias).astype(np.float32)

    for level, (width, count) in enumerate(zip(WIDTHS, COUNTS, strict=True)):
        for place in range(count):
            add(
                f"conv{level}{place + 1}",
                (3, 3, (3, *WIDTHS)[level] if place == 0 else width, width),
                width,
            )
    add("dense1", (4096, 512), 512, norm=False)
    add("dense2", (512, 4096), 4096, norm=False)
    for level in range(6) if upwards else reversed(range(6)):
        add(f"up{level}", (3, 3, UPS[level], (*WIDTHS, 256)[level + 1]), UPS[level])
        for place in range(COUNTS[level]):
            inward = UPS[level] + WIDTHS[level] if place == 0 else WIDTHS[level]
            add(
                f"uconv{level}{COUNTS[level] - place}", (3, 3, inward, WIDTHS[level]), WIDTHS[level]
            )
    add("out_conv", (3, 3, 32, 1), 1, norm=False)
    return made


class NumpyXSeg:
    """XSeg by NumPy alone, with the kernels of a file."""

    def __init__(self, file: File) -> None:
        self.file = file

    def mask(self, face: Floats) -> Floats:
        """The mask (256, 256) of one face (256, 256, 3) RGB."""
        maps, skips = face[..., ::-1], []
        for level in range(6):
            places = range(1, COUNTS[level] + 1)
            maps = self.convolutions([f"conv{level}{place}" for place in places], maps)
            skips.append(maps)
            maps = self.pool(maps, BLURS[level])
        code = maps.transpose(2, 0, 1).ravel()
        for name in ("dense1", "dense2"):
            code = code @ self.file[f"{name}/weight:0"] + self.file[f"{name}/bias:0"]
        maps = code.reshape(256, 4, 4).transpose(1, 2, 0)
        for level in reversed(range(6)):
            maps = np.concatenate([self.upsample(f"up{level}", maps), skips[level]], -1)
            places = range(COUNTS[level], 0, -1)
            maps = self.convolutions([f"uconv{level}{place}" for place in places], maps)
        mask = 1 / (1 + np.exp(-self.convolve("out_conv", maps)[..., 0]))
        return np.where(mask < 0.1, 0, mask)

    def convolutions(self, names: list[str], maps: Floats) -> Floats:
        for name in names:
            maps = self.activate(name, self.convolve(f"{name}/conv", maps))
        return maps

    def activate(self, name: str, maps: Floats) -> Floats:
        gain, shift, eps = (self.file[f"{name}/frn/{role}:0"] for role in ("weight", "bias", "eps"))
        return np.maximum(
            maps / np.sqrt((maps**2).mean((0, 1)) + abs(eps)) * gain + shift,
            self.file[f"{name}/tlu/tau:0"],
        )

    def convolve(self, name: str, maps: Floats) -> Floats:
        kernel, (height, width) = self.file[f"{name}/weight:0"], maps.shape[:2]
        padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
        windows = (
            padded[y : y + height, x : x + width] @ kernel[y, x] for y in range(3) for x in range(3)
        )
        return sum(windows) + self.file[f"{name}/bias:0"]

    def upsample(self, name: str, maps: Floats) -> Floats:
        kernel, (height, width) = self.file[f"{name}/conv/weight:0"], maps.shape[:2]
        wide = np.zeros((2 * height + 1, 2 * width + 1, kernel.shape[2]), np.float32)
        for y in range(3):
            for x in range(3):
                wide[y : y + 2 * height : 2, x : x + 2 * width : 2] += maps @ kernel[y, x].T
        return self.activate(name, wide[:-1, :-1] + self.file[f"{name}/conv/bias:0"])

    @staticmethod
    def pool(maps: Floats, size: int) -> Floats:
        row = {2: (1, 1), 3: (1, 2, 1), 4: (1, 3, 3, 1)}[size]
        padded = np.pad(maps, (((size - 1) // 2, 2), ((size - 1) // 2, 2), (0, 0)))
        half = len(maps) // 2
        taps = (
            np.float32(a * b) * padded[y:, x:][: 2 * half : 2, : 2 * half : 2]
            for y, a in enumerate(row)
            for x, b in enumerate(row)
        )
        return sum(taps) / np.float32(sum(row) ** 2)


def saved(folder: Path, file: File, face_type: object = "f") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "XSeg_256.npy").write_bytes(pickle.dumps(file, 4))
    (folder / "XSeg_256_opt.npy").write_bytes(b"")
    (folder / "XSeg_data.dat").write_bytes(
        pickle.dumps({"iter": 5, "options": {"face_type": face_type}}, 4)
    )
    return folder / "XSeg_256.npy"


def texts(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note | Warned))


@pytest.fixture(scope="module")
def file() -> File:
    return file_of()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A show without faces."""
    (tmp_path / "show").mkdir()
    return Project(tmp_path / "show", ProjectFile())


def test_an_imported_xseg_sees_what_its_own_kernels_say(
    make_show: Callable[..., Path], file: File, tmp_path: Path
) -> None:
    project = Project.load(make_show(tmp_path / "show", 2))
    *_, last = events = list(
        import_segmenter(project, saved(tmp_path / "model", file).parent, None)
    )
    kept = project.folder / "segmenters" / "xseg.safetensors"
    assert Saved(what="segmenter", path=kept) in events
    found = read(kept)
    assert (found.kind, found.face_type, found.resolution) == ("xseg", "full", 256)
    face = np.random.default_rng(1).random((256, 256, 3), np.float32)
    face[:, 100:] *= 0.3
    expected, mask = (
        NumpyXSeg(file).mask(face),
        segmenters["xseg"]().build(found, "cpu")(face[None])[0],
    )
    assert expected.std() > 0.1 and mask.dtype == np.float32
    assert np.abs(mask - expected)[abs(expected - 0.1) > 0.01].max() < 1e-4
    # Random weights follow nobody's face.
    assert isinstance(last, Finished) and last.summary["overlap"] < 0.5
    assert any(
        isinstance(event, Warned) and "does not follow these faces" in event.text
        for event in events
    )


def test_names_decide_and_where_they_say_nothing_the_order(
    project: Project, file: File, tmp_path: Path
) -> None:
    upwards = {name: file[name] for name in file_of(upwards=True)}
    # A pooling's fixed filter may stand between the layers.
    upwards["pool/blur:0"] = np.repeat(
        np.outer((1, 2, 1), (1, 2, 1)).astype(np.float32)[..., None, None] / 16, 64, 2
    )
    cases = {
        "named": (dict(reversed(file.items())), "each found by its name"),
        "smallest": (unnamed(file), "from the smallest maps on"),
        "full": (unnamed(upwards), "from the full size on"),
    }
    for name, (held, expected) in cases.items():
        events = list(import_segmenter(project, saved(tmp_path / name, held), name))
        assert expected in texts(events)
        assert not any(isinstance(event, Warned) for event in events)
    first, *others = (read(project.folder / f"segmenters/{name}.safetensors") for name in cases)
    for other in others:
        assert all(
            np.array_equal(first.tensors[name], other.tensors[name]) for name in other.tensors
        )
        assert len(first.tensors) == len(other.tensors)


def unnamed(file: File) -> File:
    """The same arrays, their layers only numbered."""
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in file))
    return {
        f"layer_{layers.index(name.rpartition('/')[0])}/{name.rpartition('/')[2]}": array
        for name, array in file.items()
    }


def test_a_file_with_a_tensor_too_few_is_refused_whole(
    project: Project, file: File, tmp_path: Path
) -> None:
    path = saved(
        tmp_path / "model",
        {name: array for name, array in file.items() if not name.startswith("uconv32/tlu")},
    )
    with pytest.raises(
        BadMedia,
        match=r"XSeg_256.npy: no threshold \(tau 256\) is left for uconv32/tlu, our rises.*; 1 are",
    ):
        list(import_segmenter(project, path, None))
    assert not list(project.folder.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("data", "told", "warned"),
    [
        (None, "XSeg_data.dat: not there", False),
        (b"no pickle", "not a pickle", True),
        (pickle.dumps({"options": {"face_type": "elbow"}}), "'elbow'", True),
        (pickle.dumps({"options": {"face_type": ["wf"]}}), "no face type that is known", True),
    ],
    ids=["none", "torn", "unknown", "odd"],
)
def test_where_the_face_type_is_not_known_it_says_what_it_takes(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes | None,
    told: str,
    warned: bool,
) -> None:
    path = saved(tmp_path / "model", {"a": np.zeros(1, np.float32)})
    monkeypatch.setattr(segmenters_stage, "_convert_weights", lambda _: ({}, []))
    (
        path.with_name("XSeg_data.dat").unlink()
        if data is None
        else path.with_name("XSeg_data.dat").write_bytes(data)
    )
    first = next(
        event for event in import_segmenter(project, path, None) if isinstance(event, Note | Warned)
    )
    assert (
        told in first.text and "whole faces" in first.text and isinstance(first, Warned) == warned
    )
    assert read(project.folder / "segmenters" / "xseg.safetensors").face_type == "whole"


def test_a_name_that_is_taken_or_cannot_be_one_is_refused(project: Project, tmp_path: Path) -> None:
    path = saved(tmp_path / "model", {"a": np.zeros(1, np.float32)})
    (project.folder / "segmenters").mkdir()
    (project.folder / "segmenters" / "mine.safetensors").write_bytes(b"")
    with pytest.raises(BadOption, match=r"mine.safetensors: is there already"):
        list(import_segmenter(project, path, "mine"))
    with pytest.raises(BadOption, match="cannot be a folder's name"):
        list(import_segmenter(project, path, "../mine"))


def test_a_folder_without_a_weight_file_or_with_two_is_refused(
    project: Project, tmp_path: Path
) -> None:
    with pytest.raises(BadMedia, match=r"no XSeg_256.npy in it"):
        list(import_segmenter(project, tmp_path, None))
    for name in ("XSeg_256.npy", "XSeg_128.npy"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(BadMedia, match=r"several.*XSeg_128.npy, XSeg_256.npy"):
        list(import_segmenter(project, tmp_path, None))
