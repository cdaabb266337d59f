/*
 * The engine itself and the life of its operations.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine_podman_private.h"
#include "secret.h"

static void deferred(uv_timer_t *t);

static void
arm(podman_t *p)
{
    uint64_t   now = uv_now(p->loop), due = UINT64_MAX;
    op_t      *op;

    for (op = p->ops; op; op = op->next) {
        if (op->later && op->due < due) {
            due = op->due;
        }
    }
    if (due != UINT64_MAX) {
        uv_timer_start(&p->defer, deferred, due > now ? due - now : 0, 0);
    }
}

/* One at a time: it may end operations and begin others. */
static void
deferred(uv_timer_t *t)
{
    podman_t   *p = t->data;
    void      (*fn)(op_t *op);
    op_t       *op;

    for (op = p->ops; op; op = op->next) {
        if (op->later && op->due <= uv_now(p->loop)) {
            fn = op->later;
            op->later = NULL;
            fn(op);
            break;
        }
    }
    if (!p->destroyed) {
        arm(p);
    }
}

void
podman_op_later(op_t *op, uint64_t ms, void (*fn)(op_t *op))
{
    op->later = fn;
    op->due = uv_now(op->podman->loop) + ms;
    arm(op->podman);
}

static void
fail_now(op_t *op)
{
    podman_op_fail(op, &op->error);
}


/* -- operations -- */

static void
op_free(op_t *op)
{
    podman_t  *p = op->podman;

    if (op->prev) {
        op->prev->next = op->next;
    } else {
        p->ops = op->next;
    }
    if (op->next) {
        op->next->prev = op->prev;
    }
    mc_arena_destroy(op->arena);
    free(op);
}

static int
copy_server(op_t *op, const mc_server_t *s)
{
    mc_alloc_t  a = mc_arena_allocator(op->arena);

    op->server = *s;
    op->server.name = mc_arena_strdup(op->arena, s->name ? s->name : "");
    op->server.spec = s->spec ? mc_json_copy(&a, s->spec) : NULL;
    return op->server.name && (op->server.spec || s->spec == NULL) ? 0 : -1;
}

op_t *
podman_op(mc_engine_t *e, const mc_server_t *s, void *data)
{
    podman_t  *p = (podman_t *) e;
    op_t      *op = calloc(1, sizeof(*op));

    if (op) {
        op->arena = mc_arena_create();
    }
    if (op == NULL || op->arena == NULL || copy_server(op, s) != 0) {
        /* a callback that never comes would be worse than a new start */
        fputs("mchost-reconciler: out of memory\n", stderr);
        abort();
    }
    op->podman = p;
    op->data = data;
    mc_manifest_name(op->name, s, MC_NAME_POD);
    mc_manifest_name(op->config, s, MC_NAME_CONFIG);
    op->next = p->ops;
    if (p->ops) {
        p->ops->prev = op;
    }
    p->ops = op;
    return op;
}

static void
op_end(op_t *op, const mc_engine_error_t *err)
{
    podman_ports_leave(op);
    if (op->observed) {
        op->observed(op->data, err ? NULL : &op->obs, err);
    } else if (op->usage) {
        op->usage(op->data, err ? NULL : &op->used, err);
    } else {
        op->done(op->data, err);
    }
    op_free(op);
}

void
podman_op_ok(op_t *op)
{
    op_end(op, NULL);
}

void
podman_op_fail(op_t *op, const mc_engine_error_t *err)
{
    op_end(op, err);
}

void
podman_op_fail_reply(op_t *op, const mc_http_reply_t *r)
{
    mc_engine_error_t  err;

    podman_reply_error(&err, r);
    podman_op_fail(op, &err);
}

void
podman_op_no_memory(op_t *op)
{
    mc_engine_error_t  err;

    podman_error(&err, "OutOfMemory", true, "the reconciler has no memory");
    podman_op_fail(op, &err);
}

mc_json_t *
podman_op_json(op_t *op, const mc_http_reply_t *r)
{
    mc_alloc_t        a = mc_arena_allocator(op->arena);
    mc_json_error_t   err;

    return mc_json_parse(&a, r->body, r->len, &err);
}

void
podman_answered(podman_t *p, const mc_http_reply_t *r)
{
    bool  up = (r->status != 0);

    p->up = up;
    if (!up) {
        p->network_there = false;       /* who knows what comes back */
    }
}

static void
op_reply(void *data, const mc_http_reply_t *r)
{
    op_t  *op = data;

    op->req = NULL;
    podman_answered(op->podman, r);
    op->step(op, r);
}

