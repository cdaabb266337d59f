/*
 * The actions of a plan, one at a time.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "clock.h"
#include "hot.h"
#include "log.h"

#define CONSOLE_TIMEOUT_MS  5000

/* An action under way: what follows when it is done. */
struct mc_deed_s {
    mc_deed_t          *next, **prev;   /* in app->deeds */
    mc_app_t           *app;
    mc_record_t        *rec;
    mc_action_t         action;
    int                 announce_s;
    mc_engine_done_pt   done;
    void               *data;
    mc_talk_t          *talk;           /* under way */
    mc_arena_t         *arena;          /* of commands */
    const mc_json_t    *command;        /* the next one for the console */
    uv_timer_t          timer;          /* calls done from the loop */
};


static void
deed_free(uv_handle_t *handle)
{
    mc_deed_t  *deed = handle->data;

    mc_arena_destroy(deed->arena);
    free(deed);
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

    if (err == NULL) {
        mc_facts_succeed(&deed->rec->facts, deed->action);
    }
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
    mc_deed_t    *deed = data;
    mc_record_t  *rec = deed->rec;

    switch (deed->action) {
    case MC_ACTION_CREATE:
        mc_lifecycle_made(rec, err == NULL);
        rec->facts.stopped = rec->facts.stopped && err != NULL;
        break;
    case MC_ACTION_START:
        rec->facts.stopped = rec->facts.stopped && err != NULL;
        break;
    case MC_ACTION_APPLY:
        /* A game that just starts may have read what was there before. */
        mc_lifecycle_made(rec, err == NULL && rec->obs.pod == MC_POD_RUNNING);
        break;
    case MC_ACTION_STOP:
        rec->facts.stopped = rec->facts.stopped || err == NULL;
        if (err == NULL && rec->row.server.kill) {
            rec->facts.killed = rec->row.server.generation;
        }
        break;
    default:
        break;
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
    deed->talk = NULL;
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
    deed->talk = NULL;
    if (status == MC_RCON_OK) {
        f->asked_ms = mc_clock_wall_ms();
    } else {
        f->console_failed = true;
        mc_log(MC_LOG_INFO, "the console did not take \"stop\"; a signal follows",
               "server", deed->rec->id, "error", message, NULL);
    }
    deed_done(deed, NULL);
}


/* False: there is no console, and cb is not called. */
static bool
console(mc_deed_t *deed, const char *command, mc_rcon_pt cb)
{
    deed->talk = mc_talk(deed->app, deed->rec, command, CONSOLE_TIMEOUT_MS, cb,
                         deed);
    return deed->talk != NULL;
}


static void
console_stop(mc_deed_t *deed)
{
    if (!console(deed, "stop", stop_done)) {
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
    if (!console(deed, command, say_done)) {
        /* Nobody can hear it: there is nothing to wait for. */
        deed->rec->facts.announced_ms = mc_clock_wall_ms()
                                        - (int64_t) deed->announce_s * 1000;
        uv_timer_start(&deed->timer, on_nothing, 0, 0);
    }
}


/* -- what the console can change -- */

static void
no_console(mc_deed_t *deed, const char *message)
{
    mc_engine_error_t  err = { "ConsoleUnavailable", "", true };

    snprintf(err.message, sizeof(err.message), "%s", message);
    deed_done(deed, &err);
}


static void
on_hot(uv_timer_t *timer)
{
    no_console(timer->data, "the server has no console that can be reached");
}


static void hot_next(mc_deed_t *deed);

static void
hot_done(void *data, mc_rcon_status_t status, const char *output, size_t len,
    const char *message)
{
    mc_deed_t  *deed = data;

    (void) output;
    (void) len;
    deed->talk = NULL;
    if (status != MC_RCON_OK) {
        no_console(deed, message);
        return;
    }
    deed->command = deed->command->next;
    hot_next(deed);
}


/* The next command; what the game thinks of it is between it and the spec. */
static void
hot_next(mc_deed_t *deed)
{
    if (deed->command == NULL) {
        mc_lifecycle_told(deed->rec);
        uv_timer_start(&deed->timer, on_nothing, 0, 0);
    } else if (!console(deed, mc_json_str(deed->command, ""), hot_done)) {
        uv_timer_start(&deed->timer, on_hot, 0, 0);
    }
}


static void
hot(mc_deed_t *deed)
{
    mc_json_t   *commands = NULL;
    mc_alloc_t   a;

    deed->arena = mc_arena_create();
    if (deed->arena != NULL) {
        a = mc_arena_allocator(deed->arena);
        commands = mc_hot_commands(&a, mc_lifecycle_goes_by(deed->rec),
                                   deed->rec->row.server.spec);
    }
    if (commands == NULL) {
        uv_timer_start(&deed->timer, on_hot, 0, 0);
        return;
    }
    deed->command = commands->child;
    hot_next(deed);
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
        console_stop(deed);
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
        hot(deed);
        break;
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
        if (app->deeds->talk != NULL) {
            mc_talk_cancel(app->deeds->talk);
        }
        deed_close(app->deeds);
    }
}
