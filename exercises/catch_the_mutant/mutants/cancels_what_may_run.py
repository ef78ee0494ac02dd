"""catch_waiting expects True of a cancel whose work may be running already."""

# caught by: test_the_right_worker_waits_well


def catch_waiting():
    worker = kthread_run_worker(0, "demo")
    first = new_work("A")
    kthread_queue_work(worker, first)
    assert kthread_cancel_work_sync(first)
    kthread_destroy_worker(worker)
