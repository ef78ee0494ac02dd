"""remove_ticking frees nothing."""

# caught by: test_it_frees_the_device


def remove_ticking(demo):
    timer_delete_sync(demo.timer)
    kthread_cancel_work_sync(demo.work)
    kthread_destroy_worker(demo.worker)
