/*
 * Metrics and their text.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "metrics.h"

#define NAME  "minecraftserver"     /* the controller, and its queue */

/* Of client-go's workqueue. */
static const double queue_bounds[] = {
    1e-08, 1e-07, 1e-06, 1e-05, 0.0001, 0.001, 0.01, 0.1, 1, 10, 100, 1000
};

/* Of controller-runtime. */
static const double reconcile_bounds[] = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5,
    0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8,
    9, 10, 15, 20, 25, 30, 40, 50, 60
};

#define HISTOGRAM(b)  { .bounds = (b), .n = sizeof(b) / sizeof((b)[0]) }

mc_metrics_t  mc_metrics = {
    .queue = {
        .queue_duration = HISTOGRAM(queue_bounds),
        .work_duration = HISTOGRAM(queue_bounds),
    },
    .reconcile_time = HISTOGRAM(reconcile_bounds),
    .host = "engine",
};

static const char *const result_names[] = {
    "success", "error", "requeue", "requeue_after"
};


void
mc_metrics_observe(mc_metrics_histogram_t *h, double seconds)
{
    h->count++;
    h->sum += seconds;
    for (unsigned i = 0; i < h->n; i++) {
        if (seconds <= h->bounds[i]) {
            h->counts[i]++;
            return;
        }
    }
}


void
mc_metrics_request(const char *method, int code)
{
    mc_metrics_requests_t  *r = mc_metrics.requests;

    for (int i = 0; i < MC_METRICS_REQUESTS; i++, r++) {
        if (r->method[0] == '\0') {
            snprintf(r->method, sizeof(r->method), "%s", method);
            r->code = code;
        }
        if (r->code == code
            && strncmp(r->method, method, sizeof(r->method) - 1) == 0)
        {
            r->n++;
            return;
        }
    }
}


static void
head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}


static void
value(FILE *f, const char *name, const char *type, const char *help, double v)
{
    head(f, name, type, help);
    fprintf(f, "%s %.15g\n", name, v);
}


static void
queue_value(FILE *f, const char *name, const char *type, const char *help,
    double v)
{
    head(f, name, type, help);
    fprintf(f, "%s{controller=\"" NAME "\",name=\"" NAME "\"} %.15g\n", name, v);
}


static void
histogram(FILE *f, const char *name, const char *labels, const char *help,
    const mc_metrics_histogram_t *h)
{
    uint64_t  n = 0;

    head(f, name, "histogram", help);
    for (unsigned i = 0; i < h->n; i++) {
        n += h->counts[i];
        fprintf(f, "%s_bucket{%s,le=\"%g\"} %llu\n", name, labels, h->bounds[i],
                (unsigned long long) n);
    }
    fprintf(f, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, labels,
            (unsigned long long) h->count);
    fprintf(f, "%s_sum{%s} %.9g\n", name, labels, h->sum);
    fprintf(f, "%s_count{%s} %llu\n", name, labels,
            (unsigned long long) h->count);
}


static void
write_queue(FILE *f, const mc_metrics_queue_t *q)
{
    static const char  labels[] = "controller=\"" NAME "\",name=\"" NAME "\"";

    queue_value(f, "workqueue_depth", "gauge", "Keys that wait to be processed.",
                (double) q->depth);
    queue_value(f, "workqueue_adds_total", "counter", "Keys added.",
                (double) q->adds);
    queue_value(f, "workqueue_retries_total", "counter",
                "Keys added again after a failure.", (double) q->retries);
    histogram(f, "workqueue_queue_duration_seconds", labels,
              "How long keys waited.", &q->queue_duration);
    histogram(f, "workqueue_work_duration_seconds", labels,
              "How long processing a key took.", &q->work_duration);
}


