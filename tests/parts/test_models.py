"""What holds for every model: its size, its contract, what it refuses."""

import pytest
import torch

from understudy.errors import BadOption
from understudy.parts.models import models
from understudy.parts.models.saehd import resolve_mask_dims

# Millions of parameters, as the models had them that people know by these names.
SIZES = [
    ("h64", {}, 112.8),
    ("h64", {"light": True}, 44.5),
    ("h128", {}, 138.4),
    ("h128", {"light": True}, 55.9),
    ("df", {}, 138.4),
    ("liaef128", {}, 136.1),
    ("sae", {}, 137.5),
    ("sae", {"archi": "liae", "compat": True}, 122.6),
    ("saehd1", {}, 88.3),
    ("saehd1", {"archi": "liae"}, 148.3),
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
    # The following are ours: nobody has told the sizes of the originals.
    ("saehd", {"archi": "dfhd"}, 125.1),
    ("saehd", {"archi": "liaehd"}, 190.2),
    ("trueface", {}, 23.7),
    ("trueface", {"resolution": 192}, 33.1),
]
# Of each part, in millions: what the net holds, then the branches of one of its decoders.
PARTS = [
    ("sae", {}, {"decoder": (27.02, 3.73), "rest": 75.96}),
    (
        "sae",
        {"archi": "liae", "compat": True},
        {"encoder": 16.68, "ab": 34.38, "b": 34.38, "decoder": (30.31, 6.83)},
    ),
    ("saehd1", {}, {"rest": 44.78, "decoder": (19.44, 2.32)}),
    (
        "saehd1",
        {"archi": "liae"},
        {"encoder": 4.65, "ab": 51.42, "b": 51.42, "decoder": (33.60, 7.19)},
    ),
    ("saehd", {"archi": "df"}, {"encoder": 4.31, "inter": 14.96, "decoder": (16.82, 2.32)}),
    ("saehd", {"archi": "df-ud"}, {"encoder": 4.31, "inter": 11.80, "decoder": (16.83, 2.36)}),
    ("saehd", {"archi": "df-udt"}, {"encoder": 15.65, "inter": 3.15, "decoder": (30.98, 3.47)}),
    (
        "saehd",
        {"archi": "liae"},
        {"encoder": 4.31, "ab": 26.25, "b": 26.25, "decoder": (30.97, 7.19)},
    ),
    ("saehd", {}, {"encoder": 4.31, "ab": 19.93, "b": 19.93, "decoder": (30.98, 7.22)}),
    (
        "saehd",
        {"archi": "liae-udt"},
        {"encoder": 15.65, "ab": 4.20, "b": 4.20, "decoder": (45.14, 8.34)},
    ),
    ("saehd", {"archi": "dfhd"}, {"encoder": 26.60, "inter": 48.51, "decoder": (22.67, 2.32)}),
    (
        "saehd",
        {"archi": "liaehd"},
        {"encoder": 26.60, "ab": 59.80, "b": 59.80, "decoder": (36.82, 7.19)},
    ),
    ("quick96", {}, {"encoder": 4.31, "inter": 3.10, "decoder": (14.47, 0.98)}),
    ("amp", {}, {"src": 12.90, "dst": 12.90, "decoder": (45.14, 8.34), "rest": 22.08}),
]
FACES = {
    "h64": ("half", 64),
    "h128": ("half", 128),
    "df": ("full", 128),
    "liaef128": ("full", 128),
    "tiny": ("full", 96),
}
FACES |= {
    "sae": ("full", 128),
    "saehd": ("full", 128),
    "saehd1": ("full", 128),
    "quick96": ("full", 96),
    "amp": ("whole", 224),
    "trueface": ("full", 128),
}


def millions(net: torch.nn.Module) -> float:
    return sum(weight.numel() for weight in net.parameters()) / 1e6


@pytest.mark.parametrize(("name", "settings", "size"), SIZES)
def test_a_known_model_has_its_size(
    built, name: str, settings: dict[str, object], size: float
) -> None:
    assert round(millions(built(name, **settings)), 1) == size


@pytest.mark.parametrize(("name", "settings", "parts"), PARTS)
def test_every_part_has_its_size(
    built, name: str, settings: dict[str, object], parts: dict[str, object]
) -> None:
    net = built(name, **settings).net
    decoder = net.decoder if hasattr(net, "decoder") else net.src
    named = [millions(net.get_submodule(part)) for part in parts if part not in ("decoder", "rest")]
    decoders = 1 if hasattr(net, "decoder") else 2
    for part, size in parts.items():
        if part == "decoder":
            assert (millions(decoder.face), millions(decoder.mask)) == pytest.approx(
                size, abs=0.006
            )
        elif part == "rest":
            assert millions(net) - sum(named) - decoders * millions(decoder) == pytest.approx(
                size, abs=0.006
            )
        else:
            assert millions(net.get_submodule(part)) == pytest.approx(size, abs=0.006)


