"""Another look for the portrait of the synthetic people, by colour only."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.types import Bytes, Doubles, Floats


def restyle_portrait(picture: Bytes, points: Doubles) -> Bytes:
    """Recolour the portrait: hair, brows, stubble, complexion, clothes and backdrop.

    Args:
        picture: (H, W, 3) uint8.
        points: (68 or more, 2) pixels, iBUG order.

    Returns:
        (H, W, 3) uint8.
    """
    image: Floats = np.asarray(picture / np.float32(255), np.float32)
    face = _blur(_fill(image, np.concatenate([points[:17], points[26:16:-1] - (0, 7)])), 2.0)
    hair = _hair_mask(image, points)
    image = _recolor_clothes_and_backdrop(image, points, np.maximum(face, hair))
    image = _mix(
        image, _tone(image, 0.80, (1.0, 0.86, 0.70)), _skin_mask(image, points, face) * (1 - hair)
    )
    image = _mix(image, _darken_hair(image), hair)
    image = _mix(image, _multiply(image, (0.30, 0.30, 0.30)), 0.85 * _brow_mask(image, points))
    image = _mix(image, _multiply(image, (0.52, 0.55, 0.59)), _stubble_mask(image, points))
    return np.asarray(np.clip(np.rint(image * 255), 0, 255), np.uint8)


def _hair_mask(image: Floats, points: Doubles) -> Floats:
    """Where the hair is: darker or yellower than skin, in the upper part of the head."""
    eye = points[36:48].mean(axis=0)
    unit = float(np.linalg.norm(points[45] - points[36]))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    head = ((x - eye[0]) / (1.33 * unit)) ** 2 + (
        (y - eye[1] + 0.40 * unit) / (1.13 * unit)
    ) ** 2 < 1
    shape = _fill(image, np.concatenate([points[:17], points[26:16:-1] - (0, 4)]))
    blue_share = image[..., 2] / np.maximum(image.sum(axis=2), 1e-3)
    light = image.mean(axis=2)
    fringe = (y < eye[1] - 0.38 * unit) & (blue_share < 0.305)
    yellow = (blue_share < 0.245) & (y < eye[1] + 0.55 * unit) | (light < 0.42) & (blue_share < 0.3)
    found = (head & (shape < 0.5) & (yellow | fringe)).astype(np.uint8) * 255
    closed = cv2.morphologyEx(cv2.medianBlur(found, 3), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return _blur(np.asarray(closed / np.float32(255), np.float32), 0.9)


def _skin_mask(image: Floats, points: Doubles, face: Floats) -> Floats:
    """Face, ears and neck, without eyes and mouth."""
    eye, chin = points[36:48].mean(axis=0), points[8]
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    near = (
        (np.abs(x - eye[0]) < 0.62 * np.ptp(points[:17, 0]))
        & (y > eye[1] - 35)
        & (y < chin[1] + 16)
    )
    hue = (
        (image[..., 0] > image[..., 2] * 1.12)
        & (image[..., 0] < image[..., 2] * 2.6)
        & (image.mean(axis=2) > 0.3)
    )
    skin = np.maximum(_blur((near & hue).astype(np.float32), 1.2), face)
    for hole in (points[36:42], points[42:48], points[60:68]):
        skin = skin * (1 - _blur(_fill(image, hole), 0.7))
    return np.asarray(skin, np.float32)


def _brow_mask(image: Floats, points: Doubles) -> Floats:
    matte = np.zeros(image.shape[:2], np.uint8)
    for brow in (points[17:22], points[22:27]):
        cv2.polylines(
            matte,
            [np.rint((brow + np.array([0, 0.6])) * 16).astype(np.int32)],
            False,
            255,
            4,
            cv2.LINE_AA,
            4,
        )
    return _blur(np.asarray(matte / np.float32(255), np.float32), 1.0)


def _stubble_mask(image: Floats, points: Doubles) -> Floats:
    """Chin, jaw and upper lip, mottled like a beard of a few days."""
    nose = points[33]
    unit = float(np.linalg.norm(points[45] - points[36]))
    low = points[3:14] * 0.98 + points[30] * 0.02
    cheek = [
        (points[13, 0], points[13, 1]),
        (points[54, 0] + 0.10 * unit, points[54, 1] - 3),
        (nose[0], nose[1] + 1.5),
    ]
    cheek += [(points[48, 0] - 0.10 * unit, points[48, 1] - 3), (points[3, 0], points[3, 1])]
    area = _blur(_fill(image, np.concatenate([low, np.array(cheek)])), 0.045 * unit)
    lips = _blur(_fill(image, points[48:60]), 0.8)
    grain = np.random.default_rng(3).normal(0, 1, image.shape[:2]).astype(np.float32)
    mottled = np.clip(0.62 + 0.16 * _blur(grain, 0.6) * 2, 0, 1)
    return np.asarray(area * (1 - lips) * mottled, np.float32)


def _recolor_clothes_and_backdrop(image: Floats, points: Doubles, head: Floats) -> Floats:
    y = np.arange(image.shape[0], dtype=np.float32)[:, None]
    orange = np.clip((image[..., 0] - 1.5 * image[..., 2]) * 4, 0, 1) * np.clip(
        (y - points[8, 1] - 10) / 10, 0, 1
    )
    image = _mix(image, _multiply(image[..., ::-1], (0.75, 1.0, 0.85)), orange * (1 - head))
    spread = image.max(axis=2) - image.min(axis=2)
    plain = np.clip((0.22 - spread) * 10, 0, 1) * np.clip((image.mean(axis=2) - 0.4) * 6, 0, 1)
    backdrop = _blur(plain * (1 - head), 0.8)
    return _mix(image, _multiply(image, (0.62, 0.78, 0.86)), backdrop)


def _darken_hair(image: Floats) -> Floats:
    grey = image.mean(axis=2, keepdims=True)
    return np.asarray(0.42 * grey**1.15 * np.array([1.1, 0.95, 0.85], np.float32), np.float32)


def _multiply(image: Floats, factors: tuple[float, float, float]) -> Floats:
    return np.asarray(image * np.array(factors, np.float32), np.float32)


def _tone(image: Floats, power: float, tint: tuple[float, float, float]) -> Floats:
    return np.asarray(np.clip(image, 0, 1) ** (1 / power) * np.array(tint, np.float32), np.float32)


def _mix(below: Floats, above: Floats, matte: Floats) -> Floats:
    return np.asarray(below + matte[..., None] * (above - below), np.float32)


def _fill(image: Floats, outline: Doubles) -> Floats:
    matte = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(matte, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(matte / np.float32(255), np.float32)


def _blur(matte: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), sigma), np.float32)
