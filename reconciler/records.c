/*
 * What is written down of servers as time goes by: events, and a measurement a
 * minute. All of it is best effort: without a database there is none, and no
 * pass waits for it.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "app.h"
#include "clock.h"
#include "log.h"

#define REPEAT_MS    (5 * 60 * 1000)    /* the same event is one */
#define SAMPLE_MS    60000
#define AT_ONCE_MAX  16                 /* measurements under way */
#define PENDING_MAX  512                /* statements: the rest is for passes */
#define PRUNE        "500"              /* rows at once */
#define MESSAGE_MAX  1024

/* A measurement under way. */
struct mc_sample_s {
    mc_sample_t  *next, **prev;         /* in app->samples */
    mc_app_t     *app;
    char          id[MC_UUID_LEN + 1];
    int64_t       run_ms;               /* of the pod that is measured */
};


static bool
has_room(const mc_app_t *app)
{
    return mc_store_up(app->store)
           && mc_store_pending(app->store) < PENDING_MAX;
}


static void
on_stored(void *data, const PGresult *res, const char *error)
{
    (void) data;
    if (res == NULL) {
        mc_log(MC_LOG_DEBUG, "an event or a measurement was not stored", "error",
               error, NULL);
    }
}


/* -- events -- */

static uint64_t
fnv1a(uint64_t hash, const char *s)
{
    do {
        hash = (hash ^ (unsigned char) *s) * UINT64_C(0x100000001b3);
    } while (*s++ != '\0');
    return hash;
}


/* Whether the same was told lately; if not, it is now. */
static bool
repeated(mc_record_t *rec, const char *reason, const char *message, int64_t now)
{
    uint64_t    hash = fnv1a(fnv1a(UINT64_C(0xcbf29ce484222325), reason), message);
    mc_told_t  *oldest = rec->told;

    for (size_t i = 0; i < MC_TOLD_MAX; i++) {
        mc_told_t  *t = &rec->told[i];

        if (t->hash == hash && t->at_ms > now - REPEAT_MS && t->at_ms <= now) {
            return true;
        }
        oldest = t->at_ms < oldest->at_ms ? t : oldest;
    }
    *oldest = (mc_told_t) { hash, now };
    return false;
}


static void
publish(mc_app_t *app, mc_record_t *rec, const char *id, const char *type,
    const char *reason, const char *message, int64_t now)
{
    char  text[6 * MESSAGE_MAX + 1], json[sizeof(text) + 512];
    char  time[MC_TIME_LEN + 1], seq[48];

    if (now > rec->event_ms) {
        rec->event_ms = now;
        rec->event_n = 0;
    } else {
        rec->event_n++;                 /* also when the clock was set back */
    }
    snprintf(seq, sizeof(seq), "%" PRId64 "-%u", rec->event_ms, rec->event_n);
    mc_time_format(time, now);
    mc_json_escape(text, sizeof(text), message, strnlen(message, MESSAGE_MAX));
    snprintf(json, sizeof(json), "{\"id\":\"%s\",\"server\":\"%s\",\"time\":\"%s\","
             "\"type\":\"%s\",\"reason\":\"%s\",\"message\":\"%s\"}", id, rec->id,
             time, type, reason, text);
    mc_bus_publish_event(app->bus, rec->tenant, rec->id, seq, time, json);
}


