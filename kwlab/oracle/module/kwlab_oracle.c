// SPDX-License-Identifier: GPL-2.0
/*
 * kwlab_oracle - plays kwlab's scenarios on this kernel's own kthread_worker.
 *
 * Written for throw-away virtual machines: it looks into workers, and what a scenario leaves behind stays behind.
 *
 *	cat program > /proc/kwlab_oracle/program	any number of writes
 *	echo run > /proc/kwlab_oracle/control		plays it; comes back when the last step is done
 *	cat /proc/kwlab_oracle/results
 *	echo cleanup > /proc/kwlab_oracle/control	ends loops, opens gates, rescues who waits for ever
 *
 * A program has one line for each worker, work, call of a body, and step; kwlab/oracle/program.py writes it. A result
 * is a line, too (kwlab/oracle/results.py reads them): ANSWER, INSIDE, ORDER, EVENT, HANG, BEGIN, THREAD, WORK.
 *
 * "Settled" is a state in which all threads of the scenario sleep and none has been switched for a while. The order of
 * things is forced by gates, as in the scenario; nothing here orders by sleeping.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>
#include <uapi/linux/sched/types.h>

#define NAME_LEN	64
#define MAX_ARGS	3
#define MAX_WORKERS	16
#define MAX_WORKS	64
#define MAX_CALLS	512
#define MAX_ACTORS	32
#define MAX_PIDS	8192
#define PROGRAM_SIZE	(256 * 1024)
#define RESULT_SIZE	(4 * 1024 * 1024)

#define HANG_MS		5000	/* a wait that lasts longer is a hang */
#define SETTLE_MS	400	/* the longest that threads that never sleep are waited for */
#define QUIET_LOOKS	3
#define LOOK_MS		8

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define timer_delete_sync(t) del_timer_sync(t)
#endif

/* ------------------------------------------------------------------------------------------------ what is written */

static char *program, *results;
static size_t program_length, result_length;
static DEFINE_RAW_SPINLOCK(result_lock);

static __printf(1, 2) void say(const char *format, ...)
{
	unsigned long flags;
	va_list args;

	raw_spin_lock_irqsave(&result_lock, flags);
	va_start(args, format);
	if (result_length < RESULT_SIZE - 512)
		result_length += vscnprintf(results + result_length, 512, format, args);
	va_end(args);
	raw_spin_unlock_irqrestore(&result_lock, flags);
}

static void forget_results(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&result_lock, flags);
	result_length = 0;
	raw_spin_unlock_irqrestore(&result_lock, flags);
}

/* --------------------------------------------------------------------------------------------------- the operations */

enum op {
	QUEUE, QUEUE_DELAYED, MOD_DELAYED, FLUSH, FLUSH_WORKER, CANCEL, CANCEL_DELAYED, DESTROY, STOP, INIT_WORK,
	INIT_WORKER, FREE, SLEEP, RUN_THREAD, WAKE, OPEN_GATE, STOP_REQUEUEING, SETTLE, STARTED, ENDED, JOINED, BLOCKED,
	RETURNED, STATE_WORK, STATE_WORKER, STATE_WORK_LIST, STATE_DELAYED_LIST, STATE_THREAD, CHECK_RUNS, CHECK_ENDED,
	CHECK_STUCK, CHECK_RUNS_AGAIN, CHECK_WAKINGS, CHECK_TRUE_RUNS, RESCUE, NO_OP
};

static const char * const op_names[] = {
	"kthread_queue_work", "kthread_queue_delayed_work", "kthread_mod_delayed_work", "kthread_flush_work",
	"kthread_flush_worker", "kthread_cancel_work_sync", "kthread_cancel_delayed_work_sync",
	"kthread_destroy_worker", "kthread_stop", "kthread_init_work", "kthread_init_worker", "kfree", "msleep",
	"kthread_run", "wake_up_process", "open_gate", "stop_requeueing", "settle", "started", "ended", "joined",
	"blocked", "returned", "state_work", "state_worker", "state_work_list", "state_delayed_work_list",
	"state_thread", "check_runs", "check_ended", "check_stuck", "check_runs_again", "check_wakings",
	"check_true_returns_equal_runs", "rescue",
};

#define NO_ANSWER INT_MIN	/* of a call that returns nothing */

