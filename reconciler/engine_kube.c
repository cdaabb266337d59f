/*
 * The engine itself and the life of its operations.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine_kube_private.h"

const mc_kube_type_t *const  kube_types[KUBE_KIND_N] = {
    [KUBE_RESOURCE] = &mc_kube_minecraft_server,
    [KUBE_NAMESPACE] = &mc_kube_namespace,
    [KUBE_SET] = &mc_kube_stateful_set,
    [KUBE_POD] = &mc_kube_pod,
    [KUBE_SERVICE] = &mc_kube_service,
    [KUBE_CONFIG] = &mc_kube_config_map,
    [KUBE_SECRET] = &mc_kube_secret,
    [KUBE_CLAIM] = &mc_kube_claim,
    [KUBE_POLICY] = &mc_kube_network_policy
};

static void deferred(uv_timer_t *t);


static void
arm(kube_t *k)
{
    uint64_t    now = uv_now(k->loop), due = UINT64_MAX;
    kube_op_t  *op;

    for (op = k->ops; op; op = op->next) {
        if (op->later && op->due < due) {
            due = op->due;
        }
    }
    if (due != UINT64_MAX) {
        uv_timer_start(&k->defer, deferred, due > now ? due - now : 0, 0);
    }
}


/* One at a time: it may end operations and begin others. */
static void
deferred(uv_timer_t *t)
{
    kube_t        *k = t->data;
    kube_then_pt   fn;
    kube_op_t     *op;

    for (op = k->ops; op; op = op->next) {
        if (op->later && op->due <= uv_now(k->loop)) {
            fn = op->later;
            op->later = NULL;
            fn(op);
            break;
        }
    }
    if (!k->destroyed) {
        arm(k);
    }
}


void
kube_op_later(kube_op_t *op, uint64_t ms, kube_then_pt fn)
{
    op->later = fn;
    op->due = uv_now(op->kube->loop) + ms;
    arm(op->kube);
}


/* -- operations -- */

static void
op_free(kube_op_t *op)
{
    kube_t  *k = op->kube;

    if (op->prev) {
        op->prev->next = op->next;
    } else {
        k->ops = op->next;
    }
    if (op->next) {
        op->next->prev = op->prev;
    }
    if (k->writing == op) {
        k->writing = NULL;
    }
    mc_arena_destroy(op->arena);
    free(op);
}


static int
copy_server(kube_op_t *op, const mc_server_t *s)
{
    op->server = *s;
    op->server.name = mc_arena_strdup(op->arena, s->name ? s->name : "");
    op->server.ns = mc_arena_strdup(op->arena, s->ns ? s->ns : "");
    op->server.uid = mc_arena_strdup(op->arena, s->uid ? s->uid : "");
    op->server.spec = s->spec ? mc_json_copy(&op->alloc, s->spec) : NULL;
    return op->server.name && op->server.ns && op->server.uid
           && (op->server.spec || s->spec == NULL) ? 0 : -1;
}


kube_op_t *
kube_op(mc_engine_t *e, const mc_server_t *s, void *data, kube_then_pt first)
{
    kube_t     *k = (kube_t *) e;
    kube_op_t  *op = calloc(1, sizeof(*op));

    if (op) {
        op->arena = mc_arena_create();
        op->alloc = mc_arena_allocator(op->arena);
    }
    if (op == NULL || op->arena == NULL || copy_server(op, s) != 0) {
        /* a callback that never comes would be worse than a new start */
        fputs("mchost-reconciler: out of memory\n", stderr);
        abort();
    }
    op->kube = k;
    op->data = data;
    op->next = k->ops;
    if (k->ops) {
        k->ops->prev = op;
    }
    k->ops = op;
    kube_op_later(op, 0, first);
    return op;
}


static void
op_end(kube_op_t *op, const mc_engine_error_t *err)
{
    if (op->observed) {
        op->observed(op->data, err ? NULL : &op->obs, err);
    } else if (op->output) {
        op->output(op->data, NULL, 0, err);
    } else {
        op->done(op->data, err);
    }
    op_free(op);
}


void
kube_op_ok(kube_op_t *op)
{
    op_end(op, NULL);
}


