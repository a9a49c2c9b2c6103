"""The pages that show what a model can do."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from understudy.parts.models.base.model import Model
from understudy.stages.train.callbacks.previews import draw_pages
from understudy.stages.train.data.face_store import FaceStore
from understudy.types import Bytes, FaceType


class Painter(Model):
    """Makes src red and dst green; its masks are the left half, of the swap the upper half."""

    def __init__(self, resolution: int, face_type: FaceType = "full", morphs: bool = False) -> None:
        super().__init__()
        self.resolution, self.face_type, self.morphs = resolution, face_type, morphs
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def reconstruct(self, src: Tensor, dst: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        red, green, blue = (torch.zeros_like(dst) for _ in range(3))
        red[:, 0], green[:, 1], blue[:, 2] = 1, 1, 1
        left, upper = torch.zeros_like(dst[:, :1]), torch.zeros_like(dst[:, :1])
        left[..., : self.resolution // 2], upper[..., : self.resolution // 2, :] = 1, 1
        made = {"ss": (red, left), "dd": (green, left), "sd": (blue, upper)}
        return made | ({"sd 0.5": (blue, upper)} if self.morphs else {})


def store(side: int, count: int = 8) -> FaceStore:
    pictures = np.full((count, side, side, 4), 128, np.uint8)
    pictures[..., 3] = 255
    return FaceStore(
        pictures, np.zeros((count, 68, 2), np.float32), np.eye(2, 3), np.zeros(count, bool)
    )


def drawn(model: Painter) -> dict[str, Bytes]:
    faces = store(model.resolution)
    found = draw_pages(model, faces, faces)
    return {
        name: cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        for name, page in found.items()
    }


def test_small_faces_go_on_two_pages_of_all_columns() -> None:
    found = drawn(Painter(64))
    assert list(found) == ["", "masked"]
    assert found[""].shape[1] == 5 * 66 and found["masked"].shape[1] == 6 * 66
    # The swap shows where both masks let it: a quarter; laid into dst, dst is all around it.
    swap, laid = (
        found["masked"][22 : 22 + 66, 4 * 66 : 5 * 66],
        found["masked"][22 : 22 + 66, 5 * 66 :],
    )
    assert tuple(swap[10, 10]) == (0, 0, 255) and tuple(swap[10, 50]) == tuple(swap[50, 10]) == (
        0,
        0,
        0,
    )
    assert tuple(laid[10, 10]) == (0, 0, 255) and tuple(laid[50, 50]) == (128, 128, 128)


def test_a_head_may_stand_out_over_the_one_it_covers() -> None:
    swap = drawn(Painter(64, "head"))["masked"][22 : 22 + 66, 4 * 66 : 5 * 66]
    assert tuple(swap[10, 50]) == (0, 0, 255)


def test_large_faces_go_two_columns_a_page() -> None:
    found = drawn(Painter(320))
    assert list(found) == ["", "src", "dst", "masked", "src-masked", "dst-masked"]
    assert all(page.shape[1] == 2 * 322 and page.shape[0] < 1100 for page in found.values())
    assert tuple(found[""][100, 400]) == (0, 0, 255) and tuple(found["src"][100, 400]) == (
        255,
        0,
        0,
    )


def test_what_else_a_model_gives_has_a_page_and_one_within_its_masks() -> None:
    found = drawn(Painter(64, morphs=True))
    assert list(found) == ["", "masked", "more", "more-masked"]
    assert found["more"].shape[1] == found["more-masked"].shape[1] == 3 * 66
    whole, within = (found[page][22 : 22 + 66, 2 * 66 :] for page in ("more", "more-masked"))
    # Laid where both the swap's mask and dst's let it.
    assert tuple(whole[50, 50]) == tuple(within[10, 10]) == (0, 0, 255)
    assert tuple(within[10, 50]) == tuple(within[50, 10]) == (0, 0, 0)