struct call {
	int number, times;
	enum op op;
	char by[NAME_LEN];
	char arg[MAX_ARGS][NAME_LEN];
	/* of a body: */
	char work[NAME_LEN];
	int run;		/* 0: every run */
	bool before;		/* a step that comes before anything is written down */
};

static struct call *steps, *bodies;
static int step_count, body_count;

static bool sleeps(enum op op)
{
	return op >= FLUSH && op <= STOP;
}

/* -------------------------------------------------------------------------------------------------- who is on stage */

struct worker {
	char name[NAME_LEN];
	struct kthread_worker *w;
	struct kthread_worker embedded;
	struct task_struct *thread;	/* the one started last, with a reference */
	bool freed;
	int wakings_seen;
};

struct staged;
/* The work itself, apart, so that a scenario may free it. */
struct box {
	struct kthread_delayed_work d;
	struct staged *staged;
};

struct staged {
	char name[NAME_LEN];
	struct box *box;
	struct kthread_work *address;
	bool delayed, gated, quiet, freed, stopped;
	struct completion gate;
	int starts, ends, starts_awaited, ends_awaited;
	atomic_t queued;
};

struct actor {
	char name[NAME_LEN];
	struct call *call;
	struct task_struct *thread;
	int answer;
	bool back, reported;
};

static struct worker *workers;
static struct staged *works;
static struct actor *actors;
static int worker_count, work_count, actor_count;
static DECLARE_WAIT_QUEUE_HEAD(changed);	/* something that somebody may wait for has happened */
static atomic_t *wakings;			/* by pid */
static bool *running;				/* by pid: it runs a work of ours */
static bool recording, failed;

static struct worker *find_worker(const char *name)
{
	int i;

	for (i = 0; i < worker_count; i++)
		if (!strcmp(workers[i].name, name))
			return &workers[i];
	return NULL;
}

static struct staged *find_work(const char *name)
{
	int i;

	for (i = 0; i < work_count; i++)
		if (!strcmp(works[i].name, name))
			return &works[i];
	return NULL;
}

static struct actor *find_actor(const char *name)
{
	int i;

	for (i = actor_count - 1; i >= 0; i--)
		if (!strcmp(actors[i].name, name))
			return &actors[i];
	return NULL;
}

static struct staged *work_at(struct kthread_work *work)
{
	int i;

	for (i = 0; i < work_count; i++)
		if (works[i].address == work)
			return &works[i];
	return NULL;
}

static bool is_ours(struct kthread_worker *w)
{
	int i;

	for (i = 0; i < worker_count; i++)
		if (workers[i].w == w)
			return true;
	return false;
}

static void hang(const char *what)
{
	say("HANG\t%s\n", what);
	failed = true;
}

/* --------------------------------------------------------------------------------------------------------- the trace */

static void note_event(const char *kind, struct kthread_work *work, kthread_work_func_t function)
{
	struct staged *staged = work_at(work);

	if (!recording || (staged && staged->quiet))
		return;
	if (staged)
		say("EVENT\t%s\t%s\n", kind, staged->name);
	else
		say("EVENT\t%s\t%ps\n", kind, function);
}

static void probe_queue(void *data, struct kthread_worker *worker, struct kthread_work *work)
{
	if (is_ours(worker))
		note_event("queue", work, work->func);
}

static void probe_start(void *data, struct kthread_work *work)
{
	if (is_ours(work->worker)) {
		running[current->pid % MAX_PIDS] = true;
		note_event("start", work, work->func);
	}
}

static void probe_end(void *data, struct kthread_work *work, kthread_work_func_t function)
{
	if (running[current->pid % MAX_PIDS]) {
		running[current->pid % MAX_PIDS] = false;
		note_event("end", work, function);
	}
}

static void probe_waking(void *data, struct task_struct *task)
{
	if (task->flags & PF_KTHREAD)
		atomic_inc(&wakings[task->pid % MAX_PIDS]);
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *point;
} probes[] = {
	{ "sched_kthread_work_queue_work", probe_queue },
	{ "sched_kthread_work_execute_start", probe_start },
	{ "sched_kthread_work_execute_end", probe_end },
	{ "sched_waking", probe_waking },
};

