"""Reading scenario files, strictly: whatever is not understood is an error that says where and what is allowed."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from kwlab.scenario.calls import CallReader
from kwlab.scenario.checks import ScenarioError
from kwlab.scenario.format import Call, Scenario, WorkerSpec, WorkSpec
from kwlab.worker import KTW_FREEZABLE

__all__ = ["ScenarioError", "load", "parse"]

MADE_BY = ("kthread_run_worker", "kthread_create_worker", "kthread_init_worker")
EVENTS = ("queue", "start", "end")


def load(path: str | Path) -> Scenario:
    """The scenario in the file at `path`. Errors: `ScenarioError`."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path.name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse(text, path.name)


def parse(text: str, file: str = "<text>") -> Scenario:
    """The scenario in `text`. Errors: `ScenarioError`, which calls the text `file`."""
    try:
        data = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" line {place.line + 1}:" if place else ""
        raise ScenarioError(f"{file}:{line} no YAML: {getattr(error, 'problem', None) or error}") from None
    return _Reader(file).scenario(data)


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error: one of the two would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Reader(CallReader):
    def scenario(self, data: Any) -> Scenario:
        keys = self.mapping("the file", data, (*Scenario.__dataclass_fields__.keys() - {"name", "file"}, "scenario"))
        name = self.text("scenario", keys.get("scenario"))
        about, source = (self.text(key, keys.get(key, "")) for key in ("about", "source"))
        if "not_applicable" in keys:
            if extra := keys.keys() - {"scenario", "about", "source", "not_applicable"}:
                raise self.fail("not_applicable", f"stands alone, but there is also {', '.join(sorted(extra))}")
            reason = self.text("not_applicable", keys["not_applicable"])
            return Scenario(name, about, source, self.file, not_applicable=reason)
        for key in ("workers", "steps", "order"):
            if key not in keys:
                raise self.fail("the file", f"{key!r} is missing", "a scenario needs scenario, workers, steps, order")
        self.workers = {str(n): self.worker(str(n), v) for n, v in self.named("workers", keys["workers"]).items()}
        works = self.named("works", keys.get("works") or {})
        bodies: dict[str, Any] = {}
        for work, given in works.items():
            self.works[work], bodies[work] = self.work(work, given)
        for work, body in bodies.items():
            self.works[work] = self.with_body(self.works[work], body)
        before = self.calls("before, step", keys.get("before") or [], may_answer=False)
        steps = self.calls("step", keys["steps"])
        if not steps:
            raise self.fail("steps", "there is none", "a scenario needs at least one")
        return Scenario(
            name,
            about,
            source,
            self.file,
            workers=self.workers,
            works=self.works,
            before=before,
            steps=steps,
            order=tuple(self.known("order", name, self.works, "works") for name in self.items("order", keys["order"])),
            warns=tuple(self.text("warns", name) for name in self.items("warns", keys.get("warns", []))),
            trace=None if "trace" not in keys else tuple(self.event(e) for e in self.items("trace", keys["trace"])),
        )

    def worker(self, name: str, given: Any) -> WorkerSpec:
        where = f"worker {name}"
        keys = self.mapping(where, given or {}, WorkerSpec.__dataclass_fields__.keys() - {"name"})
        made_by = keys.get("made_by", "kthread_run_worker")
        if made_by not in MADE_BY:
            raise self.fail(where, f"made_by {made_by!r} is unknown", f"allowed: {', '.join(MADE_BY)}")
        if made_by == "kthread_init_worker" and keys.keys() - {"made_by"}:
            raise self.fail(where, "an embedded worker has no thread yet, so nothing but made_by can be said of it")
        flags = keys.get("flags", 0)
        if flags not in (0, "KTW_FREEZABLE"):
            raise self.fail(where, f"flags {flags!r} are unknown", "allowed: 0, KTW_FREEZABLE")
        sched = keys.get("sched", "")
        if sched not in ("", "fifo", "fifo_low"):
            raise self.fail(where, f"sched {sched!r} is unknown", "allowed: fifo, fifo_low")
        cpu, nice = (keys.get(key) for key in ("cpu", "nice"))
        for key, value in (("cpu", cpu), ("nice", nice)):
            if value is not None:
                self.number(f"{where}, {key}", value, low=0 if key == "cpu" else -20)
        thread_name = str(keys.get("thread_name", name if cpu is None else f"{name}/%u"))
        return WorkerSpec(name, made_by, thread_name, KTW_FREEZABLE if flags else 0, cpu, sched, nice)

    def work(self, name: str, given: Any) -> tuple[WorkSpec, Any]:
        keys = self.mapping(f"work {name}", given or {}, ("delayed", "gated", "quiet", "body"))
        flags = {key: keys.get(key, False) for key in ("delayed", "gated", "quiet")}
        for key, value in flags.items():
            if not isinstance(value, bool):
                raise self.fail(f"work {name}", f"{key} is {value!r}", "allowed: true, false")
        return WorkSpec(name, **flags), keys.get("body") or {}

    def with_body(self, work: WorkSpec, body: Any) -> WorkSpec:
        where = f"work {work.name}, body"
        if not isinstance(body, dict):
            raise self.fail(where, f"is {body!r}", "allowed: calls by number of the run, or under `every`")
        runs: dict[int, tuple[Call, ...]] = {}
        every: tuple[Call, ...] = ()
        for run, calls in body.items():
            if run == "every":
                every = self.calls(f"{where}, every, call", calls, "body", may_answer=False)
            elif type(run) is int and run > 0:
                runs[run] = self.calls(f"{where}, run {run}, call", calls, "body", may_answer=not work.quiet)
            else:
                raise self.fail(where, f"{run!r} is no run", "allowed: 1, 2, 3, ... or `every`")
        return WorkSpec(work.name, work.delayed, work.gated, work.quiet, runs, every)

    def event(self, given: Any) -> tuple[str, str]:
        kind, _, work = self.text("trace", given).partition(" ")
        if kind not in EVENTS:
            raise self.fail("trace", f"{given!r} is no event", f"allowed: {', '.join(EVENTS)}, each with a work")
        return kind, work if work == "<flush>" else self.known("trace", work, self.works, "works")
