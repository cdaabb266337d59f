/*
 * List and watch. There is one request at a time, or a page being read, or a
 * pause:
 *
 *     LISTING -> READING -> LISTING (the next page) … -> WATCHING
 *     WATCHING -> WATCHING (from the last version), or -> LISTING (410)
 *     any failure -> WAITING -> one of both
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "http.h"
#include "informer_private.h"
#include "log.h"

#define PAGE            500
#define PAGE_BYTES      (64 * 1024 * 1024)
#define LIST_MS         60000
#define SLICE_NS        2000000
#define COMPARE_MS      (30 * 60 * 1000)
#define WATCH_MIN_S     240
#define WATCH_SPREAD_S  51
#define DEADLINE_S      10              /* of the server's end of a watch */
#define RETRY_MIN_MS    800
#define RETRY_MAX_MS    30000
#define HEALTHY_MS      120000
#define SHORT_MS        1000            /* a watch of less is a failure */
#define FAILURES        5               /* in a row: perhaps a list helps */

static void go_on(mc_informer_t *inf);


/* -- pauses -- */

static void
timer_cb(uv_timer_t *t)
{
    go_on(t->data);
}


static void
wait_ms(mc_informer_t *inf, uint64_t ms)
{
    inf->state = WAITING;
    uv_timer_start(&inf->timer, timer_cb, ms, 0);
}


static void
back_off(mc_informer_t *inf, int retry_after_s)
{
    uint64_t  now = uv_now(inf->loop), ms;

    if (inf->failures == 0 || now - inf->failed_at > HEALTHY_MS) {
        inf->retry_ms = RETRY_MIN_MS;
    }
    inf->failures++;
    inf->failed_at = now;
    ms = inf->retry_ms + (uint64_t) random() % inf->retry_ms;
    inf->retry_ms *= 2;
    if (inf->retry_ms > RETRY_MAX_MS) {
        inf->retry_ms = RETRY_MAX_MS;
    }
    if (retry_after_s > 0 && ms < (uint64_t) retry_after_s * 1000) {
        ms = (uint64_t) retry_after_s * 1000;
    }
    wait_ms(inf, ms);
}


static void
report(const mc_informer_t *inf, const char *what, const mc_kube_reply_t *r)
{
    mc_log(MC_LOG_WARN, what, "kind", inf->conf.type->kind,
           "status", MC_LOG_NUM(r->status), "reason", r->reason,
           "error", r->message, NULL);
}


/* -- list -- */

static void
page_free(mc_informer_t *inf)
{
    free(inf->page);
    inf->page = NULL;
    uv_idle_stop(&inf->idle);
}


static void
list_failed(mc_informer_t *inf, int retry_after_s)
{
    page_free(inf);
    inf->stats.errors++;
    inf->list_next = true;
    back_off(inf, retry_after_s);
}


static void
list_complete(mc_informer_t *inf)
{
    bool  first = !inf->synced;

    mc_informer_sweep(inf);
    memcpy(inf->version, inf->list_version, sizeof(inf->version));
    inf->synced = true;
    inf->list_next = false;
    if (first) {
        inf->conf.synced(inf->conf.data);
    }
    go_on(inf);
}


/* A string as it stands in the text, without its quotes: versions and tokens
 * have nothing in them that would be escaped. */
static bool
plain_string(mc_kube_span_t value, char *dst, size_t size)
{
    if (value.len < 2 || value.len - 2 >= size || *value.p != '"') {
        return false;
    }
    memcpy(dst, value.p + 1, value.len - 2);
    dst[value.len - 2] = '\0';
    return true;
}


static int
read_list_meta(mc_informer_t *inf, mc_kube_span_t text)
{
    mc_kube_cursor_t  c = { .p = text.p, .end = text.p + text.len };
    mc_kube_span_t    key, value;
    char              token[8192], escaped[3 * sizeof(token)];
    int               rc;

    while ((rc = mc_kube_next_member(&c, &key, &value)) == 1) {
        if (mc_kube_span_is(key, "resourceVersion")) {
            if (!plain_string(value, inf->list_version,
                              sizeof(inf->list_version)))
            {
                return -1;
            }

        } else if (mc_kube_span_is(key, "continue")) {
            if (!plain_string(value, token, sizeof(token))) {
                return -1;
            }
            mc_http_escape(escaped, sizeof(escaped), token);
            free(inf->next_page);
            inf->next_page = *token ? strdup(escaped) : NULL;
            if (*token && inf->next_page == NULL) {
                return -1;
            }
        }
    }
    return rc;
}


