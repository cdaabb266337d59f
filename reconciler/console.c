/*
 * Console commands: from Redis, to the game, and the answer back.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "clock.h"
#include "log.h"

#define AT_ONCE_MAX     64
#define TIMEOUT_MAX_MS  30000

struct mc_command_s {
    mc_command_t  *next, **prev;    /* in app->commands */
    mc_app_t      *app;
    mc_talk_t     *talk;
    char           id[MC_UUID_LEN + 1];
};


/* {"output":…} or {"error":{"code":…,"message":…}}; text is escaped. */
static void
reply(mc_app_t *app, const char *id, const char *before, const char *text,
    size_t len, const char *after)
{
    size_t   escaped = mc_json_escape(NULL, 0, text, len);
    size_t   head = strlen(before);
    char    *json = malloc(head + escaped + strlen(after) + 1);

    if (json == NULL) {
        return;                     /* whoever asked runs into its time limit */
    }
    memcpy(json, before, head);
    mc_json_escape(json + head, escaped + 1, text, len);
    strcpy(json + head + escaped, after);
    mc_bus_reply(app->bus, id, json);
    free(json);
}


static void
refuse(mc_app_t *app, const char *id, const char *code, const char *message)
{
    char  before[96];

    snprintf(before, sizeof(before), "{\"error\":{\"code\":\"%s\",\"message\":\"",
             code);
    reply(app, id, before, message, strlen(message), "\"}}");
}


static void
command_free(mc_command_t *cmd)
{
    *cmd->prev = cmd->next;
    if (cmd->next != NULL) {
        cmd->next->prev = cmd->prev;
    }
    cmd->app->n_commands--;
    free(cmd);
}


static void
on_output(void *data, mc_rcon_status_t status, const char *output, size_t len,
    const char *message)
{
    mc_command_t  *cmd = data;
    mc_app_t      *app = cmd->app;

    switch (status) {
    case MC_RCON_OK:
        mc_metrics.commands++;
        reply(app, cmd->id, "{\"output\":\"", output, len, "\"}");
        break;
    case MC_RCON_TIMEOUT:
        refuse(app, cmd->id, "timeout", "the server did not answer in time");
        break;
    default:
        refuse(app, cmd->id, "unavailable", message);
        break;
    }
    command_free(cmd);
}


static void
run(mc_app_t *app, mc_record_t *rec, const mc_bus_command_t *request,
    int64_t left_ms)
{
    mc_command_t  *cmd = calloc(1, sizeof(*cmd));

    if (cmd != NULL) {
        cmd->talk = mc_talk(app, rec, request->line, (uint64_t) left_ms,
                            on_output, cmd);
    }
    if (cmd == NULL || cmd->talk == NULL) {
        free(cmd);
        refuse(app, request->id, "unavailable", "out of memory");
        return;
    }

    memcpy(cmd->id, request->id, MC_UUID_LEN);
    cmd->app = app;
    cmd->next = app->commands;
    cmd->prev = &app->commands;
    if (cmd->next != NULL) {
        cmd->next->prev = &cmd->next;
    }
    app->commands = cmd;
    app->n_commands++;
}


void
mc_console_abandon(mc_app_t *app)
{
    while (app->commands != NULL) {
        mc_talk_cancel(app->commands->talk);
        refuse(app, app->commands->id, "unavailable",
               "the reconciler is being stopped");
        command_free(app->commands);
    }
}


void
mc_console_command(mc_app_t *app, const mc_bus_command_t *cmd)
{
    mc_record_t  *rec = mc_map_get(app->records, cmd->server);
    int64_t       left = cmd->deadline_ms - mc_clock_wall_ms();

    if (left <= 0) {
        mc_metrics.commands_expired++;
        return;
    }

    if (app->stopping) {
        refuse(app, cmd->id, "unavailable", "the reconciler is being stopped");

    } else if (rec == NULL || !rec->loaded || rec->orphan
               || strcmp(rec->tenant, cmd->tenant) != 0)
    {
        refuse(app, cmd->id, "unavailable", "the server is not known yet");

    } else if (!mc_talk_possible(app, rec)) {
        refuse(app, cmd->id, "not_running", "the server is not running");

    } else if (app->n_commands >= AT_ONCE_MAX) {
        refuse(app, cmd->id, "unavailable", "too many commands at once");

    } else {
        run(app, rec, cmd, left < TIMEOUT_MAX_MS ? left : TIMEOUT_MAX_MS);
    }
}
