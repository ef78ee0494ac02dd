"""Any object graph as a flat list of plain values, the same for equal graphs and different for different ones.

Objects have no addresses here: each gets a number in the order in which it is first reached, and is described once,
by its type and by what it holds. A description has a fixed form or says its length, so the list can be read in one
way only: two graphs with the same list are the same but for where they lie in memory.

What belongs to Python or to kwlab itself (modules, their functions and classes) does not change while a scenario runs
and is a constant. An object that cannot be looked into whole is no reason to look away: it makes the state `Opaque`.
"""

import datetime
import decimal
import functools
import gc
import itertools
import marshal
import random
import sys
import sysconfig
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from kwlab.explore.bytecode import CodeFacts, facts_of
from kwlab.explore.frames import NULL, Opaque, Suspended
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask
from kwlab.struct import Struct, grave, is_poisoned

__all__ = ["Canonical", "declare_constant", "is_constant_module"]

_SCALARS = frozenset({int, str, bool, float, complex, type(None)})
_MISSING = object()

# From an object to its description: values, written one after the other.
Describe = Callable[[Any], list[Any]]


_declared: set[str] = set()


def declare_constant(name: str) -> None:
    """Promise that nothing changes in the variables of this module while a scenario runs, so nobody need look there."""
    _declared.add(name)
    is_constant_module.cache_clear()


@functools.cache
def is_constant_module(name: str) -> bool:
    """True for modules of Python, of kwlab, and of installed packages: what a scenario uses but does not change."""
    top = name.partition(".")[0].partition("[")[0]
    if top == "kwlab" or top in sys.stdlib_module_names or name in _declared:
        return True
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return file.startswith((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))


