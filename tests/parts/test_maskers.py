import numpy as np
import pytest

from understudy.errors import BadOption
from understudy.parts.maskers import Masked, maskers, product


@pytest.fixture
def face():
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 68)
    landmarks = np.stack([24 + 15 * np.cos(angle), 24 + 15 * np.sin(angle)], -1).astype(np.float32)
    return Masked(landmarks, *rng.random((4, 48, 48)).astype(np.float32))


def test_every_masker_gives_a_mask(face):
    assert {"dst", "full", "learned", "learned-prd", "learned-dst", "xseg-prd", "xseg-dst"} <= set(maskers)
    for name in maskers:
        mask = maskers[name](face)
        assert mask.shape == (48, 48)
        assert mask.dtype == np.float32
        assert 0 <= mask.min() <= mask.max() <= 1
        assert maskers[name].__doc__


def test_a_list_is_multiplied(face):
    both = product(("learned-prd", "dst"), face)
    assert np.array_equal(both, face.prd * maskers["dst"](face))
    assert np.array_equal(product(("learned",), face), face.prd * face.dst)


def test_an_unknown_mask_is_refused(face):
    with pytest.raises(BadOption, match="learned-prd"):
        product(("xseg",), face)