static void find_tracepoint(struct tracepoint *point, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(point->name, probes[i].name))
			probes[i].point = point;
}

/* ----------------------------------------------------------------------------------------------------------- waiting */

static bool asleep(struct task_struct *thread)
{
	return !thread || (READ_ONCE(thread->__state) != TASK_RUNNING && !READ_ONCE(thread->on_rq));
}

static unsigned long switches(struct task_struct *thread)
{
	return thread ? thread->nvcsw + thread->nivcsw : 0;
}

/* Until all threads of the scenario sleep, and none of them has been on a CPU for some looks. */
static void settle(void)
{
	unsigned long limit = jiffies + msecs_to_jiffies(SETTLE_MS), before = 0, now;
	int quiet = 0, i;
	bool all;

	while (quiet < QUIET_LOOKS && time_before(jiffies, limit)) {
		all = true;
		now = 0;
		for (i = 0; i < worker_count; i++) {
			all &= asleep(workers[i].thread);
			now += switches(workers[i].thread);
		}
		for (i = 0; i < actor_count; i++) {
			all &= actors[i].back || asleep(actors[i].thread);
			now += switches(actors[i].thread);
		}
		quiet = all && now == before ? quiet + 1 : 0;
		before = now;
		msleep(LOOK_MS);
	}
}

#define wait_for(condition, ms) (wait_event_timeout(changed, condition, msecs_to_jiffies(ms)) > 0)

static void must_happen(bool happened, struct call *call)
{
	if (!happened)
		hang(op_names[call->op]);
}

/* ------------------------------------------------------------------------------------------------ the kernel's calls */

static int number_of(const char *text)
{
	int value = 0;

	return kstrtoint(text, 10, &value) ? 0 : value;
}

static int perform(struct call *call)
{
	struct worker *worker = find_worker(call->arg[0]);
	struct staged *work = find_work(call->arg[0]);
	struct kthread_work *plain = work ? work->address : NULL;
	struct kthread_delayed_work *delayed = work ? &work->box->d : NULL;
	struct kthread_worker *target = NULL;
	int answer = NO_ANSWER;

	if (call->op <= MOD_DELAYED) {
		worker = find_worker(call->arg[1]);
		target = worker->w;
	}
	switch (call->op) {
	case QUEUE:
		answer = kthread_queue_work(target, plain);
		break;
	case QUEUE_DELAYED:
		answer = kthread_queue_delayed_work(target, delayed, msecs_to_jiffies(number_of(call->arg[2])));
		break;
	case MOD_DELAYED:
		answer = kthread_mod_delayed_work(target, delayed, msecs_to_jiffies(number_of(call->arg[2])));
		break;
	case FLUSH:
		kthread_flush_work(plain);
		break;
	case FLUSH_WORKER:
		kthread_flush_worker(worker->w);
		break;
	case CANCEL:
		answer = kthread_cancel_work_sync(plain);
		break;
	case CANCEL_DELAYED:
		answer = kthread_cancel_delayed_work_sync(delayed);
		break;
	case DESTROY:
		target = worker->w;
		kthread_destroy_worker(target);
		worker->freed = true;
		break;
	case STOP:
		answer = worker->thread ? kthread_stop(worker->thread) : -ESRCH;
		break;
	case FREE:
		work->freed = true;
		kfree(work->box);
		break;
	case SLEEP:
		msleep(number_of(call->arg[0]));
		break;
	default:
		break;
	}
	if (call->op <= MOD_DELAYED && answer == 1)
		atomic_inc(&work->queued);
	return answer;
}

static void say_answer(const char *kind, struct call *call, const char *who, int answer)
{
	if (answer == NO_ANSWER)
		say("%s\t%d\t%s\tvoid\n", kind, call->number, who);
	else
		say("%s\t%d\t%s\t%d\n", kind, call->number, who, answer);
}

/* --------------------------------------------------------------------------------------------------------- the works */

