/*
 * Kubernetes Events.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "arena.h"
#include "clock.h"
#include "kube_event.h"
#include "log.h"
#include "map.h"
#include "mc_uuid.h"
#include "secret.h"

#define COMPONENT    "mchost-reconciler"
#define SERIES_MS    (6 * 60 * 1000)    /* the same again: one series */
#define BURST        25                 /* Events of one object, then … */
#define REFILL_MS    300000             /* … one in so long */
#define FORGET_MS    (BURST * (int64_t) REFILL_MS)
#define SWEEP_MS     10000              /* repeats are told so often */
#define RETRIES      3

/* One Event: the first of its kind, and how often it came again. */
typedef struct event_s  event_t;

struct event_s {
    mc_kube_events_t  *ev;
    event_t           *next;            /* in the queue */
    char               key[65];         /* of what is the same */
    char               name[96];        /* of the object in Kubernetes */
    char              *ns;
    char              *body;            /* until it is created */
    size_t             len;
    bool               queued, created;
    unsigned           count;           /* that happened */
    unsigned           told;            /* that Kubernetes knows of */
    unsigned           tries;
    int64_t            last_ms;         /* monotonic */
    int64_t            last_wall;
};

/* What an object may still tell. */
typedef struct {
    char      uid[MC_UUID_LEN + 1];
    int64_t   tokens;                   /* thousandths */
    int64_t   at_ms;
} bucket_t;

struct mc_kube_events_s {
    mc_kube_t              *kube;
    uv_loop_t              *loop;
    char                   *instance;
    mc_map_t               *events;     /* by key */
    mc_map_t               *buckets;    /* by uid */
    event_t                *first, **last;
    unsigned                waiting;
    event_t                *sending;
    mc_kube_req_t          *req;
    uv_timer_t              timer;      /* the next one, or a sweep */
};

static void send_next(mc_kube_events_t *ev);
static void on_timer(uv_timer_t *t);


/* -- what is remembered -- */

static void
event_free(event_t *e)
{
    free(e->ns);
    free(e->body);
    free(e);
}


static void
queue(event_t *e)
{
    mc_kube_events_t  *ev = e->ev;

    if (e->queued) {
        return;
    }
    e->queued = true;
    e->next = NULL;
    *ev->last = e;
    ev->last = &e->next;
    ev->waiting++;
    if (ev->sending == NULL) {
        uv_timer_start(&ev->timer, on_timer, 0, SWEEP_MS);
    }
}


static void
sweep_event(void *value, void *data)
{
    event_t           *e = value;
    mc_kube_events_t  *ev = data;

    if (e->queued || ev->sending == e) {
        return;
    }
    if (e->created && e->count > e->told) {
        queue(e);
    } else if (mc_clock_mono_ms() - e->last_ms >= SERIES_MS) {
        mc_map_remove(ev->events, e->key);
        event_free(e);
    }
}


static void
sweep_bucket(void *value, void *data)
{
    bucket_t          *b = value;
    mc_kube_events_t  *ev = data;

    if (mc_clock_mono_ms() - b->at_ms >= FORGET_MS) {
        mc_map_remove(ev->buckets, b->uid);
        free(b);
    }
}


static void
on_timer(uv_timer_t *t)
{
    mc_kube_events_t  *ev = t->data;

    mc_map_each(ev->events, sweep_event, ev);
    mc_map_each(ev->buckets, sweep_bucket, ev);
    send_next(ev);
}


/* Takes a token of the object. */
static bool
allowed(mc_kube_events_t *ev, const char *uid)
{
    bucket_t  *b = mc_map_get(ev->buckets, uid);
    int64_t    now = mc_clock_mono_ms();

    if (b == NULL) {
        b = calloc(1, sizeof(*b));
        if (b == NULL) {
            return false;
        }
        snprintf(b->uid, sizeof(b->uid), "%s", uid);
        b->tokens = BURST * 1000;
        b->at_ms = now;
        if (mc_map_put(ev->buckets, b->uid, b) != 0) {
            free(b);
            return false;
        }
    }
    b->tokens += (now - b->at_ms) * 1000 / REFILL_MS;
    if (b->tokens > BURST * 1000) {
        b->tokens = BURST * 1000;
    }
    b->at_ms = now;
    if (b->tokens < 1000) {
        return false;
    }
    b->tokens -= 1000;
    return true;
}


/* -- the object -- */

/* RFC 3339 with microseconds, as a MicroTime is. */
static void
micro_time(char dst[40], int64_t wall_ms)
{
    char  text[MC_TIME_LEN + 1];

    mc_time_format(text, wall_ms);
    snprintf(dst, 40, "%.23s000Z", text);
}


