/*
 * The status on its way: into the row, onto Redis, onto the MinecraftServer;
 * and what people are told of its changes.
 */

#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "lifecycle_private.h"
#include "log.h"
#include "status.h"

#define STATUS_MAX  (64 * 1024)


static void
count_ready(mc_record_t *rec, const mc_json_t *status)
{
    const mc_json_t  *ready = mc_status_condition(status, "Ready");
    bool              now = strcmp(mc_json_str(mc_json_get(ready, "status"), ""),
                                   "True") == 0;

    if (now != rec->ready) {
        rec->ready = now;
        mc_metrics.servers_ready += now ? 1 : (uint64_t) -1;
    }
}


/* PostgreSQL's "2026-11-24 03:55:18.123+00" as RFC 3339; now when the session
 * speaks in another zone. */
static void
rfc3339_of(const char *text, char dst[40])
{
    size_t  len = strlen(text);

    if (len > 22 && len < 36 && text[10] == ' '
        && strcmp(text + len - 3, "+00") == 0)
    {
        snprintf(dst, 40, "%.10sT%.*sZ", text, (int) (len - 14), text + 11);
    } else {
        mc_time_format(dst, mc_clock_wall_ms());
    }
}


/* -- events -- */

static void
tell(mc_pass_t *pass, bool warning, const char *reason, const char *message)
{
    mc_engine_t  *e = pass->app->engine;
    mc_record_t  *rec = pass->rec;

    if (e->ops->event != NULL && rec->obs.resource) {
        e->ops->event(e, &rec->row.server, warning, reason, message);
    }
    if (!rec->resource) {
        mc_records_event(pass->app, rec, warning, reason, message);
    }
}


static bool
holds(const mc_json_t *condition)
{
    return strcmp(mc_json_str(mc_json_get(condition, "status"), ""), "True") == 0;
}


static const char *
reason_of(const mc_json_t *condition)
{
    return mc_json_str(mc_json_get(condition, "reason"), "");
}


static const char *
state_message(mc_state_t state)
{
    static const char *const  messages[MC_STATE_N] = {
        [MC_STATE_PENDING] = "the server is not there yet",
        [MC_STATE_STARTING] = "the server starts",
        [MC_STATE_RUNNING] = "the server answers status pings",
        [MC_STATE_STOPPING] = "the server is being stopped",
        [MC_STATE_STOPPED] = "the server is stopped",
        [MC_STATE_HIBERNATED] = "the server sleeps",
        [MC_STATE_WAKING] = "the server wakes up",
        [MC_STATE_FAILED] = "the server does not run",
        [MC_STATE_DELETING] = "the server is being deleted"
    };

    return messages[state];
}


/* What is worth a person's attention, once when it begins. */
static void
tell_changes(mc_pass_t *pass)
{
    static const struct { const char *type, *reason; bool warning; }  news[] = {
        { "Degraded", NULL, true }, { "RestartPending", "RestartPending", false },
        { "Paused", "Paused", false }
    };
    const mc_json_t  *before = pass->rec->row.status, *after = pass->status;
    mc_state_t        state = mc_status_state(after);

    if (!pass->rec->observed) {
        return;
    }
    if (before == NULL || mc_status_state(before) != state) {
        tell(pass, state == MC_STATE_FAILED, mc_state_name(state),
             state_message(state));
    }
    for (size_t i = 0; i < sizeof(news) / sizeof(news[0]); i++) {
        const mc_json_t  *old = mc_status_condition(before, news[i].type);
        const mc_json_t  *new = mc_status_condition(after, news[i].type);

        if (holds(new)
            && (!holds(old)
                || (news[i].warning
                    && strcmp(reason_of(old), reason_of(new)) != 0)))
        {
            tell(pass, news[i].warning,
                 news[i].reason != NULL ? news[i].reason : reason_of(new),
                 mc_json_str(mc_json_get(new, "message"), ""));
        }
    }
}


/* -- the resource -- */

