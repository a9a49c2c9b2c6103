from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from understudy.errors import BadOption
from understudy.nets import losses
from understudy.parts.models import models
from understudy.parts.models.contract import Batch, Model, Samples

# Millions of parameters, as the classic models had them.
SIZES = [
    ("h64", {}, 112.8),
    ("h64", {"light": True}, 44.5),
    ("h128", {}, 138.4),
    ("h128", {"light": True}, 55.9),
    ("df", {}, 138.4),
    ("liaef128", {}, 136.1),
    ("sae", {}, 137.5),
    ("sae", {"archi": "liae", "compat": True}, 122.6),
    ("saehd", {"archi": "df"}, 57.5),
    ("saehd", {"archi": "df-ud"}, 54.5),
    ("saehd", {"archi": "df-udt"}, 87.7),
    ("saehd", {"archi": "liae"}, 95.0),
    ("saehd", {}, 82.4),
    ("saehd", {"archi": "liae-udt"}, 77.5),
    ("saehd", {"archi": "df", "resolution": 256}, 95.3),
    ("saehd", {"archi": "df-ud", "resolution": 256}, 82.8),
    ("saehd", {"archi": "df-udt", "resolution": 256}, 97.2),
    ("saehd", {"archi": "liae", "resolution": 256}, 195.8),
    ("saehd", {"archi": "liae-ud", "resolution": 256}, 145.3),
    ("saehd", {"archi": "liae-udt", "resolution": 256}, 102.8),
    ("quick96", {}, 38.3),
]
# Of each part, in millions: what the net holds, then the branches of one of its decoders.
PARTS = [
    ("sae", {}, {"decoder": (27.02, 3.73), "rest": 75.96}),
    ("sae", {"archi": "liae", "compat": True}, {"encoder": 16.68, "ab": 34.38, "b": 34.38, "decoder": (30.31, 6.83)}),
    ("saehd", {"archi": "df"}, {"encoder": 4.31, "inter": 14.96, "decoder": (16.82, 2.32)}),
    ("saehd", {"archi": "df-ud"}, {"encoder": 4.31, "inter": 11.80, "decoder": (16.83, 2.36)}),
    ("saehd", {"archi": "df-udt"}, {"encoder": 15.65, "inter": 3.15, "decoder": (30.98, 3.47)}),
    ("saehd", {"archi": "liae"}, {"encoder": 4.31, "ab": 26.25, "b": 26.25, "decoder": (30.97, 7.19)}),
    ("saehd", {}, {"encoder": 4.31, "ab": 19.93, "b": 19.93, "decoder": (30.98, 7.22)}),
    ("saehd", {"archi": "liae-udt"}, {"encoder": 15.65, "ab": 4.20, "b": 4.20, "decoder": (45.14, 8.34)}),
    ("quick96", {}, {"encoder": 4.31, "inter": 3.10, "decoder": (14.47, 0.98)}),
    ("amp", {}, {"src": 12.90, "dst": 12.90, "decoder": (45.14, 8.34), "rest": 22.08}),
]
FACES = {"h64": ("half", 64), "h128": ("half", 128), "df": ("full", 128), "liaef128": ("full", 128), "tiny": ("full", 96)}
FACES |= {"sae": ("full", 128), "saehd": ("full", 128), "quick96": ("full", 96), "amp": ("whole", 224)}
# As small as the options let them be.
SMALL = {
    "sae": {"resolution": 64, "ae_dims": 32, "e_ch_dims": 21, "d_ch_dims": 10},
    "saehd": {"resolution": 64, "ae_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 16},
    "amp": {"resolution": 64, "ae_dims": 32, "inter_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 16},
}
ARCHIS = ["df", "liae", "df-u", "df-d", "df-t", "df-c", "liae-u", "liae-dt", "df-udtc", "liae-udtc"]


def built(name: str, **settings: object) -> Model:
    with torch.device("meta"):
        return models[name].layered(settings).build()


def small(name: str, **settings: object) -> Model:
    model = models[name].layered(SMALL[name], settings).build()
    model.initialise(torch.Generator().manual_seed(0))
    return model


def batch(size: int, device: str = "cpu") -> Batch:
    rng = torch.Generator().manual_seed(0)
    channels = [3 if each.name in ("input", "target") else 1 for each in fields(Samples)]
    return Batch(*(Samples(*(torch.rand(2, c, size, size, generator=rng).to(device) for c in channels)) for _ in range(2)))


def learn(model: Model, shown: Batch) -> dict[str, float]:
    """One iteration of every group, gradients summed up as a learner would find them."""
    told = {}
    for group in model.groups():
        found = model.losses(shown, group)
        torch.stack(list(found.values())).sum().backward()
        told |= {name: float(loss.detach()) for name, loss in found.items()}
    return told


def reached(model: Model) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.grad is not None and float(weight.grad.abs().sum()) > 0}


def millions(net: torch.nn.Module) -> float:
    return sum(weight.numel() for weight in net.parameters()) / 1e6


@pytest.mark.parametrize(("name", "settings", "millions"), SIZES)
def test_the_classic_models_have_their_size(name: str, settings: dict[str, object], millions: float) -> None:
    assert round(sum(weight.numel() for weight in built(name, **settings).parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize(("name", "settings", "parts"), PARTS)
def test_every_part_has_its_size(name: str, settings: dict[str, object], parts: dict[str, object]) -> None:
    net = built(name, **settings).net
    decoder = net.decoder if hasattr(net, "decoder") else net.src
    named = [millions(net.get_submodule(part)) for part in parts if part not in ("decoder", "rest")]
    decoders = 1 if hasattr(net, "decoder") else 2
    for part, size in parts.items():
        if part == "decoder":
            assert (millions(decoder.face), millions(decoder.mask)) == pytest.approx(size, abs=0.006)
        elif part == "rest":
            assert millions(net) - sum(named) - decoders * millions(decoder) == pytest.approx(size, abs=0.006)
        else:
            assert millions(net.get_submodule(part)) == pytest.approx(size, abs=0.006)


def test_tiny_is_small() -> None:
    assert 2e6 < sum(weight.numel() for weight in built("tiny").parameters()) < 5e6


@pytest.mark.parametrize("name", list(models))
def test_a_model_keeps_the_contract(name: str) -> None:
    model = built(name)
    assert (model.face_type, model.resolution) == FACES[name]
    assert {id(weight) for group in model.groups().values() for weight in group.values()} == {id(w) for w in model.parameters()}
    for group in model.groups():
        told = model.losses(batch(model.resolution, "meta"), group)
        assert told and all(loss.shape == () for loss in told.values())
    faces = batch(model.resolution, "meta")
    for face, mask in model.passes(faces.src.target, faces.dst.target).values():
        assert face.shape == faces.src.target.shape and mask.shape == faces.src.mask.shape


def test_tiny_learns_a_batch_by_heart() -> None:
    model = models["tiny"].layered({"resolution": 64}).build()
    model.initialise(torch.Generator().manual_seed(0))
    optimizer, same = torch.optim.Adam(model.parameters(), 1e-3), batch(64)
    totals = []
    for _ in range(6):
        total = torch.stack(list(model.losses(same, "generator").values())).sum()
        total.backward()
        assert all(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.9 * totals[0]


def test_tiny_tells_faces_apart_from_the_start() -> None:
    model = models["tiny"].layered({"resolution": 64}).build()
    model.initialise(torch.Generator().manual_seed(0))
    places = torch.linspace(0, 6.28, 64)
    waves = torch.stack([torch.sin(places * (1 + k / 2)).expand(64, 64) for k in range(6)]) / 2 + 0.5
    with torch.no_grad():
        inter = model.net.inter
        codes = inter.code(model.net.encoder(waves[:, None].expand(-1, 3, -1, -1) * 2 - 1))
    # The usual start of torch gives about 0.1 here, and never leaves the mean face.
    assert float(codes.std(0).mean() / codes.std()) > 0.2


def test_prediction_is_pictures_whatever_the_number_of_faces() -> None:
    model = models["tiny"].layered({"resolution": 64}).build()
    model.initialise(torch.Generator().manual_seed(0))
    faces = np.random.default_rng(0).random((18, 64, 64, 3)).astype(np.float32)
    found = model.predict(faces)
    assert found.image.shape == (18, 64, 64, 3) and found.mask.shape == found.dst_mask.shape == (18, 64, 64)
    assert found.image.dtype == np.float32 and 0 <= found.image.min() and found.image.max() <= 1
    assert np.allclose(model.predict(faces[17:]).image, found.image[17:], atol=1e-5)
    assert len(model.predict(faces[:0]).image) == 0


def test_a_resolution_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadOption, match="96 or 112"):
        built("tiny", resolution=100)
    with pytest.raises(BadOption, match="resolution"):
        built("tiny", resolution=512)
    with pytest.raises(BadOption, match="light"):
        built("df", light=True)


def test_pixel_loss_replaces_structural_similarity() -> None:
    told = [models["h64"].layered({"pixel_loss": on}).build for on in (False, True)]
    lessons = []
    for build in told:
        with torch.device("meta"):
            lessons.append(build().lesson)
    assert lessons[0].dssim == 10 and lessons[0].mse == 0
    assert lessons[1].dssim == 0 and lessons[1].mse == 50


@pytest.mark.parametrize("archi", ARCHIS)
def test_every_letter_of_saehd_learns_in_every_weight(archi: str) -> None:
    model, shown = small("saehd", archi=archi), batch(64)
    told = learn(model, shown)
    assert set(told) == {"src", "dst", "mask"} and np.isfinite(list(told.values())).all()
    assert reached(model) == set(dict(model.named_parameters()))
    with torch.no_grad():
        for face, mask in model.passes(shown.src.target, shown.dst.target).values():
            assert face.shape == (2, 3, 64, 64) and mask.shape == (2, 1, 64, 64)
            assert 0 <= float(face.min()) < float(face.max()) <= 1


SAES = [
    {},
    {"archi": "liae"},
    {"archi": "liae", "compat": True, "multiscale_decoder": True},
    {"pixel_loss": True, "multiscale_decoder": True, "d_residual_blocks": False},
    {"archi": "vg", "lighter_encoder": True, "multiscale_decoder": True},
    {"lighter_encoder": True, "remove_gray_border": True},
]


@pytest.mark.parametrize("settings", SAES)
def test_sae_learns_in_every_weight(settings: dict[str, object]) -> None:
    model = small("sae", **settings)
    assert set(learn(model, batch(64))) == {"src", "dst", "mask"}
    assert reached(model) == set(dict(model.named_parameters()))


def test_sae_without_a_learned_mask_paints_faces_alone() -> None:
    model = small("sae", learn_mask=False)
    assert "mask" not in learn(model, batch(64)) and not any(".mask." in name for name in dict(model.named_parameters()))
    assert model.predict(np.zeros((1, 64, 64, 3), np.float32)).mask.min() == 1


def test_aware_weights_are_asked_of_every_convolution() -> None:
    assert [built("sae", ca_weights=on).init for on in (False, True)] == ["glorot", "aware"]


def test_multiscale_learns_faces_at_a_half_and_a_quarter_too() -> None:
    shown, plain, more = batch(64), small("sae", pixel_loss=True), small("sae", pixel_loss=True, multiscale_decoder=True)
    more.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        made = more.net(shown.src.input, shown.dst.input).src
        assert made.quarter.shape[2:] == (16, 16) and made.half.shape[2:] == (32, 32)
        extra = float(more.losses(shown, "generator")["src"] - plain.losses(shown, "generator")["src"])
        soft = losses.blurred(shown.src.mask, 2)
        small_ones = [
            50
            * losses.mse(
                face, *(functional.interpolate(each, scale_factor=share, mode="area") for each in (shown.src.target, soft))
            )
            for face, share in ((made.quarter, 0.25), (made.half, 0.5))
        ]
    assert extra == pytest.approx(float(sum(small_ones)), rel=1e-4)


def test_what_is_frozen_gets_no_gradient() -> None:
    liae = small("saehd", archi="liae-ud", train_inter_ab=False)
    learn(liae, batch(64))
    assert reached(liae) == {name for name in dict(liae.named_parameters()) if not name.startswith("net.ab.")}
    amp = small("amp", train_inters=False)
    learn(amp, batch(64))
    assert reached(amp) == {name for name in dict(amp.named_parameters()) if not name.startswith(("net.src.", "net.dst."))}


def test_amp_learns_in_every_weight_and_morphs() -> None:
    model = small("amp", gan_power=0.1)
    told = learn(model, batch(64))
    assert set(told) == {"src", "dst", "mask", "backdrop", "gan", "smooth", "critic"}
    assert reached(model) == set(dict(model.named_parameters()))
    faces = batch(64).dst.target.permute(0, 2, 3, 1).numpy()
    whole, none = (small("amp", morph=morph).predict(faces).image for morph in (1, 0))
    assert float(np.abs(whole - none).mean()) > 1e-3


def test_quick96_learns() -> None:
    with torch.device("meta"):
        assert set(built("quick96").losses(batch(96, "meta"), "generator")) == {"src", "dst", "mask"}


def test_every_term_is_told_and_teaches_whom_it_should() -> None:
    powers = {"true_face_power": 0.01, "gan_power": 0.1, "face_style_power": 0.1, "bg_style_power": 2, "eyes_mouth_prio": True}
    model, shown = small("saehd", archi="df-ud", blur_out_mask=True, **powers), batch(64)
    assert list(model.groups()) == ["generator", "code_critic", "critic"]
    told = model.losses(shown, "generator")
    assert set(told) == {"src", "dst", "mask", "face_style", "bg_style", "true_face", "gan", "smooth"}
    assert all(bool(torch.isfinite(loss)) for loss in told.values())
    parts = {
        "face_style": {"src"},
        "bg_style": {"encoder", "inter", "src"},
        "true_face": {"encoder", "inter"},
        "gan": {"encoder", "inter", "src"},
        "smooth": {"encoder", "inter", "src"},
    }
    for term, taught in parts.items():
        model.zero_grad()
        told[term].backward(retain_graph=True)
        assert {name.split(".")[1] for name in reached(model)} == taught, term
    for group in ("code_critic", "critic"):
        model.zero_grad()
        model.losses(shown, group)[group].backward()
        assert reached(model) == set(model.groups()[group])


def test_critics_do_not_run_the_generator_again() -> None:
    model, shown = small("saehd", gan_power=0.1), batch(64)
    calls: list[int] = []
    model.net.register_forward_hook(lambda *_: calls.append(1))
    learn(model, shown)
    assert len(calls) == 1
    with pytest.raises(AssertionError, match="same batch"):
        model.losses(batch(64), "critic")


def test_a_critic_learns_to_tell_true_from_painted() -> None:
    model, shown = small("saehd", gan_power=0.1), batch(64)
    with torch.no_grad():
        model.losses(shown, "generator")
    optimizer = torch.optim.Adam(model.groups()["critic"].values(), 2e-3)
    told = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = model.losses(shown, "critic")["critic"]
        loss.backward()
        optimizer.step()
        told.append(float(loss.detach()))
    assert told[-1] < 0.8 * told[0]


def test_masked_training_looks_at_faces_alone() -> None:
    shown = batch(64)
    none = torch.zeros_like(shown.src.mask)
    empty = Batch(*(replace(side, mask=none) for side in (shown.src, shown.dst)))
    alone, all_of_it = (learn(small("saehd", masked_training=on), empty)["src"] for on in (True, False))
    assert alone == pytest.approx(0, abs=1e-6) and all_of_it > 0.1


def test_eyes_and_mouth_count_three_hundred_times() -> None:
    shown = batch(64)
    plain, prior = (small("saehd", eyes_mouth_prio=on) for on in (False, True))
    with torch.no_grad():
        face = plain.net(shown.src.input, shown.dst.input).src.face
        more = float(prior.losses(shown, "generator")["src"] - plain.losses(shown, "generator")["src"])
    expected = 300 * ((face - shown.src.target).abs() * shown.src.eyes_mouth).mean()
    assert more == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize("power", ["bg_style_power", "gan_power"])
def test_compat_keeps_the_slips_of_the_former_tool(power: str) -> None:
    term = {"bg_style_power": "bg_style", "gan_power": "smooth"}[power]
    told = [learn(small("saehd", compat=on, **{power: 1}), batch(64))[term] for on in (False, True)]
    assert told[0] != pytest.approx(told[1], rel=1e-3)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("saehd", {"archi": "liae-x"}, "archi.*liae-ud"),
        ("saehd", {"archi": "df-uu"}, "each once"),
        ("saehd", {"archi": "df-"}, "archi"),
        ("saehd", {"archi": "df-t", "resolution": 144}, "128 or 160"),
        ("saehd", {"resolution": 648}, "resolution"),
        ("saehd", {"e_dims": 17}, "e_dims: 17 must be even"),
        ("saehd", {"d_mask_dims": 8}, "Take 16"),
        ("saehd", {"archi": "liae", "true_face_power": 0.1}, "choose df"),
        ("saehd", {"gan_power": 0.1, "gan_patch_size": 64, "resolution": 160, "archi": "df", "gan_dims": 2}, "gan_dims"),
        ("saehd", {"gan_power": 0.1, "gan_patch_size": 64, "resolution": 144, "archi": "df"}, "multiple of 32"),
        ("saehd", {"face_type": "f"}, "face_type"),
        ("sae", {"d_ch_dims": 5}, "Take 10 or more"),
        ("sae", {"archi": "liae-ud"}, "archi"),
        ("amp", {"morph_factor": 0.6}, "morph_factor"),
        ("amp", {"resolution": 240}, "224 or 256"),
        ("quick96", {"resolution": 128}, "resolution"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        built(name, **settings)


def test_what_may_change_later_is_told() -> None:
    live = models["saehd"].live_names()
    assert {"gan_power", "eyes_mouth_prio", "masked_training", "train_inter_ab"} <= live
    assert not live & {"archi", "resolution", "ae_dims", "e_dims", "d_dims", "d_mask_dims", "face_type"}