static void staged_work(struct kthread_work *work)
{
	struct staged *staged = container_of(work, struct box, d.work)->staged;
	int run = ++staged->starts, i, answer;
	char who[NAME_LEN + 12];

	if (!staged->quiet)
		say("ORDER\t%s\n", staged->name);
	wake_up_all(&changed);
	if (staged->gated)
		wait_for_completion(&staged->gate);
	snprintf(who, sizeof(who), "%s#%d", staged->name, run);
	for (i = 0; i < body_count; i++) {
		if (strcmp(bodies[i].work, staged->name) || (bodies[i].run && bodies[i].run != run))
			continue;
		if (!bodies[i].run && READ_ONCE(staged->stopped))
			break;
		answer = perform(&bodies[i]);
		if (bodies[i].run && !staged->quiet)
			say_answer("INSIDE", &bodies[i], who, answer);
	}
	staged->ends++;
	wake_up_all(&changed);
}

static int actor_thread(void *data)
{
	struct actor *actor = data;
	int i;

	for (i = 0; i < actor->call->times; i++)
		actor->answer = perform(actor->call);
	WRITE_ONCE(actor->back, true);
	wake_up_all(&changed);
	return 0;
}

static struct actor *act(struct call *call)
{
	struct actor *actor = &actors[actor_count];

	if (actor_count == MAX_ACTORS) {
		hang("too many actors");
		return NULL;
	}
	memset(actor, 0, sizeof(*actor));
	strscpy(actor->name, call->by, NAME_LEN);
	actor->call = call;
	actor->thread = kthread_create(actor_thread, actor, "%s", call->by);
	if (IS_ERR(actor->thread)) {
		hang("no thread for an actor");
		return NULL;
	}
	get_task_struct(actor->thread);
	actor_count++;
	wake_up_process(actor->thread);
	return actor;
}

static void report(struct actor *actor)
{
	if (READ_ONCE(actor->back) && !actor->reported && actor->call->times == 1) {
		actor->reported = true;
		say_answer("ANSWER", actor->call, actor->name, actor->answer);
	}
}

/* ------------------------------------------------------------------------------------------------------- the workers */

static bool is_word(const char *word)
{
	return strcmp(word, "-") != 0;
}

static void thread_of(struct worker *worker, struct task_struct *thread)
{
	worker->thread = thread;
	get_task_struct(thread);
	say("THREAD\t%s\t%d\n", worker->name, thread->pid);
}

/* made_by: kthread_run_worker, kthread_create_worker (the thread is left asleep), kthread_init_worker (no thread) */
static int make_worker(struct worker *worker, const char *made_by, int flags, int cpu, const char *thread_name)
{
	bool run = !strcmp(made_by, "kthread_run_worker");
	struct kthread_worker *w;
	struct task_struct *thread;

	if (!strcmp(made_by, "kthread_init_worker")) {
		worker->w = &worker->embedded;
		kthread_init_worker(worker->w);
		return 0;
	}
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	if (cpu < 0)
		w = kthread_create_worker_on_node(flags, NUMA_NO_NODE, "%s", thread_name);
	else
		w = kthread_create_worker_on_cpu(cpu, flags, thread_name);
	if (IS_ERR(w))
		return PTR_ERR(w);
	thread = w->task;
	if (run)
		wake_up_process(thread);
#else
	if (run) {
		w = cpu < 0 ? kthread_create_worker(flags, "%s", thread_name) :
			kthread_create_worker_on_cpu(cpu, flags, thread_name, cpu);
		if (IS_ERR(w))
			return PTR_ERR(w);
		thread = w->task;
	} else {	/* what later kernels call create: a thread that has not been woken */
		w = kzalloc(sizeof(*w), GFP_KERNEL);
		if (!w)
			return -ENOMEM;
		kthread_init_worker(w);
		thread = cpu < 0 ? kthread_create(kthread_worker_fn, w, "%s", thread_name) :
			kthread_create_on_cpu(kthread_worker_fn, w, cpu, thread_name);
		if (IS_ERR(thread)) {
			kfree(w);
			return PTR_ERR(thread);
		}
		w->flags = flags;
		w->task = thread;
	}
#endif
	worker->w = w;
	thread_of(worker, thread);
	return 0;
}

/* --------------------------------------------------------------------------------------------------------- the looks */

