"""Models of DeepFaceLab 2 that come in: they paint as they did, and go on learning.

What they painted is told by `Theirs`, which is written from the format alone and shares no code
with our networks.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from understudy.errors import BadMedia, BadOption
from understudy.io.model_files import checkpoint, history
from understudy.parts.models import saehd
from understudy.stages.events import Finished, Note, Stage, Warned
from understudy.stages.jobs import call
from understudy.stages.saved_models.load import load_model
from understudy.stages.saved_models.recipe import CHECKPOINTS
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

Arrays = dict[str, np.ndarray[Any, Any]]
E, D, DM, AE, SIDE = 16, 18, 16, 32, 64


class Theirs:
    """A model as the former tool has it: (N, H, W, C), BGR, kernels (height, width, in, out).
    Weights are drawn when first used.
    """

    def __init__(self, archi: str, side: int = SIDE, amp: bool = False) -> None:
        self.kind, _, self.letters = archi.partition("-")
        self.side, self.amp, self.rng = side, amp, np.random.default_rng(5)
        self.parts: dict[str, Arrays] = {}

    def swap(self, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The swapped faces, their masks, and dst's masks."""
        features = self.encoder(faces)
        if self.amp:
            _, own = (
                self.spread("inter_src", features, 40),
                self.spread("inter_dst", features, 40),
            )
            # Morphed in full: every channel is src's.
            swapped, rebuilt = self.decoder("decoder", _), self.decoder("decoder", own)
        elif self.kind == "df":
            maps = self.inter("inter", features, AE)
            swapped, rebuilt = self.decoder("decoder_src", maps), self.decoder("decoder_dst", maps)
        else:
            shared, own = (
                self.inter("inter_AB", features, 2 * AE),
                self.inter("inter_B", features, 2 * AE),
            )
            swapped = self.decoder("decoder", torch.cat([shared, shared], 3))
            rebuilt = self.decoder("decoder", torch.cat([own, shared], 3))
        return swapped[0], swapped[1], rebuilt[1]

    def encoder(self, maps: Tensor) -> Tensor:
        deep = "t" in self.letters
        for step, width in enumerate(
            (E, 2 * E, 4 * E, 8 * E, 8 * E) if deep else (E, 2 * E, 4 * E, 8 * E)
        ):
            name = f"down{step + 1}/conv1" if deep else f"down1/downs_{step}/conv1"
            maps = self.bent(self.conv("encoder", name, maps, 5, width, 2), 0.1)
            maps = self.res("encoder", f"res{step + 1}", maps) if deep and step in (0, 4) else maps
        flat = maps.permute(0, 3, 1, 2).flatten(1)
        if "u" in self.letters:
            flat = flat / (flat.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return self.dense("encoder", "dense1", flat, AE) if self.amp else flat

    def inter(self, part: str, features: Tensor, width: int) -> Tensor:
        code = self.dense(part, "dense1", features, AE)
        maps = self.spread(part, code, width)
        return maps if "t" in self.letters else self.up(part, "upscale1", maps, width)

    def spread(self, part: str, code: Tensor, width: int) -> Tensor:
        side = self.side // (32 if "d" in self.letters else 16)
        return (
            self.dense(part, "dense2", code, width * side**2)
            .unflatten(1, (width, side, side))
            .permute(0, 2, 3, 1)
        )

    def decoder(self, part: str, maps: Tensor) -> tuple[Tensor, Tensor]:
        widths = (8, 8, 4, 2) if "t" in self.letters else (8, 4, 2)
        face = mask = maps
        for step, width in enumerate(widths):
            face = self.res(part, f"res{step}", self.up(part, f"upscale{step}", face, width * D))
        for step, width in enumerate((*widths, 1) if "d" in self.letters else widths):
            mask = self.up(part, f"upscalem{step}", mask, width * DM)
        heads = [
            self.conv(part, f"out_conv{head or ''}", face, 3 if head else 1, 3)
            for head in range(4 if "d" in self.letters else 1)
        ]
        painted = d2s(torch.cat(heads, 3)) if len(heads) > 1 else heads[0]
        return painted.sigmoid(), self.conv(part, "out_convm", mask, 1, 1).sigmoid()

    def up(self, part: str, name: str, maps: Tensor, width: int) -> Tensor:
        return d2s(self.bent(self.conv(part, f"{name}/conv1", maps, 3, 4 * width), 0.1))

    def res(self, part: str, name: str, maps: Tensor) -> Tensor:
        first = self.bent(self.conv(part, f"{name}/conv1", maps, 3, maps.shape[3]), 0.2)
        return self.bent(maps + self.conv(part, f"{name}/conv2", first, 3, maps.shape[3]), 0.2)

    def bent(self, maps: Tensor, slope: float) -> Tensor:
        return (
            maps * maps.cos() if "c" in self.letters else torch.where(maps > 0, maps, slope * maps)
        )

    def conv(
        self, part: str, name: str, maps: Tensor, side: int, width: int, stride: int = 1
    ) -> Tensor:
        kernel, bias = self.layer(part, name, (side, side, maps.shape[3], width))
        padded = functional.pad(maps.permute(0, 3, 1, 2), [side // 2] * 4)
        return functional.conv2d(padded, kernel.permute(3, 2, 0, 1), bias, stride).permute(
            0, 2, 3, 1
        )

    def dense(self, part: str, name: str, flat: Tensor, width: int) -> Tensor:
        kernel, bias = self.layer(part, name, (flat.shape[1], width))
        return flat @ kernel + bias

    def layer(self, part: str, name: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        held = self.parts.setdefault(part, {})
        if f"{name}/weight:0" not in held:
            wide = (3 / np.prod(shape[:-1])) ** 0.5
            held[f"{name}/weight:0"] = self.rng.uniform(-wide, wide, shape).astype(np.float32)
            held[f"{name}/bias:0"] = self.rng.uniform(-0.3, 0.3, shape[-1]).astype(np.float32)
        return torch.from_numpy(held[f"{name}/weight:0"]), torch.from_numpy(held[f"{name}/bias:0"])


def d2s(maps: Tensor) -> Tensor:
    """Channel (dy * 2 + dx) * C + c to pixel (dy, dx), channel c."""
    n, h, w, c = maps.shape
    return (
        maps.reshape(n, h, w, 2, 2, c // 4)
        .permute(0, 1, 3, 2, 4, 5)
        .reshape(n, 2 * h, 2 * w, c // 4)
    )


def dims(archi: str, **more: object) -> dict[str, Any]:
    base = {
        "resolution": SIDE,
        "face_type": "f",
        "archi": archi,
        "ae_dims": AE,
        "e_dims": E,
        "d_dims": D,
        "d_mask_dims": DM,
    }
    return {**base, **more}


def written(
    folder: Path, theirs: Theirs, kind: str, options: dict[str, Any], faces: Tensor | None = None
) -> Path:
    """The model's files, as its trainer leaves them."""
    with torch.no_grad():
        theirs.swap(torch.zeros(1, theirs.side, theirs.side, 3) if faces is None else faces)
    folder.mkdir(exist_ok=True)
    data = {
        "iter": 25,
        "options": options,
        "loss_history": [[2.0 - k / 50, 1.0] for k in range(25)],
        "sample_for_preview": None,
    }
    (folder / f"new_{kind}_data.dat").write_bytes(pickle.dumps(data))
    for part, arrays in theirs.parts.items():
        (folder / f"new_{kind}_{part}.npy").write_bytes(pickle.dumps(arrays, 4))
    return folder


def run(stage: Stage) -> tuple[dict[str, Any], str, str]:
    """The summary of a run, its notes and its warnings."""
    events = list(stage)
    assert isinstance(events[-1], Finished)
    notes, warnings = (
        "\n".join(e.text for e in events if isinstance(e, kind)) for kind in (Note, Warned)
    )
    return events[-1].summary, notes, warnings


def small_quick96(monkeypatch: pytest.MonkeyPatch) -> None:
    network = saehd.build_network
    monkeypatch.setattr(
        saehd, "build_network", lambda archi, side, *_: network(archi, side, AE, E, D, DM)
    )


@pytest.mark.parametrize("case", ["df", "df-udt", "liae-ud", "liae", "liae-utc", "quick96", "amp"])
def test_a_model_paints_here_what_it_painted_there(
    case: str, show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_quick96(monkeypatch)
    kind = {"quick96": "Quick96", "amp": "AMP"}.get(case, "SAEHD")
    options = {} if case == "quick96" else dims(case)
    if case == "amp":
        options = dims(case, face_type="wf", inter_dims=40, morph_factor=0.5)
    archi = {"quick96": "df-ud", "amp": "amp-udt"}.get(case, case)
    theirs = Theirs(archi, 96 if case == "quick96" else SIDE, amp=case == "amp")
    faces = torch.rand(2, theirs.side, theirs.side, 3, generator=torch.Generator().manual_seed(1))
    folder = written(tmp_path / "workspace", theirs, kind, options, faces.flip(3))
    summary, notes, warnings = run(call("trained_import")(show, folder))
    assert summary["model"] == "new" and summary["iteration"] == 25 and not warnings
    assert "layers were found by their names." in notes
    ours = load_model(show / "models/new", "cpu").predict(faces.numpy())
    with torch.no_grad():
        face, mask, dst_mask = theirs.swap(faces.flip(3))
    assert face.std() > 0.03
    for found, true in (
        (ours.image, face.flip(3)),
        (ours.mask, mask[..., 0]),
        (ours.dst_mask, dst_mask[..., 0]),
    ):
        assert np.abs(found - true.numpy()).max() < 1e-5


def test_a_model_goes_on_learning_with_its_settings(show: Path, tmp_path: Path) -> None:
    options = dims(
        "df",
        gan_power=np.float64(0.1),
        gan_patch_size=8,
        true_face_power=0.01,
        eyes_mouth_prio=True,
    )
    trainer = {
        "random_warp": False,
        "clipgrad": True,
        "ct_mode": "rct",
        "batch_size": 6,
        "lr_dropout": "y",
        "adabelief": False,
    }
    folder = written(tmp_path / "workspace", Theirs("df"), "SAEHD", options | trainer)
    summary, notes, _ = run(
        call("trained_import")(show, folder / "new_SAEHD_encoder.npy", name="old")
    )
    assert {
        "eyes_mouth_prio": True,
        "gan_power": 0.1,
        "true_face_power": 0.01,
        "archi": "df",
    }.items() <= summary.items()
    assert (
        "--warp 0 --lr-dropout --clip 1 --optimizer rmsprop --batch 6 --ct-mode rct" in notes
        and "critics" in notes
    )
    losses = [row for row in history.read(show / "models/old/history.jsonl") if "losses" in row]
    assert [row["iteration"] for row in losses] == [10, 20, 25] and losses[0]["losses"] == {
        "src": 1.91,
        "dst": 1.0,
    }
    flags = TrainOptions.layered({"batch": 1, "device": "cpu", "iterations": 26, "name": "old"})
    assert run(train(show, flags.model_copy(update={"iterations": 1})))[0]["iteration"] == 25
    assert (show / "models/old/previews").is_dir()
    summary, notes, warnings = run(train(show, flags))
    assert (
        summary["iteration"] == 26
        and summary["losses"]["gan"] > 0
        and "no memory" in notes
        and not warnings
    )
    assert "no memory" not in run(train(show, flags.model_copy(update={"iterations": 27})))[1]
    assert run(call("trained")(show))[0]["old"]["iteration"] == 27


def test_names_decide_whatever_the_order_and_where_they_are_numbers_the_order_does(
    show: Path, tmp_path: Path
) -> None:
    theirs = Theirs("liae-udt")
    folder = written(tmp_path / "workspace", theirs, "SAEHD", dims("liae-udt"))
    run(call("trained_import")(show, folder, name="named"))
    for how in ("shuffled", "numbered"):
        for part, arrays in theirs.parts.items():
            other: Arrays = (
                {
                    str(name): arrays[name]
                    for name in np.random.default_rng(2).permutation([*arrays])
                }
                if how == "shuffled"
                else {str(number): array for number, array in enumerate(arrays.values())}
            )
            (folder / f"new_SAEHD_{part}.npy").write_bytes(pickle.dumps(other))
        _, notes, warnings = run(call("trained_import")(show, folder, name=how))
        assert not warnings and ("all 35 layers" if how == "shuffled" else "0 of 35") in notes
        named, found = (weights_of(show, name) for name in ("named", how))
        assert all(np.array_equal(named[name], found[name]) for name in named)


def test_critics_and_what_their_optimizers_remember_come_in(show: Path, tmp_path: Path) -> None:
    options = dims("df", gan_power=0.1, gan_patch_size=8, true_face_power=0.01, batch_size=4)
    theirs = Theirs("df")
    folder = written(tmp_path / "workspace", theirs, "SAEHD", options)
    rng = np.random.default_rng(8)
    memory = {"iters:0": np.array(25, np.int64)}
    for part, arrays in theirs.parts.items():
        memory |= slots(rng, part, arrays)
    (folder / "new_SAEHD_src_dst_opt.npy").write_bytes(pickle.dumps(memory))
    gan = {
        "a": (1, 1, 3, 16),
        "b": (3, 3, 16, 32),
        "c": (3, 3, 32, 64),
        "d": (1, 1, 64, 1),
        "e": (1, 1, 64, 64),
        # Transposed: (height, width, out, in).
        "f": (3, 3, 16, 64),
        "g": (3, 3, 32, 64),
        "h": (1, 1, 32, 1),
    }
    held: Arrays = {}
    for name, shape in gan.items():
        held[f"{name}/weight:0"] = rng.standard_normal(shape).astype("f4")
        bias = shape[2] if name in "fg" else shape[3]
        held[f"{name}/bias:0"] = rng.standard_normal(bias).astype("f4")
    (folder / "new_SAEHD_GAN.npy").write_bytes(pickle.dumps(held))
    opt = {"iters:0": np.array(9, np.int64), **slots(rng, "GAN", held)}
    (folder / "new_SAEHD_GAN_opt.npy").write_bytes(pickle.dumps(opt))
    summary, notes, warnings = run(call("trained_import")(show, folder))
    assert summary["optimizer"] == "adabelief" and "after 25 steps" in notes
    assert "1 of its critics stay behind (code_critic)" in notes and not warnings
    found = weights_of(show, "new")
    # Colours change sides.
    first = held["a/weight:0"].transpose(3, 2, 0, 1)[:, ::-1]
    assert np.array_equal(found["critics.critic.first.weight"], first)
    up = held["f/weight:0"].transpose(3, 2, 0, 1)
    assert np.array_equal(found["critics.critic.ups.0.weight"], up)
    state = saved_state(show, "new").arrays("optimizer")
    assert state["critic/steps"] == 9 and state["code_critic/steps"] == 0
    assert not state["code_critic/critics.code_critic.0.weight/exp_avg"].any()
    mean = opt["ms_GAN/f/weight_0:0"].transpose(3, 2, 0, 1) / 4
    assert np.array_equal(state["critic/critics.critic.ups.0.weight/exp_avg"], mean)
    # And training goes on from it.
    flags = TrainOptions.layered({"batch": 1, "device": "cpu", "iterations": 26, "name": "new"})
    _, notes, warnings = run(train(show, flags))
    assert "memory" not in notes and not warnings


def test_a_gradient_there_is_the_sum_over_the_faces_of_each_device(
    show: Path, tmp_path: Path
) -> None:
    theirs = Theirs("df")
    folder = written(tmp_path / "workspace", theirs, "SAEHD", dims("df", batch_size=16))
    data = pickle.loads((folder / "new_SAEHD_data.dat").read_bytes())
    path = folder / "new_SAEHD_data.dat"
    path.write_bytes(pickle.dumps({**data, "choosed_gpu_indexes": [0, 1]}))
    rng = np.random.default_rng(8)
    memory = {"iters:0": np.array(25, np.int64)}
    for part, arrays in theirs.parts.items():
        memory |= slots(rng, part, arrays)
    (folder / "new_SAEHD_src_dst_opt.npy").write_bytes(pickle.dumps(memory))
    run(call("trained_import")(show, folder))
    state = saved_state(show, "new").arrays("optimizer")
    for field, word, scale in (("exp_avg", "ms", 8), ("exp_avg_var", "vs", 64)):
        there = memory[f"{word}_inter/dense1/weight_0:0"]
        here = state[f"generator/net.inter.squeeze.1.weight/{field}"]
        assert np.array_equal(here, there.T / np.float32(scale))


def slots(rng: np.random.Generator, part: str, arrays: Arrays) -> Arrays:
    """What AdaBelief remembers of the tensors of a part: a mean, and a variance."""
    drawn = {
        f"{word}_{part}/{name.replace(':', '_')}:0": rng.standard_normal(array.shape).astype("f4")
        for word in ("ms", "vs")
        for name, array in arrays.items()
    }
    return {name: abs(array) if name[0] == "v" else array for name, array in drawn.items()}


def saved_state(show: Path, name: str) -> checkpoint.Checkpoint:
    found, _ = checkpoint.load_newest(show / "models" / name / CHECKPOINTS)
    assert found is not None
    return found


def weights_of(show: Path, name: str) -> Arrays:
    return saved_state(show, name).arrays("weights")


def test_a_pretrained_model_forgets_whom_it_met_when_it_meets_its_people(
    show: Path, tmp_path: Path
) -> None:
    folder = written(
        tmp_path / "workspace",
        Theirs("liae-ud"),
        "SAEHD",
        dims("liae-ud", pretrain=True, random_warp=False),
    )
    summary, notes, _ = run(call("trained_import")(show, folder))
    assert "pretrain" in notes and summary["train_inter_ab"] is False
    _, notes, warnings = run(
        train(
            show,
            TrainOptions.layered({"batch": 1, "device": "cpu", "iterations": 1, "name": "new"}),
        )
    )
    assert "iteration 25" in notes and "net.ab, net.b" in warnings


def test_what_does_not_fit_is_named(show: Path, tmp_path: Path) -> None:
    theirs = Theirs("df")
    folder = written(tmp_path / "workspace", theirs, "SAEHD", dims("df"))
    decoder, encoder = theirs.parts["decoder_src"], theirs.parts["encoder"]
    for part, arrays, told in (
        (
            "decoder_src",
            {k: v for k, v in decoder.items() if "res1/conv2" not in k},
            "left for res1/conv2, our net.src.face.3.inner.2; 1 are",
        ),
        (
            "decoder_src",
            {k: v for k, v in decoder.items() if k != "res1/conv2/bias:0"},
            "'res1/conv2' has no bias beside weight",
        ),
        (
            "decoder_src",
            decoder | {"res1/conv2/weight:0": np.full((3, 3, 72, 72), np.nan, "f4")},
            "'res1/conv2/weight:0' holds",
        ),
        (
            "encoder",
            encoder
            | {
                "more/weight:0": np.ones((1, 1, 4, 4), "f4"),
                "more/bias:0": np.ones(4, "f4"),
            },
            "'more', a convolution .*, finds no place",
        ),
        (
            "encoder",
            encoder | {"down1/downs_0/conv1/weight:0": np.ones((5, 5, 3, 16), "i4")},
            "'down1/downs_0/conv1/weight:0' is not an array of",
        ),
    ):
        file = folder / f"new_SAEHD_{part}.npy"
        before = file.read_bytes()
        file.write_bytes(pickle.dumps(arrays))
        with pytest.raises(BadMedia, match=f"{part}.npy: .*{told}"):
            run(call("trained_import")(show, folder))
        file.write_bytes(before)
    (folder / "new_SAEHD_inter.npy").unlink()
    with pytest.raises(BadMedia, match=r"new_SAEHD_inter\.npy: is not there"):
        run(call("trained_import")(show, folder))
    assert not (show / "models").exists() and not list(show.glob(".new*"))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"archi": "liaehd"}, "archi is liaehd.*train that plan anew.*--saehd.archi liaehd"),
        ({"archi": "df-x"}, "df-x"),
        ({"e_dims": 17}, "e_dims"),
        ({"resolution": "wide"}, "resolution"),
        ({"face_type": "nose"}, "face_type"),
        ({"e_dims": None}, "e_dims"),
    ],
)
def test_a_model_of_another_plan_is_refused(
    changed: dict[str, Any], told: str, show: Path, tmp_path: Path
) -> None:
    data = {"iter": 3, "options": dims("df") | changed}
    (tmp_path / "new_SAEHD_data.dat").write_bytes(pickle.dumps(data))
    with pytest.raises(BadMedia, match=rf"new_SAEHD_data\.dat: .*{told}"):
        run(call("trained_import")(show, tmp_path))


def test_which_of_several_models_and_names_that_are_taken(show: Path, tmp_path: Path) -> None:
    folder = written(tmp_path / "workspace", Theirs("df"), "SAEHD", dims("df"))
    (folder / "other_AMP_data.dat").write_bytes(b"")
    with pytest.raises(BadOption, match=r"holds new_SAEHD, other_AMP\. .*--pick"):
        run(call("trained_import")(show, folder))
    (folder / "XSeg_256.npy").write_bytes(b"no pickle")
    assert run(call("trained_import")(show, folder, pick="new_SAEHD"))[0]["model"] == "new"
    with pytest.raises(BadOption, match="is there already"):
        run(call("trained_import")(show, folder, pick="new"))
    with pytest.raises(BadMedia, match=r"XSeg_256\.npy"):
        run(call("trained_import")(show, folder / "XSeg_256.npy"))
