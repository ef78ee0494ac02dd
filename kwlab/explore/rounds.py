"""Rounds in the graph of all states that can be gone for ever without leaving anybody out: livelocks.

A round is fair if every task that could go on somewhere in it does go on in it. A scheduler that forgets nobody may
then go round for ever, and nothing gets done. (Rounds in which somebody is left out are everywhere: a work that queues
itself again, a task that looks again and again until another has done its part.)
"""

from collections import deque
from typing import Any

__all__ = ["fair_round", "strongly_connected"]


def fair_round(root: Any) -> tuple[Any, list[int]] | None:
    """A state and the choices of a fair round from there; None if there is none. `root`: a `State` of the search."""
    for part in strongly_connected(root):
        inside = set(part)
        edges = [(state, number, to) for state in part for number, to in state.following.items() if to in inside]
        able = {entry >> 8 for state in part for entry in state.seen}
        if edges and able <= {number for _, number, _ in edges}:
            return part[0], _walk(part[0], inside, able)
    return None


def _walk(start: Any, inside: set[Any], able: set[int]) -> list[int]:
    """Choices from `start` back to it, among them one of every task in `able`."""
    walk: list[int] = []
    here = start
    for wanted in sorted(able):
        if wanted not in walk:
            way, here = _way(here, inside, lambda state, number, wanted=wanted: number == wanted)
            walk += way
    if here is not start:
        way, here = _way(here, inside, lambda state, number: state.following[number] is start)
        walk += way
    return walk


def _way(start: Any, inside: set[Any], last: Any) -> tuple[list[int], Any]:
    """The shortest way of which the last choice is as `last(state, number)` wants it, and where it leads."""
    ways: dict[Any, list[int]] = {start: []}
    waiting = deque([start])
    while True:
        state = waiting.popleft()
        for number, to in state.following.items():
            if to not in inside:
                continue
            way = [*ways[state], number]
            if last(state, number):
                return way, to
            if to not in ways:
                ways[to] = way
                waiting.append(to)


def strongly_connected(root: Any) -> list[list[Any]]:
    """The strongly connected parts of the graph (Tarjan 1972, without recursion)."""
    index: dict[Any, int] = {}
    low: dict[Any, int] = {}
    stack: list[Any] = []
    on_stack: set[Any] = set()
    parts: list[list[Any]] = []
    work = [(root, iter(list(root.following.values())))]
    index[root] = low[root] = 0
    stack.append(root)
    on_stack.add(root)
    while work:
        state, rest = work[-1]
        for to in rest:
            if to is None:
                continue
            if to not in index:
                index[to] = low[to] = len(index)
                stack.append(to)
                on_stack.add(to)
                work.append((to, iter(list(to.following.values()))))
                break
            if to in on_stack:
                low[state] = min(low[state], index[to])
        else:
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[state])
            if low[state] == index[state]:
                part = []
                while True:
                    member = stack.pop()
                    on_stack.discard(member)
                    part.append(member)
                    if member is state:
                        break
                parts.append(part)
    return parts
