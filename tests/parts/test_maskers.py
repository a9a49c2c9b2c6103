import numpy as np
import pytest

from understudy.errors import BadOption
from understudy.parts.maskers import Masked, asked, combined, maskers


@pytest.fixture
def face():
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 68)
    landmarks = np.stack([24 + 15 * np.cos(angle), 24 + 15 * np.sin(angle)], -1).astype(np.float32)
    return Masked(landmarks, *rng.random((4, 48, 48)).astype(np.float32))


def test_every_masker_gives_a_mask(face):
    assert {"dst", "full", "learned", "learned-prd", "learned-dst", "xseg-prd", "xseg-dst"} <= set(
        maskers
    )
    for name in maskers:
        mask = maskers[name](face)
        assert mask.shape == (48, 48)
        assert mask.dtype == np.float32
        assert 0 <= mask.min() <= mask.max() <= 1
        assert maskers[name].__doc__


def test_a_list_is_multiplied(face):
    both = combined(("learned-prd", "dst"), face)
    assert np.array_equal(both, face.prd * maskers["dst"](face))
    assert np.array_equal(combined(("learned",), face), face.prd * face.dst)


def test_a_name_may_unite_or_multiply(face):
    hull = maskers["dst"](face)
    assert combined(("learned-prd*learned-dst",), face) == pytest.approx(
        face.prd * face.dst, abs=1e-6
    )
    united = combined(("learned-prd + dst",), face)
    assert (united >= np.maximum(face.prd, hull) - 1e-6).all() and united.max() <= 1
    assert united[hull == 0] == pytest.approx(face.prd[hull == 0], abs=1e-6)
    # Products within a name go first, the items of the list last.
    nested = combined(("learned-prd*dst+xseg-dst", "learned-dst"), face)
    one, other = face.prd * hull, maskers["xseg-dst"](face)
    assert nested == pytest.approx((one + other - one * other) * face.dst, abs=1e-6)


def test_deepfacelab_adds_what_it_unites(face):
    added = combined(("learned-prd+learned-dst",), face, dfl=True)
    assert added == pytest.approx(np.minimum(face.prd + face.dst, 1), abs=1e-6)


def test_a_whole_mask_changes_nothing_and_no_names_are_a_whole_mask(face):
    assert np.array_equal(combined(("learned", "full"), face), combined(("learned",), face))
    assert (combined((), face) == 1).all()


def test_what_the_names_ask_for():
    assert asked(("learned", "xseg-dst + dst*full")) == {"learned", "xseg-dst", "dst", "full"}
    assert asked(()) == set()


def test_an_unknown_mask_is_refused(face):
    with pytest.raises(BadOption, match="learned-prd"):
        combined(("xseg",), face)
    for names in (("learned", "xseg"), ("learned+",), ("dst*xseg",)):
        with pytest.raises(BadOption, match="learned-prd"):
            asked(names)
