"""How finished video is encoded: what is asked, and what `auto` means for a footage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from understudy.errors import BadOption
from understudy.io.footage.base import Footage
from understudy.options import Options, option
from understudy.types import Chroma, LightLevels

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]

ENCODERS: Final = {"h264": "libx264", "h265": "libx265", "prores": "prores_ks"}


class EncodeOptions(Options):
    """How finished video is encoded."""

    codec: Literal["auto", "h264", "h265", "prores"] = option(
        "auto",
        "Codec; auto = h264 for 8 bits in chroma 420, which every player takes, and h265 for all"
        " else; prores goes into .mov or .mkv",
    )
    crf: int = option(
        16, "Constant quality: lower is better and larger; h264 and h265", low=0, high=51
    )
    bitrate: float | None = option(
        None,
        "Mean bit rate instead of constant quality; not set = by crf",
        low=0,
        high=1000,
        unit="Mbit/s",
        formerly=0,
    )
    preset: Preset = option("medium", "Slower presets make smaller files; h264 and h265")
    depth: Literal["auto", "8", "10"] = option(
        "auto", "Bits per channel; auto = 10 for footage with more than 8"
    )
    chroma: Literal["auto", "420", "422", "444"] = option(
        "auto",
        "Colour resolution; auto = as the footage has it, 420 for pictures and RGB, 444 for odd"
        " sizes",
    )
    fps: float = option(
        25, "Frame rate of a video made of pictures", low=0.1, high=1000, unit="frames/s"
    )


def resolve_encoding(
    options: EncodeOptions, like: Footage, chroma: Chroma | None = None
) -> EncodeOptions:
    """Return the options with a codec, a depth and a chroma in place of auto.

    Args:
        options: What is asked.
        like: The footage that is encoded, or that the encoded frames belong to.
        chroma: What the frames have, where it is not the footage's.
    """
    is_deep = like.bits > 8 if options.depth == "auto" else options.depth == "10"
    depth: Literal["8", "10"] = "10" if is_deep or options.codec == "prores" else "8"
    if options.chroma != "auto":
        found: Chroma = options.chroma
    elif _is_odd(like):
        found = "444"
    else:
        found = chroma or like.chroma
        if found == "420" and (options.codec == "prores" or _halves_fields(like)):
            found = "422"
    codec = options.codec
    if codec == "auto":
        # Phones and the decoders of televisions know no other H.264 than this. What has fields
        # stays with it: HEVC does not tell players of them. An odd size fits neither.
        is_common = depth == "8" and (found == "420" or _is_odd(like))
        codec = "h264" if is_common or like.field_order else "h265"
    return options.model_copy(update={"codec": codec, "depth": depth, "chroma": found})


def pixel_format(options: EncodeOptions, like: Footage) -> str:
    """Return FFmpeg's name of the pixel format to encode footage in.

    Raises:
        BadOption: Its size, its fields or prores do not fit the chosen chroma.
    """
    resolved, (width, height) = resolve_encoding(options, like), like.plate_size
    if _is_odd(like) and resolved.chroma != "444":
        raise BadOption(
            f"chroma {resolved.chroma} needs even sizes, this footage has {width}x{height}. Leave"
            " it at auto, or 444."
        )
    if _halves_fields(like) and resolved.chroma == "420":
        raise BadOption(
            f"chroma 420 of interlaced footage needs a height that 4 divides, this one has"
            f" {height}. Leave it at auto, or 422."
        )
    if resolved.codec == "prores" and resolved.chroma == "420":
        raise BadOption("prores has no chroma 420. Leave it at auto, or choose 422 or 444.")
    return f"yuv{resolved.chroma}p{'10le' if resolved.depth == '10' else ''}"


def encoding_notes(like: Footage, options: EncodeOptions, suffix: str = ".mp4") -> Iterator[str]:
    """Yield what the encoded video will not have of its footage, which can be told before."""
    resolved = resolve_encoding(options, like)
    if not like.is_video and len(like) > 1 and "fps" not in options.model_fields_set:
        yield (
            f"{like.path.name}: pictures, which have no rate and no sound; the video shows"
            f" {options.fps:g} of them a second. Another rate: fps."
        )
    if like.size != like.plate_size and suffix.lower() == ".mkv":
        yield (
            f"{like.path.name}: its pixels are not square, which an .mkv made here says only within"
            " its pictures; some players show it too narrow or too wide. Name it .mp4 or .mov."
        )
    if like.field_order and resolved.codec == "h265":
        yield (
            f"{like.path.name}: interlaced, which h265 does not tell players. Choose codec h264 or"
            " prores, or take it with --deinterlace bob."
        )
    if options.codec == "auto" and resolved.codec == "h265":
        yield (
            f"{like.path.name}: has {like.bits} bits and chroma {like.chroma}; the new video has"
            f" {resolved.depth} and {resolved.chroma}, as HEVC (h265). For players that know only"
            " H.264: codec h264, depth 8, chroma 420."
        )


def own_parameters(codec: str, light: LightLevels | None) -> dict[str, str]:
    """Return what an encoder is told in its own words: how bright HDR was mastered, and what of it.

    light: of the footage; None = it does not say.
    """
    if codec == "h265":
        # Its log would go to the terminal, and what it notes of itself into the header, which must
        # be the same on a machine with other cores.
        told = ["log-level=error", "info=0", *_light_parameters("master-display", "max-cll", light)]
        return {"x265-params": ":".join(told)}
    if codec == "h264" and light is not None:
        return {"x264-params": ":".join(_light_parameters("mastering-display", "cll", light))}
    return {}


def _light_parameters(display: str, level: str, light: LightLevels | None) -> list[str]:
    if light is None:
        return []
    told = []
    if light.mastering is not None:
        red, green, blue, white, levels = (f"({a},{b})" for a, b in light.mastering)
        told.append(f"{display}=G{green}B{blue}R{red}WP{white}L{levels}")
    if light.content is not None:
        told.append(f"{level}={light.content[0]},{light.content[1]}")
    return told


def _is_odd(like: Footage) -> bool:
    return any(side % 2 for side in like.plate_size)


def _halves_fields(like: Footage) -> bool:
    """Whether in 420 its fields would have half of a line of colour."""
    return like.field_order is not None and like.plate_size[1] % 4 != 0
