"""remove_polling flushes the worker, and the work queues itself again."""

# caught by: test_the_poll_is_over


def remove_polling(demo):
    kthread_flush_worker(demo.worker)
    kthread_destroy_worker(demo.worker)
    kfree(demo)
