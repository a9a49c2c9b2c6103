"""Whose faces are learnt, and what is told of them before the training."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.core.training.split import MIN_FACES
from understudy.io.faceset.faceset import Faceset
from understudy.stages.curate.faceset_notes import faceset_notes
from understudy.stages.events import Event, Note
from understudy.stages.extract.clips import find_clips, notes_on_former
from understudy.stages.extract.known_footage import knows_clip
from understudy.stages.extract.people import warn_of_several_in_faceset
from understudy.stages.extract.person_choice import choose_person
from understudy.stages.extract.record import ExtractRecord
from understudy.stages.project import Project
from understudy.stages.train.options import TrainOptions
from understudy.types import Side


def choose_people(project: Project, options: TrainOptions) -> TrainOptions:
    """Return the options with numbers in place of pictures of whom to learn.

    Raises:
        BadOption, NoFaces: There is no such person.
    """
    if options.pretrain:
        return options
    return options.model_copy(
        update={
            "src_person": choose_person(
                project, "src", options.src_person, options.src_like, "src-"
            ),
            "dst_person": choose_person(
                project, "dst", options.dst_person, options.dst_like, "dst-"
            ),
            "src_like": None,
            "dst_like": None,
        }
    )


def remarks_on_faces(project: Project, options: TrainOptions) -> Iterator[Event]:
    """Yield what is told of each side's faces; nothing where the faces of others are learnt.

    That is: several people of whom none is chosen, pictures that are passed over as copies, and
    footage that is not what the faces were found in.
    """
    chosen: dict[Side, int | None] = {"src": options.src_person, "dst": options.dst_person}
    for side, person in chosen.items():
        # That there are no faces at all is told by loading them.
        faceset = Faceset(project.faces(side))
        if options.pretrain or not faceset.is_there:
            continue
        if person is None:
            yield from warn_of_several_in_faceset("train", side, faceset)
        elif len(faceset.footages) > 1:
            yield Note(
                text=(
                    f"{side}: person {person} is taken in each of {len(faceset.footages)} footages,"
                    " which number their people each for itself."
                )
            )
        yield from faceset_notes(faceset)
        yield from _remarks_on_footage(project, side)


def _remarks_on_footage(project: Project, side: Side) -> Iterator[Note]:
    """Note which clips changed since the faces were found, and which have given no faces yet."""
    if getattr(project.file, side) is None:
        return
    command = f"understudy extract {project.folder} {side}"
    yield from notes_on_former(project, side)
    for clip in find_clips(project, side):
        if knows_clip(project, side, clip) is False:
            yield Note(
                text=(
                    f"{clip.footage.name}: other footage than the faces of {side} were found in. To"
                    f" learn from it: {command}."
                )
            )
        elif not clip.is_only and ExtractRecord.load(clip.state) is None:
            yield Note(
                text=(
                    f"{clip.footage.name}: a clip of {side} from which no faces were extracted yet."
                    f" To learn from it, too: {command}."
                )
            )


def remarks_on_few(count: int) -> Iterator[Event]:
    """Note that src's faces are few. count: of those that are learnt from or held out."""
    if count < MIN_FACES:
        yield Note(
            text=(
                f"src: {count} {'face' if count == 1 else 'faces'} to learn from, which is little:"
                " footage with hundreds, turned and lit as dst's are, makes a better swap. Below"
                f" {MIN_FACES} none are held out, so the model is not measured."
            )
        )