static void look_work(struct call *call, struct staged *work)
{
	struct kthread_worker *of = work->address->worker;
	const char *name = of ? "other" : "NULL";
	bool is_current = false;
	int i;

	for (i = 0; i < worker_count; i++) {
		if (workers[i].freed)
			continue;
		if (workers[i].w == of)
			name = workers[i].name;
		is_current |= workers[i].w->current_work == work->address;
	}
	say("ANSWER\t%d\tmain\tnode_empty=%d,canceling=%d,is_current=%d,worker=%s,timer_pending=%d\n", call->number,
	    list_empty(&work->address->node), work->address->canceling, is_current, name,
	    work->delayed && timer_pending(&work->box->d.timer));
}

static int length(struct list_head *list)
{
	struct list_head *entry;
	int count = 0;

	list_for_each(entry, list)
		count++;
	return count;
}

static void look_worker(struct call *call, struct kthread_worker *w)
{
	unsigned long flags;
	int ready, delayed;

	raw_spin_lock_irqsave(&w->lock, flags);
	ready = length(&w->work_list);
	delayed = length(&w->delayed_work_list);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	say("ANSWER\t%d\tmain\twork_list=%d,delayed_work_list=%d,current=%s,task=%s\n", call->number, ready, delayed,
	    w->current_work ? "set" : "NULL", w->task ? "set" : "NULL");
}

