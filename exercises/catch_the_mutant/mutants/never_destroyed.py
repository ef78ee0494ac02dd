"""catch_queueing leaves the worker's thread behind: it fails with the right worker, too."""

# caught by: test_the_right_worker_queues_well


def catch_queueing():
    worker = kthread_run_worker(0, "demo")
    kthread_queue_work(worker, new_work("A"))
    kthread_flush_worker(worker)
    assert ran() == ["A"]
