import cv2
import numpy as np
import pytest

from understudy.core import affine, image
from understudy.core.color import transfer
from understudy.core.compose import blend, grain
from understudy.core.compose.composite import Swap, composite
from understudy.core.compose.options import CompositeOptions

SIDE = 256
SHOWN = np.ones((SIDE, SIDE), np.float32)


def flat(level):
    return np.full((SIDE, SIDE, 3), level, np.float32)


def noise(deviation, sigma=0.0, seed=0):
    found = np.random.default_rng(seed).standard_normal((SIDE, SIDE, 3))
    found = cv2.GaussianBlur(found, (0, 0), sigma) if sigma else found
    return (found * deviation / found.std((0, 1))).astype(np.float32)


def given(plate, layer, amount=100.0):
    """The grain that the layer gets."""
    return (
        grain.apply(layer, grain.fit(plate, layer, SHOWN), amount, grain.frame_seed(plate)) - layer
    )


def neighbours(found):
    """Correlation with the pixel one and two to the right."""
    found = found - found.mean((0, 1))
    return [(found[:, step:] * found[:, :-step]).mean() / (found**2).mean() for step in (1, 2)]


@pytest.mark.parametrize("sigma", [0, 0.6, 1.0])
def test_grain_has_the_plates_strength_and_size(sigma):
    wanted = noise(0.02, sigma)
    found = given(flat(0.45) + wanted, flat(0.45))
    np.testing.assert_allclose(found.std((0, 1)), 0.02, rtol=0.1)
    np.testing.assert_allclose(neighbours(found), neighbours(wanted), atol=0.13)