class Canonical:
    """Writes the list: `begin`, `write` for the roots, `digest`. One for a whole search: it remembers the constants."""

    def __init__(self, identities: bool = False) -> None:
        """`identities`: the keys by which operations collide are part of the list."""
        self._identities = identities
        self.keys: dict[int, list[Any]] = {}  # of fields, which are part of it too: by `id` of their struct
        # A number is written as bytes, which nothing else is; positive for objects, negative for constants.
        self._constants: dict[int, bytes] = {}
        self._kept: list[Any] = []  # the constants, so that no other object gets the address of one
        self._describe: dict[type, Describe] = dict(_descriptions(self))
        self._numbers: dict[int, bytes] = {}
        for value in (NULL, Ellipsis, NotImplemented, _MISSING, object, type):
            self._constant(value)
        self.begin()

    def begin(self) -> None:
        """Start a new list."""
        self._out: list[Any] = []
        self._numbers = self._constants.copy()
        self._met = 0
        # What is still to be described, and all that is: while it is in here its address is its own.
        self._pending: list[Any] = []
        self._on_stack: set[int] = set()

    def number(self, value: Any) -> None:
        """Give `value` the next number, for somebody else to describe, unless it has one."""
        if id(value) not in self._numbers:
            self._met += 1
            self._numbers[id(value)] = _bytes(self._met)

    def write(self, values: list[Any]) -> None:
        """Write each value, or which object it is; an object met for the first time will be described by `digest`."""
        append, numbers = self._out.append, self._numbers
        scalars, address = _SCALARS, id
        for value in values:
            if type(value) in scalars:
                append(value)
                continue
            where = address(value)
            if where in numbers:
                append(numbers[where])
                continue
            self._met = met = self._met + 1
            number = numbers[where] = _NUMBERS[met] if met < _COMMON else _bytes(met)
            self._pending.append(value)
            append(number)

    def digest(self) -> bytes:
        """Describe everything reached, and boil the list down. Raises `Opaque` for what cannot be described."""
        describe, pending, write = self._describe, self._pending, self.write
        for value in pending:  # which grows meanwhile
            kind = type(value)
            handler = describe.get(kind)
            if handler is None:
                handler = describe[kind] = self._for_type(kind)
            write(handler(value))
        return blake2b(marshal.dumps(self._out, 2), digest_size=16).digest()

    def frame(self, suspended: Suspended) -> None:
        """Write a suspended frame of a task."""
        if suspended.facts.code.co_flags & _GENERATOR:
            # The generator may be reached as an object, too.
            self._on_stack.add(id(suspended.frame))
            self.number(suspended.frame)
            self._out.append(self._numbers[id(suspended.frame)])
        self.write(self._of_frame(suspended))

    def _of_frame(self, suspended: Suspended) -> list[Any]:
        facts = suspended.facts
        values = suspended.values
        return [facts.number, suspended.place, len(values), *values, *self._globals(facts, suspended.globals)]

    # --------------------------------------------------------------------------------------------------- by type

    def _constant(self, value: Any) -> None:
        if id(value) not in self._constants:
            self._kept.append(value)
            self._constants[id(value)] = number = _bytes(-len(self._kept))
            self._numbers.setdefault(id(value), number)

    def _for_type(self, kind: type) -> Describe:
        if issubclass(kind, type):
            return self._class
        if issubclass(kind, BaseException):
            return self._exception
        if getattr(kind, "NEVER_CHANGES", False):
            # It was there before the search: which one it is says all.
            return self._known_for_good
        if is_poisoned(kind):
            # What was in it when it was freed can be read by nobody, so it makes no difference.
            return lambda value: [kind, grave(value)]
        base = next((base for base in kind.__mro__[1:] if base in _WITH_CONTENT), None)
        if not _is_plain(kind, base):
            name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            return functools.partial(self._opaque, f"a {name} object cannot be looked into")
        content = self._describe.get(base, self._scalar) if base is not None else None
        if _is_constant(kind):
            self._constant(kind)
        slots = _slots(kind, self._identities)
        has_dict = bool(kind.__dictoffset__)
        is_struct = self._identities and issubclass(kind, Struct)

        def describe(value: Any) -> list[Any]:
            try:
                held = [get(value) for get in slots]
            except AttributeError:
                held = [_get_or_null(get, value) for get in slots]
            held.append(kind)
            if has_dict:
                held.append(object.__getattribute__(value, "__dict__"))
            if content is not None:
                held += content(value)
            if is_struct:
                keys = self.keys.get(id(value), ())
                held += [len(keys), *keys]
            return held

        return describe

    def _known_for_good(self, value: Any) -> list[Any]:
        self._constant(value)
        return []

    def _scalar(self, value: Any) -> list[Any]:
        base = next(base for base in type(value).__mro__ if base in _PLAIN_VALUE)
        return [_PLAIN_VALUE[base](value)]

    def _opaque(self, why: str, value: Any) -> list[Any]:
        raise Opaque(why)

    def _sequence(self, value: Any) -> list[Any]:
        return [type(value).__name__, len(value), *iter(value)]

    def _dict(self, value: Any) -> list[Any]:
        return ["dict", len(value), *dict.keys(value), *dict.values(value)]

    def _defaultdict(self, value: Any) -> list[Any]:
        return [value.default_factory, *self._dict(value)]

    def _deque(self, value: Any) -> list[Any]:
        return [value.maxlen, *self._sequence(value)]

    def _set(self, value: Any) -> list[Any]:
        scalars = sorted(marshal.dumps(element, 2).hex() for element in value if type(element) in _SCALARS)
        objects = [element for element in value if type(element) not in _SCALARS]
        strangers = [element for element in objects if id(element) not in self._numbers]
        if len(strangers) > 1:
            raise Opaque("the objects in a set have no order")
        known = sorted(self._numbers[id(element)].hex() for element in objects if id(element) in self._numbers)
        return [type(value).__name__, len(scalars), *scalars, len(known), *known, len(strangers), *strangers]

    def _bytes(self, value: Any) -> list[Any]:
        return [type(value).__name__, value.hex()]

    def _range(self, value: range | slice) -> list[Any]:
        return [type(value).__name__, value.start, value.stop, value.step]

    def _cell(self, value: types.CellType) -> list[Any]:
        try:
            return ["cell", value.cell_contents]
        except ValueError:
            return ["cell", NULL]

    def _function(self, value: types.FunctionType) -> list[Any]:
        facts = facts_of(value.__code__)
        closure = value.__closure__ or ()
        own = [facts.number, len(closure), *closure, value.__defaults__, value.__kwdefaults__, bool(value.__dict__)]
        return [*own, *([value.__dict__] if value.__dict__ else ()), *self._globals(facts, value.__globals__)]

    def _globals(self, facts: CodeFacts, space: dict[str, Any]) -> list[Any]:
        if not facts.global_names or is_constant_module(space.get("__name__", "")):
            return []
        if facts.dynamic:
            raise Opaque(f"{facts.code.co_qualname}() reaches its globals by eval(), exec() or globals()")
        held = [space.get(name, _MISSING) for name in facts.global_names]
        for value in held:
            if isinstance(value, (type, types.FunctionType)) and id(value) not in self._constants:
                if _is_constant(value):
                    self._constant(value)
        return held

    def _method(self, value: types.MethodType) -> list[Any]:
        return ["method", value.__func__, value.__self__]

    def _builtin(self, value: Any) -> list[Any]:
        owner = getattr(value, "__self__", None)
        return ["builtin", value.__qualname__, None if isinstance(owner, types.ModuleType) else owner]

    def _descriptor(self, value: Any) -> list[Any]:
        return ["descriptor", value.__objclass__.__qualname__, value.__name__]

    def _wrapped_function(self, value: Any) -> list[Any]:
        return [type(value).__name__, value.__func__]

    def _property(self, value: property) -> list[Any]:
        return ["property", value.fget, value.fset, value.fdel]

    def _partial(self, value: Any) -> list[Any]:
        return ["partial", value.func, value.args, value.keywords, value.__dict__]

    def _weakref(self, value: Any) -> list[Any]:
        return ["weakref", value()]

    def _module(self, value: types.ModuleType) -> list[Any]:
        if is_constant_module(value.__name__):
            self._constant(value)
            return [value.__name__]
        held = {name: held for name, held in vars(value).items() if not name.startswith("__")}
        return [value.__name__, *self._dict(held)]

    def _class(self, value: type) -> list[Any]:
        name = [value.__module__, value.__qualname__]
        if is_constant_module(value.__module__ or ""):
            return name
        held = {
            name: held
            for name, held in vars(value).items()
            # What an observer of fields put there: the plain field stands beside it, under another name.
            if name not in _NO_CONTENT
            and f"_plain_{name}" not in vars(value)
            and getattr(held, "__module__", None) != "kwlab.explore.fields"
        }
        return [*name, *value.__bases__, *self._dict(held)]

    def _exception(self, value: BaseException) -> list[Any]:
        return [type(value), value.args, value.__dict__, value.__cause__, value.__context__]

    def _generator(self, value: Any) -> list[Any]:
        return ["generator", value.gi_frame]

    def _frame(self, value: types.FrameType) -> list[Any]:
        return [] if id(value) in self._on_stack else self._of_frame(Suspended(value, None))

    def _code(self, value: types.CodeType) -> list[Any]:
        return ["code", facts_of(value).number]

    def _reduced(self, value: Any) -> list[Any]:
        function, arguments, *state = value.__reduce__()
        # What an iterator of a dict or set still has to give is a copy; the dict or set itself is a referent of it.
        held = gc.get_referents(value)
        owners = [owner for owner in held if type(owner) in (dict, set, frozenset)]
        written = [function.__name__, len(owners), *owners, len(arguments), len(state), *state]
        for argument in arguments:
            copied = type(argument) is list and not any(argument is owner for owner in held)
            written += [len(argument), *argument] if copied else [argument]
        return written

    def _random(self, value: random.Random) -> list[Any]:
        return [repr(value.getstate())]

    def _runtime(self, value: ModelRuntime) -> list[Any]:
        # What it holds is described with the state; a runtime of an earlier execution does nothing any more.
        return ["runtime"]

    def _task(self, value: ModelTask) -> list[Any]:
        return ["task of an earlier execution", value.id]


