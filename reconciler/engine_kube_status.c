/*
 * What a server's users see of it in Kubernetes: the status of its
 * MinecraftServer, and Events.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine_kube_private.h"
#include "secret.h"


/* -- status -- */

static void
on_status(kube_op_t *op, const mc_kube_reply_t *r)
{
    kube_resource_t  *res;

    if (r->result == MC_KUBE_NOT_FOUND || r->result == MC_KUBE_CONFLICT) {
        kube_op_ok(op);                 /* gone, or made anew: no use here */
        return;
    }
    if (r->result != MC_KUBE_OK) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_op_wrote(op, KUBE_RESOURCE, r);
    res = kube_resource(op->kube, &op->server);
    if (res) {
        memcpy(res->status_wanted, op->hash, sizeof(res->status_wanted));
        memcpy(res->status_there, res->status_hash, sizeof(res->status_there));
    }
    kube_op_ok(op);
}


/* A row counts its own generations: what it says of one holds for the
 * resource's that came of it, or of none yet. */
static void
count_generation(const mc_server_t *s, const kube_resource_t *res,
    const mc_alloc_t *a, mc_json_t *v, int64_t before)
{
    int64_t  n = mc_json_int(mc_json_get(v, "observedGeneration"), 0);

    if (n == 0) {
        return;
    }
    n = n == s->generation && res->row_generation == n ? res->meta.generation
                                                       : before;
    (void) mc_json_set(a, v, "observedGeneration", mc_json_number(a, n));
}


static void
adapt_generations(kube_op_t *op, const kube_resource_t *res,
    const mc_json_t *there)
{
    mc_alloc_t  *a = &op->alloc;
    int64_t      before = mc_json_int(mc_json_get(there, "observedGeneration"),
                                      0);
    mc_json_t   *c;

    count_generation(&op->server, res, a, op->status, before);
    c = mc_json_get(op->status, "conditions");
    for (c = c ? c->child : NULL; c; c = c->next) {
        count_generation(&op->server, res, a, c, before);
    }
}


static mc_json_t *
status_body(kube_op_t *op, const kube_resource_t *res)
{
    mc_alloc_t         *a = &op->alloc;
    const mc_server_t  *s = &op->server;
    const char         *api = mc_kube_minecraft_server.api_version;
    const char         *kind = mc_kube_minecraft_server.kind;
    mc_json_t          *v = mc_json_object(a), *meta = mc_json_object(a);

    if (v == NULL || meta == NULL
        || mc_json_set(a, v, "apiVersion",
                       mc_json_string(a, api, strlen(api))) != 0
        || mc_json_set(a, v, "kind", mc_json_string(a, kind, strlen(kind))) != 0
        || mc_json_set(a, meta, "name",
                       mc_json_string(a, s->name, strlen(s->name))) != 0
        || mc_json_set(a, meta, "namespace",
                       mc_json_string(a, s->ns, strlen(s->ns))) != 0
        || mc_json_set(a, meta, "uid",
                       mc_json_string(a, res->meta.uid, MC_UUID_LEN)) != 0
        || mc_json_set(a, v, "metadata", meta) != 0
        || mc_json_set(a, v, "status", op->status) != 0)
    {
        return NULL;
    }
    return v;
}


/* Written when it says something new, or when somebody else has changed it. */
static void
publish(kube_op_t *op)
{
    mc_alloc_t             *a = &op->alloc;
    const kube_resource_t  *res = kube_resource(op->kube, &op->server);
    mc_json_error_t         err;
    mc_json_t              *there;
    char                   *text, where[96];
    size_t                  len;

    if (res == NULL || res->gitops != op->server.gitops
        || strcmp(res->id, op->server.id) != 0)
    {
        kube_op_ok(op);
        return;
    }
    there = mc_json_get(mc_json_parse(a, res->text, res->len, &err), "status");
    if (!op->server.gitops) {
        adapt_generations(op, res, there);
    }
    text = kube_text(a, op->status, &len);
    if (text == NULL) {
        kube_op_no_memory(op);
        return;
    }
    mc_sha256_hex(text, len, op->hash);
    if ((strcmp(op->hash, res->status_wanted) == 0
         && strcmp(res->status_hash, res->status_there) == 0)
        || (there
            && mc_kube_contains(there, op->status, where, sizeof(where))
            && mc_kube_contains(op->status, there, where, sizeof(where))))
    {
        kube_op_ok(op);
        return;
    }
    kube_op_apply(op, on_status, KUBE_RESOURCE, op->server.name, "status",
                  KUBE_MANAGER_STATUS, status_body(op, res));
}


void
kube_publish_status(mc_engine_t *e, const mc_server_t *s,
    const mc_json_t *status, mc_engine_done_pt cb, void *data)
{
    kube_op_t  *op = kube_op(e, s, data, publish);

    op->done = cb;
    op->status = mc_json_copy(&op->alloc, status);
    if (op->status == NULL) {
        kube_op_later(op, 0, kube_op_no_memory);
    }
}


/* -- Events -- */

void
kube_event(mc_engine_t *e, const mc_server_t *s, bool warning,
    const char *reason, const char *message)
{
    kube_t                 *k = (kube_t *) e;
    const kube_resource_t  *res = kube_resource(k, s);
    mc_kube_regarding_t     about;

    if (res == NULL) {
        return;                         /* nothing to tell it of */
    }
    about = (mc_kube_regarding_t) {
        .type = &mc_kube_minecraft_server, .ns = res->meta.ns,
        .name = res->meta.name, .uid = res->meta.uid,
        .version = res->meta.version
    };
    mc_kube_events_post(k->events, &about, warning, reason, message);
}
