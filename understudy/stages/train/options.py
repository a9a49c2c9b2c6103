"""What `train` asks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from understudy.options import OptionGroup, Options, option
from understudy.parts.color_transfers import ColorTransfer, color_transfers
from understudy.parts.models import models
from understudy.registry import NameIn, settings_field, with_parts
from understudy.stages.saved_models.recipe import MAX_SEED

# A time between two of something.
Often = Annotated[float, Field(gt=0)] | Literal["never"]
Until = Literal["plateau", "finish", "gan"] | None

_FACES = OptionGroup("faces", "Whose faces are learnt, and how often which of them")
_CHANGES = OptionGroup("changes", "How faces are changed at random, and src's made like dst's")
_STEPS = OptionGroup("steps", "How it learns: optimizer, learning rate, running mean, chance")
_MEMORY = OptionGroup("memory", "Speed and memory")
_SAVES = OptionGroup("saves", "What is written meanwhile, and how often")


def _fits_pixels(transfer: type[ColorTransfer]) -> bool:
    return transfer.fits_pixels


@with_parts(models, color_transfers)
class TrainOptions(Options):
    """What `train` asks.

    The settings of a model stand under its name. The model keeps them, its class and its seed for
    life.
    """

    model: Annotated[str, NameIn("models", ("auto",))] = option(
        "auto", "What to train; auto = what this machine can", usual=True
    )
    name: str | None = option(
        None,
        "Name under which this model is kept; not set = what it is called under model",
        formerly="",
        usual=True,
    )
    from_: str | None = option(
        None,
        "Start with the weights of another model: its folder, or its name in this show; not set ="
        " from nothing",
        formerly="",
        usual=True,
    )
    pretrain: str | None = option(
        None,
        "Learn from this faceset of many people in place of src and dst; not set = from src and"
        " dst",
        formerly="",
        group=_FACES,
    )
    seed: int = option(
        0,
        "Where chance starts; the same seed and faces give the same run",
        low=0,
        high=MAX_SEED,
        group=_STEPS,
    )
    iterations: int | None = option(
        None,
        "Stop when the model has learnt this many iterations in all; not set = no such end",
        low=1,
        live=True,
        formerly=0,
        usual=True,
    )
    minutes: float | None = option(
        None,
        "Stop when the model has learnt this long in all; not set = no such end",
        low=0,
        unit="minutes",
        live=True,
        formerly=0,
        usual=True,
    )
    batch: int | None = option(
        None,
        "Pairs of faces an iteration: few at first are fast, many at the end are steady; not set ="
        " the model's own",
        low=1,
        high=512,
        formerly=0,
        usual=True,
    )
    optimizer: Literal["auto", "adam", "adabelief", "rmsprop"] = option(
        "auto",
        "How steps follow from gradients; auto = the model's own. Another one than before starts"
        " with no memory",
        group=_STEPS,
    )
    lr: float | None = option(
        None,
        "Learning rate; not set = the model's own",
        low=0,
        high=0.1,
        live=True,
        formerly=0,
        group=_STEPS,
    )
    lr_dropout: bool = option(
        False,
        "Take a random 0.3 of each step, its size swinging: for the end, with adabelief or rmsprop",
        group=_STEPS,
    )
    clip: float | None = option(
        None,
        "Longest gradient that is not shortened, 0 shortens none; not set = the model's own",
        low=0,
        live=True,
        formerly=-1,
        group=_STEPS,
    )
    device: str = option(
        "auto",
        "Where to compute: auto, best (of many GPUs), cpu, cuda:1, mps, xpu, …; all = on every GPU"
        " here",
        usual=True,
    )
    threads: int | None = option(
        None,
        "Threads that compute on a CPU, for runs equal bit for bit; not set = what is fastest",
        low=1,
        high=512,
        formerly=0,
        group=_MEMORY,
    )
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "Number format of the network; auto = bf16 where the device has it", group=_MEMORY
    )
    channels_last: Literal["auto", "on", "off"] = option(
        "auto", "Memory layout of the network; auto = on for CUDA", group=_MEMORY
    )
    compile: Literal["auto", "off", "on", "graphs"] = option(
        "auto",
        "Let PyTorch compile the step, or with CUDA graphs too; auto = on where a trial on a GPU"
        " finds it faster, off elsewhere",
        group=_MEMORY,
    )
    save_minutes: float = option(
        5,
        "Save this often at the latest; more often in the first minutes",
        low=0.01,
        unit="minutes",
        live=True,
        group=_SAVES,
    )
    preview_minutes: Often = option(
        2,
        "Draw a preview this often; never = only at the end",
        unit="minutes",
        live=True,
        formerly={0: "never"},
        usual=True,
    )
    rotation: float | None = option(
        None,
        "Turn faces at random by up to this; not set = the model's own",
        low=0,
        high=30,
        unit="degrees",
        formerly=-1,
        group=_CHANGES,
    )
    shift: float | None = option(
        None,
        "Move faces at random by up to this; not set = the model's own",
        low=0,
        high=0.2,
        unit="face widths",
        formerly=-1,
        group=_CHANGES,
    )
    scale: float | None = option(
        None,
        "Enlarge or shrink faces at random by up to this share; not set = the model's own",
        low=0,
        high=0.3,
        formerly=-1,
        group=_CHANGES,
    )
    warp: float | None = option(
        None,
        "Bend the faces that go in, so that the model learns to undo it; not set = the model's own",
        low=0,
        high=1,
        formerly=-1,
        group=_CHANGES,
    )
    finish: float = option(
        0.4,
        "Last share of a run with an end, in which the learning rate falls and nothing is warped",
        low=0,
        high=1,
        live=True,
        group=_STEPS,
    )
    src_person: int | None = option(
        None,
        "Learn only this person of src, as the report of extract numbers them; not set = all",
        low=0,
        group=_FACES,
    )
    src_like: str | None = option(
        None, "Learn only the person of src on this picture; not set = all", group=_FACES
    )
    dst_person: int | None = option(
        None,
        "Learn only this person of dst, as the report of extract numbers them; not set = all",
        low=0,
        group=_FACES,
    )
    dst_like: str | None = option(
        None, "Learn only the person of dst on this picture; not set = all", group=_FACES
    )
    src_scale: float = option(
        0,
        "Enlarge all of src's faces by this share, where src's features stand smaller in the square"
        " than dst's; set it before the first run",
        low=-0.3,
        high=0.3,
        group=_CHANGES,
    )
    src_flip: bool = option(
        False,
        "Mirror src's faces at random: helps when dst turns to a side that src never shows",
        group=_CHANGES,
    )
    dst_flip: bool = option(False, "Mirror dst's faces at random", group=_CHANGES)
    exchange: bool = option(
        False,
        "Learn with src and dst in each other's place: for some thousand iterations, then go on"
        " without it. Merge refuses a model that is left so",
    )
    uniform_yaw: bool = option(
        False, "Draw every turn of the head that there is as often as any other", group=_FACES
    )
    yaw_matched: bool = option(False, "Draw src's faces to turn as dst's do", group=_FACES)
    random_color: float = option(
        0,
        "Change brightness and contrast at random by this much, where light differs, try 0.2",
        low=0,
        high=1,
        group=_CHANGES,
    )
    random_hsv_power: float = option(
        0,
        "Change hue and saturation of src's faces that go in, try 0.05",
        low=0,
        high=0.3,
        group=_CHANGES,
    )
    ct_mode: Annotated[str, NameIn("color_transfers", ("none",), where=_fits_pixels)] = option(
        "none",
        "Give src's faces the colours of dst's while it learns, by this colour transfer",
        group=_CHANGES,
    )
    backup_hours: Often = option(
        1,
        "Make a backup this often, in hours of learning",
        unit="hours",
        live=True,
        formerly={0: "never"},
        usual=True,
    )
    backup_iterations: int | None = option(
        None,
        "Make a backup after each so many iterations; not set = never",
        low=1,
        live=True,
        formerly=0,
        group=_SAVES,
    )
    backups: int = option(
        12,
        "Keep so many of these backups; each takes as much space as a checkpoint",
        low=1,
        live=True,
        group=_SAVES,
    )
    preview_history: bool = option(
        True, "Keep earlier previews too, evenly thinned out to 100", live=True, group=_SAVES
    )

    until: Until = option(
        None,
        "When as many iterations again would bring next to nothing: stop (plateau), finish first,"
        " or finish and then learn against a critic (gan). Needs 40 faces of a side; not set = go"
        " on",
        formerly="",
        usual=True,
    )
    tensorboard: bool = option(
        False,
        "Write losses, measurements and previews for TensorBoard too (extra 'tensorboard')",
        group=_SAVES,
    )

    accumulate: int = option(
        1,
        "Learn each batch in so many parts, one after the other, for less memory",
        low=1,
        high=64,
        group=_MEMORY,
    )
    checkpointing: bool = option(
        False,
        "Compute again on the way back what would else be kept: less memory, a third more time",
        group=_MEMORY,
    )
    optimizer_memory: Literal["full", "half", "host"] = option(
        "full",
        "How adabelief and rmsprop keep what they remember: in full, in half the room, or in the"
        " machine's memory for a GPU",
        group=_MEMORY,
    )
    ema: float | None = option(
        None,
        "Show and keep a running mean of the weights too, with this share left of it, 0 for no"
        " mean; not set = the model's own",
        low=0,
        high=0.99999,
        formerly=-1,
        group=_STEPS,
    )

    @classmethod
    def kinds(cls) -> list[str]:
        """The models that have settings here."""
        return [
            name
            for name in models
            if (field := cls.model_fields.get(settings_field(name, models[name])))
            and field.annotation is models[name]
        ]

    def settings_of(self, model: str) -> dict[str, Any]:
        """What was set for a model, by name. Raises BadOption for a model that is none."""
        field = settings_field(model, models[model])
        return self.set_values().get(field, {}) if model in self.kinds() else {}