def _is_constant(value: type | types.FunctionType) -> bool:
    """True for what its module holds under its name, once and for all; what a function makes is not."""
    module = value.__module__ or ""
    return is_constant_module(module) and getattr(sys.modules.get(module), value.__name__, None) is value


def _bytes(number: int) -> bytes:
    return number.to_bytes(4, "little", signed=True)


_COMMON = 500
_NUMBERS = [_bytes(number) for number in range(_COMMON)]


def _get_or_null(get: Callable[[Any], Any], value: Any) -> Any:
    try:
        return get(value)
    except AttributeError:
        return NULL


_GENERATOR = 0x20  # CO_GENERATOR
_NO_CONTENT = frozenset(
    {
        "__abstractmethods__",
        "__annotations__",
        "__dict__",
        "__doc__",
        "__module__",
        "__qualname__",
        "__weakref__",
        "_abc_impl",
        "_member_types",  # kwlab.struct's own note on a class
    }
)
# Built-in types whose content is described, and which may have subclasses with more.
_PLAIN_VALUE: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    str: str.__str__,
    float: float.__float__,
    bytes: bytes.hex,
}
_WITH_CONTENT = {*_PLAIN_VALUE, OrderedDict, defaultdict, dict, list, tuple, set, frozenset, deque, random.Random}
_ITERATORS: list[Any] = [
    *([], (), "", "é", b"", bytearray(), set(), {}, {}.values(), {}.items(), range(0), range(2**70)),
    *(reversed([]), reversed({}), reversed({}.values()), reversed({}.items())),
]
_REDUCED: tuple[type, ...] = (
    *(type(iter(iterable)) for iterable in _ITERATORS),
    *(enumerate, reversed, zip, map, filter),
    *(itertools.count, itertools.chain, itertools.cycle, itertools.islice, itertools.repeat),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, decimal.Decimal),
)


