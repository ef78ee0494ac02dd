"""What a code object says about its frames: how much of its stack is in use at each instruction, and which globals.

A suspended Python function keeps its variables, its place, and a stack of values it is in the middle of using:
the iterator of every ``for`` around it, the left side of an expression, the exits of its ``with`` blocks. How many
values those are follows from the bytecode alone. The compiler computes the same numbers to size the frame; here they
are computed again, by following every path from the start.
"""

import dis
from bisect import bisect_right
from types import CodeType

__all__ = ["CodeFacts", "UNREADABLE", "facts_of"]

UNREADABLE = -1  # the depth at an instruction in which a suspended frame is not understood

_GENERATOR = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR
_NO_WAY_ON = {
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "JUMP_FORWARD",
    "RAISE_VARARGS",
    "RERAISE",
    "RETURN_VALUE",
}
# Globals are reached by other ways than by name in a function that calls one of these.
_BY_OTHER_NAMES = frozenset({"eval", "exec", "globals"})

# How many values of its stack an instruction has taken while the Python function that it called runs. An instruction
# that is not here never calls one, or it works on in C between two calls, where its state cannot be seen.
_TAKEN = {
    "BEFORE_WITH": 1,
    "BINARY_OP": 2,
    "BINARY_SUBSCR": 2,
    "COMPARE_OP": 2,
    "CONTAINS_OP": 2,
    "DELETE_ATTR": 1,
    "DELETE_SUBSCR": 2,
    "FOR_ITER": 0,  # the iterator stays
    "GET_ITER": 1,
    "LOAD_ATTR": 1,
    "LOAD_METHOD": 1,
    "POP_JUMP_BACKWARD_IF_FALSE": 1,
    "POP_JUMP_BACKWARD_IF_TRUE": 1,
    "POP_JUMP_FORWARD_IF_FALSE": 1,
    "POP_JUMP_FORWARD_IF_TRUE": 1,
    "SEND": 1,
    "STORE_ATTR": 2,
    "STORE_SUBSCR": 3,
    "UNARY_INVERT": 1,
    "UNARY_NEGATIVE": 1,
    "UNARY_NOT": 1,
    "WITH_EXCEPT_START": 0,  # it looks at the exit below the exception and leaves both
    "YIELD_VALUE": 1,
    # A generator that has not begun.
    "RETURN_GENERATOR": 1,
}


class CodeFacts:
    """What is known of one code object, once for all its frames."""

    __slots__ = ("_below", "_offsets", "_opnames", "code", "dynamic", "global_names", "number", "slots")

    def __init__(self, code: CodeType, number: int) -> None:
        self.code = code
        self.number = number
        # Arguments, local variables, cells and free variables, in the order of the frame. An argument that an inner
        # function uses is one slot, not two.
        self.slots = len(set(code.co_varnames) | set(code.co_cellvars)) + len(code.co_freevars)
        names = _global_names(code)
        self.dynamic = bool(names & _BY_OTHER_NAMES)
        self.global_names = tuple(sorted(names))
        self._offsets, self._opnames, self._below = _depths(code)

    def at(self, lasti: int) -> tuple[int, str, int, int]:
        """The instruction at `lasti`: its number and name, the stack below what it has taken, and how much it has."""
        place = bisect_right(self._offsets, lasti) - 1
        if place < 0:
            return place, "", UNREADABLE, 0
        if self._opnames[place] == "PRECALL":
            # Once it has run often enough, the call of a C function is done here already: the same place.
            place += 1
        return place, self._opnames[place], *self._below[place]

    def what_becomes_of_it(self, lasti: int) -> str:
        """Of what the call at `lasti` will return: "dropped", "returned" to the next caller, or "used"."""
        place, opname, _, _ = self.at(lasti)
        if opname not in ("CALL", "CALL_FUNCTION_EX"):
            return "used"
        following = self._opnames[place + 1]
        if following == "POP_TOP":
            return "dropped"
        # What a generator returns comes out of it as an exception.
        if following == "RETURN_VALUE" and not self.code.co_flags & _GENERATOR:
            return "returned"
        return "used"


def _depths(code: CodeType) -> tuple[list[int], list[str], list[tuple[int, int]]]:
    instructions = list(dis.get_instructions(code))
    offsets = [instruction.offset for instruction in instructions]
    index = {offset: number for number, offset in enumerate(offsets)}
    before: list[int | None] = [None] * len(instructions)
    # A generator's first instruction finds the value that the first next() sends.
    waiting = [(0, 1 if code.co_flags & _GENERATOR else 0)]
    waiting += [
        (index[entry.target], entry.depth + entry.lasti + 1)
        for entry in dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    ]
    while waiting:
        number, depth = waiting.pop()
        if before[number] is not None:
            continue
        before[number] = depth
        instruction = instructions[number]
        argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
        if instruction.opcode in dis.hasjrel or instruction.opcode in dis.hasjabs:
            effect = dis.stack_effect(instruction.opcode, argument, jump=True)
            waiting.append((index[instruction.argval], depth + effect))
        if instruction.opname not in _NO_WAY_ON:
            waiting.append((number + 1, depth + dis.stack_effect(instruction.opcode, argument, jump=False)))
    below = []
    for instruction, found in zip(instructions, before, strict=True):
        taken, counted = _taken(instruction)
        known = found is not None and taken is not None and counted <= found <= code.co_stacksize + 1
        below.append((found - counted, taken) if known and found is not None and taken is not None else (UNREADABLE, 0))
    return offsets, [instruction.opname for instruction in instructions], below


def _taken(instruction: dis.Instruction) -> tuple[int | None, int]:
    """How much an instruction has taken, and how much of that `dis.stack_effect` still counts before it."""
    if instruction.opname == "CALL":
        # Function and self, or NULL and function; the arguments are counted as taken by the PRECALL before it.
        return (instruction.arg or 0) + 2, 2
    if instruction.opname == "CALL_FUNCTION_EX":
        taken: int | None = 3 + ((instruction.arg or 0) & 1)
    else:
        taken = _TAKEN.get(instruction.opname)
    return taken, taken or 0


def _global_names(code: CodeType) -> set[str]:
    """The globals that `code`, or a function that it makes, may read or write."""
    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL")
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names


_known: dict[int, CodeFacts] = {}


def facts_of(code: CodeType) -> CodeFacts:
    """The facts of `code`, from memory where it was met before."""
    # By identity: comparing code objects compares all that is in them. The facts keep the code object alive.
    found = _known.get(id(code))
    if found is None:
        found = _known[id(code)] = CodeFacts(code, len(_known))
    return found
