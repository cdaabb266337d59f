/*
 * Following the output of a container. When the stream ends while the
 * container runs (Podman was restarted), it is taken up where it ended; when
 * the container has ended, what is left is read without following.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "engine_podman_private.h"
#include "podman_log.h"

#define RETRY_MIN_MS  500
#define RETRY_MAX_MS  10000

struct mc_engine_log_s {
    podman_t           *podman;
    mc_engine_log_t    *prev, *next;
    mc_http_req_t      *req;
    uv_timer_t          timer;
    char                name[MC_NAME_LEN + 1];
    char                since[40];      /* of the last line known */
    bool                last_pass;      /* the container has ended */
    bool                stopped;
    unsigned            retry_ms;
    mc_engine_line_pt   line;
    void               *data;
    podman_log_t        log;
};

static void look(mc_engine_log_t *l);

static void
log_closed(uv_handle_t *h)
{
    mc_engine_log_t  *l = h->data;
    podman_t         *p = l->podman;

    free(l);
    podman_handle_closed(p);
}

void
podman_log_stop(mc_engine_log_t *l)
{
    podman_t  *p = l->podman;

    l->stopped = true;
    if (l->req) {
        mc_http_cancel(l->req);
        l->req = NULL;
    }
    if (l->prev) {
        l->prev->next = l->next;
    } else {
        p->logs = l->next;
    }
    if (l->next) {
        l->next->prev = l->prev;
    }
    uv_close((uv_handle_t *) &l->timer, log_closed);
}

void
podman_logs_destroy(podman_t *p)
{
    while (p->logs) {
        podman_log_stop(p->logs);
    }
}

static void
timer_cb(uv_timer_t *t)
{
    look(t->data);
}

static void
look_later(mc_engine_log_t *l)
{
    uv_timer_start(&l->timer, timer_cb, l->retry_ms, 0);
    l->retry_ms *= 2;
    if (l->retry_ms > RETRY_MAX_MS) {
        l->retry_ms = RETRY_MAX_MS;
    }
}

/* The caller still has to stop it. */
static void
ended(mc_engine_log_t *l)
{
    l->line(l->data, "", NULL, "", 0);
}

static void
emit(void *data, const char *time, const char *stream, const char *line,
    size_t len)
{
    mc_engine_log_t  *l = data;

    if (l->stopped) {
        return;                         /* by the line before */
    }
    snprintf(l->since, sizeof(l->since), "%s", time);
    l->line(l->data, time, stream, line, len);
}

static int
on_bytes(void *data, const char *p, size_t len)
{
    mc_engine_log_t  *l = data;

    l->retry_ms = RETRY_MIN_MS;
    return podman_log_feed(&l->log, p, len);
}

static void
on_end(void *data, const mc_http_reply_t *r)
{
    mc_engine_log_t  *l = data;

    l->req = NULL;
    podman_answered(l->podman, r);
    if (l->last_pass && r->status == 200) {
        ended(l);
    } else {
        l->last_pass = false;
        look_later(l);
    }
}

static void
follow(mc_engine_log_t *l, int64_t created_ns)
{
    char            ask[32], path[256];
    mc_http_call_t  call = {
        .method = "GET", .path = path, .on_data = on_bytes,
        .on_done = on_end, .data = l
    };

    podman_log_begin(&l->log, created_ns, l->since, ask);
    snprintf(path, sizeof(path), "/containers/%s/logs?stdout=true"
             "&stderr=true&timestamps=true&follow=%s%s%s", l->name,
             l->last_pass ? "false" : "true", *ask ? "&since=" : "", ask);
    l->req = mc_http_send(l->podman->http, &call);
    if (l->req == NULL) {
        look_later(l);
    }
}

static void
on_container(void *data, const mc_http_reply_t *r)
{
    mc_engine_log_t  *l = data;
    mc_arena_t       *arena;
    mc_alloc_t        a;
    mc_json_error_t   err;
    mc_json_t        *v;
    int64_t           created;

    l->req = NULL;
    podman_answered(l->podman, r);
    if (r->status == 404) {
        ended(l);
        return;
    }
    arena = r->status == 200 ? mc_arena_create() : NULL;
    if (arena == NULL) {
        look_later(l);
        return;
    }
    a = mc_arena_allocator(arena);
    v = mc_json_parse(&a, r->body, r->len, &err);
    created = mc_time_parse_ns(mc_json_str(mc_json_get(v, "Created"), ""));
    l->last_pass = !mc_json_bool(mc_json_at(v, "State.Running"), 0);
    mc_arena_destroy(arena);
    follow(l, created > 0 ? created : 0);
}

static void
look(mc_engine_log_t *l)
{
    char            path[128];
    mc_http_call_t  call = {
        .method = "GET", .path = path, .timeout_ms = PODMAN_TIMEOUT_MS,
        .on_done = on_container, .data = l
    };

    snprintf(path, sizeof(path), "/containers/%s/json", l->name);
    l->req = mc_http_send(l->podman->http, &call);
    if (l->req == NULL) {
        look_later(l);
    }
}

mc_engine_log_t *
podman_log_follow(mc_engine_t *e, const mc_server_t *s, const char *since,
    mc_engine_line_pt line, void *data)
{
    podman_t         *p = (podman_t *) e;
    mc_engine_log_t  *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        return NULL;
    }
    l->podman = p;
    l->line = line;
    l->data = data;
    l->log.emit = emit;
    l->log.data = l;
    l->retry_ms = RETRY_MIN_MS;
    snprintf(l->name, sizeof(l->name), "mc-%s-" MC_CONTAINER, s->id);
    snprintf(l->since, sizeof(l->since), "%s", since ? since : "");
    uv_timer_init(p->loop, &l->timer);
    l->timer.data = l;
    p->handles++;
    l->next = p->logs;
    if (p->logs) {
        p->logs->prev = l;
    }
    p->logs = l;
    look(l);
    return l;
}