def _descriptions(me: Any) -> dict[type, Describe]:
    return {
        **dict.fromkeys(_REDUCED, me._reduced),
        **dict.fromkeys((list, tuple), me._sequence),
        **dict.fromkeys((dict, OrderedDict), me._dict),
        **dict.fromkeys((set, frozenset), me._set),
        **dict.fromkeys((range, slice), me._range),
        **dict.fromkeys((types.BuiltinFunctionType, types.MethodWrapperType), me._builtin),
        **dict.fromkeys(
            (
                types.MemberDescriptorType,
                types.GetSetDescriptorType,
                types.WrapperDescriptorType,
                types.MethodDescriptorType,
                types.ClassMethodDescriptorType,
            ),
            me._descriptor,
        ),
        **dict.fromkeys((staticmethod, classmethod), me._wrapped_function),
        **dict.fromkeys((bytes, bytearray), me._bytes),
        defaultdict: me._defaultdict,
        deque: me._deque,
        functools.partial: me._partial,
        property: me._property,
        random.Random: me._random,
        types.CellType: me._cell,
        types.CodeType: me._code,
        types.FrameType: me._frame,
        types.FunctionType: me._function,
        types.GeneratorType: me._generator,
        types.MethodType: me._method,
        types.ModuleType: me._module,
        weakref.ReferenceType: me._weakref,
        ModelRuntime: me._runtime,
        ModelTask: me._task,
    }


def _is_plain(kind: type, base: type | None) -> bool:
    """True if objects of `kind` hold nothing but slots, a dict, and the content of `base`."""
    word = object.__basicsize__ // 2
    for cls in kind.__mro__:
        if cls is base or cls is object:
            return True
        own = vars(cls)
        fields = len(_own_slots(cls)) + ("__weakref__" in own) + ("__dict__" in own and cls.__dictoffset__ > 0)
        parent = cls.__base__
        if parent is None or cls.__basicsize__ - parent.__basicsize__ != fields * word:
            return False
    return True


def _own_slots(cls: type) -> list[Any]:
    # An observer of fields keeps a slot under two names.
    found = [held for held in vars(cls).values() if isinstance(held, types.MemberDescriptorType)]
    return list({id(held): held for held in found}.values())


def _slots(kind: type, identities: bool) -> list[Callable[[Any], Any]]:
    # The model's objects name what only says how the execution came here.
    return [
        slot.__get__
        for cls in reversed(kind.__mro__)
        for slot in _own_slots(cls)
        if slot.__name__ not in vars(cls).get("ABOUT_THE_PAST", ()) or (identities and slot.__name__ == "key")
    ]
