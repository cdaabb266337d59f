/*
 * What is there of a server: volume, secret, container; and where the
 * container is missing, whether its pod is left.
 */

#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "engine_podman_private.h"
#include "properties.h"

static void
set_text(char *dst, size_t size, const mc_json_t *v)
{
    snprintf(dst, size, "%s", mc_json_str(v, ""));
}

static int64_t
time_ms(const mc_json_t *v)
{
    int64_t  ns = mc_time_parse_ns(mc_json_str(v, ""));

    return ns > 0 ? ns / 1000000 : 0;
}

static mc_pod_state_t
pod_state(const char *status)
{
    static const char *const  running[] = { "running", "paused", "stopping",
                                            "restarting" };
    static const char *const  exited[] = { "exited", "stopped", "dead",
                                           "removing" };
    size_t                    i;

    for (i = 0; i < 4; i++) {
        if (strcmp(status, running[i]) == 0) {
            return MC_POD_RUNNING;
        }
        if (strcmp(status, exited[i]) == 0) {
            return MC_POD_EXITED;
        }
    }
    return MC_POD_CREATED;
}

static void
read_address(mc_observed_t *obs, const mc_json_t *v)
{
    const mc_json_t  *n = mc_json_at(v, "NetworkSettings.Networks");

    for (n = n ? n->child : NULL; n && obs->rcon_host[0] == '\0'; n = n->next) {
        set_text(obs->rcon_host, sizeof(obs->rcon_host),
                 mc_json_get(n, "IPAddress"));
    }
    obs->rcon_port = MC_RCON_PORT;
}

static void
read_container(mc_observed_t *obs, const mc_json_t *v)
{
    const mc_json_t  *state = mc_json_get(v, "State");
    const mc_json_t  *notes = mc_json_at(v, "Config.Annotations");

    obs->pod = pod_state(mc_json_str(mc_json_get(state, "Status"), ""));
    obs->exit_code = (int) mc_json_int(mc_json_get(state, "ExitCode"), 0);
    obs->oom_killed = mc_json_bool(mc_json_get(state, "OOMKilled"), 0);
    obs->started_ms = time_ms(mc_json_get(state, "StartedAt"));
    obs->finished_ms = time_ms(mc_json_get(state, "FinishedAt"));
    if (obs->finished_ms < obs->started_ms) {
        obs->finished_ms = 0;           /* of the run before this one */
    }
    set_text(obs->pod_hash, sizeof(obs->pod_hash),
             mc_json_get(notes, MC_ANNOTATION_HASH));
    set_text(obs->pod_restart, sizeof(obs->pod_restart),
             mc_json_get(notes, MC_ANNOTATION_RESTART));
    if (obs->pod == MC_POD_RUNNING) {
        read_address(obs, v);
    }
}

static void
on_pod(op_t *op, const mc_http_reply_t *r)
{
    if (r->status == 204 || r->status == 404) {
        op->obs.pod = r->status == 204 ? MC_POD_CREATED : MC_POD_ABSENT;
        podman_op_ok(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
on_container(op_t *op, const mc_http_reply_t *r)
{
    mc_json_t  *v;
    char        path[128];

    if (r->status == 404) {
        snprintf(path, sizeof(path), "/pods/%s/exists", op->name);
        podman_op_send(op, on_pod, "GET", path, NULL, NULL);
        return;
    }
    v = r->status == 200 ? podman_op_json(op, r) : NULL;
    if (v == NULL) {
        podman_op_fail_reply(op, r);
        return;
    }
    read_container(&op->obs, v);
    podman_op_ok(op);
}

static void
on_secret(op_t *op, const mc_http_reply_t *r)
{
    char  path[128];

    if (r->status != 200 && r->status != 404) {
        podman_op_fail_reply(op, r);
        return;
    }
    op->obs.secret = (r->status == 200);
    snprintf(path, sizeof(path), "/containers/%s-" MC_CONTAINER "/json",
             op->name);
    podman_op_send(op, on_container, "GET", path, NULL, NULL);
}

static void
on_volume(op_t *op, const mc_http_reply_t *r)
{
    mc_json_t  *v;
    char        path[128];

    if (r->status == 200) {
        v = podman_op_json(op, r);
        op->obs.volume = true;
        op->obs.port = podman_volume_port(v);
        if (op->obs.port) {
            snprintf(op->obs.host, sizeof(op->obs.host), "%s",
                     op->podman->address);
        }

    } else if (r->status != 404) {
        podman_op_fail_reply(op, r);
        return;
    }
    snprintf(path, sizeof(path), "/secrets/%s/json", op->name);
    podman_op_send(op, on_secret, "GET", path, NULL, NULL);
}

void
podman_observe(mc_engine_t *e, const mc_server_t *s,
    mc_engine_observed_pt cb, void *data)
{
    op_t  *op = podman_op(e, s, data);

    op->observed = cb;
    podman_look_volume(op, on_volume);
}
