"""Scenarios: small plays for workers, works and threads, with the answers that a kernel gives.

A scenario is one YAML file. It names the workers (and how each is made), the works (delayed? gated? what does the
function do, in which run?), the steps, and what must be seen. A step is a call as in C::

    scenario: flush_waits
    about: "A flush waits for the pending work."
    workers:
      A: {}                                  # made_by kthread_run_worker, if nothing else is said
    works:
      B: {gated: true}                       # its function waits at a gate
      W:
        body:
          1:                                 # in its first run
            - kthread_queue_work(W, A): true
    steps:
      - kthread_queue_work(B, A): true       # a step with an answer is compared
      - started(B)
      - kthread_queue_work(W, A): true
      - act1 kthread_flush_work(W): void     # a thread named act1 makes this call
      - blocked(act1): true
      - state_work_list(A): [W, kthread_flush_work_fn]
      - open_gate(B)
      - returned(act1): true
      - kthread_destroy_worker(A)            # a step without one is only done
    order: [B, W, W]                         # in which order the functions began
    warns: []                                # which functions warned; nothing means none
    trace: [queue B, start B, ...]           # compared if it is there; a flush work is <flush>

`kwlab.scenario.language` has every word. An answer that depends on the kernel's timing is a set:
``{one_of: [true, false]}``. Delays are in jiffies (1 jiffy = 1 ms). No wait takes real time: time is virtual, and
passes only while every task sleeps. "Blocked" means that: the call is not back, and nobody is left to run.

`recorded/` holds what Linux 6.1.192 and 6.12.95 answered, `further/` what the recording does not show (what is new in
Linux 6.18, for one). `kwlab.scenario.runner` plays a scenario on any runtime, `kwlab.scenario.conformance` on threads.
"""
