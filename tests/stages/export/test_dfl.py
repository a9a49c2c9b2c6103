"""Models as files of DeepFaceLab 2: its unpickler reads them, and what comes in again is the same,
bit for bit.
"""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.errors import BadOption, BadProject, CannotWrite, WeightsMissing
from understudy.io.dfl import plain_pickle, safe_pickle
from understudy.io.model_files import checkpoint, history, segmenter_file
from understudy.nets.optim.update_rules import AdaBelief, RMSprop
from understudy.nets.pretrained.xseg import XSeg
from understudy.parts.models import saehd
from understudy.stages.events import Finished, Note, Stage, Warned
from understudy.stages.jobs import call
from understudy.stages.saved_models.recipe import CHECKPOINTS, HISTORY, ModelRecipe, write_recipe
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

Arrays = dict[str, np.ndarray[Any, Any]]

SIZE = {"resolution": 64, "ae_dims": 32, "e_dims": 16, "d_dims": 18, "d_mask_dims": 16}
REAL = Path(os.environ.get("UNDERSTUDY_ODD_FILES") or "/nowhere") / "dfl/SAEHD_default_options.dat"
FIELDS = {"adabelief": AdaBelief.FIELDS, "rmsprop": RMSprop.FIELDS}


def draw_model(
    folder: Path,
    model: str,
    optimizer: str = "none",
    batch: int = 4,
    fits: int = 0,
    **settings: Any,
) -> ModelRecipe:
    """Put a model into its folder, every number of it drawn at random: none is like another."""
    recipe = ModelRecipe(model=model, settings=settings)
    built = recipe.build(torch.device("meta"))
    rng = np.random.default_rng(3)
    weights = {
        name: rng.standard_normal(tuple(tensor.shape)).astype(np.float32)
        for name, tensor in built.state_dict().items()
        if tensor.is_floating_point()
    }
    weights |= {
        name: np.zeros(tuple(tensor.shape), np.int64)
        for name, tensor in built.state_dict().items()
        if not tensor.is_floating_point()
    }
    parts = {"weights": weights}
    if optimizer in FIELDS:
        parts["optimizer"] = {"generator/steps": np.array(37, np.int64)} | {
            f"generator/{name}/{field}": np.square(array)
            if "var" in field or "sq" in field
            else array
            for name, tensor in built.named_parameters()
            for field in FIELDS[optimizer]
            for array in [rng.standard_normal(tuple(tensor.shape)).astype(np.float32)]
        }
    folder.mkdir(parents=True)
    write_recipe(folder, recipe)
    history.append(
        folder / HISTORY,
        [
            {"iteration": 10, "losses": {"src": 2.0, "dst": 1.0}},
            {"iteration": 20, "losses": {"src": 1.5, "dst": 0.5}},
        ],
    )
    state = {"optimizer": optimizer, "settings": settings, "batch": {"asked": batch, "fits": fits}}
    checkpoint.save(folder / CHECKPOINTS, 20, parts, state)
    return recipe


def run(stage: Stage) -> tuple[dict[str, Any], str, str]:
    """The summary of a run, its notes and its warnings."""
    events = list(stage)
    assert isinstance(events[-1], Finished)
    notes, told = (
        "\n".join(e.text for e in events if isinstance(e, kind)) for kind in (Note, Warned)
    )
    return events[-1].summary, notes, told


def saved(folder: Path) -> checkpoint.Checkpoint:
    found, _ = checkpoint.load_newest(folder / CHECKPOINTS)
    assert found is not None
    return found


def same(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) and one[name].dtype == other[name].dtype
        for name in one
    )


