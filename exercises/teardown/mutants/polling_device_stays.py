"""remove_polling does not free the device."""

# caught by: test_thread_and_device_are_gone


def remove_polling(demo):
    kthread_cancel_delayed_work_sync(demo.poll)
    kthread_destroy_worker(demo.worker)
