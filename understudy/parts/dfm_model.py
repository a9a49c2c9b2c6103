"""A model that came as a file, .dfm or .onnx, for merging."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from understudy.errors import BadOption
from understudy.io.model_files.dfm import Dfm
from understudy.types import FaceType, Floats, Prediction

# What a file shows that does not say it: the custom of the programs that such files were made for.
_CUSTOM: FaceType = "whole"


class DfmModel:
    """Predicts as a trained model does.

    face_type: of the file, or what `set_face_type` said of one that states none. model: which of
    our models it is; "" where it does not say that. motion: how far training moved the faces, as
    far as it says that.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        """Load the file.

        Raises:
            BadMedia: The file is none that can be used.
            BadOption: The device is not there.
            MissingExtra: onnxruntime is not installed.
        """
        self._file = Dfm(path, device)
        self.path, self.device, self.iteration = path, self._file.device, self._file.facts.iteration
        self.resolution, self._stated = self._file.facts.resolution, self._file.facts.face_type
        self.face_type: FaceType = self._stated or _CUSTOM
        self.model, self.motion = self._file.facts.model, self._file.facts.motion
        self._morph = self._file.facts.morph or 0.0

    @property
    def has_face_type(self) -> bool:
        """Whether the file itself says what its faces show."""
        return self._stated is not None

    def set_face_type(self, face_type: FaceType) -> None:
        """Say what the faces of a file show that states none.

        Raises BadOption when it states another.
        """
        if self._stated not in (None, face_type):
            raise BadOption(
                f"face_type: {self.path.name} says that it shows {self._stated}, not {face_type}."
                " Leave it at auto."
            )
        self.face_type = face_type

    def set_morph(self, share: float) -> None:
        """Let so much of the face, 0..1, become src's.

        Raises:
            BadMedia: The file fails with it.
            BadOption: The file takes no such value.
        """
        if self._file.facts.morph is None:
            raise BadOption(
                f"morph: {self.path.name} takes no morph_value; amp's files do. Leave --morph out."
            )
        self._file.try_morph(share)
        self._morph = share

    def predict(self, images: Floats) -> Prediction:
        """Swap dst faces.

        Args:
            images: (N, R, R, 3) float32 RGB in 0..1.

        Returns:
            Faces of the same shape, and masks (N, R, R) in 0..1.

        Raises:
            BadMedia: The file fails.
        """
        if not len(images):
            return Prediction(images, images[..., 0], images[..., 0])
        step = self._file.at_a_time
        bgr = np.ascontiguousarray(images[..., ::-1])
        made = [self._file.run(bgr[at : at + step], self._morph) for at in range(0, len(bgr), step)]
        dst_mask, image, mask = (np.concatenate(each) for each in zip(*made, strict=True))
        return Prediction(np.ascontiguousarray(image[..., ::-1]), mask[..., 0], dst_mask[..., 0])