def test_channels_keep_their_strength_and_their_likeness():
    shared, single = noise(1)[..., :1], noise(1, seed=1)
    wanted = (0.8 * shared + 0.6 * single) * np.array([0.01, 0.008, 0.02], np.float32)
    found = given(flat(0.45) + wanted, flat(0.45))
    np.testing.assert_allclose(found.std((0, 1)), (0.01, 0.008, 0.02), rtol=0.1)
    likeness = np.corrcoef(found.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(likeness, 0.64, atol=0.1)


def test_grain_follows_luma():
    dark = (np.arange(SIDE) < SIDE // 2)[:, None, None]
    levels = np.where(dark, 0.3, 0.7).astype(np.float32) + flat(0)
    found = given(levels + noise(0.02) * np.where(dark, 1.5, 1).astype(np.float32), levels)
    assert found[: SIDE // 2 - 20].std() == pytest.approx(0.03, rel=0.15)
    assert found[SIDE // 2 + 20 :].std() == pytest.approx(0.02, rel=0.15)


def test_features_are_not_grain():
    """The plate's are sharp and the layer's soft, as a model makes them: that is not grain that is
    lacking.
    """
    features = flat(0.5)
    for x, y in np.random.default_rng(2).integers(20, SIDE - 20, (60, 2)):
        cv2.circle(features, (int(x), int(y)), 12, (0.2, 0.15, 0.1), -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(features, (0, 0), 3)
    assert given(features, soft).std() < 0.001
    assert given(features + noise(0.01), soft).std() == pytest.approx(0.01, rel=0.1)


def test_what_the_layer_has_already_is_not_given_again():
    plate = flat(0.5) + noise(0.02)
    assert given(plate, flat(0.5) + noise(0.02, seed=1)).std() < 0.006
    assert given(flat(0.5), plate).std() == 0


def test_the_amount_is_a_share():
    plate = flat(0.5) + noise(0.02)
    np.testing.assert_allclose(given(plate, flat(0.5), 50), given(plate, flat(0.5)) / 2, atol=1e-6)
    layer = flat(0.5)
    assert grain.apply(layer, grain.fit(plate, layer, SHOWN), 0, 1) is layer


def test_a_still_plate_has_still_grain_and_a_living_one_living():
    still, other = flat(0.5) + noise(0.02), flat(0.5) + noise(0.02, seed=1)
    np.testing.assert_array_equal(given(still, flat(0.5)), given(still, flat(0.5)))
    one, two = given(still, flat(0.5)), given(other, flat(0.5))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.05


def test_grain_sticks_to_the_frame_when_the_region_moves():
    params = grain.fit(flat(0.5) + noise(0.02), flat(0.5), SHOWN)
    whole = grain.apply(flat(0.5), params, 100, 7, (500, 300))
    np.testing.assert_array_equal(
        grain.apply(flat(0.5)[9:, 4:], params, 100, 7, (504, 309)), whole[9:, 4:]
    )


def test_a_face_out_of_sight_gets_none():
    plate = flat(0.5) + noise(0.02)
    for shape in ((SIDE, SIDE), (5, 5)):
        params = grain.fit(
            plate[: shape[0], : shape[1]],
            plate[: shape[0], : shape[1]],
            np.zeros(shape, np.float32),
        )
        assert params.shape == (2, 3, 5, 4)
        assert not params.any()


def test_the_mean_of_measurements_is_a_measurement():
    plates = [flat(0.5) + noise(deviation) for deviation in (0.01, 0.03)]
    params = np.mean([grain.fit(plate, flat(0.5), SHOWN) for plate in plates], axis=0)
    found = grain.apply(flat(0.5), params, 100, 1) - flat(0.5)
    assert found.std() == pytest.approx(np.sqrt((0.01**2 + 0.03**2) / 2), rel=0.1)


def textured(seed=3):
    """A clean frame: flat walls, and in its middle skin with pores and stubble."""
    frame = np.full((480, 640, 3), 0.5, np.float32)
    frame += np.linspace(-0.2, 0.2, 640, dtype=np.float32)[None, :, None]
    skin = np.random.default_rng(seed).standard_normal((SIDE, SIDE, 1)).astype(np.float32)
    frame[112:368, 192:448] += 0.03 * cv2.GaussianBlur(skin, (0, 0), 0.7)[..., None]
    return frame


def added(frame):
    """The grain that a smooth face gets in the middle of a frame, in levels of 255."""
    smooth = cv2.GaussianBlur(textured()[112:368, 192:448], (0, 0), 4)
    params = grain.fit(frame, smooth, SHOWN, (192, 112, 448, 368))
    return 255 * (grain.apply(smooth, params, 100, 1) - smooth).std()


def test_skin_of_a_clean_frame_is_not_grain():
    clean = textured()
    assert added(clean) < 0.1
    assert added(np.rint(clean * 255).astype(np.float32) / 255) < 0.3


@pytest.mark.footage_kind(
    "dark and noisy, or grainy film",
    "The new face gets new grain in each frame, as strong and as coarse as the plate has it; on a"
    " clean plate it gets none.",
)
@pytest.mark.parametrize("levels", [2, 4, 8])
def test_a_grainy_frame_gives_its_own_grain_and_no_more(levels):
    noise = np.random.default_rng(1).standard_normal((480, 640, 3)).astype(np.float32)
    for rounded in (lambda frame: frame, lambda frame: np.rint(frame * 255) / np.float32(255)):
        assert 0.85 * levels < added(rounded(textured() + noise * levels / 255)) < 1.05 * levels


def stubbled(levels, seed=4):
    """A close-up: a clear forehead above a cheek full of stubble, with grain of so many levels."""
    rng = np.random.default_rng(seed)
    skin = flat(0.62) * (1, 0.8, 0.7) * np.linspace(1.1, 0.85, SIDE)[:, None, None]
    hairs = np.zeros((SIDE, SIDE), np.float32)
    for x, y in rng.integers((0, 90), (SIDE, SIDE), (5000, 2)).tolist():
        tip = (x + int(rng.integers(-1, 2)), y + int(rng.integers(2, 5)))
        cv2.line(hairs, (x, y), tip, 0.5, 1, cv2.LINE_AA)
    grained = skin * (1 - hairs[..., None]) * 255 + levels * rng.standard_normal(skin.shape)
    return np.clip(np.rint(grained), 0, 255).astype(np.uint8), skin.astype(np.float32)


def laid_in(plate, face, **options):
    """A smooth face over the middle of the plate, and the same without grain; and its matte."""
    side, matrix = 96, affine.square_crop(np.full(2, len(plate) / 2 - 0.5), 160, 0, 96)
    crop = image.as_float(image.warp(face, matrix, (side, side)))
    results = []
    for amount in (100, 0):
        named = {"texture": 0, "sharpen": 0, "color_transfer": "none", "grain": amount, **options}
        mask = np.zeros((side, side), np.float32)
        mask[10:-10, 10:-10] = 1
        swap = Swap(
            matrix, crop, crop, mask, CompositeOptions(**named), transfer.UNCHANGED, blend.OVERLAY
        )
        results.append(composite(plate, [swap]))
    return results[0].image.astype(float), results[1].image.astype(float), results[0].matte


@pytest.mark.parametrize("levels", [0, 2, 4, 8])
def test_stubble_does_not_freckle_the_forehead(levels):
    """Two thirds of all that there is to measure are stubble; the grain is that of the rest."""
    plate, skin = stubbled(levels)
    with_grain, without, matte = laid_in(plate, skin)
    added = (with_grain - without)[matte > 0.99].std()
    if levels == 0:
        assert added < 0.5
    else:
        assert added == pytest.approx(levels, rel=0.15)


def test_grain_goes_on_over_the_mattes_edge_as_one_field():
    """Where half is plate and half is face there are two grains, each mixed to half."""
    grey = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    plate = np.rint(255 * (grey + noise(0.03))).astype(np.uint8)
    result, _, matte = laid_in(plate, grey, blur=30)
    for low, high in ((0.05, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 1)):
        there = (matte > low) & (matte <= high)
        assert result[there].std() == pytest.approx(0.03 * 255, rel=0.1), (low, high)
    np.testing.assert_array_equal(result[matte == 0], plate[matte == 0])
