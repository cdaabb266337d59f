/*
 * The actions of a plan, one at a time.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "clock.h"
#include "log.h"
#include "rcon.h"

#define RCON_TIMEOUT_MS  5000

/* An action under way: what follows when it is done. */
struct mc_deed_s {
    mc_deed_t          *next, **prev;   /* in app->deeds */
    mc_app_t           *app;
    mc_record_t        *rec;
    mc_action_t         action;
    int                 announce_s;
    mc_engine_done_pt   done;
    void               *data;
    mc_rcon_t          *rcon;           /* under way */
    uv_timer_t          timer;          /* calls done from the loop */
};


static void
deed_free(uv_handle_t *handle)
{
    free(handle->data);
}


static void
deed_close(mc_deed_t *deed)
{
    *deed->prev = deed->next;
    if (deed->next != NULL) {
        deed->next->prev = deed->prev;
    }
    uv_close((uv_handle_t *) &deed->timer, deed_free);
}


static void
deed_done(mc_deed_t *deed, const mc_engine_error_t *err)
{
    mc_engine_done_pt   done = deed->done;
    void               *data = deed->data;

    deed_close(deed);
    done(data, err);
}


static void
on_nothing(uv_timer_t *timer)
{
    deed_done(timer->data, NULL);
}


/* -- what the engine does -- */

static void
on_engine(void *data, const mc_engine_error_t *err)
{
    mc_deed_t      *deed = data;
    mc_facts_t  *f = &deed->rec->facts;

    if (err == NULL) {
        switch (deed->action) {
        case MC_ACTION_CREATE:
        case MC_ACTION_START:
            f->stopped = false;
            f->failure.count = 0;
            break;
        case MC_ACTION_STOP:
            f->stopped = true;
            break;
        default:
            break;
        }
    }
    deed_done(deed, err);
}


static void
remove_now(void *data)
{
    mc_deed_t  *deed = data;

    deed->app->engine->ops->remove(deed->app->engine, &deed->rec->row.server,
                                   on_engine, deed);
}


/* -- what the game does -- */

static void
say_done(void *data, mc_rcon_status_t status, const char *output, size_t len,
    const char *message)
{
    mc_deed_t      *deed = data;
    mc_facts_t  *f = &deed->rec->facts;

    (void) output;
    (void) len;
    deed->rcon = NULL;
    f->announced_ms = mc_clock_wall_ms();
    if (status != MC_RCON_OK) {
        /* Nobody heard it: there is nothing to wait for. */
        f->announced_ms -= (int64_t) deed->announce_s * 1000;
        mc_log(MC_LOG_INFO, "the stop could not be announced", "server",
               deed->rec->id, "error", message, NULL);
    }
    deed_done(deed, NULL);
}


static void
stop_done(void *data, mc_rcon_status_t status, const char *output, size_t len,
    const char *message)
{
    mc_deed_t      *deed = data;
    mc_facts_t  *f = &deed->rec->facts;

    (void) output;
    (void) len;
    deed->rcon = NULL;
    if (status == MC_RCON_OK) {
        f->asked_ms = mc_clock_wall_ms();
    } else {
        f->console_failed = true;
        mc_log(MC_LOG_INFO, "the console did not take \"stop\"; a signal follows",
               "server", deed->rec->id, "error", message, NULL);
    }
    deed_done(deed, NULL);
}


static void
console(mc_deed_t *deed, const char *command, mc_rcon_pt cb)
{
    const mc_observed_t  *obs = &deed->rec->obs;
    char                  password[65];

    if (obs->rcon_host[0] != '\0') {
        mc_rcon_password(deed->rec->id, password);
        deed->rcon = mc_rcon_exec(deed->app->loop, obs->rcon_host,
                                  obs->rcon_port, password, command,
                                  RCON_TIMEOUT_MS, cb, deed);
        explicit_bzero(password, sizeof(password));
    }
    if (deed->rcon == NULL) {
        deed->rec->facts.console_failed = true;
        uv_timer_start(&deed->timer, on_nothing, 0, 0);
    }
}


static void
announce(mc_deed_t *deed)
{
    char  command[128];

    snprintf(command, sizeof(command), "say The server stops in %d seconds.",
             deed->announce_s);
    console(deed, command, say_done);
}


void
mc_lifecycle_act(mc_app_t *app, mc_record_t *rec, const mc_plan_t *plan,
    mc_action_t action, mc_engine_done_pt done, void *data)
{
    const mc_engine_ops_t  *ops = app->engine->ops;
    const mc_server_t      *s = &rec->row.server;
    mc_engine_error_t       err = { "OutOfMemory", "no memory", true };
    mc_deed_t                 *deed = calloc(1, sizeof(*deed));

    if (deed == NULL) {
        done(data, &err);
        return;
    }
    *deed = (mc_deed_t) {
        .app = app, .rec = rec, .action = action, .done = done, .data = data,
        .announce_s = plan->announce_s
    };
    uv_timer_init(app->loop, &deed->timer);
    deed->timer.data = deed;
    deed->next = app->deeds;
    deed->prev = &app->deeds;
    if (deed->next != NULL) {
        deed->next->prev = &deed->next;
    }
    app->deeds = deed;

    switch (action) {
    case MC_ACTION_ENSURE_RESOURCE:
        ops->ensure_resource(app->engine, s, on_engine, deed);
        break;
    case MC_ACTION_ENSURE_STORAGE:
        ops->ensure_storage(app->engine, s, on_engine, deed);
        break;
    case MC_ACTION_CREATE:
        ops->create(app->engine, s, on_engine, deed);
        break;
    case MC_ACTION_START:
        ops->start(app->engine, s, on_engine, deed);
        break;
    case MC_ACTION_ANNOUNCE:
        announce(deed);
        break;
    case MC_ACTION_CONSOLE_STOP:
        console(deed, "stop", stop_done);
        break;
    case MC_ACTION_STOP:
        ops->stop(app->engine, s, plan->grace_s, on_engine, deed);
        break;
    case MC_ACTION_APPLY:
        ops->apply(app->engine, s, on_engine, deed);
        break;
    case MC_ACTION_RESIZE:
        ops->resize(app->engine, s, on_engine, deed);
        break;
    case MC_ACTION_REMOVE:
        if (!mc_logs_drain(rec, remove_now, deed)) {
            remove_now(deed);
        }
        break;
    case MC_ACTION_REMOVE_STORAGE:
        ops->remove_storage(app->engine, s, plan->world, on_engine, deed);
        break;
    case MC_ACTION_REMOVE_RESOURCE:
        ops->remove_resource(app->engine, s, on_engine, deed);
        break;
    case MC_ACTION_HOT:
    case MC_ACTION_FINALIZE:
    case MC_ACTION_N:
        uv_timer_start(&deed->timer, on_nothing, 0, 0);
        break;
    }
}


void
mc_lifecycle_act_abandon(mc_app_t *app)
{
    while (app->deeds != NULL) {
        if (app->deeds->rcon != NULL) {
            mc_rcon_cancel(app->deeds->rcon);
        }
        deed_close(app->deeds);
    }
}
