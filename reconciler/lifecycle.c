/*
 * One pass over one server: read its row, observe its pod, plan, write the
 * status, act; then observe again, until there is nothing to do now. Nothing
 * is kept between steps that the next look could not find out, so a pass may
 * end anywhere and another one goes on from there.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "clock.h"
#include "log.h"
#include "status.h"

#define ROUNDS_MAX       12         /* looks in one pass */
#define ENGINE_RETRY_MS  3000
#define STATUS_RETRY_MS  5000
#define STATUS_MAX       (64 * 1024)

struct mc_pass_s {
    mc_pass_t    *next, **prev;
    mc_app_t     *app;
    mc_record_t  *rec;
    mc_arena_t   *arena;
    mc_plan_t     plan;
    unsigned      at;               /* index of the action under way */
    unsigned      rounds;
    int64_t       begun_ms;         /* monotonic */
    mc_json_t    *status;           /* being written */
    char         *text;             /* the same as text */
    int64_t       generation;       /* that the status speaks of */
    bool          finalizing;
    bool          engine_failed;
    bool          unsaved;          /* the database did not take the status */
};

static void observe(mc_pass_t *pass);
static void act_next(mc_pass_t *pass);


/* -- beginning and end -- */

static void
pass_free(mc_pass_t *pass)
{
    *pass->prev = pass->next;
    if (pass->next != NULL) {
        pass->next->prev = pass->prev;
    }
    mc_arena_destroy(pass->arena);
    free(pass);
}


/* Gives the key back. wait_ms: look again after so long, -1: when something
 * changes. */
static void
finish(mc_pass_t *pass, mc_metrics_result_t result, int64_t wait_ms)
{
    mc_app_t     *app = pass->app;
    mc_record_t  *rec = pass->rec;
    int64_t       now = mc_clock_mono_ms();

    mc_metrics.reconciles[result]++;
    mc_metrics.active_workers--;
    mc_metrics_observe(&mc_metrics.reconcile_time,
                       (double) (now - pass->begun_ms) / 1000);

    if (result == MC_RESULT_ERROR) {
        mc_workqueue_add_failed(app->queue, rec->id, now);
    } else {
        mc_workqueue_forget(app->queue, rec->id);
    }
    if (wait_ms >= 0) {
        mc_workqueue_add_after(app->queue, rec->id, wait_ms, now);
    }
    mc_workqueue_done(app->queue, rec->id, now);
    pass_free(pass);

    if (app->stopping && app->passes == NULL && app->drained != NULL) {
        app->drained(app);
        return;
    }
    mc_app_kick(app);
}


/* The server is no more: the last look at it. */
static void
finish_and_forget(mc_pass_t *pass)
{
    mc_app_t     *app = pass->app;
    mc_record_t  *rec = pass->rec;

    finish(pass, MC_RESULT_SUCCESS, -1);
    if (!app->stopping) {
        mc_app_forget(app, rec);
    }
}


void
mc_lifecycle_abandon(mc_app_t *app)
{
    while (app->passes != NULL) {
        pass_free(app->passes);
    }
}


/* -- the row -- */

/* What a stored status tells about the time before this process. */
static void
seed_facts(mc_record_t *rec)
{
    mc_state_t  state = mc_status_state(rec->row.status);

    rec->facts.players = -1;
    rec->facts.stopped = state == MC_STATE_STOPPING || state == MC_STATE_STOPPED
                         || state == MC_STATE_HIBERNATED
                         || state == MC_STATE_DELETING;
}


static void
check_spec(mc_record_t *rec, mc_arena_t *arena)
{
    mc_facts_t  *f = &rec->facts;

    if (rec->checked == rec->row.server.generation) {
        return;
    }
    f->blocked_reason[0] = '\0';
    f->blocked_message[0] = '\0';
    if (!rec->row.server.deleted) {
        mc_store_check(&rec->row.server, arena, f->blocked_reason,
                       sizeof(f->blocked_reason), f->blocked_message,
                       sizeof(f->blocked_message));
    }
    rec->checked = rec->row.server.generation;
}


/* A row that is gone without a tombstone: a restored dump, or the wrong
 * database. Nothing of the server is touched. */
static void
vanished(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;

    if (!rec->loaded) {
        finish_and_forget(pass);            /* it never was one of ours */
        return;
    }
    if (!rec->orphan) {
        rec->orphan = true;
        mc_metrics.orphans++;
        mc_probe_stop(rec);
        mc_log(MC_LOG_WARN, "the server's row is gone without having been "
               "deleted; its pod and world are left as they are",
               "server", rec->id, "tenant", rec->tenant, NULL);
    }
    finish(pass, MC_RESULT_SUCCESS, -1);
}


static int
adopt_row(mc_pass_t *pass, const PGresult *res)
{
    mc_record_t  *rec = pass->rec;
    mc_arena_t   *arena = mc_arena_create();
    mc_row_t      row;

    if (arena == NULL || mc_store_row(res, 0, arena, &row) != 0) {
        mc_arena_destroy(arena);
        return -1;
    }

    mc_arena_destroy(rec->arena);
    rec->arena = arena;
    rec->row = row;
    if (!rec->loaded) {
        rec->loaded = true;
        seed_facts(rec);
    }
    if (rec->orphan) {
        rec->orphan = false;
        mc_metrics.orphans--;
    }
    return 0;
}