static void
keep(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;
    mc_alloc_t    a = mc_arena_allocator(rec->arena);

    rec->row.status = mc_json_copy(&a, pass->status);
    rec->row.observed_generation = pass->generation;
}


static void
on_published(void *data, const mc_engine_error_t *err)
{
    mc_pass_t    *pass = data;
    mc_record_t  *rec = pass->rec;

    if (err != NULL) {
        mc_log(MC_LOG_WARN, "the status of the resource could not be written",
               "server", rec->id, "reason", err->reason, "error", err->message,
               NULL);
        pass->unsaved = true;
    } else if (rec->resource) {
        keep(pass);
    }
    mc_lifecycle_written(pass, true);
}


/* The engine sees to it that nothing is written that is there already. */
static void
publish(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;
    mc_engine_t  *e = pass->app->engine;

    if (e->ops->publish_status == NULL || pass->finalizing || pass->engine_failed
        || !rec->obs.resource)
    {
        mc_lifecycle_written(pass, true);
        return;
    }
    e->ops->publish_status(e, &rec->row.server, pass->status, on_published, pass);
}


/* -- the row -- */

static void
on_written(void *data, const PGresult *res, const char *error)
{
    mc_pass_t    *pass = data;
    mc_record_t  *rec = pass->rec;
    char          time[40];

    if (res == NULL) {
        mc_log(MC_LOG_WARN, "the status could not be written", "server", rec->id,
               "error", error, NULL);
        pass->unsaved = true;

    } else if (PQntuples(res) == 0) {
        mc_metrics.status_stale++;

    } else {
        mc_metrics.status_writes++;
        rfc3339_of(PQgetvalue(res, 0, 1), time);
        keep(pass);
        mc_bus_publish_status(pass->app->bus, rec->tenant, rec->id,
                              PQgetvalue(res, 0, 0), time, pass->text);
    }
    publish(pass);
}


static int
send_status(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;
    char          generation[24];
    const char   *params[] = { rec->tenant, rec->id, generation, NULL,
                               pass->finalizing ? "true" : "false" };
    size_t        len = mc_json_write(NULL, 0, pass->status);

    if (len >= STATUS_MAX) {
        return -1;
    }
    pass->text = mc_arena_alloc(pass->arena, len + 1);
    if (pass->text == NULL) {
        return -1;
    }
    mc_json_write(pass->text, len + 1, pass->status);
    params[3] = pass->text;
    snprintf(generation, sizeof(generation), "%lld", (long long) pass->generation);
    return mc_store_query(pass->app->store, MC_SQL_RECONCILER_STATUS, params,
                          on_written, pass);
}


/* The generation counts as observed once its plan was made from what is really
 * there. */
void
mc_lifecycle_write(mc_pass_t *pass, const mc_engine_error_t *engine_error)
{
    mc_record_t        *rec = pass->rec;
    mc_alloc_t          a = mc_arena_allocator(pass->arena);
    bool                news;
    mc_status_input_t   in = {
        .server = &rec->row.server, .facts = &rec->facts,
        .previous = rec->row.status, .now_ms = mc_clock_wall_ms(),
        .finalized = pass->finalizing, .engine_error = engine_error
    };

    pass->generation = rec->row.observed_generation;
    if (engine_error == NULL) {
        pass->generation = rec->row.server.generation;
        in.obs = &rec->obs;
        in.plan = &pass->plan;
    }
    in.observed_generation = pass->generation;
    pass->status = mc_status_build(&a, &in);

    if (pass->status == NULL) {
        mc_lifecycle_written(pass, false);
        return;
    }
    count_ready(rec, pass->status);
    news = pass->finalizing
           || pass->generation != rec->row.observed_generation
           || !mc_status_equal(pass->status, rec->row.status);
    if (news) {
        tell_changes(pass);
    }

    if (rec->resource || !news) {
        publish(pass);
    } else if (send_status(pass) != 0) {
        /* The database is away: servers are looked after all the same. */
        pass->unsaved = true;
        publish(pass);
    }
}