void
kube_op_fail(kube_op_t *op, const char *reason, bool retry, const char *fmt,
    ...)
{
    mc_engine_error_t  err = { .retry = retry };
    va_list            args;

    snprintf(err.reason, sizeof(err.reason), "%s", reason);
    va_start(args, fmt);
    vsnprintf(err.message, sizeof(err.message), fmt, args);
    va_end(args);
    op_end(op, &err);
}


void
kube_op_fail_reply(kube_op_t *op, const mc_kube_reply_t *r)
{
    mc_engine_error_t  err;

    kube_reply_error(&err, r);
    op_end(op, &err);
}


void
kube_op_drop(kube_op_t *op)
{
    op_free(op);
}


void
kube_op_no_memory(kube_op_t *op)
{
    kube_op_fail(op, "OutOfMemory", true, "the reconciler has no memory");
}


/* -- requests -- */

static void
fail_busy(kube_op_t *op)
{
    kube_op_fail(op, "EngineBusy", true,
                 "too many requests to Kubernetes are waiting");
}


static void
op_reply(void *data, const mc_kube_reply_t *r)
{
    kube_op_t  *op = data;

    op->req = NULL;
    op->step(op, r);
}


static void
sent(kube_op_t *op, kube_step_pt step, mc_kube_req_t *req)
{
    op->step = step;
    op->req = req;
    if (req == NULL) {
        kube_op_later(op, 0, fail_busy);
    }
}


static const char *
place(const kube_op_t *op, kube_kind_t kind)
{
    return kube_types[kind]->namespaced ? op->server.ns : "";
}


void
kube_op_call(kube_op_t *op, kube_step_pt step, mc_kube_call_t *call)
{
    call->done = op_reply;
    call->data = op;
    sent(op, step, mc_kube_send(op->kube->client, call));
}


void
kube_op_get(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name)
{
    sent(op, step, mc_kube_get(op->kube->client, kube_types[kind],
                               place(op, kind), name, op_reply, op));
}


char *
kube_text(const mc_alloc_t *a, const mc_json_t *v, size_t *len)
{
    size_t   n = mc_json_write(NULL, 0, v);
    char    *text = a->alloc(a->pool, n + 1);

    if (text) {
        mc_json_write(text, n + 1, v);
        *len = n;
    }
    return text;
}


static void
fail_memory(kube_op_t *op)
{
    kube_op_no_memory(op);
}


/* The body's text; NULL and the operation ends. */
static char *
body_text(kube_op_t *op, const mc_json_t *body, size_t *len)
{
    char  *text = body ? kube_text(&op->alloc, body, len) : NULL;

    if (text == NULL) {
        kube_op_later(op, 0, fail_memory);
    }
    return text;
}


void
kube_op_apply(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const char *subresource, const char *manager,
    const mc_json_t *body)
{
    size_t   len;
    char    *text = body_text(op, body, &len);

    if (text) {
        sent(op, step, mc_kube_apply(op->kube->client, kube_types[kind],
                                     place(op, kind), name, subresource,
                                     manager, text, len, op_reply, op));
    }
}


void
kube_op_patch(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const mc_json_t *patch)
{
    size_t   len;
    char    *text = body_text(op, patch, &len);

    if (text) {
        sent(op, step, mc_kube_json_patch(op->kube->client, kube_types[kind],
                                          place(op, kind), name, "", text, len,
                                          op_reply, op));
    }
}


void
kube_op_merge(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const char *subresource, const char *content_type,
    const mc_json_t *body)
{
    size_t           len;
    char            *text = body_text(op, body, &len);
    mc_kube_call_t   call = {
        .method = "PATCH", .type = kube_types[kind], .ns = place(op, kind),
        .name = name, .subresource = subresource,
        .query = "fieldManager=" KUBE_MANAGER, .content_type = content_type,
        .body = text
    };

    if (text) {
        call.len = len;
        kube_op_call(op, step, &call);
    }
}


void
kube_op_delete(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const char *uid, int grace)
{
    sent(op, step, mc_kube_delete(op->kube->client, kube_types[kind],
                                  place(op, kind), name, uid, grace, op_reply,
                                  op));
}