/* One object or one member of the page. 1; 0 at its end; -1. */
static int
read_step(mc_informer_t *inf)
{
    mc_kube_span_t  key, value;
    int             rc;

    if (inf->in_items) {
        rc = mc_kube_next_element(&inf->items, &value);
        if (rc == 1) {
            return mc_informer_listed(inf, value.p, value.len) == 0 ? 1 : -1;
        }
        inf->in_items = false;
        inf->top.p = inf->items.p;
        return rc == 0 ? 1 : -1;
    }
    rc = mc_kube_next_key(&inf->top, &key);
    if (rc != 1) {
        return rc;
    }
    if (mc_kube_span_is(key, "items") && *inf->top.p == '[') {
        inf->items = (mc_kube_cursor_t) { inf->top.p, inf->top.end, false };
        inf->in_items = true;
        return 1;
    }
    if (mc_kube_value(&inf->top, &value) != 1) {
        return -1;
    }
    return !mc_kube_span_is(key, "metadata") || read_list_meta(inf, value) == 0
           ? 1 : -1;
}


static void
idle_cb(uv_idle_t *idle)
{
    mc_informer_t  *inf = idle->data;
    uint64_t        begun = uv_hrtime();
    int             rc;

    do {
        rc = read_step(inf);
    } while (rc == 1 && uv_hrtime() - begun < SLICE_NS);

    if (rc == 1) {
        return;
    }
    page_free(inf);
    if (rc != 0 || inf->list_version[0] == '\0') {
        mc_log(MC_LOG_WARN, "a list makes no sense", "kind",
               inf->conf.type->kind, NULL);
        list_failed(inf, 0);

    } else if (inf->next_page) {
        go_on(inf);

    } else {
        list_complete(inf);
    }
}


static void
on_list(void *data, const mc_kube_reply_t *r)
{
    mc_informer_t  *inf = data;

    inf->req = NULL;
    if (r->result != MC_KUBE_OK) {
        report(inf, "list failed", r);
        list_failed(inf, r->retry_after_s);
        return;
    }
    inf->alive_at = uv_now(inf->loop);
    inf->page = malloc(r->len + 1);
    if (inf->page == NULL) {
        list_failed(inf, 0);
        return;
    }
    memcpy(inf->page, r->body, r->len);
    inf->top = (mc_kube_cursor_t) { inf->page, inf->page + r->len, false };
    inf->in_items = false;
    free(inf->next_page);
    inf->next_page = NULL;
    inf->state = READING;
    uv_idle_start(&inf->idle, idle_cb);
}


/* What both ask for, into query. 0, or -1: too long. */
static int
add_selector(const mc_informer_t *inf, char *query, size_t size)
{
    char    selector[1024];
    size_t  len = strlen(query);

    if (inf->conf.selector[0] == '\0') {
        return 0;
    }
    if (mc_http_escape(selector, sizeof(selector), inf->conf.selector)
        >= sizeof(selector))
    {
        return -1;
    }
    return (size_t) snprintf(query + len, size - len, "&labelSelector=%s",
                             selector) < size - len ? 0 : -1;
}


static void
list_page(mc_informer_t *inf)
{
    char            query[32768];
    mc_kube_call_t  call = {
        .method = "GET", .type = inf->conf.type, .ns = inf->conf.ns,
        .name = "", .subresource = "", .query = query, .content_type = "",
        .timeout_ms = LIST_MS, .max_body = PAGE_BYTES, .done = on_list,
        .data = inf
    };

    snprintf(query, sizeof(query), "limit=%u%s%s",
             inf->conf.page ? inf->conf.page : PAGE,
             inf->next_page ? "&continue=" : "",
             inf->next_page ? inf->next_page : "");
    inf->state = LISTING;
    inf->req = add_selector(inf, query, sizeof(query)) == 0
               ? mc_kube_send(inf->kube, &call) : NULL;
    if (inf->req == NULL) {
        list_failed(inf, 0);
    }
}