static void
write_controller(FILE *f, const mc_metrics_t *m)
{
    head(f, "controller_runtime_reconcile_total", "counter",
         "Reconciliations by result.");
    for (int i = 0; i < MC_RESULT_N; i++) {
        fprintf(f, "controller_runtime_reconcile_total{controller=\"" NAME
                "\",result=\"%s\"} %llu\n", result_names[i],
                (unsigned long long) m->reconciles[i]);
    }

    head(f, "controller_runtime_reconcile_errors_total", "counter",
         "Reconciliations that failed.");
    fprintf(f, "controller_runtime_reconcile_errors_total{controller=\"" NAME
            "\"} %llu\n", (unsigned long long) m->reconciles[MC_RESULT_ERROR]);

    histogram(f, "controller_runtime_reconcile_time_seconds",
              "controller=\"" NAME "\"", "How long a reconciliation took.",
              &m->reconcile_time);

    head(f, "controller_runtime_active_workers", "gauge", "Keys in process.");
    fprintf(f, "controller_runtime_active_workers{controller=\"" NAME "\"} %u\n",
            m->active_workers);
    head(f, "controller_runtime_max_concurrent_reconciles", "gauge",
         "Keys processed at once at most.");
    fprintf(f, "controller_runtime_max_concurrent_reconciles{controller=\""
            NAME "\"} %u\n", m->max_workers);

    head(f, "rest_client_requests_total", "counter",
         "Requests to the engine's API by method and status code.");
    for (const mc_metrics_requests_t *r = m->requests;
         r < m->requests + MC_METRICS_REQUESTS && r->method[0] != '\0'; r++)
    {
        fprintf(f, "rest_client_requests_total{code=\"%s%.0d\",host=\"%s\","
                "method=\"%s\"} %llu\n", r->code == 0 ? "<error>" : "", r->code,
                m->host, r->method, (unsigned long long) r->n);
    }

    head(f, "leader_election_master_status", "gauge",
         "1: this instance acts, 0: it stands by.");
    fprintf(f, "leader_election_master_status{name=\"reconciler\"} 1\n");
}


static void
write_own(FILE *f, const mc_metrics_t *m)
{
    value(f, "mchost_servers", "gauge", "Servers known.", (double) m->servers);
    value(f, "mchost_servers_ready", "gauge",
          "Servers that answer a status ping.", (double) m->servers_ready);
    value(f, "mchost_orphans", "gauge",
          "Pods without a row; they are left alone.", (double) m->orphans);
    value(f, "mchost_status_writes_total", "counter", "Statuses written.",
          (double) m->status_writes);
    value(f, "mchost_status_stale_total", "counter",
          "Statuses that were older than the stored one.",
          (double) m->status_stale);
    value(f, "mchost_log_lines_total", "counter",
          "Lines of game output written to Redis.", (double) m->log_lines);
    value(f, "mchost_log_pauses_total", "counter",
          "Times a log was paused because Redis was away or slow.",
          (double) m->log_pauses);
    value(f, "mchost_commands_total", "counter", "Console commands run.",
          (double) m->commands);
    value(f, "mchost_commands_expired_total", "counter",
          "Console commands skipped, past their deadline.",
          (double) m->commands_expired);
    value(f, "mchost_pings_total", "counter", "Status pings sent.",
          (double) m->pings);
    value(f, "mchost_pings_failed_total", "counter",
          "Status pings without an answer.", (double) m->pings_failed);
    value(f, "mchost_database_up", "gauge", "1: PostgreSQL is connected.",
          m->database_up);
    value(f, "mchost_redis_up", "gauge", "1: Redis is connected.", m->redis_up);
    value(f, "mchost_engine_up", "gauge", "1: the engine's API answers.",
          m->engine_up);
}


char *
mc_metrics_text(void)
{
    char   *text = NULL;
    size_t  len;
    FILE   *f = open_memstream(&text, &len);

    if (f == NULL) {
        return NULL;
    }
    write_queue(f, &mc_metrics.queue);
    write_controller(f, &mc_metrics);
    write_own(f, &mc_metrics);

    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
