"""How footage is read, where there is a choice."""

from __future__ import annotations

from typing import Literal, Self

from understudy.options import OptionGroup, Options, option

FOOTAGE = OptionGroup("footage", "How footage is read")


class FootageOptions(Options):
    """How footage is read."""

    gaps: Literal["hold", "black", "short"] = option(
        "hold",
        "Frames that are missing among numbered pictures: hold shows the one before them longer,"
        " black shows black, short leaves them out, so that the sequence is shorter",
        affects="render",
        group=FOOTAGE,
    )
    endings: Literal["any", "known"] = option(
        "any",
        "Which files of a folder count: any that holds a picture, or only those whose names end in"
        " .jpg, .png, .tif, .bmp or .webp, as in former versions",
        affects="render",
        group=FOOTAGE,
    )
    deinterlace: Literal["off", "bob", "weave"] = option(
        "off",
        "Interlaced video: off keeps its fields, and the result is marked as interlaced; bob makes"
        " a frame of each field; weave takes both fields as one whole frame",
        affects="render",
        group=FOOTAGE,
    )

    @classmethod
    def of(cls, options: FootageOptions) -> Self:
        """The same choices without what a verb asks beside them."""
        return cls.model_validate({name: getattr(options, name) for name in cls.model_fields})
