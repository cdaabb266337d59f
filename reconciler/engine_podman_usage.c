/*
 * What a container needs of CPU and memory.
 */

#include <stdio.h>
#include "engine_podman_private.h"

static void
on_stats(op_t *op, const mc_http_reply_t *r)
{
    mc_json_t        *v = r->status == 200 ? podman_op_json(op, r) : NULL;
    const mc_json_t  *stats = mc_json_get(v, "Stats");
    mc_usage_t       *u = &op->used;

    stats = stats != NULL ? stats->child : NULL;
    if (stats == NULL) {
        podman_op_fail_reply(op, r);
        return;
    }
    u->cpu_ns = mc_json_int(mc_json_get(stats, "CPUNano"), 0);
    u->memory_bytes = mc_json_int(mc_json_get(stats, "MemUsage"), 0);
    podman_op_ok(op);
}

void
podman_usage(mc_engine_t *e, const mc_server_t *s, mc_engine_usage_pt cb,
    void *data)
{
    op_t  *op = podman_op(e, s, data);
    char   path[160];

    op->usage = cb;
    snprintf(path, sizeof(path), "/containers/stats?stream=false&containers=%s-"
             MC_CONTAINER, op->name);
    podman_op_send(op, on_stats, "GET", path, NULL, NULL);
}