static void look_list(struct call *call, struct kthread_worker *w, struct list_head *list)
{
	struct kthread_work *work;
	struct staged *staged;
	unsigned long flags;
	char names[400] = "";
	int used = 0;

	raw_spin_lock_irqsave(&w->lock, flags);
	list_for_each_entry(work, list, node) {
		staged = work_at(work);
		if (staged)
			used += scnprintf(names + used, sizeof(names) - used, "%s,", staged->name);
		else
			used += scnprintf(names + used, sizeof(names) - used, "%ps,", work->func);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	say("ANSWER\t%d\tmain\t%s\n", call->number, names);
}

static char letter(struct task_struct *thread)
{
	return !thread || thread->exit_state ? 'X' : task_state_to_char(thread);
}

/* Unlink every entry that is no work of the scenario (they are flushes), and run it here. Its names, with commas. */
static int rescue(struct worker *worker, struct list_head *list, char *names, size_t size)
{
	struct kthread_work *work, *next;
	unsigned long flags;
	LIST_HEAD(foreign);
	int count = 0, used = 0;

	raw_spin_lock_irqsave(&worker->w->lock, flags);
	list_for_each_entry_safe(work, next, list, node)
		if (!work_at(work))
			list_move_tail(&work->node, &foreign);
	raw_spin_unlock_irqrestore(&worker->w->lock, flags);
	list_for_each_entry_safe(work, next, &foreign, node) {
		list_del_init(&work->node);
		used += scnprintf(names + used, size - used, "%ps,", work->func);
		work->func(work);
		count++;
	}
	return count;
}

/* --------------------------------------------------------------------------------------------------------- the steps */

static void of_worker(struct call *call, struct worker *worker)
{
	char names[400] = "";
	int count;

	if (worker->freed) {
		hang("a look at a worker that is freed");
		return;
	}
	switch (call->op) {
	case RUN_THREAD: {
		struct task_struct *thread = kthread_run(kthread_worker_fn, worker->w, "%s",
							 *call->arg[1] ? call->arg[1] : worker->name);
		if (IS_ERR(thread))
			hang("kthread_run");
		else
			thread_of(worker, thread);
		break;
	}
	case WAKE:
		wake_up_process(worker->w->task);
		break;
	case INIT_WORKER:
		kthread_init_worker(worker->w);
		break;
	case STATE_WORKER:
		look_worker(call, worker->w);
		break;
	case STATE_WORK_LIST:
		look_list(call, worker->w, &worker->w->work_list);
		break;
	case STATE_DELAYED_LIST:
		look_list(call, worker->w, &worker->w->delayed_work_list);
		break;
	case STATE_THREAD:
		say("ANSWER\t%d\tmain\t%c\n", call->number, letter(worker->thread));
		break;
	case CHECK_WAKINGS:
		count = worker->thread ? atomic_read(&wakings[worker->thread->pid % MAX_PIDS]) : 0;
		say("ANSWER\t%d\tmain\t%d\n", call->number, count - worker->wakings_seen);
		worker->wakings_seen = count;
		break;
	case RESCUE:
		rescue(worker, strcmp(call->arg[1], "work_list") ? &worker->w->delayed_work_list : &worker->w->work_list,
		       names, sizeof(names));
		say("ANSWER\t%d\tmain\t%s\n", call->number, names);
		break;
	default:
		break;
	}
}

static void of_work(struct call *call, struct staged *work)
{
	int starts = work->starts, answer = NO_ANSWER;

	switch (call->op) {
	case STATE_WORK:
		look_work(call, work);
		return;
	case OPEN_GATE:
		complete(&work->gate);
		answer = NO_ANSWER;
		break;
	case INIT_WORK:
		kthread_init_work(work->address, staged_work);
		return;
	case STOP_REQUEUEING:
		WRITE_ONCE(work->stopped, true);
		return;
	case STARTED:
		work->starts_awaited++;
		must_happen(wait_for(READ_ONCE(work->starts) >= work->starts_awaited, HANG_MS), call);
		return;
	case ENDED:
		work->ends_awaited++;
		must_happen(wait_for(READ_ONCE(work->ends) >= work->ends_awaited, HANG_MS), call);
		return;
	case CHECK_RUNS:
		answer = starts;
		break;
	case CHECK_ENDED:
		answer = work->ends > work->ends_awaited;
		break;
	case CHECK_STUCK:
		answer = !wait_for(READ_ONCE(work->ends) > work->ends_awaited, number_of(call->arg[1]));
		break;
	case CHECK_RUNS_AGAIN:
		answer = wait_for(READ_ONCE(work->starts) > starts, max(number_of(call->arg[1]), 200));
		break;
	case CHECK_TRUE_RUNS:
		answer = atomic_read(&work->queued) == work->starts;
		break;
	default:
		break;
	}
	say_answer("ANSWER", call, "main", answer);
}

static void of_actor(struct call *call, struct actor *actor)
{
	bool back;

	if (call->op == BLOCKED) {
		settle();
		back = READ_ONCE(actor->back);
		say_answer("ANSWER", call, "main", !back);
	} else {
		back = wait_for(READ_ONCE(actor->back), HANG_MS);
		if (call->op == JOINED)
			must_happen(back, call);
		else
			say_answer("ANSWER", call, "main", back);
	}
	if (back && call->op != JOINED)
		report(actor);
}

static void main_call(struct call *call)
{
	struct actor *actor;
	int answer;

	if (sleeps(call->op)) {	/* made by a thread, so that a hang can be told */
		actor = act(call);
		if (!actor)
			return;
		actor->reported = true;
		must_happen(wait_for(READ_ONCE(actor->back), HANG_MS), call);
		if (failed)
			return;
		answer = actor->answer;
	} else {
		answer = perform(call);
		if (call->op == SLEEP) {
			settle();
			return;
		}
	}
	say_answer("ANSWER", call, "main", answer);
}

static void step(struct call *call)
{
	struct actor *actor;

	if (strcmp(call->by, "main")) {
		actor = find_actor(call->by);
		if (actor) {
			must_happen(wait_for(READ_ONCE(actor->back), HANG_MS), call);
			report(actor);
		}
		if (!failed)
			act(call);
	} else if (call->op == SETTLE) {
		settle();
	} else if (call->op <= STOP || call->op == FREE || call->op == SLEEP) {
		main_call(call);
	} else if (call->op >= JOINED && call->op <= RETURNED) {
		of_actor(call, find_actor(call->arg[0]));
	} else if (find_worker(call->arg[0]) && (call->op == INIT_WORKER || call->op == RUN_THREAD || call->op == WAKE ||
		   call->op == CHECK_WAKINGS || call->op == RESCUE ||
		   (call->op >= STATE_WORKER && call->op <= STATE_THREAD))) {
		of_worker(call, find_worker(call->arg[0]));
	} else if (find_work(call->arg[0])) {
		of_work(call, find_work(call->arg[0]));
	} else {
		hang("a step that names nobody");
	}
}

/* ------------------------------------------------------------------------------------------------------- the program */

static enum op op_named(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(op_names); i++)
		if (!strcmp(op_names[i], name))
			return i;
	return NO_OP;
}

static const char *word(char **rest)
{
	const char *found = strsep(rest, "\t");

	return found ? found : "";
}

