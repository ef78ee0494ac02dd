/*
 * The least that a worker costs on this machine: a POSIX thread, a mutex, two condition variables, and a list of works.
 * Python adds nothing to what is measured here: the clock is read on both sides in C.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct work {
	struct work *next;
	void (*func)(struct work *);
	double started;
};

struct worker {
	pthread_mutex_t lock;
	pthread_cond_t queued;	/* for the thread: there is something to do, or the end */
	pthread_cond_t ran;	/* for the caller: all that was queued has run */
	pthread_t thread;
	struct work *first, **last;
	long left;		/* works that are queued or run */
	int stop;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *loop(void *data)
{
	struct worker *w = data;
	struct work *work;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->first && !w->stop)
			pthread_cond_wait(&w->queued, &w->lock);
		if (!w->first)
			break;
		work = w->first;
		w->first = work->next;
		if (!w->first)
			w->last = &w->first;
		pthread_mutex_unlock(&w->lock);
		work->func(work);
		pthread_mutex_lock(&w->lock);
		if (!--w->left)
			pthread_cond_signal(&w->ran);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void queue(struct worker *w, struct work *work)
{
	pthread_mutex_lock(&w->lock);
	work->next = NULL;
	*w->last = work;
	w->last = &work->next;
	w->left++;
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
}

static void wait_until_ran(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->left)
		pthread_cond_wait(&w->ran, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static void note_start(struct work *work)
{
	work->started = now();
}

static void do_nothing(struct work *work)
{
	(void)work;
}

/* A worker with its thread, or NULL. */
struct worker *condvar_start(void)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->queued, NULL);
	pthread_cond_init(&w->ran, NULL);
	w->last = &w->first;
	if (pthread_create(&w->thread, NULL, loop, w)) {
		free(w);
		return NULL;
	}
	return w;
}

/* Seconds from before a work is queued until its function starts. */
double condvar_wake(struct worker *w)
{
	struct work work = { .func = note_start };
	double sent = now();

	queue(w, &work);
	wait_until_ran(w);
	return work.started - sent;
}

/* Seconds for each of `count` works, from the first queueing until the last has run; negative if memory ran out. */
double condvar_run(struct worker *w, long count)
{
	struct work *works = calloc(count, sizeof(*works));
	double start, took;
	long i;

	if (!works)
		return -1;
	for (i = 0; i < count; i++)
		works[i].func = do_nothing;
	start = now();
	for (i = 0; i < count; i++)
		queue(w, &works[i]);
	wait_until_ran(w);
	took = now() - start;
	free(works);
	return took / count;
}

/* Let what is queued run, end the thread, free the worker. */
void condvar_stop(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = 1;
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	free(w);
}
