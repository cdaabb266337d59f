/*
 * The console of a pod that RCON does not reach from here, and its output.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine_kube_private.h"

#define CONSOLE_MS  15000

struct mc_engine_log_s {
    kube_t           *kube;
    mc_engine_log_t  *next, **prev;
    mc_kube_log_t    *log;
};


/* -- console -- */

static void
on_output(void *data, int code, const char *out, size_t len, const char *err,
    const char *error)
{
    kube_op_t            *op = data;
    mc_engine_output_pt   cb = op->output;
    void                 *cb_data = op->data;

    op->exec = NULL;
    if (code == 0) {
        cb(cb_data, out, len, NULL);
        op->output = NULL;
        op->done = NULL;
        kube_op_drop(op);
    } else if (code < 0) {
        kube_op_fail(op, "ConsoleUnavailable", true,
                     "the console cannot be reached: %s", error);
    } else {
        kube_op_fail(op, "ConsoleFailed", false, "the command ended with exit "
                     "code %d: %.300s", code, err);
    }
}


/* Every image has rcon-cli, which takes its password from the pod. */
static void
run(kube_op_t *op)
{
    const char  *argv[] = { "rcon-cli", op->command, NULL };
    char         name[MC_NAME_LEN + 1];

    mc_manifest_name(name, &op->server, MC_NAME_POD);
    op->exec = mc_kube_exec(op->kube->client, op->kube->loop, op->server.ns,
                            name, argv, NULL, CONSOLE_MS, on_output, op);
    if (op->exec == NULL) {
        kube_op_no_memory(op);
    }
}


void
kube_console(mc_engine_t *e, const mc_server_t *s, const char *command,
    mc_engine_output_pt cb, void *data)
{
    kube_op_t  *op = kube_op(e, s, data, run);

    op->output = cb;
    op->command = mc_arena_strdup(op->arena, command);
    if (op->command == NULL) {
        kube_op_later(op, 0, kube_op_no_memory);
    }
}


/* -- output -- */

mc_engine_log_t *
kube_log_follow(mc_engine_t *e, const mc_server_t *s, const char *since,
    mc_engine_line_pt line, void *data)
{
    kube_t           *k = (kube_t *) e;
    mc_engine_log_t  *log = calloc(1, sizeof(*log));
    char              name[MC_NAME_LEN + 1];

    if (log == NULL) {
        return NULL;
    }
    mc_manifest_name(name, s, MC_NAME_POD);
    log->log = mc_kube_log_follow(k->client, k->loop, s->ns, name, since, line,
                                  data);
    if (log->log == NULL) {
        free(log);
        return NULL;
    }
    log->kube = k;
    log->next = k->logs;
    log->prev = &k->logs;
    if (log->next) {
        log->next->prev = &log->next;
    }
    k->logs = log;
    return log;
}


void
kube_log_stop(mc_engine_log_t *log)
{
    mc_kube_log_stop(log->log);
    *log->prev = log->next;
    if (log->next) {
        log->next->prev = log->prev;
    }
    free(log);
}


void
kube_logs_destroy(kube_t *k)
{
    while (k->logs) {
        kube_log_stop(k->logs);
    }
}