static bool
set(const mc_alloc_t *a, mc_json_t *o, const char *key, const char *text)
{
    return o && mc_json_set(a, o, key,
                            mc_json_string(a, text, strlen(text))) == 0;
}


static mc_json_t *
regarding(const mc_alloc_t *a, const mc_kube_regarding_t *about)
{
    mc_json_t  *o = mc_json_object(a);

    return set(a, o, "apiVersion", about->type->api_version)
           && set(a, o, "kind", about->type->kind)
           && set(a, o, "namespace", about->ns)
           && set(a, o, "name", about->name) && set(a, o, "uid", about->uid)
           && (*about->version == '\0'
               || set(a, o, "resourceVersion", about->version))
           ? o : NULL;
}


static int
write_body(event_t *e, const mc_kube_regarding_t *about, bool warning,
    const char *reason, const char *note)
{
    mc_arena_t  *arena = mc_arena_create();
    mc_alloc_t   a = mc_arena_allocator(arena);
    mc_json_t   *v, *meta;
    char         time[40];
    int          rc = -1;

    if (arena == NULL) {
        return -1;
    }
    v = mc_json_object(&a);
    meta = mc_json_object(&a);
    micro_time(time, e->last_wall);
    if (set(&a, meta, "name", e->name) && set(&a, meta, "namespace", about->ns)
        && set(&a, v, "apiVersion", mc_kube_event.api_version)
        && set(&a, v, "kind", mc_kube_event.kind)
        && mc_json_set(&a, v, "metadata", meta) == 0
        && set(&a, v, "eventTime", time) && set(&a, v, "reason", reason)
        && set(&a, v, "action", "Reconcile") && set(&a, v, "note", note)
        && set(&a, v, "type", warning ? "Warning" : "Normal")
        && set(&a, v, "reportingController", "mchost.io/reconciler")
        && set(&a, v, "reportingInstance", e->ev->instance)
        && mc_json_set(&a, v, "regarding", regarding(&a, about)) == 0)
    {
        e->len = mc_json_write(NULL, 0, v);
        e->body = malloc(e->len + 1);
        if (e->body) {
            mc_json_write(e->body, e->len + 1, v);
            rc = 0;
        }
    }
    mc_arena_destroy(arena);
    return rc;
}


static void
key_of(const mc_kube_regarding_t *about, bool warning, const char *reason,
    const char *note, char key[65])
{
    char  text[1400];
    int   n = snprintf(text, sizeof(text), "%s\n%d\n%.63s\n%.1100s", about->uid,
                       warning, reason, note);

    mc_sha256_hex(text, n < 0 ? 0 : strlen(text), key);
}


