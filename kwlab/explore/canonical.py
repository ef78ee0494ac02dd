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

from kwlab.explore.bytecode import facts_of
from kwlab.explore.frames import NULL, Opaque, Suspended
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["Canonical", "is_constant_module"]

_SCALARS = frozenset({int, str, bool, float, bytes, complex, type(None)})
_NUMBER = ...  # stands before the number of an object, and before the (negative) number of a constant
_MISSING = object()

Describe = Callable[[Any], None]


@functools.cache
def is_constant_module(name: str) -> bool:
    """True for modules of Python, of kwlab, and of installed packages: what a scenario uses but does not change."""
    top = name.partition(".")[0].partition("[")[0]
    if top == "kwlab" or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return file.startswith((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))


class Canonical:
    """Writes the list: `begin`, `ref` for every root, `digest`. One for a whole search: it remembers the constants."""

    def __init__(self) -> None:
        self.out: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.on_stack: set[int] = set()  # frames that are described with the task they are part of
        self._pending: list[Any] = []
        self._constants: dict[int, tuple[int, Any]] = {}  # with the object, so that its address stays its own
        self._describe: dict[type, Describe] = dict(_descriptions(self))
        for value in (NULL, Ellipsis, NotImplemented, _MISSING, object, type):
            self._constant(value)

    def begin(self) -> None:
        """Start a new list."""
        self.out = []
        self.numbers = {}
        self.on_stack = set()
        self._pending = []

    def number(self, value: Any) -> int:
        """Give `value` the next number, for somebody else to describe; the one it has if it was met already."""
        return self.numbers.setdefault(id(value), len(self.numbers))

    def ref(self, value: Any) -> None:
        """Write `value`, or which object it is; an object met for the first time will be described by `digest`."""
        if type(value) in _SCALARS:
            self.out.append(value)
            return
        key = id(value)
        number = self.numbers.get(key)
        if number is None:
            constant = self._constants.get(key)
            if constant is not None:
                number = constant[0]
            else:
                number = self.numbers[key] = len(self.numbers)
                self._pending.append(value)  # which also keeps it alive: no other object gets its address meanwhile
        self.out.append(_NUMBER)
        self.out.append(number)

    def refs(self, values: Any) -> None:
        """Write how many, and each."""
        self.out.append(len(values))
        for value in values:
            self.ref(value)

    def digest(self) -> bytes:
        """Describe everything reached, and boil the list down. Raises `Opaque` for what cannot be described."""
        describe, pending = self._describe, self._pending
        done = 0
        while done < len(pending):
            value = pending[done]
            done += 1
            kind = type(value)
            handler = describe.get(kind)
            if handler is None:
                handler = describe[kind] = self._for_type(kind)
            handler(value)
        return blake2b(marshal.dumps(self.out, 2), digest_size=16).digest()

    def frame(self, suspended: Suspended) -> None:
        """Describe a suspended frame."""
        facts = suspended.facts
        self.out += (facts.number, suspended.lasti, len(suspended.values))
        for value in suspended.values:
            self.ref(value)
        self._globals(facts, suspended.globals)

    # --------------------------------------------------------------------------------------------------- by type

    def _constant(self, value: Any) -> int:
        known = self._constants.setdefault(id(value), (-1 - len(self._constants), value))
        return known[0]

    def _for_type(self, kind: type) -> Describe:
        if issubclass(kind, type):
            return self._class
        if issubclass(kind, BaseException):
            return self._exception
        base = next((base for base in kind.__mro__[1:] if base in _WITH_CONTENT), None)
        if not _is_plain(kind, base):
            name = f"{kind.__module__}.{kind.__qualname__}"
            return functools.partial(self._opaque, f"a {name.removeprefix('builtins.')} object cannot be looked into")
        slots = _slots(kind)
        content = self._describe.get(base, self._scalar) if base is not None else None
        has_dict = bool(kind.__dictoffset__)

        def describe(value: Any) -> None:
            self.ref(kind)
            for get in slots:
                try:
                    held = get(value)
                except AttributeError:
                    held = NULL
                self.ref(held)
            if has_dict:
                self.ref(object.__getattribute__(value, "__dict__"))
            if content is not None:
                content(value)

        return describe

    def _scalar(self, value: Any) -> None:
        base = next(base for base in type(value).__mro__ if base in _PLAIN_VALUE)
        self.out.append(_PLAIN_VALUE[base](value))

    def _opaque(self, why: str, value: Any) -> None:
        raise Opaque(why)

    def _sequence(self, value: Any) -> None:
        self.out.append(type(value).__name__)
        self.out.append(len(value))
        for element in iter(value):
            self.ref(element)

    def _dict(self, value: Any) -> None:
        self.out.append("dict")
        self.out.append(len(value))
        for key, held in dict.items(value):
            self.ref(key)
            self.ref(held)

    def _defaultdict(self, value: Any) -> None:
        self.ref(value.default_factory)
        self._dict(value)

    def _deque(self, value: Any) -> None:
        self.out.append(value.maxlen)
        self._sequence(value)

    def _set(self, value: Any) -> None:
        scalars, objects, strangers = [], [], []
        for element in value:
            if type(element) in _SCALARS:
                scalars.append(marshal.dumps(element, 2))
            elif id(element) in self.numbers:
                objects.append(self.numbers[id(element)])
            elif id(element) in self._constants:
                objects.append(self._constants[id(element)][0])
            else:
                strangers.append(element)
        if len(strangers) > 1:
            raise Opaque("the objects in a set have no order")
        self.out += (type(value).__name__, len(scalars), *sorted(scalars), len(objects), *sorted(objects))
        self.refs(strangers)

    def _bytearray(self, value: bytearray) -> None:
        self.out += ("bytearray", bytes(value))

    def _range(self, value: range | slice) -> None:
        self.out.append(type(value).__name__)
        self.ref(value.start)
        self.ref(value.stop)
        self.ref(value.step)

    def _cell(self, value: types.CellType) -> None:
        self.out.append("cell")
        try:
            held = value.cell_contents
        except ValueError:
            held = NULL
        self.ref(held)

    def _function(self, value: types.FunctionType) -> None:
        facts = facts_of(value.__code__)
        self.out += ("function", facts.number)
        self.refs(value.__closure__ or ())
        self.ref(value.__defaults__)
        self.ref(value.__kwdefaults__)
        if value.__dict__:
            self.ref(value.__dict__)
        self._globals(facts, value.__globals__)

    def _globals(self, facts: Any, space: dict[str, Any]) -> None:
        if is_constant_module(space.get("__name__", "")):
            return
        if facts.dynamic:
            raise Opaque(f"{facts.code.co_qualname}() reaches its globals by eval(), exec() or globals()")
        for name in facts.global_names:
            held = space.get(name, _MISSING)
            if isinstance(held, (type, types.FunctionType)) and is_constant_module(held.__module__ or ""):
                self._named_constant(held)
            else:
                self.ref(held)

    def _named_constant(self, value: Any) -> None:
        # Only what its module holds under its name is there once and for all; a function made by a function is not.
        home = sys.modules.get(value.__module__)
        if id(value) not in self._constants and getattr(home, value.__name__, None) is value:
            self._constant(value)
        self.ref(value)

    def _method(self, value: types.MethodType) -> None:
        self.out.append("method")
        self.ref(value.__func__)
        self.ref(value.__self__)

    def _builtin(self, value: Any) -> None:
        self.out += ("builtin", value.__qualname__)
        owner = getattr(value, "__self__", None)
        if not isinstance(owner, types.ModuleType):
            self.ref(owner)

    def _descriptor(self, value: Any) -> None:
        self.out += ("descriptor", value.__objclass__.__qualname__, value.__name__)

    def _wrapped_function(self, value: Any) -> None:
        self.out.append(type(value).__name__)
        self.ref(value.__func__)

    def _property(self, value: property) -> None:
        self.out.append("property")
        self.ref(value.fget)
        self.ref(value.fset)
        self.ref(value.fdel)

    def _partial(self, value: Any) -> None:
        self.out.append("partial")
        self.ref(value.func)
        self.ref(value.args)
        self.ref(value.keywords)
        self.ref(value.__dict__)

    def _weakref(self, value: Any) -> None:
        self.out.append("weakref")
        self.ref(value())

    def _module(self, value: types.ModuleType) -> None:
        self.out += ("module", value.__name__)
        if not is_constant_module(value.__name__):
            held = {name: held for name, held in vars(value).items() if not name.startswith("__")}
            self.refs(list(held))
            self.refs(list(held.values()))

    def _class(self, value: type) -> None:
        self.out += ("class", value.__module__, value.__qualname__)
        if is_constant_module(value.__module__ or ""):
            self._constant(value)
            return
        self.refs(value.__bases__)
        for name, held in vars(value).items():
            if name not in _NO_CONTENT:
                self.out.append(name)
                self.ref(held)

    def _exception(self, value: BaseException) -> None:
        self.ref(type(value))
        self.ref(value.args)
        self.ref(value.__dict__)
        self.ref(value.__cause__)
        self.ref(value.__context__)

    def _generator(self, value: Any) -> None:
        self.out.append(type(value).__name__)
        self.ref(value.gi_frame)

    def _frame(self, value: types.FrameType) -> None:
        if id(value) not in self.on_stack:
            self.frame(Suspended(value, None))

    def _code(self, value: types.CodeType) -> None:
        self.out += ("code", facts_of(value).number)

    def _reduced(self, value: Any) -> None:
        function, arguments, *state = value.__reduce__()
        self.out.append(function.__name__)
        # What an iterator of a dict still has to give is a copy; the dict itself is one of its referents.
        self.refs([held for held in gc.get_referents(value) if type(held) is dict])
        for argument in arguments:
            if type(argument) is list and not any(argument is held for held in gc.get_referents(value)):
                self.refs(argument)
            else:
                self.ref(argument)
        self.refs(state)

    def _random(self, value: random.Random) -> None:
        self.out.append(repr(value.getstate()))

    def _runtime(self, value: ModelRuntime) -> None:
        # What it holds is described with the state; a runtime of an earlier execution does nothing any more.
        self.out.append("runtime")

    def _task(self, value: ModelTask) -> None:
        self.out += ("task of an earlier execution", value.id)


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
    bytes: bytes.__bytes__,
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
        bytearray: me._bytearray,
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
        # A slot may have a second name (see `kwlab.explore.fields`).
        fields = len({held for held in own.values() if isinstance(held, types.MemberDescriptorType)})
        fields += ("__weakref__" in own) + ("__dict__" in own and cls.__dictoffset__ > 0)
        parent = cls.__base__
        if parent is None or cls.__basicsize__ - parent.__basicsize__ != fields * word:
            return False
    return True


def _slots(kind: type) -> list[Callable[[Any], Any]]:
    # The model's objects name what only says how the execution came here.
    return [
        held.__get__
        for cls in reversed(kind.__mro__)
        for held in dict.fromkeys(
            held
            for name, held in vars(cls).items()
            if isinstance(held, types.MemberDescriptorType) and name not in vars(cls).get("ABOUT_THE_PAST", ())
        )
    ]
