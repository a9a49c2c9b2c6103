import numpy as np
import pytest
import torch

from understudy.errors import BadOption
from understudy.parts.models import Batch, Model, Samples, models

# Millions of parameters, as the classic models had them.
SIZES = [
    ("h64", {}, 112.8),
    ("h64", {"light": True}, 44.5),
    ("h128", {}, 138.4),
    ("h128", {"light": True}, 55.9),
    ("df", {}, 138.4),
    ("liaef128", {}, 136.1),
]
FACES = {"h64": ("half", 64), "h128": ("half", 128), "df": ("full", 128), "liaef128": ("full", 128), "tiny": ("full", 96)}


def built(name: str, **settings: object) -> Model:
    with torch.device("meta"):
        return models[name].layered(settings).build()


def batch(size: int, device: str = "cpu") -> Batch:
    rng = torch.Generator().manual_seed(0)
    shapes = ((2, 3, size, size), (2, 3, size, size), (2, 1, size, size), (2, 1, size, size))
    return Batch(*(Samples(*(torch.rand(shape, generator=rng).to(device) for shape in shapes)) for _ in range(2)))


@pytest.mark.parametrize(("name", "settings", "millions"), SIZES)
def test_the_classic_models_have_their_size(name: str, settings: dict[str, object], millions: float) -> None:
    assert round(sum(weight.numel() for weight in built(name, **settings).parameters()) / 1e6, 1) == millions


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
