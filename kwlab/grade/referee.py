"""The referee: a fresh process that runs an exercise's grader with pytest and gives the mark.

Three processes, so that no verdict comes from where the answer runs:

    whoever asks  --text of the answer-->  referee  --fork, one per test-->  box: answer and probes
                  <-------- mark --------           <------- data ---------

* An answer never shares a process with pytest, the grader, or the points. Printing a score, exiting with 0, patching
  pytest or kwlab, walking the frames or the garbage collector: all of it happens to a copy that ends with the test.
* The pipe of the mark is open in no box, and a box can open nothing (`kwlab.grade.limits`). What a box sends is
  JSON that a test judges; a grader replays what an answer did on structures of its own before it gives points. To
  forge that, an answer would have to know what the right one does in each test: it would have to solve the exercise.
* Every test has a box of its own, so nothing that an answer leaves behind reaches the next test.

What remains, for an answer that breaks out of Python into native code, is said in `kwlab.grade.limits`. A notebook's
own kernel is the learner's: a mark that counts is given by ``kwlab grade`` where the learner is not.
"""

import gc
import importlib.util
import json
import os
import random
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Literal

import pytest

from kwlab.grade import standin
from kwlab.grade.allowed import compiled, examine, forgets_return
from kwlab.grade.answer import Answer
from kwlab.grade.asked import Conversation, Stopped
from kwlab.grade.box import Box, Clock, Ended, Hangs, TimeIsUp
from kwlab.grade.exercise import Exercise, load
from kwlab.grade.explored import Found, explore
from kwlab.grade.inside import MAX_PRINTED
from kwlab.grade.limits import adopt_orphans, hide
from kwlab.grade.mark import Mark, Problem, Score
from kwlab.grade.testing import Failed, Functions
from kwlab.grade.warm import judge_in_a_fork

__all__ = ["judge", "main", "serve"]

MAX_SHOWN = 2000
Outcome = Literal["passed", "failed", "todo", "not run"]


class _Boxed:
    """See `kwlab.grade.testing.Boxed`."""

    def __init__(self, referee: "Referee") -> None:
        self._referee = referee
        self.seed = referee.seed
        self._box: Box | None = None
        self.printed = ""

    def probe(self, name: str, *arguments: Any, called: str) -> Any:
        reply = self._ask(called, name, *arguments)
        if "value" not in reply:
            raise self._referee.failed(reply, called)
        return reply["value"]

    def _ask(self, called: str, name: str, *arguments: Any) -> dict[str, Any]:
        try:
            self._box = self._box or self._referee.box()
            reply = self._box.ask(name, *arguments)
        except Hangs as hang:
            threads = "; ".join(hang.threads) or "where, cannot be said"
            raise Failed(called=called, message=f"it hangs: it {hang.how} in {threads}") from None
        except Ended as end:
            raise Failed(called=called, message=f"no answer came: {end}") from None
        except TimeIsUp:
            raise Failed(called=called, message="the time for the check was over", outcome="not run") from None
        self.printed = (self.printed + str(reply.get("printed", "")))[:MAX_PRINTED]
        return reply

    def explore(
        self, scenario: Callable[[Functions], object], given: Mapping[str, Any] | None = None, *, memory: str = "sc"
    ) -> Found:
        referee = self._referee
        found = referee.found.get((scenario.__name__, memory))
        if found is None:
            called = " ".join((scenario.__doc__ or scenario.__name__).split())

            def ask(name: str, *arguments: Any) -> dict[str, Any]:
                try:
                    return self._ask(called, name, *arguments)
                except Failed as failed:
                    raise Stopped(failed) from None

            referee.conversation.use(ask)
            try:
                found = explore(scenario, referee.exercise, referee.conversation, given or {}, referee.clock, memory)
            except Stopped as stopped:
                failed = stopped.failed
                raise Failed(called=failed.called or called, message=failed.message, outcome=failed.outcome) from None
            referee.found[scenario.__name__, memory] = found
            self.remark(found.sentence())
        return found

    def must_return(self, function: str, *, called: str) -> None:
        if forgets_return(self._referee.trees, function):
            missing = "a `return` is missing (or, for a generator, a `yield`)"
            raise Failed(called=called, came="None", message=f"`{function}` never returns a value: {missing}")

    def remark(self, sentence: str) -> None:
        if sentence not in self._referee.remarks:
            self._referee.remarks.append(sentence)

    def close(self) -> None:
        if self._box is not None:
            self._box.close()


