from dataclasses import replace

import numpy as np
import pytest

from understudy.core.face.mask import brows_mask
from understudy.errors import BadOption
from understudy.options import Options
from understudy.parts.maskers import MaskInput, combine, maskers, names_in


@pytest.fixture
def face():
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 68)
    landmarks = np.stack([24 + 15 * np.cos(angle), 24 + 15 * np.sin(angle)], -1).astype(np.float32)
    return MaskInput(landmarks, *rng.random((4, 48, 48)).astype(np.float32))


def test_every_masker_gives_a_mask(face):
    assert {"dst", "full", "learned", "learned-prd", "learned-dst", "xseg-prd", "xseg-dst"} <= set(
        maskers
    )
    for name in maskers:
        mask = maskers[name]().build()(face)
        assert mask.shape == (48, 48)
        assert mask.dtype == np.float32
        assert 0 <= mask.min() <= mask.max() <= 1
        assert maskers[name].__doc__


def test_a_list_is_multiplied(face):
    both = combine(("learned-prd", "dst"), face, Options())
    hull = maskers["dst"]().build()(face)
    assert np.array_equal(both, face.prd * hull)
    assert np.array_equal(combine(("learned-dst", "dst"), face, Options()), face.dst * hull)


def test_the_learned_mask_reaches_over_a_brow_that_only_dst_lifts(face):
    """Else it is left beside the new one."""
    brows = brows_mask(face.landmarks, (48, 48))
    assert np.array_equal(combine(("learned",), face, Options()), face.prd * face.dst)
    face = replace(face, brows=brows)
    learned = combine(("learned",), face, Options())
    assert (brows == 1).any() and (brows == 0).any()
    assert np.array_equal(learned[brows == 1], face.dst[brows == 1])
    assert np.array_equal(learned[brows == 0], (face.prd * face.dst)[brows == 0])


def test_a_name_may_unite_or_multiply(face):
    hull = maskers["dst"]().build()(face)
    assert combine(("learned-prd*learned-dst",), face, Options()) == pytest.approx(
        face.prd * face.dst, abs=1e-6
    )
    united = combine(("learned-prd + dst",), face, Options())
    assert (united >= np.maximum(face.prd, hull) - 1e-6).all() and united.max() <= 1
    assert united[hull == 0] == pytest.approx(face.prd[hull == 0], abs=1e-6)
    # Products within a name go first, the items of the list last.
    nested = combine(("learned-prd*dst+xseg-dst", "learned-dst"), face, Options())
    one, other = face.prd * hull, maskers["xseg-dst"]().build()(face)
    assert nested == pytest.approx((one + other - one * other) * face.dst, abs=1e-6)


def test_deepfacelab_adds_what_it_unites(face):
    added = combine(("learned-prd+learned-dst",), face, Options(), dfl=True)
    assert added == pytest.approx(np.minimum(face.prd + face.dst, 1), abs=1e-6)


def test_a_whole_mask_changes_nothing_and_no_names_are_a_whole_mask(face):
    assert np.array_equal(
        combine(("learned", "full"), face, Options()), combine(("learned",), face, Options())
    )
    assert (combine((), face, Options()) == 1).all()


def test_what_the_names_ask_for():
    assert names_in(("learned", "xseg-dst + dst*full")) == {"learned", "xseg-dst", "dst", "full"}
    assert names_in(()) == set()


def test_an_unknown_mask_is_refused(face):
    with pytest.raises(BadOption, match="learned-prd"):
        combine(("xseg",), face, Options())
    for names in (("learned", "xseg"), ("learned+",), ("dst*xseg",)):
        with pytest.raises(BadOption, match="learned-prd"):
            names_in(names)
