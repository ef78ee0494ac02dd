"""remove_ticking destroys the worker before it stops the timer that queues to it, as the wave5 driver did."""

# caught by: test_nothing_is_used_when_it_is_gone


def remove_ticking(demo):
    kthread_cancel_work_sync(demo.work)
    kthread_destroy_worker(demo.worker)
    timer_delete_sync(demo.timer)
    kfree(demo)
