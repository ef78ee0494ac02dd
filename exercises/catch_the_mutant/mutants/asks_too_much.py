"""catch_queueing expects that a work has run before anybody waited for it."""

# caught by: test_the_right_worker_queues_well


def catch_queueing():
    worker = kthread_run_worker(0, "demo")
    kthread_queue_work(worker, new_work("A"))
    seen = ran()
    kthread_destroy_worker(worker)
    assert seen == ["A"]
