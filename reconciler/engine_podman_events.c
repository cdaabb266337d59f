/*
 * Podman's events as hints. They are not counted on: some come several times,
 * and those of the time between two connections not at all.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine_podman_private.h"

#define RETRY_MIN_MS  250
#define RETRY_MAX_MS  5000
#define PING_MS       3000              /* between pings while it answers */
#define PING_WAIT_MS  5000
#define LINE_MAX_LEN  16384

/* {"type":["container"],"event":["start","died","remove","oom"]} */
#define PATH  "/events?stream=true&filters=%7B%22type%22%3A%5B%22container" \
              "%22%5D%2C%22event%22%3A%5B%22start%22%2C%22died%22%2C%22" \
              "remove%22%2C%22oom%22%5D%7D"

/* Every container of ours, running or not:
 * {"label":["app.kubernetes.io/managed-by=mchost"]} */
#define LIST  "/containers/json?all=true&filters=%7B%22label%22%3A%5B%22" \
              "app.kubernetes.io%2Fmanaged-by%3Dmchost%22%5D%7D"
#define LIST_MAX_LEN  (64 * 1024 * 1024)

struct podman_events_s {
    podman_t       *podman;
    mc_http_req_t  *req;
    mc_http_req_t  *ping;
    mc_http_req_t  *list;
    uv_timer_t      timer;
    unsigned        retry_ms;
    char            line[LINE_MAX_LEN];
    size_t          len;
    bool            too_long;
};

static void connect_cb(uv_timer_t *t);

static void
hint(podman_events_t *ev, const char *id)
{
    ev->podman->hint(ev->podman->hint_data, id);
}

static void
closed(uv_handle_t *h)
{
    podman_events_t  *ev = h->data;
    podman_t         *p = ev->podman;

    free(ev);
    podman_handle_closed(p);
}

void
podman_events_destroy(podman_events_t *ev)
{
    if (ev == NULL) {
        return;
    }
    if (ev->req) {
        mc_http_cancel(ev->req);
    }
    if (ev->ping) {
        mc_http_cancel(ev->ping);
    }
    if (ev->list) {
        mc_http_cancel(ev->list);
    }
    uv_close((uv_handle_t *) &ev->timer, closed);
}

/* The server's id is in the container's name. */
static void
hint_name(podman_events_t *ev, const char *name)
{
    char  id[MC_UUID_LEN + 1];

    if (strncmp(name, "mc-", 3) == 0 && mc_uuid_valid(name + 3, strnlen(
            name + 3, MC_UUID_LEN))
        && strcmp(name + 3 + MC_UUID_LEN, "-" MC_CONTAINER) == 0)
    {
        memcpy(id, name + 3, MC_UUID_LEN);
        id[MC_UUID_LEN] = '\0';
        hint(ev, id);
    }
}

static void
event(podman_events_t *ev)
{
    mc_arena_t       *arena = mc_arena_create();
    mc_alloc_t        a;
    mc_json_error_t   err;
    mc_json_t        *v;

    if (arena == NULL) {
        return;
    }
    a = mc_arena_allocator(arena);
    v = mc_json_parse(&a, ev->line, ev->len, &err);
    hint_name(ev, mc_json_str(mc_json_at(v, "Actor.Attributes.name"), ""));
    mc_arena_destroy(arena);
}

/* What is there may be more than what is wanted. */
static void
on_list(void *data, const mc_http_reply_t *r)
{
    podman_events_t  *ev = data;
    mc_arena_t       *arena;
    mc_alloc_t        a;
    mc_json_error_t   err;
    mc_json_t        *v, *names;

    ev->list = NULL;
    arena = r->status == 200 ? mc_arena_create() : NULL;
    if (arena == NULL) {
        return;                     /* at the next connection */
    }
    a = mc_arena_allocator(arena);
    v = mc_json_parse(&a, r->body, r->len, &err);
    for (v = v ? v->child : NULL; v; v = v->next) {
        names = mc_json_get(v, "Names");
        hint_name(ev, mc_json_str(names ? names->child : NULL, ""));
    }
    mc_arena_destroy(arena);
}

