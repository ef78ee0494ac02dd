"""catch_queueing queues one work: most wrong workers pass."""

# caught by: test_queueing_mutant_4


def catch_queueing():
    worker = kthread_run_worker(0, "demo")
    kthread_queue_work(worker, new_work("A"))
    kthread_destroy_worker(worker)
