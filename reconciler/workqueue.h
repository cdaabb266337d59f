/*
 * Which server is looked at next. A key is queued once however often it is
 * added; while one is being processed it is not handed out again, but an add
 * in that time is remembered and queues it anew when it is done. So work on
 * one key never overlaps, and no wish to look is lost.
 *
 * Knows no clock and no loop: the caller brings the time (monotonic
 * milliseconds) and asks again when mc_workqueue_timeout() says so.
 */

#ifndef MC_WORKQUEUE_H
#define MC_WORKQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "metrics.h"

typedef struct mc_workqueue_s  mc_workqueue_t;

/* Keys of people's changes come before those of resyncs. */
typedef enum { MC_WORKQUEUE_NORMAL, MC_WORKQUEUE_LOW } mc_priority_t;

typedef struct {
    unsigned          workers;      /* keys processed at once */
    size_t            max_keys;     /* more are refused */
    int64_t           backoff_ms;   /* first delay, doubled by every failure */
    int64_t           backoff_max_ms;
    mc_metrics_queue_t  *metrics;
} mc_workqueue_conf_t;

/* NULL: no memory. conf is copied. */
mc_workqueue_t *mc_workqueue_create(const mc_workqueue_conf_t *conf);
void mc_workqueue_destroy(mc_workqueue_t *q);

/* 0, or -1 when the queue is full (a later resync finds the key again). */
int mc_workqueue_add(mc_workqueue_t *q, const char *key, mc_priority_t prio,
    int64_t now);

/* The same after delay ms; of several delays the shortest counts. */
int mc_workqueue_add_after(mc_workqueue_t *q, const char *key, int64_t delay,
    int64_t now);

/* Add after a delay that doubles with every call until
 * mc_workqueue_forget(). Returns the delay, -1 when the queue is full. */
int64_t mc_workqueue_add_failed(mc_workqueue_t *q, const char *key,
    int64_t now);
void mc_workqueue_forget(mc_workqueue_t *q, const char *key);

/* The next key to process, or NULL: none is due, or all workers are busy.
 * Valid until mc_workqueue_done(), which must follow. */
const char *mc_workqueue_get(mc_workqueue_t *q, int64_t now);
void mc_workqueue_done(mc_workqueue_t *q, const char *key, int64_t now);

/* Milliseconds until get() may have a key: 0 now, -1 not before an add or a
 * done. */
int64_t mc_workqueue_timeout(const mc_workqueue_t *q, int64_t now);

unsigned mc_workqueue_active(const mc_workqueue_t *q);

#endif