/* number, times, who, operation, arguments */
static int read_call(struct call *call, char **rest)
{
	int i;

	memset(call, 0, sizeof(*call));
	call->number = number_of(word(rest));
	call->times = number_of(word(rest));
	strscpy(call->by, word(rest), NAME_LEN);
	call->op = op_named(word(rest));
	for (i = 0; i < MAX_ARGS; i++)
		strscpy(call->arg[i], word(rest), NAME_LEN);
	return call->op == NO_OP ? -EINVAL : 0;
}

/* WORKER, name, made by, flags, cpu, scheduling, nice, name of the thread */
static int read_worker(char **rest)
{
	struct worker *worker = &workers[worker_count];
	const char *made_by, *cpu, *sched, *nice;
	int flags, error;

	if (worker_count == MAX_WORKERS)
		return -E2BIG;
	memset(worker, 0, sizeof(*worker));
	strscpy(worker->name, word(rest), NAME_LEN);
	made_by = word(rest);
	flags = number_of(word(rest));
	cpu = word(rest);
	sched = word(rest);
	nice = word(rest);
	error = make_worker(worker, made_by, flags, is_word(cpu) ? number_of(cpu) : -1, word(rest));
	if (error) {
		say("UNAVAILABLE\t%s\t%d\n", worker->name, error);
		return error;
	}
	worker_count++;
	if (!strcmp(sched, "fifo"))
		sched_set_fifo(worker->thread);
	else if (!strcmp(sched, "fifo_low"))
		sched_set_fifo_low(worker->thread);
	if (is_word(nice))
		set_user_nice(worker->thread, number_of(nice));
	return 0;
}

/* WORK, name, delayed, gated, quiet */
static int read_work(char **rest)
{
	struct staged *work = &works[work_count];

	if (work_count == MAX_WORKS)
		return -E2BIG;
	memset(work, 0, sizeof(*work));
	strscpy(work->name, word(rest), NAME_LEN);
	work->delayed = number_of(word(rest));
	work->gated = number_of(word(rest));
	work->quiet = number_of(word(rest));
	work->box = kzalloc(sizeof(*work->box), GFP_KERNEL);
	if (!work->box)
		return -ENOMEM;
	work->box->staged = work;
	work->address = &work->box->d.work;
	init_completion(&work->gate);
	if (work->delayed)
		kthread_init_delayed_work(&work->box->d, staged_work);
	else
		kthread_init_work(work->address, staged_work);
	work_count++;
	return 0;
}

static int read_line(char *line)
{
	char *rest = line;
	const char *kind = word(&rest);
	int error;

	if (!strcmp(kind, "WORKER"))
		return read_worker(&rest);
	if (!strcmp(kind, "WORK"))
		return read_work(&rest);
	if (!strcmp(kind, "BODY")) {		/* BODY, work, run, call */
		char work[NAME_LEN];
		int run;

		if (body_count == MAX_CALLS)
			return -E2BIG;
		strscpy(work, word(&rest), NAME_LEN);
		run = number_of(word(&rest));
		error = read_call(&bodies[body_count], &rest);
		strscpy(bodies[body_count].work, work, NAME_LEN);
		bodies[body_count++].run = run;
		return error;
	}
	if (!strcmp(kind, "BEFORE") || !strcmp(kind, "STEP")) {
		if (step_count == MAX_CALLS)
			return -E2BIG;
		error = read_call(&steps[step_count], &rest);
		steps[step_count++].before = *kind == 'B';
		return error;
	}
	return *kind ? -EINVAL : 0;
}

static void begin(void)
{
	int i;

	forget_results();
	for (i = 0; i < worker_count; i++)
		if (workers[i].thread && !workers[i].freed)
			say("THREAD\t%s\t%d\n", workers[i].name, workers[i].thread->pid);
	for (i = 0; i < work_count; i++)
		say("WORK\t%s\t%px\n", works[i].name, works[i].address);
	pr_info("kwlab_oracle: begin\n");
}

