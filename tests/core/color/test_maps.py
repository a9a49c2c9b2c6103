import numpy as np
import pytest
from scipy.linalg import sqrtm

from understudy.core.color import maps, sliced_transport
from understudy.core.color.lab import lab_from_rgb
from understudy.core.color.maps import LabMap, LinearMap, Pixels, TableMap


@pytest.fixture
def pixels() -> tuple[Pixels, Pixels]:
    """A face's colours and those of another under other light; neither is at the border of what can
    be shown.
    """
    rng = np.random.default_rng(3)
    skin = rng.normal(0, 1, (2048, 3)) @ [
        [0.06, 0.05, 0.04],
        [0.01, -0.01, 0.02],
        [0.008, 0.01, 0.015],
    ] + [0.6, 0.45, 0.4]
    light = rng.normal(0, 1, (2048, 3)) @ [
        [0.08, 0.07, 0.05],
        [0.01, -0.02, 0.01],
        [0.008, 0.006, 0.016],
    ] + [0.35, 0.4, 0.45]
    weight = rng.uniform(0.2, 1, 2048) * np.where(skin[:, 0] < 0.6, 1, 0.5)
    return Pixels(*(each.astype(np.float32) for each in (skin, weight))), Pixels(
        *(each.astype(np.float32) for each in (light, weight))
    )


def moments_of(colors: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.average(colors, axis=0, weights=weight), np.cov(colors.T, aweights=weight, ddof=0)


def test_lct_and_mkl_equal_their_formulas(pixels: tuple[Pixels, Pixels]) -> None:
    face, like = pixels
    (mean, spread), (goal, wanted) = (moments_of(each.colors, each.weight) for each in pixels)
    roots = sqrtm(wanted) @ np.linalg.inv(sqrtm(spread))
    back = np.linalg.inv(sqrtm(spread))
    monge = back @ sqrtm(sqrtm(spread) @ wanted @ sqrtm(spread)) @ back
    for fit, turn in ((maps.fit_covariance_roots, roots), (maps.fit_monge_kantorovich, monge)):
        assert np.linalg.svd(turn)[1].max() < 2 and np.linalg.svd(turn)[1].min() > 0.5
        expected = (face.colors - mean) @ turn.T + goal
        moved = fit(face, like)(face.colors)
        # The noise that is added to covariances moves them by less than half a level.
        assert np.abs(moved - expected).max() < 0.5 / 255
        for mine, theirs in zip(moments_of(moved, face.weight), (goal, wanted), strict=True):
            assert np.allclose(mine, theirs, atol=1e-4)


def sorted_over(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How far each value moves so that the values as a whole become the wanted ones."""
    aside = np.empty_like(values)
    aside[np.argsort(values)] = np.sort(wanted) - np.sort(values)
    return aside


@pytest.mark.parametrize(
    ("fit", "steps", "sets", "share"),
    [
        (sliced_transport.fit_idt, 20, 1, 1 / 20),
        (sliced_transport.fit_sliced_transport, 10, 2, 1 / 6),
    ],
)
def test_idt_and_sot_equal_sorting_along_the_same_directions(
    pixels: tuple[Pixels, Pixels], fit: maps.ColorFit, steps: int, sets: int, share: float
) -> None:
    even = np.ones(2048, np.float32)
    face, like = (Pixels(each.colors, even) for each in pixels)
    expected = face.colors.astype(np.float64)
    for step in range(steps):
        turned = [
            np.linalg.qr(np.random.default_rng(sets * step + each).standard_normal((3, 3)))[0].T
            for each in range(sets)
        ]
        directions = np.vstack(turned)
        aside = [sorted_over(expected @ along, like.colors @ along) for along in directions]
        expected = expected + share * np.stack(aside, -1) @ directions
    error = np.abs(fit(face, like)(face.colors) - expected)
    # Beyond the outermost of 256 quantiles the map goes on as it is there.
    assert error.mean() < 0.3 / 255 and np.quantile(error, 0.99) < 3 / 255


def test_sot_brings_the_whole_distribution_and_idt_two_thirds_of_it(
    pixels: tuple[Pixels, Pixels],
) -> None:
    face, like = pixels
    gap = np.abs(
        np.average(face.colors, axis=0, weights=face.weight)
        - np.average(like.colors, axis=0, weights=like.weight)
    )
    for fit, left in (
        (sliced_transport.fit_sliced_transport, 0.02),
        (sliced_transport.fit_idt, 0.95**20),
    ):
        moved = fit(face, like)(face.colors)
        now = np.abs(
            np.average(moved, axis=0, weights=face.weight)
            - np.average(like.colors, axis=0, weights=like.weight)
        )
        assert np.allclose(now / gap, left, atol=0.02)


def test_mix_takes_lightness_from_moments_and_chroma_from_the_distribution(
    pixels: tuple[Pixels, Pixels],
) -> None:
    face, like = pixels
    lab = [
        lab_from_rgb(fit(face, like)(face.colors))
        for fit in (sliced_transport.fit_mix, maps.fit_lab_moments)
    ]
    assert np.abs(lab[0][:, 0] - lab[1][:, 0]).max() < 0.5
    wanted = lab_from_rgb(like.colors)
    for channel in (1, 2):
        theirs, mine = (np.quantile(each[:, channel], (0.1, 0.5, 0.9)) for each in (wanted, lab[0]))
        assert np.abs(theirs - mine).max() < 1.5


def test_a_table_of_moves_gives_what_the_map_gives(pixels: tuple[Pixels, Pixels]) -> None:
    face, like = pixels
    for fit in (
        sliced_transport.fit_idt,
        sliced_transport.fit_sliced_transport,
        sliced_transport.fit_mix,
    ):
        wanted = fit(face, like)
        error = np.abs(TableMap.of(wanted, 17)(face.colors) - wanted(face.colors))
        assert error.mean() < 0.5 / 255 and np.quantile(error, 0.99) < 2 / 255


def test_between_its_colours_a_table_is_linear() -> None:
    turn = np.random.default_rng(0).normal(0, 0.3, (3, 3)).astype(np.float32)
    colors = np.random.default_rng(1).random((50, 3)).astype(np.float32)
    assert np.allclose(
        TableMap.of(lambda colors: colors @ turn, 5)(colors), colors @ turn, atol=1e-6
    )
    beyond = np.float32([[1.2, -0.1, 0.5]])
    assert np.allclose(TableMap.of(lambda colors: colors / 2, 5)(beyond), [[0.7, -0.1, 0.25]])


def test_linear_maps_and_moves_in_lab_can_do_nothing_exactly() -> None:
    colors = np.random.default_rng(1).random((50, 3)).astype(np.float32)
    for nothing in (LabMap.none(), LinearMap.none(), TableMap.none(17)):
        assert np.array_equal(nothing(colors), colors)


def test_a_table_is_indexed_by_blue_green_and_red() -> None:
    steps = maps.tabulate(lambda colors: colors, 5)
    assert np.allclose(steps[1, 2, 4], (1, 0.5, 0.25))