static void
op_call(op_t *op, op_step_pt step, mc_http_call_t *call)
{
    podman_t  *p = op->podman;

    op->step = step;
    call->on_done = op_reply;
    call->data = op;
    op->req = mc_http_send(p->http, call);
    if (op->req == NULL) {
        podman_error(&op->error, "EngineBusy", true,
                     "too many requests to Podman are waiting");
        podman_op_later(op, 0, fail_now);
    }
}

void
podman_op_send(op_t *op, op_step_pt step, const char *method,
    const char *path, const char *type, const char *body)
{
    mc_http_call_t  call = {
        .method = method, .path = path, .type = type, .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = strcmp(method, "GET") == 0 ? PODMAN_LOOK_MS
                                                 : PODMAN_TIMEOUT_MS
    };

    op_call(op, step, &call);
}

void
podman_op_send_slow(op_t *op, op_step_pt step, const char *method,
    const char *path, const char *body, unsigned timeout_ms)
{
    mc_http_call_t  call = {
        .method = method, .path = path, .body = body,
        .body_len = body ? strlen(body) : 0,
        .type = body ? "application/x-yaml" : NULL,
        .timeout_ms = timeout_ms, .slow = true
    };

    op_call(op, step, &call);
}


/* -- the engine -- */

static bool
ready(mc_engine_t *e)
{
    return ((podman_t *) e)->up;
}

static void
podman_free(podman_t *p)
{
    free(p->demo_image);
    free(p->address);
    free(p);
}

void
podman_handle_closed(podman_t *p)
{
    if (--p->handles == 0) {
        podman_free(p);
    }
}

static void
defer_closed(uv_handle_t *h)
{
    podman_handle_closed(h->data);
}

/* Operations under way end without their callback: the program ends. */
static void
destroy(mc_engine_t *e)
{
    podman_t  *p = (podman_t *) e;

    p->destroyed = true;
    podman_events_destroy(p->events);
    podman_logs_destroy(p);
    mc_http_destroy(p->http);
    while (p->ops) {
        op_free(p->ops);
    }
    uv_close((uv_handle_t *) &p->defer, defer_closed);
}

static const mc_engine_ops_t  podman_ops = {
    .name = "podman",
    .observe = podman_observe,
    .ensure_storage = podman_ensure_storage,
    .create = podman_create,
    .start = podman_start,
    .stop = podman_stop,
    .remove = podman_remove,
    .remove_storage = podman_remove_storage,
    .log_follow = podman_log_follow,
    .log_stop = podman_log_stop,
    .usage = podman_usage,
    .ready = ready,
    .destroy = destroy
};

/* Two installations on one machine must differ in the names of network and
 * bridge: netavark names its firewall chains after them. They differ in their
 * sockets. */
static void
name_network(podman_t *p, const mc_podman_conf_t *conf)
{
    const char  *prefix = conf->network && *conf->network ? conf->network
                                                          : "mchost";
    char         hash[65];

    mc_sha256_hex(conf->socket, strlen(conf->socket), hash);
    snprintf(p->network, sizeof(p->network), "%.40s-%.8s", prefix, hash);
    snprintf(p->bridge, sizeof(p->bridge), "mc-%.8s", hash);
}

mc_engine_t *
mc_engine_podman_create(uv_loop_t *loop, const mc_podman_conf_t *conf,
    mc_engine_hint_pt hint, void *data)
{
    podman_t        *p = calloc(1, sizeof(*p));
    mc_http_conf_t   http = {
        .base = "http://podman" PODMAN_API, .unix_socket = conf->socket,
        .user_agent = "mchost-reconciler"
    };

    if (p == NULL) {
        return NULL;
    }
    p->base.ops = &podman_ops;
    p->loop = loop;
    p->hint = hint;
    p->hint_data = data;
    p->port_first = conf->port_first;
    p->port_last = conf->port_last;
    p->demo_image = strdup(conf->demo_image);
    p->address = strdup(conf->game_address);
    p->http = mc_http_create(loop, &http);
    name_network(p, conf);
    if (p->demo_image == NULL || p->address == NULL || p->http == NULL) {
        mc_http_destroy(p->http);
        podman_free(p);
        return NULL;
    }
    uv_timer_init(loop, &p->defer);
    p->defer.data = p;
    p->handles = 1;
    p->events = podman_events_create(p);
    if (p->events == NULL) {
        destroy(&p->base);
        return NULL;
    }
    return &p->base;
}