class Referee:
    """The pytest plugin: gives tests their box, and turns their outcomes into scores.

    `seed` is the learner's, `until` when the time is over (`time.monotonic`); a little later it is ended from outside.
    `only`: the names of the tests to be run, where not all are wanted; `order` shuffles them.
    """

    def __init__(
        self,
        exercise: Exercise,
        answer: Answer,
        seed: str,
        until: float,
        only: Collection[str] | None = None,
        order: int | None = None,
    ) -> None:
        self.exercise, self.answer, self.seed = exercise, answer, seed
        self._only, self._order = only, order
        self.probes = standin if exercise.explored else _module(exercise.probe)
        self.conversation = Conversation(
            answer, {name for part in exercise.parts for name in part.functions}, self._error
        )
        self.found: dict[tuple[str, str], Found] = {}
        self.clock = Clock(until)
        self.scores: list[Score] = []
        self.remarks: list[str] = []
        self.trees, problems = examine(exercise, answer)
        self.code: dict[int, CodeType] = {}
        for part, tree in self.trees.items():
            try:
                self.code[part] = compiled(part, tree)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                problems.append(Problem(part, f"part {part} does not parse: {error}"))
        self.problems = sorted([*problems, *self._loading()], key=lambda problem: problem.part)
        self._spoiled = {problem.part for problem in self.problems}

    def _loading(self) -> Iterator[Problem]:
        """Load the answer once for nothing, so that a cell that cannot even run is said once and not in every test."""
        parts, self.code = self.code, {}
        for part, code in parts.items():
            # One cell more each time: the first that cannot be loaded is the one to blame.
            self.code[part] = code
            try:
                box = self.box()
                box.close()
            except Hangs as hang:
                trouble = f"never ends when its cell is run: it hangs in {'; '.join(hang.threads)}"
            except (Ended, TimeIsUp) as end:
                trouble = f"fails when its cell is run: {end or 'the time for the check was over'}"
            else:
                if part not in box.broken:
                    continue
                trouble = f"fails when its cell is run: {self.failed(box.broken[part], '').message}"
            del self.code[part]
            yield Problem(part, f"part {part} {trouble}")

    def box(self) -> Box:
        return Box(self.exercise, self.code, self.probes, self.clock)

    def failed(self, reply: dict[str, Any], called: str) -> Failed:
        """What a learner is told of an answer that raised."""
        part, line = reply.get("part"), reply.get("line")
        place = ""
        if isinstance(part, int) and isinstance(line, int) and part in self.answer.parts and line > 0:
            text = self.answer.parts[part].splitlines()[line - 1 : line]
            place = f" (part {part}, line {line}: `{text[0].strip() if text else ''}`)"
        message = str(reply.get("message", ""))
        match reply.get("kind"):
            case "todo":
                return Failed(message=message or f"raise NotImplementedError is still there{place}", outcome="todo")
            case "endless":
                return Failed(called=called, message=f"it does not end: {message}{place}")
        kind = str(reply.get("type", "an error"))
        return Failed(called=called, message=f"{kind}: {message}{place}" if message else f"{kind}{place}")

    def _error(self, reply: dict[str, Any]) -> BaseException:
        """What a task of the model raises where the answer did."""
        failed = self.failed(reply, "")
        if failed.outcome == "todo" or reply.get("kind") == "endless":
            return Stopped(failed)
        return (AssertionError if reply.get("type") == "AssertionError" else RuntimeError)(failed.message)

    @pytest.fixture(name="answer")
    def _answer(self, request: pytest.FixtureRequest) -> Iterator[_Boxed]:
        boxed = _Boxed(self)
        request.node.stash[_BOXED] = boxed
        yield boxed
        boxed.close()

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "points(number, part, caps): what a test is worth")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out the tests of the parts that cannot be graded, and those that nobody asked for."""
        runnable = []
        for item in items:
            marker = item.get_closest_marker("points")
            assert marker is not None, f"{item.name} has no points: put @points(N, part=1) above it"
            if marker.kwargs["part"] in self._spoiled or (self._only is not None and item.name not in self._only):
                self._note(item, Failed(outcome="not run"))
            else:
                runnable.append(item)
        if self._order is not None:
            random.Random(self._order).shuffle(runnable)
        items[:] = runnable

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        try:
            result = yield
        except Failed as failed:
            self._note(pyfuncitem, failed)
            return True
        except Exception as error:
            # No points, and no blame: either the grader has a fault, or what came was made up to hurt it.
            trouble = f"the grader could make nothing of what came ({type(error).__name__}: {error})"
            self._note(pyfuncitem, Failed(message=trouble, outcome="not run"))
            return True
        self._note(pyfuncitem, None)
        return result

    def _note(self, item: pytest.Item, failed: Failed | None) -> None:
        marker = item.get_closest_marker("points")
        assert marker is not None
        boxed = item.stash.get(_BOXED, None)
        declared = next(test for test in self.exercise.tests if test.name == item.name)
        shown = {}
        if failed is not None:
            texts = {key: _shortened(getattr(failed, key)) for key in ("called", "came", "expected", "message")}
            shown = texts | {"evidence": failed.evidence}
        self.scores.append(
            Score(
                name=item.name,
                sentence=declared.sentence,
                part=declared.part,
                points=0 if failed else declared.points,
                maximum=declared.points,
                outcome=failed.outcome if failed else "passed",  # type: ignore[arg-type]
                printed=boxed.printed.strip() if boxed and failed else "",
                caps=bool(marker.kwargs.get("caps")),
                **shown,
            )
        )

    def mark(self) -> Mark:
        titles = tuple(part.title for part in self.exercise.parts)
        order = [test.name for test in self.exercise.tests]
        scores = tuple(sorted(self.scores, key=lambda score: order.index(score.name)))
        identity = (self.exercise.id, self.exercise.title, self.answer.digest)
        return Mark(*identity, titles, scores, tuple(self.problems), tuple(self.remarks))


def _shortened(text: str) -> str:
    """For people to read: an answer can be as long as it likes."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ... ({len(text):,} characters)"


