"""remove_ticking frees the device while its work is still queued."""

# caught by: test_nothing_is_used_when_it_is_gone


def remove_ticking(demo):
    worker = demo.worker
    timer_delete_sync(demo.timer)
    kfree(demo)
    kthread_destroy_worker(worker)
