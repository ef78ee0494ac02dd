"""run_one never sleeps, like the loop of the article."""

# caught by: test_it_sleeps


def run_one(worker):
    while True:
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
                break
    work.func(work)