def theirs(path: Path) -> Any:
    """What Python's own unpickler makes of a file, as the tool that it is for reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pickle.loads(path.read_bytes())


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "df": ("saehd", "rmsprop", {**SIZE, "archi": "df", "ae_dims": 33}),
    "liae-udtc": ("saehd", "adabelief", {**SIZE, "archi": "liae-udtc"}),
    "amp": ("amp", "adabelief", {**SIZE, "ae_dims": 33, "inter_dims": 39}),
    "quick96": ("quick96", "rmsprop", {}),
}


@pytest.fixture(autouse=True)
def small_quick96(monkeypatch: pytest.MonkeyPatch) -> None:
    network = saehd.build_network
    monkeypatch.setattr(
        saehd,
        "build_network",
        lambda *plan: network(*plan[:2], *(min(each, 34) for each in plan[2:])),
    )


@pytest.mark.parametrize("case", CASES)
def test_what_goes_out_comes_in_again_bit_for_bit(case: str, show: Path, tmp_path: Path) -> None:
    model, optimizer, settings = CASES[case]
    draw_model(show / "models/own", model, optimizer, 8, **settings)
    out = tmp_path / "out"
    summary, notes, told = run(call("export")(show, out, format="dfl"))
    assert not told and "every number as it was" in notes
    assert sorted(summary["files"]) == sorted(path.name for path in out.iterdir())
    _, notes, told = run(call("trained_import")(show, out, name="back"))
    assert not told and "layers were found by their names." in notes and "37 steps" in notes
    own, back = saved(show / "models/own"), saved(show / "models/back")
    assert same(own.arrays("weights"), back.arrays("weights"))
    assert same(own.arrays("optimizer"), back.arrays("optimizer"))
    assert back.iteration == 20 and back.state["optimizer"] == optimizer
    for key in settings:
        assert back.state["settings"][key] == settings[key]
    # And once more: the files themselves are the same.
    run(call("export")(show, tmp_path / "again", model="back", format="dfl"))
    for path in out.iterdir():
        other = tmp_path / "again" / path.name.replace("own", "back")
        if path.suffix == ".npy":
            assert path.read_bytes() == other.read_bytes()
        else:
            assert theirs(path)["options"] == theirs(other)["options"]


def test_its_own_unpickler_reads_names_and_plain_values(show: Path, tmp_path: Path) -> None:
    # Eight pairs were asked for, and four fit into memory.
    draw_model(
        show / "models/own", "saehd", "adabelief", 8, 4, archi="liae-ud", face_type="whole", **SIZE
    )
    run(call("export")(show, tmp_path, format="dfl"))
    data = theirs(tmp_path / "own_SAEHD_data.dat")
    assert data["iter"] == 20 and data["loss_history"] == [[2.0, 1.0]] * 10 + [[1.5, 0.5]] * 10
    assert {
        "resolution": 64,
        "face_type": "wf",
        "archi": "liae-ud",
        "ae_dims": 32,
        "e_dims": 16,
        "d_dims": 18,
        "d_mask_dims": 16,
        "batch_size": 4,
        "adabelief": True,
        "random_warp": True,
        "pretrain": False,
        "lr_dropout": "n",
    }.items() <= data["options"].items()
    encoder = theirs(tmp_path / "own_SAEHD_encoder.npy")
    assert list(encoder)[:2] == ["down1/downs_0/conv1/weight:0", "down1/downs_0/conv1/bias:0"]
    assert encoder["down1/downs_0/conv1/weight:0"].shape == (5, 5, 3, 16)
    decoder = theirs(tmp_path / "own_SAEHD_decoder.npy")
    layers = {name.rpartition("/")[0] for name in decoder}
    assert layers == {
        *(f"upscale{step}/conv1" for step in range(3)),
        *(f"res{step}/conv{number}" for step in range(3) for number in (1, 2)),
        *(f"upscalem{step}/conv1" for step in range(4)),
        *("out_conv", "out_conv1", "out_conv2", "out_conv3", "out_convm"),
    }
    memory = theirs(tmp_path / "own_SAEHD_src_dst_opt.npy")
    assert memory["iters:0"] == 37
    # There a gradient is the sum over the batch.
    own = saved(show / "models/own").arrays("optimizer")
    key = "generator/net.ab.squeeze.1.weight/exp_avg"
    assert np.array_equal(memory["ms_inter_AB/dense1/weight_0:0"], 4 * own[key].T)
    assert np.array_equal(memory["vs_inter_AB/dense1/weight_0:0"], 16 * own[f"{key}_var"].T)
    # No numpy is older than these names, and nothing else is called.
    called = b"".join(path.read_bytes() for path in tmp_path.glob("own_SAEHD_*.npy"))
    assert b"numpy._core" not in called and b"numpy.core.multiarray" in called


def test_a_model_goes_on_as_if_it_had_never_been_away(show: Path, tmp_path: Path) -> None:
    flags: dict[str, Any] = {
        "device": "cpu",
        "batch": 2,
        "preview_minutes": "never",
        "threads": 1,
        "finish": 0,
        "model": "saehd",
        "lr_dropout": True,
        "saehd": {**SIZE, "archi": "df-ud"},
    }

    def learn(name: str, iterations: int, **more: Any) -> tuple[str, checkpoint.Checkpoint]:
        options = TrainOptions.layered({**more, "name": name, "iterations": iterations})
        _, notes, told = run(train(show, options))
        assert not told
        return notes, saved(show / "models" / name)

    learn("own", 3, **flags)
    run(call("export")(show, tmp_path / "out", format="dfl"))
    run(call("trained_import")(show, tmp_path / "out", name="back"))
    del flags["model"], flags["saehd"]
    notes, back = learn("back", 5, **flags)
    assert "iteration 3" in notes and "memory" not in notes
    _, own = learn("own", 5, **flags)
    assert own.iteration == back.iteration == 5
    for part in ("weights", "optimizer"):
        assert same(own.arrays(part), back.arrays(part))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda held: held.pop("vs_inter/dense1/bias_0:0"), "some tensors have one slot"),
        (lambda held: held.update({"odd": np.ones(4, "f4")}), "'odd' is of no tensor"),
        (
            lambda held: held.update({"ms_inter/dense1/bias_0:0": np.ones(5, "f4")}),
            "'ms_inter/dense1/bias_0:0' is of another shape",
        ),
        (
            lambda held: held.update({"vs_inter/dense1/bias_0:0": np.full(32, -1, "f4")}),
            "neither AdaBelief nor RMSprop",
        ),
        (lambda held: held.update({"iters:0": np.array(-4)}), "-4 is no number of steps"),
        (lambda held: held.clear(), "no named arrays"),
    ],
)
def test_a_memory_that_does_not_fit_stays_behind_and_that_is_told(
    changed: Any, told: str, show: Path, tmp_path: Path
) -> None:
    draw_model(show / "models/own", "saehd", "adabelief", archi="df", **SIZE)
    run(call("export")(show, tmp_path, format="dfl"))
    path = tmp_path / "own_SAEHD_src_dst_opt.npy"
    held = dict(theirs(path))
    changed(held)
    path.write_bytes(pickle.dumps(held))
    summary, notes, warned = run(call("trained_import")(show, tmp_path, name="back"))
    assert told in warned and "Without it the optimizer starts with no memory" in warned
    assert summary["optimizer"] == "none" and "stays behind" in notes


def test_slots_may_be_called_otherwise_and_some_tensors_have_none(
    show: Path, tmp_path: Path
) -> None:
    draw_model(show / "models/own", "amp", "adabelief", 1, inter_dims=40, **SIZE)
    run(call("export")(show, tmp_path, format="dfl"))
    path = tmp_path / "own_AMP_src_dst_opt.npy"
    # Frozen inters have no slots there, and nobody says what a slot must be called.
    held = {
        f"{key[3:].removesuffix(':0')}/{'mean' if key[0] == 'm' else 'variance'}:0": array
        for key, array in theirs(path).items()
        if key != "iters:0" and "inter_" not in key
    }
    path.write_bytes(pickle.dumps(held))
    _, _, warned = run(call("trained_import")(show, tmp_path, name="back"))
    assert "does not say how many steps were taken; 20 are assumed" in warned
    own, back = (saved(show / "models" / name).arrays("optimizer") for name in ("own", "back"))
    assert int(back.pop("generator/steps")) == 20
    assert back and not any(".src." in name or ".dst." in name for name in back)
    assert all(np.array_equal(array, own[name]) for name, array in back.items())


def test_what_cannot_be_written_is_told(show: Path, tmp_path: Path) -> None:
    draw_model(show / "models/own", "saehd", "adam", archi="df", **SIZE)
    draw_model(show / "models/other", "sae", resolution=64, ae_dims=32, e_ch_dims=21, d_ch_dims=10)
    with pytest.raises(BadOption, match="sae is no model that DeepFaceLab 2 has"):
        run(call("export")(show, tmp_path / "out", model="other", format="dfl"))
    draw_model(show / "models/wide", "saehd", archi="dfhd", **SIZE)
    with pytest.raises(BadOption, match="layers of encoder in this plan is not known"):
        run(call("export")(show, tmp_path / "out", model="wide", format="dfl"))
    with pytest.raises(BadOption, match="several files"):
        run(call("export")(show, tmp_path / "own.dfm", model="own", format="dfl"))
    with pytest.raises(BadOption, match="segmenter: goes with"):
        run(call("export")(show, tmp_path / "own.dfm", model="own", segmenter="xseg"))
    out = tmp_path / "out"
    _, notes, _ = run(call("export")(show, out, model="own", format="dfl"))
    assert "adam is none of its optimizers" in notes
    with pytest.raises(BadOption, match=r"own_SAEHD_data\.dat: is there already.*--overwrite"):
        run(call("export")(show, out, model="own", format="dfl"))
    run(call("export")(show, out, model="own", format="dfl", overwrite=True))
    (out / "own_SAEHD_src_dst_opt.npy").write_bytes(b"of another run")
    with pytest.raises(BadOption, match=r"own_SAEHD_src_dst_opt\.npy: would be taken for a part"):
        run(call("export")(show, out, model="own", format="dfl", overwrite=True))


@pytest.mark.footage
@pytest.mark.skipif(not REAL.is_file(), reason="UNDERSTUDY_ODD_FILES names no such file")
def test_options_are_called_as_in_a_real_file(show: Path, tmp_path: Path) -> None:
    draw_model(show / "models/own", "saehd", archi="df", **SIZE)
    run(call("export")(show, tmp_path / "out", format="dfl"))
    ours = theirs(tmp_path / "out/own_SAEHD_data.dat")["options"]
    real = safe_pickle.loads(REAL.read_bytes(), "a real file")
    assert isinstance(real, dict)
    # These two are of 2020, and were renamed since.
    assert set(real) - {"eyes_prio", "random_flip"} <= set(ours)
    for name in set(real) & set(ours):
        value = real[name].item() if isinstance(real[name], np.generic) else real[name]
        assert type(value) is type(ours[name]), name


def test_a_disk_that_fills_leaves_nothing_behind(
    show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_model(show / "models/own", "saehd", archi="df", **SIZE)
    (tmp_path / "other_SAEHD_data.dat").write_bytes(b"of others")
    dump, files = plain_pickle.dump_arrays, []

    def fill(arrays: Any, file: Any) -> None:
        files.append(file.name)
        if len(files) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", file.name)
        dump(arrays, file)

    monkeypatch.setattr(plain_pickle, "dump_arrays", fill)
    with pytest.raises(CannotWrite, match="full"):
        run(call("export")(show, tmp_path, format="dfl"))
    assert {path.name for path in tmp_path.iterdir()} == {"show", "other_SAEHD_data.dat"}


def test_what_a_disk_gives_back_otherwise_is_not_kept(
    show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_model(show / "models/own", "saehd", archi="df", **SIZE)
    monkeypatch.setattr(
        plain_pickle,
        "dump_arrays",
        lambda arrays, file: plain_pickle.dump({name: -array for name, array in arrays}, file),
    )
    with pytest.raises(CannotWrite, match=r"encoder\.npy: read back, down1/downs_0/conv1/weight:0"):
        run(call("export")(show, tmp_path / "out", format="dfl"))
    assert not list((tmp_path / "out").iterdir())


def test_a_model_that_was_left_exchanged_is_refused(show: Path, tmp_path: Path) -> None:
    draw_model(show / "models/own", "saehd", archi="df", **SIZE)
    found = saved(show / "models/own")
    parts = {"weights": found.arrays("weights")}
    checkpoint.save(
        show / "models/own" / CHECKPOINTS, 21, parts, {**found.state, "exchanged": True}
    )
    with pytest.raises(BadProject, match="src and dst exchanged"):
        run(call("export")(show, tmp_path / "out", format="dfl"))


def test_an_xseg_goes_out_and_comes_in_again(show: Path, tmp_path: Path) -> None:
    shutil.rmtree(show / "dst")
    rng = np.random.default_rng(4)
    with torch.device("meta"):
        shapes = {name: tuple(weight.shape) for name, weight in XSeg().named_parameters()}
    tensors = {name: rng.standard_normal(shape).astype("f4") for name, shape in shapes.items()}
    path = show / "segmenters/own.safetensors"
    path.parent.mkdir()
    segmenter_file.write(segmenter_file.SegmenterFile(path, "xseg", "head", 256, "a test", tensors))
    with pytest.raises(WeightsMissing, match=r"no segmenter 'other'\. There are: own"):
        run(call("export")(show, tmp_path, segmenter="other", format="dfl"))
    _, _, told = run(call("export")(show, tmp_path / "out", segmenter="own", format="dfl"))
    assert not told
    held = theirs(tmp_path / "out/XSeg_256.npy")
    assert held["conv01/conv/weight:0"].shape == (3, 3, 3, 32)
    assert held["conv01/frn/eps:0"].shape == (1,) and held["conv01/tlu/tau:0"].shape == (32,)
    assert theirs(tmp_path / "out/XSeg_data.dat")["options"]["face_type"] == "head"
    summary, notes, _ = run(call("trained_import")(show, tmp_path / "out", name="back"))
    assert "each found by its name" in notes and summary["face_type"] == "head"
    back = segmenter_file.read(show / "segmenters/back.safetensors").tensors
    assert same(tensors, back)