static void
on_row(void *data, const PGresult *res, const char *error)
{
    mc_pass_t    *pass = data;
    mc_record_t  *rec = pass->rec;

    if (res == NULL) {
        mc_log(MC_LOG_DEBUG, "the server's row could not be read", "server",
               rec->id, "error", error, NULL);
        if (!rec->loaded || rec->orphan) {
            finish(pass, MC_RESULT_ERROR, -1);
            return;
        }
        /* The database is away: go by what it said last. */

    } else if (PQntuples(res) == 0) {
        vanished(pass);
        return;

    } else if (adopt_row(pass, res) != 0) {
        mc_log(MC_LOG_ERROR, "the server's row cannot be understood", "server",
               rec->id, NULL);
        finish(pass, MC_RESULT_ERROR, -1);
        return;
    }

    if (rec->row.finalized) {
        finish_and_forget(pass);
        return;
    }
    check_spec(rec, pass->arena);
    observe(pass);
}


void
mc_lifecycle_begin(mc_app_t *app, mc_record_t *rec)
{
    mc_pass_t   *pass = calloc(1, sizeof(*pass));
    const char  *params[] = { rec->tenant, rec->id };
    int64_t      now = mc_clock_mono_ms();

    if (pass == NULL || (pass->arena = mc_arena_create()) == NULL) {
        free(pass);
        mc_workqueue_add_failed(app->queue, rec->id, now);
        mc_workqueue_done(app->queue, rec->id, now);
        return;
    }
    pass->app = app;
    pass->rec = rec;
    pass->begun_ms = now;
    pass->next = app->passes;
    pass->prev = &app->passes;
    if (pass->next != NULL) {
        pass->next->prev = &pass->next;
    }
    app->passes = pass;
    mc_metrics.active_workers++;

    if (mc_store_query(app->store, MC_SQL_RECONCILER_SERVER, params, on_row,
                       pass) != 0)
    {
        on_row(pass, NULL, "the database is away");
    }
}


/* -- the status -- */

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


static void
after_status(mc_pass_t *pass)
{
    const mc_plan_t  *plan = &pass->plan;

    if (pass->finalizing) {
        mc_bus_log_remove(pass->app->bus, pass->rec->id);
        mc_log(MC_LOG_INFO, "the server is deleted", "server", pass->rec->id,
               NULL);
        finish_and_forget(pass);
        return;
    }
    if (pass->engine_failed) {
        finish(pass, MC_RESULT_REQUEUE_AFTER, ENGINE_RETRY_MS);
        return;
    }
    if (plan->n > 0 && !pass->app->stopping) {
        pass->at = 0;
        act_next(pass);
        return;
    }
    if (pass->unsaved && (plan->wait_ms < 0 || plan->wait_ms > STATUS_RETRY_MS)) {
        finish(pass, MC_RESULT_REQUEUE_AFTER, STATUS_RETRY_MS);
        return;
    }
    finish(pass, plan->wait_ms >= 0 ? MC_RESULT_REQUEUE_AFTER : MC_RESULT_SUCCESS,
           plan->wait_ms);
}


static void
on_written(void *data, const PGresult *res, const char *error)
{
    mc_pass_t    *pass = data;
    mc_record_t  *rec = pass->rec;
    mc_alloc_t    a = mc_arena_allocator(rec->arena);
    char          time[40];

    if (res == NULL) {
        mc_log(MC_LOG_WARN, "the status could not be written", "server", rec->id,
               "error", error, NULL);
        pass->unsaved = true;
        if (pass->finalizing) {
            finish(pass, MC_RESULT_ERROR, -1);
            return;
        }

    } else if (PQntuples(res) == 0) {
        mc_metrics.status_stale++;

    } else {
        mc_metrics.status_writes++;
        rfc3339_of(PQgetvalue(res, 0, 1), time);
        rec->row.status = mc_json_copy(&a, pass->status);
        rec->row.observed_generation = pass->generation;
        mc_bus_publish_status(pass->app->bus, rec->tenant, rec->id,
                              PQgetvalue(res, 0, 0), time, pass->text);
    }
    after_status(pass);
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


/* Writes the status when it says something new, then goes on. The generation
 * counts as observed once its plan was made from what is really there. */
static void
write_status(mc_pass_t *pass, const mc_engine_error_t *engine_error)
{
    mc_record_t        *rec = pass->rec;
    mc_alloc_t          a = mc_arena_allocator(pass->arena);
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
        finish(pass, MC_RESULT_ERROR, -1);
        return;
    }
    count_ready(rec, pass->status);

    if (!pass->finalizing
        && pass->generation == rec->row.observed_generation
        && mc_status_equal(pass->status, rec->row.status))
    {
        after_status(pass);
        return;
    }
    if (send_status(pass) != 0) {
        /* The database is away: servers are looked after all the same. */
        pass->unsaved = true;
        if (pass->finalizing) {
            finish(pass, MC_RESULT_ERROR, -1);
        } else {
            after_status(pass);
        }
    }
}


