"""The shortest answer to a game: the fewest choices that make it go wrong."""

from dataclasses import dataclass

from kwlab.explore.check import check
from kwlab.explore.game import Game, Position, follow

__all__ = ["Answer", "shortest_answer"]

TRIES = 1_500  # choices tried, those of few clicks first


@dataclass(frozen=True, slots=True)
class Answer:
    """The choices of the player, `clicks`, None if no way to make it fail was found. `proof` says what is known: that
    no answer is shorter, or how far was looked."""

    clicks: tuple[int, ...] | None
    proof: str


def shortest_answer(game: Game, tries: int = TRIES) -> Answer:
    """The shortest way to win a game on the scenario of `game`, from its beginning."""
    start = game.fresh().position
    if start.bug is not None:
        return Answer((), "it fails without any choice")
    level: list[tuple[tuple[int, ...], Position]] = [((), start)]
    seen = {start.fingerprint}
    left = tries
    while level:
        following = []
        for clicks, position in level:
            for task in position.enabled:
                if not left:
                    return _searched(game, len(clicks))
                left -= 1
                reached = game.after(position, task)
                if reached.bug is not None:
                    return Answer((*clicks, task), "no answer is shorter")
                if not reached.over and reached.fingerprint not in seen:
                    seen.add(reached.fingerprint)
                    following.append(((*clicks, task), reached))
        level = following
    return Answer(None, "every choice was tried, and none makes it fail")


def _searched(game: Game, depth: int) -> Answer:
    """Too many choices to try them all: what a search finds, as clicks."""
    verdict = check(game.scenario, options=game.options)
    if verdict.bug is None:
        return Answer(None, f"a search found no bug in {verdict.guarantee}")
    clicks = follow(game, verdict.schedule)
    if clicks is None:
        return Answer(
            None, f"a search found one, {verdict.bug.kind}, that takes too many clicks: {verdict.bug.sentence}"
        )
    return Answer(tuple(clicks), f"none takes fewer than {depth + 1} clicks; a search found this one")
