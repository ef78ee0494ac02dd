"""Scenarios on the booted kernel, compared with their files and with kwlab; a crash is a result, not the end."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kwlab.oracle.boot import Boot, boot
from kwlab.oracle.packages import DEFAULT_KERNEL, KernelTree, fetch
from kwlab.oracle.program import ProgramError, program
from kwlab.oracle.results import Played, read_results
from kwlab.scenario.conformance import play_on_threads
from kwlab.scenario.format import Scenario
from kwlab.scenario.load import load
from kwlab.scenario.observations import Observations, compare
from kwlab.scenario.stage import Unavailable
from kwlab.scenario.versions import DIFFERENCES, VERSIONS

__all__ = ["Answer", "ask_kernel", "known_difference", "verdict"]

START, EACH = 90.0, 12.0  # seconds that a boot, and a scenario in it, may take on a slow machine
BOOTS = 5  # as often is started again after a crash


@dataclass
class Answer:
    """One scenario: where the kernel differs from its file (`differences`), and where kwlab does.

    `expected_difference` says why the versions differ, from the table in `kwlab.scenario.versions`.
    """

    scenario: Scenario
    played: Played | None = None
    not_played: str = ""
    differences: list[str] = field(default_factory=list)
    kwlab_differences: list[str] = field(default_factory=list)
    expected_difference: str = ""

    @property
    def agrees(self) -> bool:
        return self.played is not None and not self.differences and not self.kwlab_differences

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario.name,
            "agrees": self.agrees,
            "not_played": self.not_played,
            "kernel_differs": self.differences,
            "kwlab_differs": self.kwlab_differences,
            "known_difference": self.expected_difference,
            "crash": self.played.crash if self.played else "",
        }


def ask_kernel(
    files: Iterable[Path], kernel: str = DEFAULT_KERNEL, progress: Callable[[str], None] = lambda said: None
) -> tuple[KernelTree, list[Answer]]:
    """Play the scenarios in `files` on that kernel. All are read before anything is fetched or booted.

    Errors: `ScenarioError` for a file, `OracleError` if there is no kernel to be had.
    """
    answers = [Answer(load(file)) for file in files]
    programs: dict[str, str] = {}
    for answer in answers:
        if answer.scenario.not_applicable:
            answer.not_played = answer.scenario.not_applicable
            continue
        try:
            programs[answer.scenario.name] = program(answer.scenario)
        except ProgramError as error:
            answer.not_played = str(error)
    progress("fetching the kernel")
    tree = fetch(kernel)
    played = _play(tree, [answer.scenario for answer in answers], programs, progress)
    for answer in answers:
        if answer.scenario.name in played:
            verdict(answer, played[answer.scenario.name], tree.version)
    return tree, answers


def _play(
    tree: KernelTree, scenarios: Sequence[Scenario], programs: dict[str, str], progress: Callable[[str], None]
) -> dict[str, Played]:
    """Every program, in as many boots as it takes: one that ends in the middle is followed by another for the rest."""
    by_name = {scenario.name: scenario for scenario in scenarios}
    left, played = dict(programs), dict[str, Played]()
    for _ in range(BOOTS):
        if not left:
            break
        progress("booting")
        names = {f"{number:03}-{name}": name for number, name in enumerate(left)}
        booted = boot(tree, {key: left[name] for key, name in names.items()}, START + EACH * len(left), progress)
        for key, name in names.items():
            sections = booted.sections.get(key, {})
            if "done" in sections or key == booted.current:
                played[name] = _taken(by_name[name], sections, booted, key == booted.current)
                del left[name]
        if not booted.current:
            break
    for name in left:
        played[name] = Played(
            Observations(hang="the kernel never came to it"), crash=booted.death or "no boot reached it"
        )
    return played


def _taken(scenario: Scenario, sections: dict[str, str], booted: Boot, is_last: bool) -> Played:
    played = read_results(scenario, sections.get("results", ""), sections.get("log", ""))
    played.trace = sections.get("trace", "")
    played.threads = {key.removeprefix("thread:"): text for key, text in sections.items() if key.startswith("thread:")}
    if is_last:
        played.crash = booted.death or (
            "it did not come to an end in time" if booted.timed_out else "the guest stopped"
        )
    return played


def verdict(answer: Answer, played: Played, version: str) -> None:
    """Fill in what differs: the kernel from the file, kwlab from the file, and whether the table says why."""
    answer.played = played
    answer.differences = compare(answer.scenario, played.observed)
    if played.crash:
        answer.differences.insert(0, f"the kernel did not survive it: {played.crash}")
    try:
        observed, left = play_on_threads(answer.scenario)
    except Unavailable as error:
        answer.kwlab_differences = []
        answer.not_played = f"not on kwlab: this machine refuses its set-up: {error}"
    else:
        answer.kwlab_differences = compare(answer.scenario, observed) + left
    if answer.differences:
        answer.expected_difference = known_difference(answer.scenario.name, version)


def known_difference(name: str, version: str) -> str:
    """What the table of versions says about that scenario on that kernel; "" if it says nothing."""
    series = [one for one in VERSIONS if version.split(".")[:2] == one.split(".")[:2]]
    for row in DIFFERENCES:
        if name in row.shown_by and series and not row.warn_place:
            there, here = row.says[VERSIONS.index(series[0])], row.says[-1]
            if there != here:
                return f"{row.what} {there}; since {row.since} it {here}"
    return ""
