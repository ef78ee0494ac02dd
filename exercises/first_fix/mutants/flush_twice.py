"""finish flushes before and after the stop: nobody is left to run the second flush."""

# caught by: test_finish_comes_back


def finish(worker):
    kthread_flush_worker(worker)
    task = worker.task
    kthread_stop(task)
    kthread_flush_worker(worker)
