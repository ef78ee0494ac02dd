"""Write what a class could hand in: right answers, stubs and the course's mutants, a notebook for each learner.

    python -m tools.pretend_class EXERCISE LEARNERS FOLDER

To try grading at the size of a class, and to measure it.
"""

import sys
from itertools import cycle, islice
from pathlib import Path

import nbformat

from kwlab.grade.answer import Answer, marker
from kwlab.grade.exercise import Exercise, find
from kwlab.grade.reference import mutants, notebook, reference_answer, stub_answer

__all__ = ["hand_in", "pretend_class"]


def hand_in(exercise: Exercise, answer: Answer, folder: Path) -> Path:
    """The learner's notebook with this answer in it, as `make lab` would have it in a learner's `folder`."""
    made = notebook(exercise)
    for cell in made.cells:
        for part, source in answer.parts.items():
            if cell.source.startswith(marker(exercise.id, part)):
                cell.source = source
    file = folder / "exercises" / exercise.id / exercise.notebook.name
    file.parent.mkdir(parents=True)
    nbformat.write(made, file)
    return file


def pretend_class(exercise: Exercise, learners: int, folder: Path) -> None:
    """A folder for each of so many learners; the answers come round and round. `FileExistsError` if one is there."""
    answers = [reference_answer(exercise), stub_answer(exercise), *(mutant.answer for mutant in mutants(exercise))]
    for number, answer in enumerate(islice(cycle(answers), learners), start=1):
        hand_in(exercise, answer, folder / f"learner-{number:03}")


if __name__ == "__main__":
    if len(sys.argv) != 4 or not sys.argv[2].isdecimal():
        sys.exit(__doc__)
    pretend_class(find(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
