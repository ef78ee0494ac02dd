"""catch_waiting opens the gate before it flushes: a flush that waits for too much comes back."""

# caught by: test_waiting_mutant_4


def catch_waiting():
    worker = kthread_run_worker(0, "demo")
    first = new_work("A")
    kthread_queue_work(worker, first)
    kthread_queue_work(worker, new_work("B"))
    kthread_flush_work(first)
    assert ran()[:1] == ["A"]
    kthread_destroy_worker(worker)
    assert ran() == ["A", "B"]