static void
list(mc_informer_t *inf)
{
    free(inf->next_page);
    inf->next_page = NULL;
    inf->list_version[0] = '\0';
    inf->list_no++;
    inf->stats.lists++;
    list_page(inf);
}


/* -- watch -- */

static long
status_code(const char *text, size_t len)
{
    mc_kube_cursor_t  c = { .p = text, .end = text + len };
    mc_kube_span_t    key, value;

    while (mc_kube_next_member(&c, &key, &value) == 1) {
        if (mc_kube_span_is(key, "code") && value.len < 8) {
            return strtol(value.p, NULL, 10);
        }
    }
    return 0;
}


static int
on_event(void *data, mc_kube_event_t type, const char *text, size_t len)
{
    mc_informer_t     *inf = data;
    mc_kube_object_t  *obj;
    int                rc = 0;

    if (type == MC_KUBE_ERROR) {
        inf->expired = status_code(text, len) == 410;
        return -1;
    }
    obj = mc_kube_object_meta(text, len);
    if (obj == NULL || obj->meta.version[0] == '\0') {
        mc_kube_object_free(obj);
        return -1;
    }
    if (type != MC_KUBE_BOOKMARK) {
        inf->stats.events++;
        rc = mc_informer_event(inf, type == MC_KUBE_DELETED, &obj->meta, text,
                               len);
    }
    if (rc == 0) {
        mc_informer_set_version(inf->version, obj->meta.version);
    }
    mc_kube_object_free(obj);
    return rc;
}


static int
on_watch_data(void *data, const char *p, size_t len)
{
    mc_informer_t  *inf = data;

    inf->alive_at = uv_now(inf->loop);
    inf->result = mc_kube_watch_feed(&inf->watch, p, len);
    return inf->result == MC_KUBE_WATCH_OK ? 0 : -1;
}


/* Counts the end of a watch. True when it was no failure. */
static bool
watch_ended_well(mc_informer_t *inf, const mc_kube_reply_t *r)
{
    if (inf->expired || r->result == MC_KUBE_GONE) {
        mc_log(MC_LOG_INFO, "a watch has expired", "kind",
               inf->conf.type->kind, "version", inf->version, NULL);
        inf->stats.relists_gone++;
        inf->list_next = true;
        return true;
    }
    if (inf->result != MC_KUBE_WATCH_OK) {
        mc_log(MC_LOG_WARN, "a watch makes no sense", "kind",
               inf->conf.type->kind, "version", inf->version, NULL);
        inf->stats.errors++;
        inf->list_next = inf->result == MC_KUBE_WATCH_TOO_LONG;
        return false;
    }
    if (r->result == MC_KUBE_OK) {
        return true;
    }
    report(inf, "watch ended", r);
    if (r->status / 100 == 2 || r->status == 0) {
        inf->stats.cuts++;
        return true;
    }
    inf->stats.errors++;
    return false;
}


static void
on_watch_end(void *data, const mc_kube_reply_t *r)
{
    mc_informer_t  *inf = data;
    bool            well = watch_ended_well(inf, r), any;
    uint64_t        lasted = uv_now(inf->loop) - inf->begun;

    inf->req = NULL;
    mc_kube_watch_reset(&inf->watch);
    any = inf->stats.events > inf->events_before;
    if (any) {
        inf->failures = 0;
    }
    if (well && (lasted >= SHORT_MS || (inf->expired && !inf->failures))) {
        inf->failures = lasted >= SHORT_MS ? 0 : 1;
        go_on(inf);

    } else if (well && any) {
        wait_ms(inf, RETRY_MIN_MS);

    } else {
        back_off(inf, r->retry_after_s);
        if (inf->failures >= FAILURES && r->status
            && r->result != MC_KUBE_THROTTLED)
        {
            inf->list_next = true;
        }
    }
}


