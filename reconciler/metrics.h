/*
 * Counters and histograms, and their Prometheus text. Names are those of
 * controller-runtime and client-go where those have one, so that dashboards
 * made for them work; the rest begins with mchost_.
 */

#ifndef MC_METRICS_H
#define MC_METRICS_H

#include <stdint.h>

#define MC_METRICS_BUCKETS  40

typedef struct {
    const double  *bounds;
    unsigned       n;               /* bounds */
    uint64_t       counts[MC_METRICS_BUCKETS];
    uint64_t       count;
    double         sum;
} mc_metrics_histogram_t;

typedef struct {
    uint64_t                depth;
    uint64_t                adds;
    uint64_t                retries;
    mc_metrics_histogram_t  queue_duration;     /* seconds */
    mc_metrics_histogram_t  work_duration;
} mc_metrics_queue_t;

typedef enum {
    MC_RESULT_SUCCESS, MC_RESULT_ERROR, MC_RESULT_REQUEUE,
    MC_RESULT_REQUEUE_AFTER, MC_RESULT_N
} mc_metrics_result_t;

/* Requests to an engine's API are counted by method and status code. */
#define MC_METRICS_REQUESTS  64

typedef struct {
    char      method[8];
    int       code;                 /* 0: no answer */
    uint64_t  n;
} mc_metrics_requests_t;

typedef struct {
    mc_metrics_queue_t      queue;
    uint64_t                reconciles[MC_RESULT_N];
    mc_metrics_histogram_t  reconcile_time;
    unsigned                active_workers;
    unsigned                max_workers;
    mc_metrics_requests_t   requests[MC_METRICS_REQUESTS];
    char                    host[280];          /* they go to */

    uint64_t                servers;            /* known */
    uint64_t                servers_ready;
    uint64_t                orphans;            /* pods without a row */
    uint64_t                status_writes;
    uint64_t                status_stale;       /* a newer one was there */
    uint64_t                log_lines;
    uint64_t                log_pauses;
    uint64_t                commands;           /* console commands run */
    uint64_t                commands_expired;
    uint64_t                pings;
    uint64_t                pings_failed;
    int                     database_up;
    int                     redis_up;
    int                     engine_up;
} mc_metrics_t;

/* The process's metrics, as in Prometheus' own libraries. */
extern mc_metrics_t  mc_metrics;

void mc_metrics_observe(mc_metrics_histogram_t *h, double seconds);

/* Counts a request to the engine's API; code 0 when no answer came. */
void mc_metrics_request(const char *method, int code);

/* The Prometheus text (format 0.0.4); free() it. NULL: no memory. */
char *mc_metrics_text(void);

#endif
