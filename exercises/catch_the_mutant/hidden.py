"""The wrong workers of catch_the_mutant: what is wrong, and the edit of the right one that makes it so."""

from kwlab.museum.variant import Edit

QUEUEING = {
    "it wakes nobody if a work was taken before": Edit(
        "            worker.current_work = work\n",
        "            if work is not None:\n                worker.current_work = work\n",
    ),
    "it puts a work in front of all others": Edit(
        "            kthread_insert_work(worker, work, worker.work_list)\n    finally:",
        "            kthread_insert_work(worker, work, worker.work_list.next)\n    finally:",
    ),
    "it takes the last work first": Edit(
        "            first = worker.work_list.next\n", "            first = worker.work_list.prev\n"
    ),
    "it refuses a work that runs": Edit(
        "        queued = (work.node.next is work.node and not work.canceling) or not queuing_blocked(worker, work)\n",
        "        queued = not queuing_blocked(worker, work) and worker.current_work is not work\n",
    ),
    "it says True of a work that was pending": Edit(
        "    finally:\n        lock.release()\n    if noted:\n        issue_warnings()\n    return queued\n",
        "    finally:\n        lock.release()\n    if noted:\n        issue_warnings()\n    return True\n",
    ),
    "it says False of a work that it linked": Edit(
        "    finally:\n        lock.release()\n    if noted:\n        issue_warnings()\n    return queued\n",
        "    finally:\n        lock.release()\n    if noted:\n        issue_warnings()\n    return False\n",
    ),
    "it runs every work twice": Edit(
        "                func(work)\n            except",
        "                func(work)\n                func(work)\n            except",
    ),
}
WAITING = {
    "its flush comes back too early": Edit(
        "            kthread_insert_work(worker, fwork.work, work.node.next)",
        "            kthread_insert_work(worker, fwork.work, work.node)",
    ),
    "its flush waits for all that is queued": Edit(
        "            kthread_insert_work(worker, fwork.work, work.node.next)",
        "            kthread_insert_work(worker, fwork.work, worker.work_list)",
    ),
    "its cancel says False of a pending work": Edit("    return was_pending\n", "    return False\n"),
    "its cancel leaves the work on the list": Edit(
        "        was_pending = _cancel_work(work)\n        running",
        "        was_pending = not list_empty(work.node)\n        running",
    ),
    "its cancel waits for the whole worker": Edit(
        "    if running:\n        try:\n            kthread_flush_work(work)\n",
        "    if not running:\n        kthread_flush_worker(worker)\n"
        "    if running:\n        try:\n            kthread_flush_work(work)\n",
    ),
    "its destroy does not wait for what is queued": Edit(
        "    kthread_flush_worker(worker)\n    try:\n        kthread_stop(task)\n",
        "    try:\n        kthread_stop(task)\n",
    ),
}
