/*
 * One command on a server's console: over RCON, or through the engine.
 */

#include <stdlib.h>
#include <string.h>
#include "app.h"

struct mc_talk_s {
    mc_talk_t    *next, **prev;     /* in app->talks */
    mc_app_t     *app;
    mc_record_t  *rec;              /* NULL: forgotten meanwhile */
    mc_rcon_t    *rcon;             /* under way, else it is the engine's turn */
    mc_rcon_pt    cb;               /* NULL: nobody waits for the answer */
    void         *data;
    char          command[];
};


static void
talk_free(mc_talk_t *talk)
{
    *talk->prev = talk->next;
    if (talk->next != NULL) {
        talk->next->prev = talk->prev;
    }
    free(talk);
}


static void
finish(mc_talk_t *talk, mc_rcon_status_t status, const char *output, size_t len,
    const char *message)
{
    mc_rcon_pt   cb = talk->cb;
    void        *data = talk->data;

    talk_free(talk);
    if (cb != NULL) {
        cb(data, status, output, len, message);
    }
}


static void
on_engine(void *data, const char *output, size_t len,
    const mc_engine_error_t *err)
{
    if (err != NULL) {
        finish(data, MC_RCON_UNREACHABLE, "", 0, err->message);
    } else {
        finish(data, MC_RCON_OK, output, len, "");
    }
}


static void
ask_engine(mc_talk_t *talk)
{
    mc_app_t  *app = talk->app;

    app->engine->ops->console(app->engine, &talk->rec->row.server, talk->command,
                              on_engine, talk);
}


static void
on_rcon(void *data, mc_rcon_status_t status, const char *output, size_t len,
    const char *message)
{
    mc_talk_t  *talk = data;

    talk->rcon = NULL;
    if (status == MC_RCON_UNREACHABLE && talk->rec != NULL
        && talk->app->engine->ops->console != NULL)
    {
        talk->rec->rcon_away = true;
        ask_engine(talk);
        return;
    }
    finish(talk, status, output, len, message);
}


static int
ask_game(mc_talk_t *talk, uint64_t timeout_ms)
{
    const mc_observed_t  *obs = &talk->rec->obs;
    char                  password[65];

    mc_rcon_password(talk->rec->id, password);
    talk->rcon = mc_rcon_exec(talk->app->loop, obs->rcon_host, obs->rcon_port,
                              password, talk->command, timeout_ms, on_rcon, talk);
    explicit_bzero(password, sizeof(password));
    return talk->rcon == NULL ? -1 : 0;
}


bool
mc_talk_possible(const mc_app_t *app, const mc_record_t *rec)
{
    return rec->obs.pod == MC_POD_RUNNING
           && (rec->obs.rcon_host[0] != '\0'
               || app->engine->ops->console != NULL);
}


mc_talk_t *
mc_talk(mc_app_t *app, mc_record_t *rec, const char *command,
    uint64_t timeout_ms, mc_rcon_pt cb, void *data)
{
    mc_talk_t  *talk;
    bool        engine = app->engine->ops->console != NULL;
    bool        rcon = rec->obs.rcon_host[0] != '\0'
                       && !(engine && rec->rcon_away);

    if (!rcon && !engine) {
        return NULL;
    }
    talk = calloc(1, sizeof(*talk) + strlen(command) + 1);
    if (talk == NULL) {
        return NULL;
    }
    talk->app = app;
    talk->rec = rec;
    talk->cb = cb;
    talk->data = data;
    strcpy(talk->command, command);
    talk->next = app->talks;
    talk->prev = &app->talks;
    if (talk->next != NULL) {
        talk->next->prev = &talk->next;
    }
    app->talks = talk;

    if (!rcon) {
        ask_engine(talk);
    } else if (ask_game(talk, engine ? timeout_ms / 2 : timeout_ms) != 0) {
        talk_free(talk);
        return NULL;
    }
    return talk;
}


void
mc_talk_cancel(mc_talk_t *talk)
{
    if (talk->rcon != NULL) {
        mc_rcon_cancel(talk->rcon);
        talk_free(talk);
    } else {
        talk->cb = NULL;            /* the engine answers all the same */
    }
}


void
mc_talk_forget(mc_app_t *app, const mc_record_t *rec)
{
    for (mc_talk_t *talk = app->talks; talk != NULL; talk = talk->next) {
        if (talk->rec == rec) {
            talk->rec = NULL;
        }
    }
}


void
mc_talk_abandon(mc_app_t *app)
{
    while (app->talks != NULL) {
        talk_free(app->talks);
    }
}
