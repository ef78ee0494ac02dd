"""The bug museum: every exhibit is found by an ordinary check, and the right way passes the same one."""

import pytest

from kwlab.explore import Options, check, replay
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.museum import EXHIBITS, TEXTS, Edit, Exhibit, exhibit, make_variant

# Executions within which an exhibit is found.
FOUND = {shown.name: 100 for shown in EXHIBITS} | {"B7": 1000}
BUDGET = 1000  # executions


@pytest.mark.parametrize("name", FOUND)
def test_the_bug_is_found_and_replayed(name: str) -> None:
    shown = exhibit(name)
    verdict = check(shown.wrong, **shown.options)
    assert verdict.bug is not None
    assert verdict.bug.kind == shown.kind
    assert verdict.executions <= FOUND[name]
    again = replay(shown.wrong, verdict.schedule, Options(**shown.options))
    assert again.bug is not None
    assert (again.bug.kind, again.bug.sentence) == (verdict.bug.kind, verdict.bug.sentence)


# Executions within which DPOR on the graph of states finds it. (It refuses to watch invariants.)
FOUND_BY_KIND = {shown.name: 6 for shown in EXHIBITS if "invariants" not in shown.options} | {"B7": 110}


@pytest.mark.parametrize("name", FOUND_BY_KIND)
def test_the_bug_is_found_in_one_order_of_each_kind(name: str) -> None:
    shown = exhibit(name)
    verdict = check(shown.wrong, strategy=MergingDpor(), executions=FOUND_BY_KIND[name], **shown.options)
    assert verdict.bug is not None
    assert verdict.bug.kind == shown.kind


@pytest.mark.parametrize("shown", EXHIBITS, ids=lambda shown: shown.name)
def test_the_right_way_passes_the_same_search(shown: Exhibit) -> None:
    verdict = check(shown.right, executions=BUDGET)
    assert verdict.ok, verdict.bug


@pytest.mark.parametrize("shown", EXHIBITS, ids=lambda shown: shown.name)
def test_every_edit_fits_todays_source(shown: Exhibit) -> None:
    assert shown.edits or shown.fixed, "an exhibit is a changed source or a wrong use beside the right one"
    assert hasattr(shown.wrong_module(), "kthread_queue_work")
    assert shown.title
    assert shown.story
    assert shown.fix


def test_an_edit_that_does_not_fit_says_so() -> None:
    with pytest.raises(ValueError, match="stands 0 times"):
        make_variant("nonsense", (Edit("no such line in the source", ""),))


def test_names_are_unique_and_an_unknown_one_lists_them() -> None:
    names = [shown.name for shown in EXHIBITS]
    assert len(set(names)) == len(names)
    assert not set(names) & set(TEXTS)
    with pytest.raises(KeyError, match="B13"):
        exhibit("B99")
