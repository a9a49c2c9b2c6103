import cv2
import numpy as np
import pytest

from understudy.core.compose import blend
from understudy.parts.blenders import blenders

BLENDERS = {name: blenders[name]().build() for name in blenders}


def disc(height, width, y, x, radius):
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def texture(height, width, seed, fine=3.0):
    soft = cv2.GaussianBlur(
        np.random.default_rng(seed).random((height, width, 3)).astype(np.float32), (0, 0), fine
    )
    return 0.35 + 0.3 * soft


@pytest.fixture
def matte():
    """A disc of radius 50 in 150 x 160, with a soft edge."""
    return cv2.GaussianBlur(disc(150, 160, 75, 80, 50).astype(np.float32), (0, 0), 3)


@pytest.mark.parametrize("name", BLENDERS)
def test_a_face_that_is_the_plate_stays_it(name, matte):
    plate = texture(150, 160, 0)
    assert np.abs(BLENDERS[name](plate, plate, matte) - plate).max() < 1e-5


@pytest.mark.parametrize("name", BLENDERS)
def test_both_steps_are_the_call(name, matte):
    plate, face = texture(150, 160, 0), texture(150, 160, 1)
    light = BLENDERS[name].light(plate, face, matte)
    assert (light is None) == (name != "seamless")
    assert np.array_equal(
        BLENDERS[name].apply(plate, face, matte, light), BLENDERS[name](plate, face, matte)
    )


@pytest.mark.parametrize("name", BLENDERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 2), (40, 30)])
@pytest.mark.parametrize("fill", [0.0, 0.05, 1.0, "half", "speck"])
def test_any_matte_gives_a_finite_layer(name, shape, fill):
    matte = np.full(shape, 0.0 if isinstance(fill, str) else fill, np.float32)
    if fill == "half":
        matte[:, : shape[1] // 2] = 1
    elif fill == "speck":
        matte[shape[0] // 2, shape[1] // 2] = 1
    layer = BLENDERS[name](
        np.full((*shape, 3), 0.2, np.float32), np.full((*shape, 3), 0.8, np.float32), matte
    )
    assert layer.shape == (*shape, 3) and layer.dtype == np.float32
    assert np.isfinite(layer).all() and layer.min() > -0.1 and layer.max() < 1.1


@pytest.mark.parametrize("name", BLENDERS)
def test_what_the_face_holds_outside_the_matte_does_not_matter(name, matte):
    plate, face = texture(150, 160, 0), texture(150, 160, 1)
    garbage = np.where(matte[..., None] > 0, face, 5).astype(np.float32)
    one, other = (BLENDERS[name](plate, each, matte) for each in (face, garbage))
    assert np.abs(one - other)[matte > 0].max() < 1e-4


def test_only_the_steps_at_the_border_differ_between_the_modes(matte):
    """Overlay keeps the face's light, seamless takes the plate's, the pyramid goes over from one to
    the other within the matte.
    """
    plate = texture(150, 160, 0)
    lit = {
        name: (each(plate, plate + np.float32(0.2), matte) - plate)[75, 80:130, 0]
        for name, each in BLENDERS.items()
    }
    assert np.allclose(lit["overlay"], 0.2, atol=1e-5)
    assert np.abs(lit["seamless"]).max() < 0.002
    assert lit["pyramid"][0] == pytest.approx(0.2, abs=0.01) and abs(lit["pyramid"][-1]) < 0.01
    assert (np.diff(lit["pyramid"]) < 1e-4).all()


def test_core_is_where_the_light_counts():
    assert 0 < blend.CORE < 0.5
