"""The referee's side of an explored answer: a function that knows what the answer does next because it asks.

An `Asked` stands in the scenario for a function of the answer. Tasks of the model call it in every interleaving; each
time it does, on the referee's own structures, what the answer said it would do: read this field, take that lock. What
was said is remembered as a tree: after the same outcomes the answer says the same, so each step is asked for once,
however many interleavings go through it. The box is needed only where the tree ends.
"""

import ast
import linecache
import re
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from kwlab.grade.answer import Answer
from kwlab.grade.box import Ended
from kwlab.grade.testing import Failed
from kwlab.grade.touch import FieldError, read, write
from kwlab.runtime.base import local

__all__ = ["Asked", "Conversation", "Outcome", "Scene", "Step", "Stopped"]

Message = dict[str, Any]

Outcome = tuple[Any, ...]  # ("thing", number, kind), ("function", name), ("list", outcomes) or (type, value)
Step = tuple[Any, ...]  # what the answer does: (verb, target, ...), with everything encoded as an Outcome

IDLE_STEPS = 500  # steps of one task without a lock, a sleep, or anything that others could see
MAX_TEXT = 200
_VERBS = {"get": 2, "set": 3, "enter": 1, "exit": 1, "call": 1}


class Stopped(BaseException):
    """Ends a search from inside one of its executions: nothing can be said of the answer but this."""

    def __init__(self, failed: Failed) -> None:
        super().__init__()
        self.failed = failed


class Node:
    """What the answer does after certain outcomes: the next `step`, or the end. `after` leads on by outcome."""

    __slots__ = ("after", "before", "call", "error", "line", "outcome", "returned", "site", "step")

    def __init__(self, call: "Call", before: "Node | None" = None, outcome: Outcome = ()) -> None:
        self.call = call
        self.before, self.outcome = before, outcome
        self.step: Step | None = None
        self.site: Callable[[Things, int], Outcome] = _nowhere  # what does the step, in a line of the answer
        self.line = 0
        self.returned: Outcome | None = None
        self.error: Callable[[], BaseException] | None = None  # makes the exception that it ends with
        self.after: dict[Outcome, int] = {}

    @property
    def known(self) -> bool:
        return self.step is not None or self.returned is not None or self.error is not None

    def path(self) -> list[tuple[Step, Outcome]]:
        """The steps that lead here, each with what came of it."""
        found = []
        node = self
        while node.before is not None:
            assert node.before.step is not None
            found.append((node.before.step, node.outcome))
            node = node.before
        return found[::-1]


Call = tuple[str, tuple[Outcome, ...]]  # the name of a function of the answer, and its arguments


class Conversation:
    """What is known of the functions of one answer, and the box that is asked for more.

    `functions` are their names. `ask(probe, arguments)` asks the box of the test that runs; `error(reply)` makes the
    exception of one that raised.
    """

    def __init__(self, answer: Answer, functions: set[str], error: Callable[[Message], BaseException]) -> None:
        self.functions = functions
        self.ask: Callable[..., Message] | None = None
        self.given: Mapping[str, Any] = {}  # what the answer may call, by name
        self.nodes: list[Node] = []
        self._error = error
        self._scenes: list[tuple[Callable[[Any], object], Mapping[str, Any]]] = []
        self._roots: dict[Call, int] = {}
        self._waiting: Node | None = None  # the box waits to hear what came of this node's step
        self._idle = (0, 0)  # the length of the schedule, and how many steps were made since it grew
        self._sites = Sites(answer)
        self._number = len(_conversations)
        _conversations.append(self)

    def use(self, ask: Callable[..., Message]) -> None:
        """From now on another box is asked."""
        self.ask, self._waiting = ask, None

    def scene(self, scenario: Callable[[Any], object], given: Mapping[str, Any]) -> "Scene":
        """`scenario`, ready to be run: its argument has the functions of the answer, which may call those `given`."""
        self._scenes.append((scenario, given))
        return Scene(self._number, len(self._scenes) - 1)

    def begin(self, scene: int) -> Callable[[Any], object]:
        """A scene begins: from now on the answer may call what belongs to it. Its scenario."""
        scenario, self.given = self._scenes[scene]
        return scenario

    def root(self, call: Call) -> int:
        """The number of the node where a call begins."""
        self._idle = (0, 0)
        number = self._roots.get(call)
        if number is None:
            number = self._roots[call] = len(self.nodes)
            self.nodes.append(Node(call))
        return number

    def follow(self, number: int, outcome: Outcome) -> int:
        """The number of the node behind another, once its step has had this outcome."""
        node = self.nodes[number]
        following = node.after.get(outcome)
        if following is None:
            following = node.after[outcome] = len(self.nodes)
            self.nodes.append(Node(node.call, node, outcome))
        runtime = local.task.runtime
        length, idle = self._idle
        self._idle = (length, idle + 1) if length == len(runtime.schedule) else (len(runtime.schedule), 0)
        if idle > IDLE_STEPS:
            runtime.fail(
                "endless", f"{local.task.name} goes round and round, and neither sleeps nor waits for anything"
            )
        return following

    def at(self, number: int) -> Node:
        """What the answer does at this node; asks the box if that is not known."""
        node = self.nodes[number]
        if not node.known:
            try:
                self._learn(node)
            except Ended as end:
                raise Stopped(Failed(message=f"no answer came: {end}")) from None
        return node

    def _learn(self, node: Node) -> None:
        assert self.ask is not None
        function, arguments = node.call
        if node.before is not None and node.before is self._waiting:
            reply = self.ask("go_on", node.outcome)
        else:
            reply = self.ask("begin", function, arguments, node.path())
        self._waiting = None
        if "value" not in reply:
            node.error = lambda: self._error(reply)
            return
        value = reply["value"]
        if not isinstance(value, dict):
            raise Ended("its process sent what is no answer")
        if value.get("wavers"):
            message = (
                f"{function}() does not do the same when it finds the same: does it remember something, in a global?"
            )
            node.error = lambda: RuntimeError(message)
        elif "returned" in value:
            node.returned = _outcome(value["returned"])
        else:
            node.step = _step(value.get("step"))
            match value.get("place"):
                case [int(part), int(line)]:
                    node.site, node.line = self._sites.at(part, line), line
            self._waiting = node


