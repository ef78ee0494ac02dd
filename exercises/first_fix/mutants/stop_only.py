"""finish stops the thread and waits for nothing: what is queued stays where it is."""

# caught by: test_everything_queued_has_run


def finish(worker):
    kthread_stop(worker.task)