static void
list(podman_events_t *ev)
{
    mc_http_call_t  call = {
        .method = "GET", .path = LIST, .timeout_ms = PODMAN_TIMEOUT_MS,
        .max_body = LIST_MAX_LEN, .on_done = on_list, .data = ev
    };

    if (ev->list == NULL) {
        ev->list = mc_http_send(ev->podman->http, &call);
    }
}

static int
on_bytes(void *data, const char *p, size_t len)
{
    podman_events_t  *ev = data;
    size_t            i;

    for (i = 0; i < len; i++) {
        if (p[i] == '\n') {
            if (ev->len && !ev->too_long) {
                event(ev);
            }
            ev->len = 0;
            ev->too_long = false;
        } else if (ev->len < sizeof(ev->line)) {
            ev->line[ev->len++] = p[i];
        } else {
            ev->too_long = true;
        }
    }
    return 0;
}

static void
retry(podman_events_t *ev)
{
    uv_timer_start(&ev->timer, connect_cb, ev->retry_ms, 0);
    ev->retry_ms *= 2;
    if (ev->retry_ms > RETRY_MAX_MS) {
        ev->retry_ms = RETRY_MAX_MS;
    }
}

static void
on_end(void *data, const mc_http_reply_t *r)
{
    podman_events_t  *ev = data;

    ev->req = NULL;
    podman_answered(ev->podman, r);
    if (ev->ping == NULL) {
        retry(ev);
    }
}

/* Whether Podman still answers: a stream over which nothing comes does not
 * tell. */
static void
heartbeat(podman_events_t *ev, bool answered)
{
    if (answered) {
        uv_timer_start(&ev->timer, connect_cb, PING_MS, 0);
        return;
    }
    mc_http_cancel(ev->req);
    ev->req = NULL;
    retry(ev);
}

/* The stream says nothing until something happens, hence this. */
static void
on_ping(void *data, const mc_http_reply_t *r)
{
    podman_events_t  *ev = data;
    mc_http_call_t    call = {
        .method = "GET", .path = PATH, .on_data = on_bytes,
        .on_done = on_end, .data = ev
    };

    ev->ping = NULL;
    podman_answered(ev->podman, r);
    if (ev->req) {
        heartbeat(ev, r->status == 200);
        return;
    }
    if (r->status != 200) {
        retry(ev);
        return;
    }
    ev->retry_ms = RETRY_MIN_MS;
    ev->len = 0;
    ev->too_long = false;
    ev->req = mc_http_send(ev->podman->http, &call);
    if (ev->req == NULL) {
        retry(ev);
        return;
    }
    uv_timer_start(&ev->timer, connect_cb, PING_MS, 0);
    hint(ev, NULL);
    list(ev);
}

static void
connect_cb(uv_timer_t *t)
{
    podman_events_t  *ev = t->data;
    mc_http_call_t    call = {
        .method = "GET", .path = "/_ping", .timeout_ms = PING_WAIT_MS,
        .on_done = on_ping, .data = ev
    };

    ev->ping = mc_http_send(ev->podman->http, &call);
    if (ev->ping == NULL) {
        uv_timer_start(&ev->timer, connect_cb, PING_MS, 0);
    }
}

podman_events_t *
podman_events_create(podman_t *p)
{
    podman_events_t  *ev = calloc(1, sizeof(*ev));

    if (ev == NULL) {
        return NULL;
    }
    ev->podman = p;
    ev->retry_ms = RETRY_MIN_MS;
    uv_timer_init(p->loop, &ev->timer);
    ev->timer.data = ev;
    p->handles++;
    uv_timer_start(&ev->timer, connect_cb, 0, 0);
    return ev;
}