/* Forget the scenario before; its threads and its memory are left where they are. */
static int forget_stage(void)
{
	int i;

	workers = kcalloc(MAX_WORKERS, sizeof(*workers), GFP_KERNEL);
	works = kcalloc(MAX_WORKS, sizeof(*works), GFP_KERNEL);
	actors = kcalloc(MAX_ACTORS, sizeof(*actors), GFP_KERNEL);
	steps = vzalloc(MAX_CALLS * sizeof(*steps));
	bodies = vzalloc(MAX_CALLS * sizeof(*bodies));
	worker_count = work_count = actor_count = step_count = body_count = 0;
	failed = false;
	for (i = 0; i < MAX_PIDS; i++) {
		atomic_set(&wakings[i], 0);
		running[i] = false;
	}
	return workers && works && actors && steps && bodies ? 0 : -ENOMEM;
}

static int play(void)
{
	char *rest = program, *line;
	bool before = false;
	int error = 0, i;

	recording = false;
	error = forget_stage();
	forget_results();
	recording = true;
	while (!error && (line = strsep(&rest, "\n")))
		error = read_line(line);
	program_length = 0;
	if (error) {
		say("ERROR\t%d\n", error);
		return error;
	}
	for (i = 0; i < step_count && steps[i].before && !failed; i++) {
		before = true;
		step(&steps[i]);
	}
	if (before || !step_count || !steps[0].before)
		begin();
	for (; i < step_count && !failed; i++)
		step(&steps[i]);
	settle();
	for (i = 0; i < actor_count; i++)
		report(&actors[i]);
	recording = false;
	say("PLAYED\n");
	return 0;
}

/* Leave nothing running: loops end, gates open, timers are deleted, and who waits in a flush is let go. */
static void clean_up(void)
{
	char names[400];
	int round, i;

	for (i = 0; i < work_count; i++) {
		WRITE_ONCE(works[i].stopped, true);
		complete_all(&works[i].gate);
		if (works[i].delayed && !works[i].freed)
			timer_delete_sync(&works[i].box->d.timer);
	}
	for (round = 0; round < 5; round++) {
		for (i = 0; i < worker_count; i++)
			if (!workers[i].freed) {
				rescue(&workers[i], &workers[i].w->work_list, names, sizeof(names));
				rescue(&workers[i], &workers[i].w->delayed_work_list, names, sizeof(names));
			}
		settle();
	}
}

/* --------------------------------------------------------------------------------------------- /proc/kwlab_oracle/... */

static ssize_t program_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	if (count > PROGRAM_SIZE - 1 - program_length)
		return -ENOSPC;
	if (copy_from_user(program + program_length, from, count))
		return -EFAULT;
	program_length += count;
	program[program_length] = 0;
	return count;
}

static ssize_t results_read(struct file *file, char __user *to, size_t count, loff_t *at)
{
	return simple_read_from_buffer(to, count, at, results, result_length);
}

static ssize_t control_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	char said[16];
	int error = 0;

	if (count >= sizeof(said))
		return -EINVAL;
	if (copy_from_user(said, from, count))
		return -EFAULT;
	said[count] = 0;
	if (sysfs_streq(said, "run"))
		error = play();
	else if (sysfs_streq(said, "cleanup"))
		clean_up();
	else
		error = -EINVAL;
	return error ? error : count;
}

static const struct proc_ops program_ops = { .proc_write = program_write };
static const struct proc_ops results_ops = { .proc_read = results_read, .proc_lseek = default_llseek };
static const struct proc_ops control_ops = { .proc_write = control_write };

static int __init oracle_init(void)
{
	struct proc_dir_entry *folder;
	int i, error;

	program = vzalloc(PROGRAM_SIZE);
	results = vzalloc(RESULT_SIZE);
	wakings = vzalloc(MAX_PIDS * sizeof(*wakings));
	running = vzalloc(MAX_PIDS * sizeof(*running));
	if (!program || !results || !wakings || !running)
		return -ENOMEM;
	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (!probes[i].point)
			return -ENOENT;
		error = tracepoint_probe_register(probes[i].point, probes[i].probe, NULL);
		if (error)
			return error;
	}
	folder = proc_mkdir("kwlab_oracle", NULL);
	if (!folder || !proc_create("program", 0200, folder, &program_ops) ||
	    !proc_create("results", 0400, folder, &results_ops) || !proc_create("control", 0200, folder, &control_ops))
		return -ENOMEM;
	__module_get(THIS_MODULE);	/* it is never unloaded */
	return 0;
}
module_init(oracle_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("kwlab's scenarios on the kernel's own kthread_worker");