@pytest.mark.parametrize("name", list(models))
def test_a_model_keeps_the_contract(built, make_batch, name: str) -> None:
    model = built(name)
    assert (model.face_type, model.resolution) == FACES[name]
    assert {
        id(weight) for group in model.parameter_groups().values() for weight in group.values()
    } == {id(w) for w in model.parameters()}
    faces = make_batch(model.resolution, "meta")
    for group in model.parameter_groups():
        told = model.losses(faces, group)
        assert told and all(loss.shape == () for loss in told.values())
    for face, mask in model.reconstruct(faces.src.target, faces.dst.target).values():
        assert face.shape == faces.src.target.shape and mask.shape == faces.src.mask.shape


def test_a_resolution_that_does_not_fit_is_refused(built) -> None:
    with pytest.raises(BadOption, match="96 or 112"):
        built("tiny", resolution=100)
    with pytest.raises(BadOption, match="resolution"):
        built("tiny", resolution=512)
    with pytest.raises(BadOption, match="light"):
        built("df", light=True)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("saehd", {"archi": "liae-x"}, "archi.*liae-ud"),
        ("saehd", {"archi": "df-uu"}, "each once"),
        ("saehd", {"archi": "hd"}, "dfhd or liaehd"),
        ("saehd", {"archi": "dfhd-u"}, "no letters.*Take dfhd, or df-u"),
        ("saehd", {"archi": "liaehd-udt"}, "Take liaehd, or liae-udt"),
        ("saehd", {"archi": "dfhd", "resolution": 120}, "112 or 128"),
        ("saehd", {"archi": "liaehd", "true_face_power": 0.1}, "choose df"),
        ("saehd", {"archi": "df-"}, "archi"),
        ("saehd", {"archi": "df-t", "resolution": 144}, "128 or 160"),
        ("saehd", {"resolution": 648}, "resolution"),
        ("saehd", {"e_dims": 17}, "e_dims: 17 must be even"),
        ("saehd", {"d_mask_dims": 4}, "greater than or equal to 6"),
        ("saehd", {"archi": "liae", "true_face_power": 0.1}, "choose df"),
        ("saehd", {"true_face_power": 0.1}, "choose df"),
        (
            "saehd",
            {
                "gan_power": 0.1,
                "gan_patch_size": 64,
                "resolution": 160,
                "archi": "df",
                "gan_dims": 2,
            },
            "gan_dims",
        ),
        (
            "saehd",
            {"gan_power": 0.1, "gan_patch_size": 64, "resolution": 144, "archi": "df"},
            "multiple of 32",
        ),
        ("saehd", {"face_type": "f"}, "face_type"),
        ("saehd1", {"archi": "liae", "true_face_training": True}, "choose df"),
        ("saehd1", {"face_type": "whole"}, "face_type"),
        ("saehd1", {"resolution": 120}, "112 or 128"),
        ("sae", {"d_ch_dims": 5}, "greater than or equal to 10"),
        ("sae", {"archi": "liae-ud"}, "archi"),
        ("amp", {"morph_factor": 0.6}, "morph_factor"),
        ("amp", {"resolution": 240}, "224 or 256"),
        ("quick96", {"resolution": 128}, "resolution"),
        ("trueface", {"resolution": 120}, "112 or 128"),
        ("trueface", {"resolution": 320}, "less than or equal to 256"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    built, name: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(BadOption, match=message):
        built(name, **settings)


def test_what_may_change_later_is_told() -> None:
    live = models["saehd"].live_names()
    assert {"gan_power", "eyes_mouth_prio", "masked_training", "train_inter_ab"} <= live
    assert not live & {
        "archi",
        "resolution",
        "ae_dims",
        "e_dims",
        "d_dims",
        "d_mask_dims",
        "face_type",
    }


@pytest.mark.parametrize("name", ["saehd", "amp"])
def test_a_mask_as_narrow_as_the_default_may_be_asked_for(name: str) -> None:
    """Files of the classic tool say it in numbers: what was exported must come in again."""
    for d_dims in (16, 32):
        narrow = resolve_mask_dims(None, d_dims)
        assert narrow < 16
        assert models[name].layered({"d_dims": d_dims, "d_mask_dims": narrow})
