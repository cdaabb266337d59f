/*
 * One pass over one server: read its row, observe its pod, plan, write the
 * status, act; then observe again, until there is nothing to do now. Nothing
 * is kept between steps that the next look could not find out, so a pass may
 * end anywhere and another one goes on from there.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "lifecycle_private.h"
#include "log.h"

#define ROUNDS_MAX       12         /* looks in one pass */
#define ENGINE_RETRY_MS  3000
#define STATUS_RETRY_MS  5000

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


/* -- the source -- */

/* A row that is gone without a tombstone: a restored dump, or the wrong
 * database. Nothing of the server is touched. */
static void
vanished(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;

    if (!rec->loaded || rec->resource) {
        finish_and_forget(pass);            /* it is not, or no more, one of ours */
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


static void
check_spec(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;
    mc_facts_t   *f = &rec->facts;

    if (rec->checked == rec->row.server.generation) {
        return;
    }
    f->blocked_reason[0] = '\0';
    f->blocked_message[0] = '\0';
    if (!rec->row.server.deleted) {
        mc_store_check(&rec->row.server, pass->arena, f->blocked_reason,
                       sizeof(f->blocked_reason), f->blocked_message,
                       sizeof(f->blocked_message));
    }
    if (!mc_lifecycle_window_good(pass->app, rec)) {
        mc_log(MC_LOG_WARN, "the server's updateWindow cannot be understood: it "
               "will never open", "server", rec->id, NULL);
    }
    rec->checked = rec->row.server.generation;
}


void
mc_lifecycle_loaded(mc_pass_t *pass, mc_source_t result)
{
    switch (result) {
    case MC_SOURCE_GONE:
        vanished(pass);
        return;
    case MC_SOURCE_FAILED:
        finish(pass, MC_RESULT_ERROR, -1);
        return;
    case MC_SOURCE_AWAY:
    case MC_SOURCE_READ:
        break;
    }

    if (pass->rec->row.finalized) {
        finish_and_forget(pass);
        return;
    }
    check_spec(pass);
    observe(pass);
}


void
mc_lifecycle_begin(mc_app_t *app, mc_record_t *rec)
{
    mc_pass_t   *pass = calloc(1, sizeof(*pass));
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

    mc_lifecycle_read(pass);
}


/* -- the status -- */

void
mc_lifecycle_written(mc_pass_t *pass, bool made)
{
    const mc_plan_t  *plan = &pass->plan;

    if (!made || (pass->finalizing && pass->unsaved)) {
        finish(pass, MC_RESULT_ERROR, -1);
        return;
    }

    if (pass->finalizing) {
        mc_bus_log_remove(pass->app->bus, pass->rec->id);
        mc_log(MC_LOG_INFO, "the server is deleted", "server", pass->rec->id,
               NULL);
        finish_and_forget(pass);
        return;
    }
    if (pass->engine_failed && !pass->app->engine_up && !pass->unsaved) {
        finish(pass, MC_RESULT_SUCCESS, -1);    /* all are looked at when it
                                                 * is back */
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


/* -- observing -- */

static void
engine_failed(mc_pass_t *pass, const mc_engine_error_t *err)
{
    pass->engine_failed = true;
    pass->rec->observed = false;
    memset(&pass->plan, 0, sizeof(pass->plan));
    mc_lifecycle_write(pass, err);
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
    mc_lifecycle_digest(rec);
    if (obs->pod == MC_POD_RUNNING) {
        mc_probe_start(app, rec);
    } else {
        mc_probe_stop(rec);
    }
    mc_logs_follow(app, rec);

    mc_engine_desired_hash_for(&rec->row.server, obs->pod_hash, hash);
    mc_lifecycle_window(app, rec, hash);
    mc_plan(&rec->row.server, obs, hash, &rec->facts, mc_clock_wall_ms(),
            app->conf->start_timeout_ms, &pass->plan);
    mc_lifecycle_planned(rec, &pass->plan);
    mc_lifecycle_write(pass, NULL);
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
        mc_lifecycle_write(pass, NULL);
        return;
    }
    mc_log(MC_LOG_INFO, "acting", "server", pass->rec->id, "action",
           mc_action_name(action), NULL);
    mc_lifecycle_act(pass->app, pass->rec, &pass->plan, action, on_acted, pass);
}
