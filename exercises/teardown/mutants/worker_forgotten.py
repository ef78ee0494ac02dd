"""remove_ticking forgets the worker: its thread stays."""

# caught by: test_it_ends_the_thread


def remove_ticking(demo):
    timer_delete_sync(demo.timer)
    kthread_cancel_work_sync(demo.work)
    kfree(demo)
