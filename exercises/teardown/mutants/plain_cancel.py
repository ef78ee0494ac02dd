"""remove_polling uses the cancel that knows nothing of the timer."""

# caught by: test_the_poll_is_over


def remove_polling(demo):
    kthread_cancel_work_sync(demo.poll.work)
    kthread_destroy_worker(demo.worker)
    kfree(demo)
