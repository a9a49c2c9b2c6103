"""The contact sheet: every picture in its place."""

from __future__ import annotations

import numpy as np

from understudy.core.drawing.contact_sheet import (
    crop_head,
    draw_contact_sheet,
    draw_grid,
    draw_tiles,
)
from understudy.types import Bytes, Floats

Clip = list[tuple[Bytes, Floats]]


def test_the_sheet_shows_every_picture_once_in_rows() -> None:
    colours = np.arange(6).reshape(2, 3) * 20 + 100
    rows = {
        name: [np.full((32, 32, 3), (c, 0, 0), np.uint8) for c in colours[row]]
        for row, name in enumerate(("src", "dst"))
    }
    sheet = draw_contact_sheet(rows, ["one", "two", "three"])
    places = {
        int(colour): np.argwhere((sheet == (colour, 0, 0)).all(axis=2)).mean(axis=0)
        for colour in colours.ravel()
    }
    assert places[100][0] == places[140][0] < places[160][0], "rows run down"
    assert places[100][1] < places[120][1] < places[140][1], "columns run to the right"


def test_a_portrait_holds_the_face_in_the_middle(people: dict[str, Clip]) -> None:
    image, landmarks = people["a"][0]
    marked = image.copy()
    x, y = np.rint(landmarks[30]).astype(int)
    marked[y - 2 : y + 3, x - 2 : x + 3] = (0, 255, 0)
    seen = crop_head(marked, landmarks, side=100)
    assert seen.shape == (100, 100, 3)
    rows, columns = np.nonzero((seen[..., 1] > 200) & (seen[..., 0] < 90))
    assert abs(rows.mean() - 55) < 15 and abs(columns.mean() - 50) < 10


def test_tiles_hold_pictures_of_any_kind_as_large_as_they_can_be() -> None:
    wide = np.full((10, 40, 3), (65535, 0, 0), np.uint16)
    mask = np.full((8, 4), 12 / 255, np.float32)  # darker than the paper: no letter is
    paper = draw_tiles(
        [("wide", wide), ("mask", mask), ("last", np.full((90, 90, 3), 7, np.uint8))], 2, 60
    )
    places = {
        name: np.argwhere((paper == colour).all(axis=2))
        for name, colour in (("wide", (255, 0, 0)), ("mask", 12))
    }
    assert np.ptp(places["wide"], axis=0).tolist() == [14, 59] and np.ptp(
        places["mask"], axis=0
    ).tolist() == [59, 29]
    last = np.argwhere((paper == 7).all(axis=2))
    assert len(last) == 3600 and last[:, 0].min() > places["mask"][:, 0].max(), (
        "the third begins a new row"
    )
    assert places["mask"][:, 1].min() > places["wide"][:, 1].max()


def test_a_grid_shows_pictures_and_masks_in_labelled_columns() -> None:
    faces = np.full((3, 16, 16, 3), (1.0, 0, 0), np.float32)
    masks = np.ones((3, 16, 16), np.float32)
    picture = draw_grid({"face": faces, "mask": masks}, gap=2)
    assert picture.shape == (22 + 3 * 18, 2 * 18, 3)
    assert tuple(picture[30, 5]) == (255, 0, 0) and tuple(picture[30, 18 + 5]) == (255, 255, 255)
    assert (picture[:22, :18] < 128).any(), "the column has no name"


def _ink(sheet: Bytes) -> Bytes:
    """Rows of the sheet that have something written on them."""
    return (sheet.max(2) > 150).any(1)


def test_a_heading_is_wrapped_and_lies_above_the_pictures() -> None:
    row = {"frame 0": [np.full((40, 40, 3), (100, 0, 0), np.uint8)]}
    sheets = [draw_contact_sheet(row, ["one"], ["--erode 8 " * n]) for n in (1, 40)]
    for sheet in sheets:
        rows = np.flatnonzero((sheet == (100, 0, 0)).all(2).any(1))
        assert len(rows) == 40 and _ink(sheet)[: rows[0] - 26].any(), "nothing above the captions"
        assert not (sheet[:, -8:] > 150).any(), "cut off at the right"
    assert len(sheets[1]) > len(sheets[0]) + 4 * 20, "on as many lines as it needs"


def test_text_grows_with_the_sheet() -> None:
    def heights(side: int) -> float:
        row = {"frame": [np.zeros((side, side, 3), np.uint8)] * 3}
        sheet = draw_contact_sheet(row, None, ["|||| ||||"])
        written = np.flatnonzero(_ink(sheet)[: len(sheet) - side])
        return float(np.ptp(written)) / len(sheet)

    assert heights(1600) > 0.6 * heights(400) > 0
