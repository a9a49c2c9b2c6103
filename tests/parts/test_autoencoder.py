"""The models that learn by a lesson: `tiny`, and the four classic ones."""

import numpy as np
import torch

from understudy.parts.models import models


def small_tiny():
    model = models["tiny"].layered({"resolution": 64}).build()
    model.initialise(torch.Generator().manual_seed(0))
    return model


def test_tiny_is_small(built) -> None:
    assert 2e6 < sum(weight.numel() for weight in built("tiny").parameters()) < 5e6


def test_tiny_learns_a_batch_by_heart(shown) -> None:
    model = small_tiny()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    totals = []
    for _ in range(6):
        total = torch.stack(list(model.losses(shown, "generator").values())).sum()
        total.backward()
        assert all(
            weight.grad is not None and bool(weight.grad.abs().sum() > 0)
            for weight in model.parameters()
        )
        optimizer.step()
        optimizer.zero_grad()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.9 * totals[0]


def test_tiny_tells_faces_apart_from_the_start() -> None:
    model = small_tiny()
    places = torch.linspace(0, 6.28, 64)
    waves = (
        torch.stack([torch.sin(places * (1 + k / 2)).expand(64, 64) for k in range(6)]) / 2 + 0.5
    )
    with torch.no_grad():
        inter = model.net.inter
        codes = inter.code(model.net.encoder(waves[:, None].expand(-1, 3, -1, -1) * 2 - 1))
    # The usual start of torch gives about 0.1 here, and never leaves the mean face.
    assert float(codes.std(0).mean() / codes.std()) > 0.2


def test_prediction_is_pictures_whatever_the_number_of_faces() -> None:
    model = small_tiny()
    faces = np.random.default_rng(0).random((18, 64, 64, 3)).astype(np.float32)
    found = model.predict(faces)
    assert found.image.shape == (18, 64, 64, 3) and found.mask.shape == found.dst_mask.shape == (
        18,
        64,
        64,
    )
    assert found.image.dtype == np.float32 and 0 <= found.image.min() and found.image.max() <= 1
    assert np.allclose(model.predict(faces[17:]).image, found.image[17:], atol=1e-5)
    assert len(model.predict(faces[:0]).image) == 0


def test_pixel_loss_replaces_structural_similarity(built) -> None:
    lessons = [built("h64", pixel_loss=on).loss_config for on in (False, True)]
    assert lessons[0].dssim == 10 and lessons[0].mse == 0
    assert lessons[1].dssim == 0 and lessons[1].mse == 50
