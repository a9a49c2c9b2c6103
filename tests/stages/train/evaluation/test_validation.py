"""How a model is measured on faces that it never learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import FaceLandmarks
from understudy.parts.models.base.model import Model
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.evaluation import swap_metrics, validation
from understudy.stages.train.evaluation.swap_metrics import FaceImages, MetricNets, SwapEvaluator
from understudy.stages.train.evaluation.validation import Validation
from understudy.types import Bytes, Floats

SIZE = 64


class Echo(Model):
    """Rebuilds every face as it is, or darker by `off`; its masks are the left half; the swap is
    grey.
    """

    def __init__(self, off: float = 0) -> None:
        super().__init__()
        self.resolution, self.off = SIZE, off
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def reconstruct(self, src: Tensor, dst: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        left = torch.zeros_like(dst[:, :1])
        left[..., : SIZE // 2] = 1
        return {
            "ss": (src, left),
            "dd": (dst - self.off, left),
            "sd": (torch.full_like(dst, 0.5), left),
        }


def store(seed: int, held: int = 4, count: int = 8) -> FaceStore:
    """Faces of noise; dark is their left quarter, which the mask leaves out."""
    pictures = np.random.default_rng(seed).integers(100, 200, (count, SIZE, SIZE, 4), np.uint8)
    pictures[..., 3], pictures[..., : SIZE // 4, 3] = 255, 0
    points = np.random.default_rng(seed).uniform(20, 50, (count, 68, 2)).astype(np.float32)
    chosen = np.arange(count) < held
    return FaceStore(pictures, points, np.eye(2, 3), chosen)


@pytest.fixture(autouse=True)
def _no_metric_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        validation, "load_metric_nets", lambda: MetricNets(missing=("whose face it is",))
    )


def test_what_is_rebuilt_well_scores_near_0_and_what_is_darker_does_not() -> None:
    good, bad = (Validation(store(0), store(1)).measure(Echo(off)) for off in (0, 0.2))
    assert good["src l1"] == good["dst l1"] == good["dst dssim"] == 0 and good[
        "score"
    ] == pytest.approx(0, abs=1e-6)
    assert (
        bad["src l1"] == 0 and bad["dst l1"] == pytest.approx(0.2, abs=0.01) and bad["score"] > 0.1
    )
    # Learnt is the left half, true is all but the left quarter: one quarter of the four is common
    # to both.
    assert good["src mask"] == good["dst mask"] == 0.25


def test_one_side_with_held_out_faces_is_enough_and_none_measures_nothing() -> None:
    found = Validation(store(0, held=0), store(1)).measure(Echo())
    assert "dst l1" in found and not any(name.startswith("src") for name in found)
    alone = Validation(store(0, held=0), store(1, held=0))
    assert (
        alone.measure(Echo()) == {}
        and not alone.is_possible
        and not alone.is_due(1e9)
        and not alone.missing
    )


def test_measuring_takes_no_more_than_its_share_of_the_time() -> None:
    measuring = Validation(store(0), store(1))
    learnt = spent = 0.0
    for _ in range(3000):
        learnt += 1
        if measuring.is_due(learnt):
            spent += 3
            measuring.record_cost(3, learnt)
    assert 0.03 * learnt < spent <= validation.MAX_SHARE * learnt and measuring.cost == spent


def test_other_held_out_faces_have_another_fingerprint() -> None:
    one, again, other = (Validation(store(0), store(seed)).fingerprint() for seed in (1, 1, 2))
    assert one == again != other
    assert (
        Validation(store(0), store(1)).fingerprint()
        == Validation(store(0), replace(store(1))).fingerprint()
    )


def test_what_cannot_be_measured_is_told() -> None:
    assert Validation(store(0), store(1)).missing == ("whose face it is",)


def shown(points: Floats, light: int) -> FaceImages:
    return FaceImages(np.full((len(points), SIZE, SIZE, 3), light, np.uint8), points)


def speaking(rng: np.random.Generator, count: int = 12) -> Floats:
    """Points of faces that open and shut their mouths and eyes."""
    points = np.tile(rng.uniform(20, 50, (68, 2)), (count, 1, 1))
    points[:, [36, 45]] = (20, 30), (50, 30)
    points[:, [61, 62, 63]], points[:, [67, 66, 65]] = (35, 45), (35, 45)
    points[:, [67, 66, 65], 1] += rng.uniform(0, 8, (count, 1))
    return points.astype(np.float32)


def with_network(points: Floats) -> swap_metrics.Locate:
    """A landmarker that knows the points of picture 0, 1, …, and sees no face in black."""
    turn = iter(np.tile(points, (3, 1, 1)))

    def locate(image: Bytes, detection: Detection) -> FaceLandmarks | None:
        known = next(turn)
        return (
            None if image.max() == 0 else FaceLandmarks(known + (image.shape[0] - SIZE) // 2, 1.0)
        )

    return locate


def grey(points: Floats, light: int) -> Bytes:
    return shown(points, light).faces


def test_a_swap_that_acts_as_dst_does_is_in_step() -> None:
    points = speaking(np.random.default_rng(0))
    evaluator = SwapEvaluator(
        shown(points, 200), shown(points, 90), MetricNets(locate=with_network(points))
    )
    found = evaluator.measure(grey(points, 90), grey(points, 90))
    assert found["found"] == 1 and "identity" not in found
    assert found["expression"] == found["mouth"] == found["mouth scale"] == pytest.approx(1)
    assert found["pose"] < 1e-3


def embed(image: Bytes, landmarks: Floats) -> Floats:
    return np.full(8, image.mean(), np.float32)


@pytest.mark.parametrize("pasted", [0, 90])
def test_where_no_face_is_found_there_are_no_figures(pasted: int) -> None:
    """Also where only what is around the face lets one be found."""
    points = speaking(np.random.default_rng(0))
    nets = MetricNets(locate=with_network(points), embed=embed)
    evaluator = SwapEvaluator(shown(points, 200), shown(points, 90), nets)
    assert evaluator.measure(grey(points, pasted), grey(points, 0)) == {"found": 0}


def test_without_a_landmarker_nothing_tells_a_face_from_noise() -> None:
    points = speaking(np.random.default_rng(0))
    evaluator = SwapEvaluator(shown(points, 200), shown(points, 90), MetricNets(embed=embed))
    assert evaluator.measure(grey(points, 90), grey(points, 90)) == {}


def test_identity_is_0_for_dst_and_1_for_src() -> None:
    points = speaking(np.random.default_rng(0))

    def locate(image: Bytes, detection: Detection) -> FaceLandmarks:
        return FaceLandmarks(points[0], 1.0)

    nets = MetricNets(locate=locate, embed=embed)
    evaluator = SwapEvaluator(shown(points, 200), shown(points, 100), nets)
    for light, shift in ((100, 0), (200, 1), (150, 0.5)):
        found = evaluator.measure(grey(points, light), grey(points, light))
        assert found["identity"] == pytest.approx(shift)
