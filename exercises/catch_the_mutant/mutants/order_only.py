"""catch_waiting looks at the order in the end, where every flush has waited for long."""

# caught by: test_the_right_worker_waits_well


def catch_waiting():
    worker = kthread_run_worker(0, "demo")
    first = new_work("A")
    kthread_queue_work(worker, first)
    kthread_flush_work(first)
    kthread_flush_worker(worker)
    kthread_destroy_worker(worker)
    assert ran() == ["A"]
