"""finish waits for the works and leaves the thread behind."""

# caught by: test_finish_comes_back


def finish(worker):
    kthread_flush_worker(worker)
