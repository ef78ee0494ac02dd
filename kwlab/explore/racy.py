"""Fields that are racy on purpose, for strategies that leave out orders which nobody notices.

`kthread_flush_work` reads ``work->worker`` with no lock, to learn which lock to take. No race detector minds (the field
is in the struct's `DATA_RACY`), and no operation is announced; but what comes of a flush depends on who was first. So
while such a strategy searches, every access to such a field counts as something that the step did besides its
operation. Accesses to other fields do not: what keeps no order there is a data race, and the race detector's.
"""

from functools import partial
from types import MemberDescriptorType
from typing import Any

from kwlab.explore.fields import PLAIN, all_below
from kwlab.explore.in_place import InPlace, Undo
from kwlab.runtime.base import local
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import READ, WRITE
from kwlab.struct import Struct, poisoning

__all__ = ["racy_fields_told"]


def racy_fields_told() -> InPlace:
    """While the block runs the model hears of accesses to such fields, in structs of the classes that there are."""
    return _told


def _install(undo: Undo) -> None:
    for cls in all_below(Struct):
        for name in cls.DATA_RACY - cls.SET_ONCE:
            slot = vars(cls).get(name)
            if isinstance(slot, MemberDescriptorType):
                _tell_of(cls, name, slot)
                undo.append(partial(setattr, cls, name, slot))
    poisoning.append(_tell_of_the_end)
    undo.append(lambda: poisoning.remove(_tell_of_the_end))


def _tell_of_the_end(struct: Struct) -> None:
    # Who comes later finds other things in there, if anything.
    task = getattr(local, "task", None)
    if task.__class__ is ModelTask and task.runtime.running is task:
        for name in type(struct).DATA_RACY - type(struct).SET_ONCE:
            task.runtime.field_aside(WRITE, struct, name)


def _tell_of(cls: type[Struct], name: str, slot: MemberDescriptorType) -> None:
    # Each asks by itself whether the task of an exploration comes: a call more would be dear.
    read, store = slot.__get__, slot.__set__

    def get(self: Struct) -> Any:
        task = getattr(local, "task", None)
        if task.__class__ is ModelTask and task.runtime.running is task:
            task.runtime.field_aside(READ, self, name)
        return read(self)

    def set(self: Struct, value: Any) -> None:
        try:
            # Who stores what is there already changes nothing for anybody.
            op = READ if read(self) is value else WRITE
        except AttributeError:
            pass  # its constructor: nobody else knows of it
        else:
            task = getattr(local, "task", None)
            if task.__class__ is ModelTask and task.runtime.running is task:
                task.runtime.field_aside(op, self, name)
        store(self, value)

    # The slot stays in the class, for those who look for all that a struct holds.
    setattr(cls, PLAIN + name, slot)
    setattr(cls, name, property(get, set, slot.__delete__))


_told = InPlace(_install)