static void
watch(mc_informer_t *inf)
{
    unsigned        seconds = inf->conf.watch_s ? inf->conf.watch_s
                              : WATCH_MIN_S
                                + (unsigned) (random() % WATCH_SPREAD_S);
    char            query[2048];
    mc_kube_call_t  call = {
        .method = "GET", .type = inf->conf.type, .ns = inf->conf.ns,
        .name = "", .subresource = "", .query = query, .content_type = "",
        .timeout_ms = (seconds + DEADLINE_S) * 1000,
        .on_data = on_watch_data, .done = on_watch_end, .data = inf
    };

    snprintf(query, sizeof(query), "watch=1&allowWatchBookmarks=true"
             "&timeoutSeconds=%u&resourceVersion=%s", seconds, inf->version);
    inf->state = WATCHING;
    inf->expired = false;
    inf->result = MC_KUBE_WATCH_OK;
    inf->begun = uv_now(inf->loop);
    inf->events_before = inf->stats.events;
    inf->req = add_selector(inf, query, sizeof(query)) == 0
               ? mc_kube_send(inf->kube, &call) : NULL;
    if (inf->req == NULL) {
        back_off(inf, 0);
    }
}


static void
go_on(mc_informer_t *inf)
{
    if (inf->state == READING && inf->next_page) {
        list_page(inf);

    } else if (inf->list_next) {
        list(inf);

    } else {
        watch(inf);
    }
}


/* -- now and then a full list: events can be lost by the other side -- */

static void compare_cb(uv_timer_t *t);

static void
compare_later(mc_informer_t *inf)
{
    int64_t  ms = inf->conf.compare_ms ? inf->conf.compare_ms : COMPARE_MS;

    uv_timer_start(&inf->compare, compare_cb,
                   (uint64_t) (ms + random() % (ms / 5 + 1)), 0);
}


static void
compare_cb(uv_timer_t *t)
{
    mc_informer_t  *inf = t->data;

    compare_later(inf);
    if (inf->state == LISTING || inf->state == READING || inf->list_next) {
        return;
    }
    inf->stats.relists_compare++;
    inf->list_next = true;
    if (inf->state == WATCHING) {
        mc_kube_cancel(inf->req);
        inf->req = NULL;
        mc_kube_watch_reset(&inf->watch);
        go_on(inf);
    }
}


/* -- life -- */

static void
handle_closed(uv_handle_t *h)
{
    mc_informer_t  *inf = h->data;

    if (--inf->handles > 0) {
        return;
    }
    mc_map_destroy(inf->table);
    free(inf->next_page);
    free(inf);
}


mc_informer_t *
mc_informer_create(mc_kube_t *kube, uv_loop_t *loop,
    const mc_informer_conf_t *conf)
{
    mc_informer_t  *inf = calloc(1, sizeof(*inf));

    if (inf == NULL) {
        return NULL;
    }
    inf->table = mc_map_create();
    if (inf->table == NULL) {
        free(inf);
        return NULL;
    }
    inf->conf = *conf;
    inf->kube = kube;
    inf->loop = loop;
    inf->watch.event = on_event;
    inf->watch.data = inf;
    inf->retry_ms = RETRY_MIN_MS;
    uv_update_time(loop);
    inf->alive_at = uv_now(loop);
    uv_timer_init(loop, &inf->timer);
    uv_timer_init(loop, &inf->compare);
    uv_idle_init(loop, &inf->idle);
    inf->timer.data = inf->compare.data = inf->idle.data = inf;
    inf->handles = 3;
    inf->list_next = true;
    compare_later(inf);
    go_on(inf);
    return inf;
}


void
mc_informer_destroy(mc_informer_t *inf)
{
    if (inf == NULL) {
        return;
    }
    if (inf->req) {
        mc_kube_cancel(inf->req);
        inf->req = NULL;
    }
    page_free(inf);
    mc_kube_watch_reset(&inf->watch);
    mc_informer_clear(inf);
    uv_close((uv_handle_t *) &inf->timer, handle_closed);
    uv_close((uv_handle_t *) &inf->compare, handle_closed);
    uv_close((uv_handle_t *) &inf->idle, handle_closed);
}


bool
mc_informer_synced(const mc_informer_t *inf)
{
    return inf->synced;
}


void
mc_informer_stats(const mc_informer_t *inf, mc_informer_stats_t *stats)
{
    *stats = inf->stats;
    stats->age_ms = (int64_t) (uv_now(inf->loop) - inf->alive_at);
}
