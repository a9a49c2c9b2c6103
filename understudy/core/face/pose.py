"""Which way a head looks, from its landmarks in the frame and a rigid model of a head."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.errors import DegeneratePoints
from understudy.types import Doubles, Floats


def estimate_pose(landmarks: Floats, frame_size: tuple[int, int]) -> Floats:
    """Estimate pitch, yaw and roll of the head against the camera's axis.

    Pitch above 0 looks up. Yaw above 0 turns the nose towards the left of the picture. Roll above 0
    turns the head clockwise on screen. The lens is guessed: its focal length is the longer side of
    the frame, without distortion. So the values rank and match faces; they are no survey.

    Args:
        landmarks: (68, 2) frame pixels.
        frame_size: (width, height).

    Returns:
        (3,) float32 radians: pitch, yaw, roll.

    Raises:
        DegeneratePoints: No pose fits the landmarks.
    """
    points = np.asarray(landmarks, np.float64)[RIGID_POINTS]
    model = HEAD_MODEL[RIGID_POINTS]
    focal = float(max(frame_size))
    camera = np.array(
        [[focal, 0, frame_size[0] / 2 - 0.5], [0, focal, frame_size[1] / 2 - 0.5], [0, 0, 1]]
    )
    guess = _first_guess(model, points, camera)
    solved, turn, _ = cv2.solvePnP(
        model, points, camera, None, *guess, True, cv2.SOLVEPNP_ITERATIVE
    )
    if not solved or not np.isfinite(turn).all():
        raise DegeneratePoints(
            "No head pose fits these landmarks. Detect this face again or drop it."
        )
    matrix = cv2.Rodrigues(turn)[0]
    pitch = np.arctan2(matrix[2, 1], matrix[2, 2])
    yaw = np.arctan2(-matrix[2, 0], np.hypot(matrix[0, 0], matrix[1, 0]))
    roll = np.arctan2(matrix[1, 0], matrix[0, 0])
    return np.array([-pitch, yaw, roll], np.float32)


def _first_guess(
    model: Doubles,
    points: Doubles,
    camera: Doubles,
) -> tuple[Doubles, Doubles]:
    # Without a guess the solver may settle on a head behind the camera or seen from inside.
    flat = affine.fit_similarity(model[:, :2], points)
    depth = camera[0, 0] / affine.scale_of(flat)
    middle = (affine.apply(flat, np.zeros(2)) - camera[:2, 2]) / camera[0, 0] * depth
    roll = np.arctan2(flat[1, 0], flat[0, 0])
    return np.array([0.0, 0.0, roll]), np.array([middle[0], middle[1], depth])


# What expression moves least: jaw line, brows, lower edge of the nose.
RIGID_POINTS: Final = np.array([*range(27), *range(30, 36)])

# A head's 68 points in millimetre-like units, x to the right, y down, z away from the camera.
HEAD_MODEL: Final = np.array(
    [
        [-73.393523, -29.801432, 47.667532],
        [-72.775014, -10.949766, 45.909403],
        [-70.533638, 7.929818, 44.84258],
        [-66.850058, 26.07428, 43.141114],
        [-59.790187, 42.56439, 38.635298],
        [-48.368973, 56.48108, 30.750622],
        [-34.121101, 67.246992, 18.456453],
        [-17.875411, 75.056892, 3.609035],
        [0.098749, 77.061286, -0.881698],
        [17.477031, 74.758448, 5.181201],
        [32.648966, 66.929021, 19.176563],
        [46.372358, 56.311389, 30.77057],
        [57.34348, 42.419126, 37.628629],
        [64.388482, 25.45588, 40.886309],
        [68.212038, 6.990805, 42.281449],
        [70.486405, -11.666193, 44.142567],
        [71.375822, -30.365191, 47.140426],
        [-61.119406, -49.361602, 14.254422],
        [-51.287588, -58.769795, 7.268147],
        [-37.8048, -61.996155, 0.442051],
        [-24.022754, -61.033399, -6.606501],
        [-11.635713, -56.686759, -11.967398],
        [12.056636, -57.391033, -12.051204],
        [25.106256, -61.902186, -7.315098],
        [38.338588, -62.777713, -1.022953],
        [51.191007, -59.302347, 5.349435],
        [60.053851, -50.190255, 11.615746],
        [0.65394, -42.19379, -13.380835],
        [0.804809, -30.993721, -21.150853],
        [0.992204, -19.944596, -29.284036],
        [1.226783, -8.414541, -36.94806],
        [-14.772472, 2.598255, -20.132003],
        [-7.180239, 4.751589, -23.536684],
        [0.55592, 6.5629, -25.944448],
        [8.272499, 4.661005, -23.695741],
        [15.214351, 2.643046, -20.858157],
        [-46.04729, -37.471411, 7.037989],
        [-37.674688, -42.73051, 3.021217],
        [-27.883856, -42.711517, 1.353629],
        [-19.648268, -36.754742, -0.111088],
        [-28.272965, -35.134493, -0.147273],
        [-38.082418, -34.919043, 1.476612],
        [19.265868, -37.032306, -0.665746],
        [27.894191, -43.342445, 0.24766],
        [37.437529, -43.110822, 1.696435],
        [45.170805, -38.086515, 4.894163],
        [38.196454, -35.532024, 0.282961],
        [28.764989, -35.484289, -1.172675],
        [-28.916267, 28.612716, -2.24031],
        [-17.533194, 22.172187, -15.934335],
        [-6.68459, 19.029051, -22.611355],
        [0.381001, 20.721118, -23.748437],
        [8.375443, 19.03546, -22.721995],
        [18.876618, 22.394109, -15.610679],
        [28.794412, 28.079924, -3.217393],
        [19.057574, 36.298248, -14.987997],
        [8.956375, 39.634575, -22.554245],
        [0.381549, 40.395647, -23.591626],
        [-7.428895, 39.836405, -22.406106],
        [-18.160634, 36.677899, -15.121907],
        [-24.37749, 28.677771, -4.785684],
        [-6.897633, 25.475976, -20.893742],
        [0.340663, 26.014269, -22.220479],
        [8.444722, 25.326198, -21.02552],
        [24.474473, 28.323008, -5.712776],
        [8.449166, 30.596216, -20.671489],
        [0.205322, 31.408738, -21.90367],
        [-7.198266, 30.844876, -20.328022],
    ]
)
HEAD_MODEL.setflags(write=False)