/* -- observing -- */

static void
engine_failed(mc_pass_t *pass, const mc_engine_error_t *err)
{
    pass->engine_failed = true;
    pass->rec->observed = false;
    memset(&pass->plan, 0, sizeof(pass->plan));
    write_status(pass, err);
}


/* What a new observation means for what is remembered. */
static void
digest(mc_record_t *rec)
{
    mc_facts_t     *f = &rec->facts;
    mc_observed_t  *obs = &rec->obs;

    if (obs->pod != MC_POD_RUNNING) {
        if (f->asked_ms > 0 || f->console_failed) {
            f->stopped = true;
        }
        f->announced_ms = 0;
        f->asked_ms = 0;
        f->console_failed = false;
        f->ping = MC_PING_UNKNOWN;
        f->was_ready = false;
        f->players = -1;
        rec->run_ms = 0;

    } else if (rec->run_ms != obs->started_ms) {
        rec->run_ms = obs->started_ms;
        f->ping = MC_PING_UNKNOWN;
        f->players = -1;
        f->stopped = false;
        f->was_ready = mc_status_state(rec->row.status) == MC_STATE_RUNNING
                       && mc_status_started_ms(rec->row.status)
                          == obs->started_ms;
    }
    if (f->was_ready || f->failure.generation != rec->row.server.generation) {
        f->failure.count = 0;
    }
    mc_facts_observe(f, obs);
}


static void
on_observed(void *data, const mc_observed_t *obs, const mc_engine_error_t *err)
{
    mc_pass_t    *pass = data;
    mc_app_t     *app = pass->app;
    mc_record_t  *rec = pass->rec;
    char          hash[65];

    if (err != NULL) {
        mc_log(MC_LOG_DEBUG, "the server could not be observed", "server", rec->id,
               "reason", err->reason, "error", err->message, NULL);
        engine_failed(pass, err);
        return;
    }

    rec->obs = *obs;
    rec->observed = true;
    digest(rec);
    if (obs->pod == MC_POD_RUNNING) {
        mc_probe_start(app, rec);
    } else {
        mc_probe_stop(rec);
    }
    mc_logs_follow(app, rec);

    mc_engine_desired_hash_for(&rec->row.server, obs->pod_hash, hash);
    mc_plan(&rec->row.server, obs, hash, &rec->facts, mc_clock_wall_ms(),
            app->conf->start_timeout_ms, &pass->plan);
    if (!pass->plan.stopping) {
        rec->facts.announced_ms = 0;        /* nobody wants it to stop now */
    }
    if (!pass->plan.ask_players) {
        rec->facts.recount_ms = 0;
    } else if (rec->facts.recount_ms == 0) {
        rec->facts.recount_ms = mc_clock_wall_ms();
        mc_probe_ask(rec);
    }
    write_status(pass, NULL);
}


static void
observe(mc_pass_t *pass)
{
    static const mc_engine_error_t  away = {
        "EngineUnavailable", "the engine does not answer", true
    };

    if (!pass->app->engine_up) {
        engine_failed(pass, &away);         /* without waiting for it */
        return;
    }
    if (++pass->rounds > ROUNDS_MAX) {
        finish(pass, MC_RESULT_REQUEUE, 1000);
        return;
    }
    pass->app->engine->ops->observe(pass->app->engine, &pass->rec->row.server,
                                    on_observed, pass);
}


/* -- acting -- */

static void
on_acted(void *data, const mc_engine_error_t *err)
{
    mc_pass_t    *pass = data;
    mc_record_t  *rec = pass->rec;
    mc_action_t   action = pass->plan.actions[pass->at];

    if (err == NULL) {
        pass->at++;
        act_next(pass);
        return;
    }

    mc_log(MC_LOG_WARN, "an action failed", "server", rec->id, "action",
           mc_action_name(action), "reason", err->reason, "error", err->message,
           NULL);
    if (strcmp(err->reason, "EngineUnavailable") == 0) {
        engine_failed(pass, err);
        return;
    }
    mc_facts_fail(&rec->facts, action, rec->row.server.generation, err->reason,
                  err->message, err->retry, mc_clock_wall_ms());
    observe(pass);
}


static void
act_next(mc_pass_t *pass)
{
    mc_action_t  action;

    if (pass->at == pass->plan.n) {
        observe(pass);
        return;
    }
    action = pass->plan.actions[pass->at];

    if (action == MC_ACTION_FINALIZE) {
        pass->finalizing = true;
        pass->plan.progressing = false;
        pass->plan.progress = "Finalized";
        pass->rec->obs.volume = pass->rec->obs.volume && !pass->plan.world;
        write_status(pass, NULL);
        return;
    }
    mc_log(MC_LOG_INFO, "acting", "server", pass->rec->id, "action",
           mc_action_name(action), NULL);
    mc_lifecycle_act(pass->app, pass->rec, &pass->plan, action, on_acted, pass);
}
