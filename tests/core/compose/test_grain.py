import cv2
import numpy as np
import pytest

from understudy.core.compose import grain

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
    levels = np.where(np.arange(SIDE) < SIDE // 2, 0.3, 0.7).astype(np.float32)[
        :, None, None
    ] + flat(0)
    found = given(levels + noise(0.03) * (levels < 0.5), levels)
    assert found[: SIDE // 2 - 20].std() == pytest.approx(0.03, rel=0.15)
    # A little is borrowed from the whole face.
    assert found[SIDE // 2 + 20 :].std() < 0.004


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
    region = frame[112:368, 192:448]
    smooth = cv2.GaussianBlur(textured()[112:368, 192:448], (0, 0), 4)
    params = grain.fit(region, smooth, SHOWN, grain.frame_level(frame))
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