# A search tells states apart by what their tasks hold. What is known of an answer grows while it goes on and is part
# of no state, so a task holds numbers: of the conversation, the scene, and the node. And it holds few other things:
# most of a search is the describing of what tasks hold.
_conversations: list[Conversation] = []


class Scene:
    """A scenario with the functions of an answer, called once in each interleaving. See `Conversation.scene`."""

    __slots__ = ("conversation", "number")

    def __init__(self, conversation: int, number: int) -> None:
        self.conversation, self.number = conversation, number

    def __call__(self) -> object:
        return _conversations[self.conversation].begin(self.number)(self)

    def __getattr__(self, name: str) -> "Asked":
        if name not in _conversations[self.conversation].functions:
            raise AttributeError(f"the exercise names no function {name!r}")
        return Asked(self.conversation, name)


class Asked:
    """The function `name` of an answer, for tasks of the model to call."""

    __slots__ = ("__name__", "conversation")

    def __init__(self, conversation: int, name: str) -> None:
        self.__name__ = name
        self.conversation = conversation

    def __call__(self, *arguments: Any) -> Any:
        things = Things(self.conversation)
        call = (self.__name__, tuple(things.encode(argument) for argument in arguments))
        number = _conversations[self.conversation].root(call)
        del arguments, call
        while self._goes_on(number):
            outcome = _conversations[self.conversation].nodes[number].site(things, number)
            number = _conversations[self.conversation].follow(number, outcome)
            del outcome
        return things.decode(_conversations[self.conversation].nodes[number].returned)

    def _goes_on(self, number: int) -> bool:
        """True if the answer does a step at this node, False if it returns there; else raises what it raised."""
        node = _conversations[self.conversation].at(number)
        if node.error is not None:
            raise node.error()
        return node.step is not None