/* At most n bytes, and no half character at the end. */
static void
cut(char *dst, size_t size, const char *text)
{
    size_t  n = strlen(text);

    if (n >= size) {
        n = size - 1;
        while (n && ((unsigned char) text[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    memcpy(dst, text, n);
    dst[n] = '\0';
}


static event_t *
event_new(mc_kube_events_t *ev, const mc_kube_regarding_t *about,
    const char *key)
{
    event_t          *e = calloc(1, sizeof(*e));
    struct timespec   now;

    if (e == NULL || (e->ns = strdup(about->ns)) == NULL) {
        free(e);
        return NULL;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    e->ev = ev;
    e->count = 1;
    e->last_wall = mc_clock_wall_ms();
    e->last_ms = mc_clock_mono_ms();
    memcpy(e->key, key, sizeof(e->key));
    snprintf(e->name, sizeof(e->name), "%.63s.%llx", about->name,
             (unsigned long long) now.tv_sec * 1000000000ULL
             + (unsigned long long) now.tv_nsec);
    return e;
}


void
mc_kube_events_post(mc_kube_events_t *ev, const mc_kube_regarding_t *about,
    bool warning, const char *reason, const char *note)
{
    char      key[65], text[1024], word[128];
    event_t  *e;

    cut(text, sizeof(text), note);
    cut(word, sizeof(word), reason);
    key_of(about, warning, word, text, key);
    e = mc_map_get(ev->events, key);
    if (e) {
        e->count++;
        e->last_ms = mc_clock_mono_ms();
        e->last_wall = mc_clock_wall_ms();
        return;                         /* told with the next sweep */
    }
    if (ev->waiting >= MC_KUBE_EVENTS_MAX) {
        return;
    }
    if (!allowed(ev, about->uid)) {
        return;
    }
    e = event_new(ev, about, key);
    if (e == NULL || write_body(e, about, warning, word, text) != 0
        || mc_map_put(ev->events, e->key, e) != 0)
    {
        if (e) {
            event_free(e);
        }
        return;
    }
    queue(e);
}


/* -- sending, one at a time -- */

static void
drop(event_t *e)
{
    mc_map_remove(e->ev->events, e->key);
    event_free(e);
}


static void
on_sent(void *data, const mc_kube_reply_t *r)
{
    event_t           *e = data;
    mc_kube_events_t  *ev = e->ev;
    bool               again = r->result == MC_KUBE_UNAVAILABLE
                               || r->result == MC_KUBE_THROTTLED;

    ev->req = NULL;
    ev->sending = NULL;
    if (r->result == MC_KUBE_OK || r->result == MC_KUBE_ALREADY_EXISTS) {
        e->created = true;
        free(e->body);
        e->body = NULL;
        e->tries = 0;
    } else if (again && ++e->tries < RETRIES) {
        queue(e);
        uv_timer_start(&ev->timer, on_timer, 1000 * e->tries, SWEEP_MS);
        return;
    } else {
        mc_log(MC_LOG_DEBUG, "an Event was not taken", "reason", r->reason,
               "error", r->message, NULL);
        drop(e);
    }
    send_next(ev);
}


static mc_kube_req_t *
send_first(event_t *e)
{
    mc_kube_call_t  call = {
        .method = "POST", .type = &mc_kube_event, .ns = e->ns, .name = "",
        .subresource = "", .query = "fieldManager=" COMPONENT,
        .content_type = "application/json", .body = e->body, .len = e->len,
        .done = on_sent, .data = e
    };

    e->told = e->count = e->count ? e->count : 1;
    return mc_kube_send(e->ev->kube, &call);
}


static mc_kube_req_t *
send_series(event_t *e)
{
    char            time[40], body[160];
    mc_kube_call_t  call = {
        .method = "PATCH", .type = &mc_kube_event, .ns = e->ns,
        .name = e->name, .subresource = "",
        .query = "fieldManager=" COMPONENT,
        .content_type = "application/merge-patch+json", .body = body,
        .done = on_sent, .data = e
    };

    micro_time(time, e->last_wall);
    call.len = (size_t) snprintf(body, sizeof(body), "{\"series\":{\"count\":%u,"
                                 "\"lastObservedTime\":\"%s\"}}", e->count, time);
    e->told = e->count;
    return mc_kube_send(e->ev->kube, &call);
}


static void
send_next(mc_kube_events_t *ev)
{
    event_t  *e = ev->first;

    if (e == NULL || ev->sending) {
        return;
    }
    ev->first = e->next;
    if (ev->first == NULL) {
        ev->last = &ev->first;
    }
    ev->waiting--;
    e->queued = false;
    ev->sending = e;
    ev->req = e->created ? send_series(e) : send_first(e);
    if (ev->req == NULL) {
        ev->sending = NULL;
        drop(e);
    }
}


/* -- beginning and end -- */

mc_kube_events_t *
mc_kube_events_create(mc_kube_t *kube, uv_loop_t *loop, const char *instance)
{
    mc_kube_events_t  *ev = calloc(1, sizeof(*ev));

    if (ev == NULL) {
        return NULL;
    }
    ev->kube = kube;
    ev->loop = loop;
    ev->last = &ev->first;
    ev->instance = strdup(instance && *instance ? instance : COMPONENT);
    ev->events = mc_map_create();
    ev->buckets = mc_map_create();
    if (ev->instance == NULL || ev->events == NULL || ev->buckets == NULL) {
        mc_map_destroy(ev->events);
        mc_map_destroy(ev->buckets);
        free(ev->instance);
        free(ev);
        return NULL;
    }
    uv_timer_init(loop, &ev->timer);
    ev->timer.data = ev;
    uv_timer_start(&ev->timer, on_timer, SWEEP_MS, SWEEP_MS);
    return ev;
}


static void
free_event(void *value, void *data)
{
    (void) data;
    event_free(value);
}


static void
free_bucket(void *value, void *data)
{
    (void) data;
    free(value);
}


static void
closed(uv_handle_t *h)
{
    free(h->data);
}


void
mc_kube_events_destroy(mc_kube_events_t *ev)
{
    if (ev->req) {
        mc_kube_cancel(ev->req);
    }
    mc_map_each(ev->events, free_event, NULL);
    mc_map_destroy(ev->events);
    mc_map_each(ev->buckets, free_bucket, NULL);
    mc_map_destroy(ev->buckets);
    free(ev->instance);
    uv_close((uv_handle_t *) &ev->timer, closed);
}