_BOXED = pytest.StashKey[_Boxed]()


def _module(file: Path) -> ModuleType:
    """The module in `file`, which is in no package."""
    spec = importlib.util.spec_from_file_location(f"kwlab_exercise_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judge(referee: Referee) -> Mark:
    """The mark of the referee's answer. Only for a process of its own: it forks, and adopts and ends what it finds
    below it."""
    exercise = referee.exercise
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-c", os.devnull, "--noconftest", "-s"]
    # These two collect all garbage before they end, and an answer's is not here.
    options += ["-p", "no:unraisableexception", "-p", "no:threadexception"]
    options += ["--assert=plain", "--import-mode=importlib", f"--rootdir={exercise.folder}", str(exercise.grader)]
    status = pytest.main(options, plugins=[referee])
    mark = referee.mark()
    # Where no part can be graded, no test is left to run.
    well = status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if not well or [score.name for score in mark.scores] != [test.name for test in exercise.tests]:
        raise RuntimeError(f"the grader of {exercise.id} itself failed; pytest's report is above")
    return mark


def main(result: int) -> None:
    """Read a request from standard input, and write the mark to the descriptor `result`."""
    _judge_and_write(json.load(sys.stdin), result)


def serve(replies: int) -> None:
    """Read requests, a line each, and write a reply to each: for `kwlab.grade.warm`."""
    hide()
    pytest.main(
        ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--noconftest", "--co", os.devnull]
    )  # imports it all
    gc.freeze()
    for line in sys.stdin:
        reply = judge_in_a_fork(json.loads(line), _judge_and_write)
        os.write(replies, json.dumps(reply).encode() + b"\n")


def _judge_and_write(request: dict[str, Any], result: int) -> None:
    hide()
    adopt_orphans()
    exercise = load(Path(request["folder"]))
    os.chdir(exercise.folder)
    answer = Answer(exercise.id, {int(part): source for part, source in request["parts"].items()})
    referee = Referee(exercise, answer, request["seed"], request["until"], request.get("tests"), request.get("order"))
    mark = judge(referee)
    with os.fdopen(result, "w", encoding="utf-8") as pipe:
        json.dump(mark.to_dict(), pipe)