class Things:
    """The objects that one call of the answer knows, by number."""

    __slots__ = ("_all", "_conversation")

    def __init__(self, conversation: int) -> None:
        self._conversation = conversation
        self._all: list[Any] = []

    def line(self, number: int) -> int:
        """The line of the answer in which it does the step of this node."""
        return _conversations[self._conversation].nodes[number].line

    def encode(self, value: Any) -> Outcome:
        """`value` as the answer is told of it."""
        if value is None or isinstance(value, bool | int | str):
            return (type(value).__name__, value)
        if isinstance(value, Asked):
            return ("function", value.__name__)
        if isinstance(value, list | tuple):
            return ("list", tuple(self.encode(one) for one in value))
        # They are few, and their addresses differ from one interleaving to the next.
        for number, known in enumerate(self._all):
            if known is value:
                return ("thing", number, type(value).__name__)
        self._all.append(value)
        return ("thing", len(self._all) - 1, type(value).__name__)

    def decode(self, outcome: Any) -> Any:
        """What the answer means."""
        kind, value = outcome[0], outcome[1]
        if kind == "thing":
            return self._all[value]
        if kind == "function":
            return Asked(self._conversation, value)
        if kind == "given":
            return _conversations[self._conversation].given[value]
        if kind == "list":
            return [self.decode(one) for one in value]
        return value

    def perform(self, number: int) -> Outcome:
        """Do what the answer said it does at this node; what came of it."""
        try:
            return self.encode(self._do(*self._step(number)))
        except Exception as error:
            # Nothing that goes wrong in here can be caught by the answer, as nothing can in the kernel.
            said = str(error) if isinstance(error, FieldError) else f"{type(error).__name__}: {error}"
            local.task.runtime.fail("error", f"{local.task.name}: {said}", error)
            raise

    def _step(self, number: int) -> tuple[Any, ...]:
        """The step of this node, with the things themselves in the place of what they are called."""
        step = _conversations[self._conversation].nodes[number].step
        assert step is not None
        verb, target = step[0], self.decode(step[1])
        if verb == "get":
            return verb, target, step[2]
        if verb == "set":
            return verb, target, step[2], self.decode(step[3])
        if verb == "call":
            if step[1][0] == "thing" and not isinstance(target, FunctionType | Asked):
                raise FieldError(f"a {type(target).__name__} cannot be called")
            return verb, target, *[self.decode(argument) for argument in step[2:]]
        if not hasattr(target, "acquire"):
            raise FieldError(f"`with` is for locks, and this is a {type(target).__name__}")
        return verb, target

    def _do(self, verb: str, target: Any, *rest: Any) -> Any:
        if verb == "get":
            return read(target, *rest)
        if verb == "set":
            return write(target, *rest)
        if verb == "call":
            return target(*rest)
        return target.acquire() if verb == "enter" else target.release()


def _step(said: Any) -> Step:
    """A step as it came from the box, if it is one."""
    match said:
        case [str(verb), target, *rest] if len(said) >= 1 + _VERBS.get(verb, 99):
            if verb in ("get", "set") and isinstance(rest[0], str):
                return (verb, _outcome(target), rest[0], *map(_outcome, rest[1:]))
            if verb in ("enter", "exit", "call"):
                return (verb, _outcome(target), *map(_outcome, rest))
    raise Ended("its process sent what is no step")


def _outcome(said: Any, depth: int = 0) -> Outcome:
    """A value as it came from the box, if it is one."""
    match said:
        case ["thing", int(number)] if 0 <= number < 2**31:
            return ("thing", number)
        case ["given" | "function" as kind, str(name)]:
            return (kind, name)
        case ["NoneType", None] | ["bool", bool()]:
            return tuple(said)
        case ["int", int(value)] if abs(value) < 2**63:
            return ("int", value)
        # The kernel's names are made as printf makes them, and no width may fill the referee's memory.
        case ["str", str(value)] if len(value) <= MAX_TEXT and not re.search(r"%[^%a-z]*[\d*]", value):
            return ("str", value)
        case ["list", list(values)] if len(values) <= MAX_TEXT and depth < 3:
            return ("list", tuple(_outcome(value, depth + 1) for value in values))
    raise Ended("its process sent what is no value")


class Sites:
    """Functions that call another from a given line of the answer.

    One stands for each function of the answer: it has its name, its file and its lines. So whoever asks where a step
    comes from (a trace, a race detector, an error's traceback) finds the line that the learner wrote.
    """

    def __init__(self, answer: Answer) -> None:
        self._functions: dict[int, list[ast.FunctionDef]] = {}
        self._sites: dict[tuple[int, int], Callable[..., Any]] = {}
        for part, source in answer.parts.items():
            file = f"<part {part}>"
            linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
            try:
                tree = ast.parse(source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # it is not run either
            self._functions[part] = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    def at(self, part: int, line: int) -> Callable[..., Any]:
        """Called as ``site(things, number)``, it returns ``things.perform(number)``, done in `line` of `part`."""
        around = [
            function
            for function in self._functions.get(part, ())
            if function.lineno <= line <= (function.end_lineno or 0)
        ]
        if not around:
            return _nowhere
        function = max(around, key=lambda function: function.lineno)
        return self._site(part, function)

    def _site(self, part: int, function: ast.FunctionDef) -> Callable[..., Any]:
        key = (part, function.lineno)
        if key not in self._sites:
            first, last = function.lineno, function.end_lineno or function.lineno
            lines = (
                [f"def {function.name}(things, number): return things.perform(number)"]
                if first == last
                else [
                    f"def {function.name}(things, number):",
                    *(
                        f"    if things.line(number) == {at}: return things.perform(number)"
                        for at in range(first + 1, last)
                    ),
                    "    return things.perform(number)",
                ]
            )
            space: dict[str, Any] = {}
            exec(compile("\n" * (first - 1) + "\n".join(lines), f"<part {part}>", "exec"), space)
            self._sites[key] = space[function.name]
        return self._sites[key]


def _nowhere(things: Things, number: int) -> Outcome:
    return things.perform(number)