void
mc_records_event(mc_app_t *app, mc_record_t *rec, bool warning,
    const char *reason, const char *message)
{
    char         id[MC_UUID_LEN + 1];
    uint8_t      entropy[10];
    int64_t      now = mc_clock_wall_ms();
    const char  *type = warning ? "Warning" : "Normal";
    const char  *params[] = { rec->tenant, id, rec->id, type, reason, message };

    if (!has_room(app) || repeated(rec, reason, message, now)
        || getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
    {
        return;
    }
    mc_uuid7(id, (uint64_t) now, entropy);
    if (mc_store_query(app->store, MC_SQL_RECONCILER_EVENT, params, on_stored,
                       NULL) == 0)
    {
        publish(app, rec, id, type, reason, message, now);
    }
}


/* -- measurements -- */

static void
store_sample(mc_app_t *app, const mc_record_t *rec, const char *cpu,
    const char *memory)
{
    const mc_facts_t  *f = &rec->facts;
    char               players[16];
    bool               counted = f->ping == MC_PING_ANSWERED && f->players >= 0;
    const char        *params[] = { rec->tenant, rec->id, cpu, memory, NULL,
                                    counted ? players : NULL, NULL, NULL };

    snprintf(players, sizeof(players), "%d", f->players);
    mc_store_query(app->store, MC_SQL_RECONCILER_METRIC, params, on_stored,
                   NULL);
}


static void
sample_free(mc_sample_t *sample)
{
    *sample->prev = sample->next;
    if (sample->next != NULL) {
        sample->next->prev = sample->prev;
    }
    sample->app->n_samples--;
    free(sample);
}


/* The cores since the time before; false: there was none. */
static bool
cores(mc_record_t *rec, const mc_usage_t *usage, double *n)
{
    int64_t  now = mc_clock_mono_ms(), before = rec->cpu_ms;
    int64_t  ns = usage->cpu_ns - rec->cpu_ns;
    bool     known = rec->cpu_run_ms == rec->run_ms && now > before && ns >= 0;

    if (known) {
        *n = (double) ns / ((double) (now - before) * 1e6);
    }
    rec->cpu_run_ms = rec->run_ms;
    rec->cpu_ms = now;
    rec->cpu_ns = usage->cpu_ns;
    return known;
}


static void
on_usage(void *data, const mc_usage_t *usage, const mc_engine_error_t *err)
{
    mc_sample_t  *sample = data;
    mc_app_t     *app = sample->app;
    mc_record_t  *rec = mc_map_get(app->records, sample->id);
    char          cpu[32], memory[24];
    double        n;

    if (rec == NULL || rec->run_ms != sample->run_ms) {
        /* it is gone */
    } else if (err != NULL) {
        store_sample(app, rec, NULL, NULL);
    } else {
        bool  known = cores(rec, usage, &n);

        if (known) {
            snprintf(cpu, sizeof(cpu), "%.6f", n);
        }
        snprintf(memory, sizeof(memory), "%" PRId64, usage->memory_bytes);
        store_sample(app, rec, known ? cpu : NULL, memory);
    }
    sample_free(sample);
}


void
mc_records_sample(mc_app_t *app, mc_record_t *rec)
{
    int64_t       now = mc_clock_mono_ms();
    mc_engine_t  *e = app->engine;
    mc_sample_t  *sample;

    if ((rec->sampled_ms != 0 && now - rec->sampled_ms < SAMPLE_MS)
        || !rec->facts.was_ready || rec->resource || rec->orphan
        || !has_room(app))
    {
        return;
    }
    if (e->ops->usage == NULL) {
        rec->sampled_ms = now;
        store_sample(app, rec, NULL, NULL);
        return;
    }
    if (app->n_samples >= AT_ONCE_MAX
        || (sample = calloc(1, sizeof(*sample))) == NULL)
    {
        return;                         /* at the next ping */
    }
    rec->sampled_ms = now;
    sample->app = app;
    sample->run_ms = rec->run_ms;
    memcpy(sample->id, rec->id, sizeof(sample->id));
    sample->next = app->samples;
    sample->prev = &app->samples;
    if (sample->next != NULL) {
        sample->next->prev = &sample->next;
    }
    app->samples = sample;
    app->n_samples++;
    e->ops->usage(e, &rec->row.server, on_usage, sample);
}


void
mc_records_abandon(mc_app_t *app)
{
    while (app->samples != NULL) {
        sample_free(app->samples);
    }
}


/* -- what is too old -- */

static void on_events_pruned(void *data, const PGresult *res, const char *error);
static void on_metrics_pruned(void *data, const PGresult *res, const char *error);

static void
prune(mc_app_t *app, int id, mc_store_done_pt cb)
{
    const char  *params[] = { PRUNE };

    mc_store_query(app->store, id, params, cb, app);
}


/* Whether there may be more. */
static bool
full(const PGresult *res)
{
    return res != NULL
           && strcmp(PQcmdTuples((PGresult *) res), PRUNE) == 0;
}


static void
on_events_pruned(void *data, const PGresult *res, const char *error)
{
    (void) error;
    if (full(res)) {
        prune(data, MC_SQL_RECONCILER_EVENT_PRUNE, on_events_pruned);
    }
}


static void
on_metrics_pruned(void *data, const PGresult *res, const char *error)
{
    (void) error;
    if (full(res)) {
        prune(data, MC_SQL_RECONCILER_METRIC_PRUNE, on_metrics_pruned);
    }
}


void
mc_records_prune(mc_app_t *app)
{
    if (has_room(app)) {
        prune(app, MC_SQL_RECONCILER_EVENT_PRUNE, on_events_pruned);
        prune(app, MC_SQL_RECONCILER_METRIC_PRUNE, on_metrics_pruned);
    }
}