void
kube_patch_add(const mc_alloc_t *a, mc_json_t *patch, const char *op,
    const char *path, mc_json_t *value)
{
    mc_json_t  *o = mc_json_object(a);

    if (o == NULL) {
        return;
    }
    (void) mc_json_set(a, o, "op", mc_json_string(a, op, strlen(op)));
    (void) mc_json_set(a, o, "path", mc_json_string(a, path, strlen(path)));
    if (value) {
        (void) mc_json_set(a, o, "value", value);
    }
    (void) mc_json_add(patch, o);
}


/* -- the engine -- */

static bool
ready(mc_engine_t *e)
{
    kube_t  *k = (kube_t *) e;

    return k->synced && mc_kube_ready(k->client);
}


static void
defer_closed(uv_handle_t *h)
{
    kube_t  *k = h->data;

    free(k);
}


/* Operations under way end without their callback: the program ends. */
static void
destroy(mc_engine_t *e)
{
    kube_t  *k = (kube_t *) e;

    k->destroyed = true;
    while (k->ops) {
        if (k->ops->exec) {
            mc_kube_exec_cancel(k->ops->exec);
        }
        if (k->ops->req) {
            mc_kube_cancel(k->ops->req);
        }
        op_free(k->ops);
    }
    kube_logs_destroy(k);
    kube_unwatch_all(k);
    if (k->events) {
        mc_kube_events_destroy(k->events);
    }
    if (k->client) {
        mc_kube_destroy(k->client);
    }
    mc_map_destroy(k->sources);
    uv_close((uv_handle_t *) &k->defer, defer_closed);
}


static const mc_engine_ops_t  kube_ops = {
    .name = "kubernetes",
    .observe = kube_observe,
    .ensure_storage = kube_ensure_storage,
    .create = kube_create,
    .start = kube_start,
    .stop = kube_stop,
    .remove = kube_remove,
    .remove_storage = kube_remove_storage,
    .ensure_resource = kube_ensure_resource,
    .remove_resource = kube_remove_resource,
    .apply = kube_apply,
    .resize = kube_resize,
    .publish_status = kube_publish_status,
    .event = kube_event,
    .console = kube_console,
    .log_follow = kube_log_follow,
    .log_stop = kube_log_stop,
    .ready = ready,
    .destroy = destroy
};


mc_engine_t *
mc_engine_kube_create(uv_loop_t *loop, const mc_kube_engine_conf_t *conf,
    const mc_kube_engine_handlers_t *handlers, char *err, size_t errlen)
{
    kube_t  *k = calloc(1, sizeof(*k));

    if (k == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    k->base.ops = &kube_ops;
    k->loop = loop;
    k->conf = *conf;
    k->handlers = *handlers;
    uv_timer_init(loop, &k->defer);
    k->defer.data = k;

    k->client = mc_kube_create(loop, &conf->client, err, errlen);
    if (k->client == NULL) {
        destroy(&k->base);
        return NULL;
    }
    k->sources = mc_map_create();
    k->events = mc_kube_events_create(k->client, loop, conf->instance);
    if (k->sources == NULL || k->events == NULL
        || kube_watch(k, *conf->ns ? KUBE_RESOURCE : KUBE_NAMESPACE) != 0)
    {
        snprintf(err, errlen, "out of memory");
        destroy(&k->base);
        return NULL;
    }
    return &k->base;
}


void
mc_engine_kube_start(mc_engine_t *e)
{
    kube_t  *k = (kube_t *) e;
    int      kind;

    if (k->started) {
        return;
    }
    k->started = true;
    for (kind = KUBE_SET; kind < KUBE_KIND_N; kind++) {
        if (kube_watch(k, kind) != 0) {
            fputs("mchost-reconciler: out of memory\n", stderr);
            abort();
        }
    }
}


void
mc_engine_kube_namespace(const mc_engine_t *e, const char *tenant_id,
    char ns[64])
{
    const kube_t  *k = (const kube_t *) e;

    if (*k->conf.ns) {
        snprintf(ns, 64, "%s", k->conf.ns);
    } else {
        snprintf(ns, 64, "%.26s%s", k->conf.ns_prefix, tenant_id);
    }
}
