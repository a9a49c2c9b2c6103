"""The synthetic people: they look the same every time, move, and their landmarks are true."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.metrics.swap_metrics import expression_features
from understudy.core.synthetic import clip as synthetic_clip
from understudy.core.synthetic.voice import synthesize_voice
from understudy.stages.demo import load_portrait
from understudy.types import Bytes, Floats

Clip = list[tuple[Bytes, Floats]]


def test_the_same_seed_gives_the_same_clip_and_another_seed_another() -> None:
    once, again, other = (
        next(synthetic_clip.render_clip(load_portrait(), "b", 1, (160, 120), seed))
        for seed in (3, 3, 4)
    )
    assert np.array_equal(once[0], again[0]) and np.array_equal(once[1], again[1])
    assert not np.array_equal(once[0], other[0])


def test_a_clip_has_the_size_and_the_number_of_frames_asked_for(people: dict[str, Clip]) -> None:
    for clip in people.values():
        assert len(clip) == 10
        for image, landmarks in clip:
            assert image.shape == (240, 320, 3) and image.dtype == np.uint8
            assert (
                landmarks.shape == (68, 2)
                and landmarks.min() > 0
                and (landmarks.max(axis=0) < (319, 239)).all()
            )


def test_a_dot_painted_on_the_portrait_is_found_where_the_landmark_is_said_to_be() -> None:
    # The tip of the nose and the chin are carried by skin alone; the dot must land on the true
    # point, whatever the warp.
    picture = load_portrait().copy()
    for point in synthetic_clip.PORTRAIT_LANDMARKS[[30, 8]]:
        cv2.circle(
            picture,
            tuple(np.rint(point * 16).astype(int).tolist()),
            24,
            (0, 255, 0),
            -1,
            cv2.LINE_AA,
            4,
        )
    for image, landmarks in synthetic_clip.render_clip(picture, "a", 3, (640, 480), seed=5, fps=1):
        green = np.clip(image[..., 1].astype(float) - image[..., [0, 2]].max(axis=2) - 60, 0, None)
        for point in landmarks[[30, 8]]:
            x, y = np.rint(point).astype(int)
            patch = green[y - 12 : y + 13, x - 12 : x + 13]
            rows, columns = np.mgrid[-12:13, -12:13]
            centre = np.array([(patch * columns).sum(), (patch * rows).sum()]) / patch.sum() + (
                x,
                y,
            )
            assert np.linalg.norm(centre - point) < 0.6


def test_both_people_blink_speak_and_smile_but_not_together() -> None:
    acts = {}
    for person in ("a", "b"):
        rest = synthetic_clip.make_rig(load_portrait(), person).rest
        performance = synthetic_clip.Performance.of(person, 0)
        acts[person] = expression_features(
            np.stack([performance.points(rest, number / 25)[:68] for number in range(150)])
        )
        mouth, width, eyes, brows = acts[person].T
        assert eyes.min() < 0.25 * eyes.max(), "the eyes close"
        assert mouth.min() < 0.02 and mouth.max() > 0.15, "the lips meet and the mouth opens wide"
        assert np.ptp(width) > 0.05 and np.ptp(brows) > 0.03
    assert abs(np.corrcoef(acts["a"][:, 0], acts["b"][:, 0])[0, 1]) < 0.5


def test_a_closed_eye_shows_skin_and_no_eyeball() -> None:
    rig = synthetic_clip.make_rig(load_portrait(), "a")
    camera = np.array([[2.0, 0, -300], [0, 2.0, -100]])
    shut = rig.rest.copy()
    shut[[37, 38, 43, 44]] = shut[[41, 40, 47, 46]]
    opened, closed = (
        rig.render(points, camera, (320, 240)).astype(int) for points in (rig.rest, shut)
    )
    x, y = (
        (rig.rest[[37, 38, 40, 41]].mean(axis=0) @ camera[:, :2].T + camera[:, 2])
        .round()
        .astype(int)
    )
    eyeball, lid = opened[y - 1 : y + 2, x - 3 : x + 4], closed[y - 4 : y - 1, x - 3 : x + 4]
    assert eyeball.mean() < 90 < lid.mean(), "dark iris when open, light lid when shut"


def test_another_picture_than_the_portrait_is_refused() -> None:
    with pytest.raises(ValueError, match="512"):
        synthetic_clip.make_rig(np.zeros((100, 100, 3), np.uint8), "a")


def test_the_voice_is_as_long_as_the_clip_and_loud_when_the_mouth_is_open() -> None:
    opening = np.repeat(np.array([0, 10, 0], np.float32), 10)
    sound = synthesize_voice(opening, fps=25, rate=8000)
    assert len(sound) == 30 / 25 * 8000 and np.abs(sound).max() <= 1
    quiet, loud = (np.sqrt((sound[at : at + 1600] ** 2).mean()) for at in (400, 4000))
    assert loud > 5 * quiet


def test_the_clips_of_the_tests_play_with_sound(clips: dict[str, Path]) -> None:
    from understudy.io.open_footage import open_footage

    for path in clips.values():
        with open_footage(path) as footage:
            assert (
                len(footage) == 10
                and footage.size == (320, 240)
                and footage.fps == 25
                and footage.has_audio
            )
