/*
 * HTTP on a libuv loop. libcurl says which sockets to watch and when to wake
 * it; all of it happens in socket_cb() and timer_cb(). Callbacks of requests
 * run only from harvest(), outside of libcurl, but on_data.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "http_private.h"
#include "metrics.h"

#define MAX_BODY        (4 * 1024 * 1024)
#define MAX_ERROR_BODY  (64 * 1024)     /* of a stream that is refused */
#define SWEEP_MS        250

typedef struct {
    uv_poll_t   poll;
    mc_http_t  *http;
    int         fd;
} watch_t;

static void advance(mc_http_t *http);


/* -- life of the client -- */

static void
http_free(mc_http_t *http)
{
    free(http->base);
    free(http->unix_socket);
    free(http->agent);
    free(http->host);
    free(http->proxy);
    curl_slist_free_all(http->connect_to);
    mc_http_clear_tls(http);
    free(http);
}

static void
handle_closed(mc_http_t *http)
{
    if (--http->handles == 0) {
        http_free(http);
    }
}

static void
timer_closed(uv_handle_t *h)
{
    handle_closed(h->data);
}

static void
watch_closed(uv_handle_t *h)
{
    watch_t    *w = (watch_t *) h;
    mc_http_t  *http = w->http;

    free(w);
    handle_closed(http);
}

static void
req_unlink(mc_http_req_t *req)
{
    mc_http_t  *http = req->http;

    if (req->prev) {
        req->prev->next = req->next;
    } else {
        http->first = req->next;
    }
    if (req->next) {
        req->next->prev = req->prev;
    } else {
        http->last = req->prev;
    }
}

/* Takes a request out of libcurl and out of the counts. */
static void
req_leave(mc_http_req_t *req)
{
    mc_http_t  *http = req->http;

    if (req->state == ACTIVE) {
        curl_multi_remove_handle(http->multi, req->easy);
        if (req->slow) {
            http->slow--;
        } else {
            http->active--;
        }

    } else if (req->state == WAITING) {
        http->waiting--;
    }
    req->state = DONE;
}

static void
req_free(mc_http_req_t *req)
{
    req_leave(req);
    req_unlink(req);
    mc_http_unprepare(req);
    free(req);
}

static void
http_close(mc_http_t *http)
{
    while (http->first) {
        req_free(http->first);
    }
    curl_multi_cleanup(http->multi);
    uv_close((uv_handle_t *) &http->timer, timer_closed);
    uv_close((uv_handle_t *) &http->sweep, timer_closed);
}

void
mc_http_destroy(mc_http_t *http)
{
    if (http == NULL || http->destroyed) {
        return;
    }
    http->destroyed = true;
    if (http->depth == 0) {
        http_close(http);
    }
}


/* -- the end of a request -- */

/* The texts of the Warning headers, 299 - "text", one after the other. */
static void
read_warnings(mc_http_req_t *req, char *buf, size_t size)
{
    struct curl_header  *h;
    const char          *p, *end;
    size_t               i, n = 0;

    buf[0] = '\0';
    for (i = 0; n < size; i++) {
        if (curl_easy_header(req->easy, "Warning", i, CURLH_HEADER, -1, &h)
            != CURLHE_OK)
        {
            return;
        }
        p = strchr(h->value, '"');
        end = p ? strrchr(p, '"') : NULL;
        if (end > p) {
            n += (size_t) snprintf(buf + n, size - n, "%s%.*s", n ? "; " : "",
                                   (int) (end - p - 1), p + 1);
        }
    }
}

static void
reply(mc_http_req_t *req, long status, CURLcode rc, const char *why)
{
    mc_http_t        *http = req->http;
    char              warning[512];
    mc_http_reply_t   r = { .status = status, .error = "", .body = "",
                            .warning = warning };
    unsigned          class = status >= 100 && status < 600
                              ? (unsigned) status / 100 : 0;
    char             *method = NULL;
    curl_off_t        wait = 0;

    http->counts[class]++;
    curl_easy_getinfo(req->easy, CURLINFO_EFFECTIVE_METHOD, &method);
    mc_metrics_request(method ? method : "GET", why ? 0 : (int) status);
    curl_easy_getinfo(req->easy, CURLINFO_RETRY_AFTER, &wait);
    r.retry_after_s = wait > 86400 ? 86400 : (int) wait;
    read_warnings(req, warning, sizeof(warning));
    if (why) {
        r.status = 0;
        r.error = why;
        r.timeout = (rc == CURLE_OPERATION_TIMEDOUT);
        r.refused = (rc == CURLE_COULDNT_CONNECT);
    }
    if (req->body) {
        r.body = req->body;
        r.len = req->len;
    }
    req_leave(req);
    req->on_done(req->data, &r);
    req_free(req);
}

static void
finished(mc_http_req_t *req, CURLcode rc)
{
    const char  *why = NULL;
    long         status = 0;
    char         text[192];

    if (req->cancelled) {
        req_free(req);
        return;
    }
    curl_easy_getinfo(req->easy, CURLINFO_RESPONSE_CODE, &status);
    if (req->too_big) {
        snprintf(text, sizeof(text), "the answer is longer than %zu bytes",
                 req->max);
        why = text;

    } else if (req->refused_data) {
        why = "the answer makes no sense";

    } else if (rc == CURLE_COULDNT_CONNECT && req->http->unix_socket) {
        snprintf(text, sizeof(text), "nobody listens on %s",
                 req->http->unix_socket);
        why = text;

    } else if (rc != CURLE_OK) {
        why = req->error[0] ? req->error : curl_easy_strerror(rc);
    }
    reply(req, status, rc, why);
}

/* Calls the callbacks of what has ended. One may send, cancel or destroy. */
static void
harvest(mc_http_t *http)
{
    mc_http_req_t  *req;
    CURLMsg        *m;
    char           *p;
    int             left;

    while (!http->destroyed
           && (m = curl_multi_info_read(http->multi, &left)) != NULL)
    {
        if (m->msg != CURLMSG_DONE) {
            continue;
        }
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
        req = (mc_http_req_t *) p;
        finished(req, m->data.result);
    }
}

/* After every entry into libcurl. */
static void
settle(mc_http_t *http)
{
    mc_http_req_t  *req, *next;

    harvest(http);
    for (req = http->first; req && !http->destroyed; req = next) {
        next = req->next;
        if (req->cancelled) {
            req_free(req);
        }
    }
    if (!http->destroyed) {
        advance(http);
    }
}

static void
leave(mc_http_t *http)
{
    if (--http->depth == 0 && http->destroyed) {
        http_close(http);
    }
}


/* -- libcurl and libuv -- */

static void
act(mc_http_t *http, curl_socket_t fd, int events)
{
    int  running;

    http->depth++;
    curl_multi_socket_action(http->multi, fd, events, &running);
    settle(http);
    leave(http);
}

/* The loop's clock is behind libcurl's by up to what a callback takes: called
 * too early, libcurl does nothing and does not set the timer again. */
static void
timer_cb(uv_timer_t *t)
{
    mc_http_t  *http = t->data;
    long        ms;

    act(http, CURL_SOCKET_TIMEOUT, 0);
    if (!http->destroyed && !uv_is_active((uv_handle_t *) t)
        && curl_multi_timeout(http->multi, &ms) == CURLM_OK && ms >= 0)
    {
        uv_timer_start(t, timer_cb, (uint64_t) ms, 0);
    }
}

static void
poll_cb(uv_poll_t *poll, int status, int events)
{
    watch_t  *w = (watch_t *) poll;
    int       flags = 0;

    if (status < 0) {
        flags = CURL_CSELECT_ERR;
    }
    if (events & UV_READABLE) {
        flags |= CURL_CSELECT_IN;
    }
    if (events & UV_WRITABLE) {
        flags |= CURL_CSELECT_OUT;
    }
    act(w->http, w->fd, flags);
}

static int
curl_timer(CURLM *multi, long ms, void *data)
{
    mc_http_t  *http = data;

    (void) multi;
    if (ms < 0) {
        uv_timer_stop(&http->timer);
    } else {
        uv_timer_start(&http->timer, timer_cb, (uint64_t) ms, 0);
    }
    return 0;
}

static watch_t *
watch_create(mc_http_t *http, curl_socket_t fd)
{
    watch_t  *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        return NULL;
    }
    w->http = http;
    w->fd = fd;
    if (uv_poll_init_socket(http->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    http->handles++;
    return w;
}

static int
curl_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *sock)
{
    mc_http_t  *http = data;
    watch_t    *w = sock;
    int         events = 0;

    (void) easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *) &w->poll, watch_closed);
            curl_multi_assign(http->multi, fd, NULL);
        }
        return 0;
    }
    if (w == NULL) {
        w = watch_create(http, fd);
        if (w == NULL) {
            return -1;
        }
        curl_multi_assign(http->multi, fd, w);
    }
    if (what & CURL_POLL_IN) {
        events |= UV_READABLE;
    }
    if (what & CURL_POLL_OUT) {
        events |= UV_WRITABLE;
    }
    return uv_poll_start(&w->poll, events, poll_cb);
}

/* -- starting requests -- */

static bool
has_place(const mc_http_t *http, const mc_http_req_t *req)
{
    return req->slow ? http->slow < http->streams
                     : http->active < http->parallel;
}

/* Hands one that waits to libcurl. 0 or -1. */
static int
activate(mc_http_req_t *req)
{
    mc_http_t  *http = req->http;

    if (req->deadline) {
        curl_easy_setopt(req->easy, CURLOPT_TIMEOUT_MS,
                         (long) (req->deadline - uv_now(http->loop)));
    }
    if (curl_multi_add_handle(http->multi, req->easy) != CURLM_OK) {
        return -1;
    }
    req->state = ACTIVE;
    http->waiting--;
    if (req->slow) {
        http->slow++;
    } else {
        http->active++;
    }
    return 0;
}

static void
start(mc_http_req_t *req)
{
    if (req->deadline && req->deadline <= uv_now(req->http->loop)) {
        reply(req, 0, CURLE_OPERATION_TIMEDOUT, "waited too long for a turn");

    } else if (activate(req) != 0) {
        reply(req, 0, CURLE_FAILED_INIT, "libcurl refuses the request");
    }
}

static void
sweep_cb(uv_timer_t *t)
{
    mc_http_t  *http = t->data;

    http->depth++;
    settle(http);
    leave(http);
}

/* Starts what has a place, ends what has waited too long. A callback may
 * change the list, hence from the beginning after each. */
static void
advance(mc_http_t *http)
{
    mc_http_req_t  *req;
    uint64_t        now = uv_now(http->loop);

again:
    for (req = http->first; req && http->waiting; req = req->next) {
        if (req->state == WAITING && !req->cancelled
            && (has_place(http, req)
                || (req->deadline && req->deadline <= now)))
        {
            start(req);
            if (http->destroyed) {
                return;
            }
            goto again;
        }
    }
    if (http->waiting == 0) {
        uv_timer_stop(&http->sweep);
    } else if (!uv_is_active((uv_handle_t *) &http->sweep)) {
        uv_timer_start(&http->sweep, sweep_cb, SWEEP_MS, SWEEP_MS);
    }
}

static mc_http_req_t *
req_create(mc_http_t *http, const mc_http_call_t *call)
{
    mc_http_req_t  *req = calloc(1, sizeof(*req));

    if (req == NULL) {
        return NULL;
    }
    req->http = http;
    req->state = WAITING;
    req->slow = call->slow || call->on_data != NULL;
    req->max = call->max_body ? call->max_body : MAX_BODY;
    if (call->on_data && req->max > MAX_ERROR_BODY) {
        req->max = MAX_ERROR_BODY;
    }
    req->on_data = call->on_data;
    req->on_done = call->on_done;
    req->data = call->data;
    if (call->timeout_ms) {
        uv_update_time(http->loop);
        req->deadline = uv_now(http->loop) + call->timeout_ms;
    }
    req->prev = http->last;
    if (http->last) {
        http->last->next = req;
    } else {
        http->first = req;
    }
    http->last = req;
    http->waiting++;
    if (mc_http_prepare(req, call) != 0) {
        req_free(req);
        return NULL;
    }
    return req;
}

mc_http_req_t *
mc_http_send(mc_http_t *http, const mc_http_call_t *call)
{
    mc_http_req_t  *req;

    if (http->destroyed || http->waiting >= http->queue) {
        return NULL;
    }
    req = req_create(http, call);
    if (req == NULL) {
        return NULL;
    }
    if (http->depth == 0 && has_place(http, req)) {
        if (activate(req) != 0) {
            req_free(req);
            return NULL;
        }

    } else if (!uv_is_active((uv_handle_t *) &http->sweep)) {
        uv_timer_start(&http->sweep, sweep_cb, SWEEP_MS, SWEEP_MS);
    }
    return req;
}

void
mc_http_cancel(mc_http_req_t *req)
{
    if (req->http->depth) {
        req->cancelled = true;          /* settle() frees it */
    } else {
        req_free(req);
    }
}


/* -- creation and small things -- */

static char *
copy(const char *s, int *failed)
{
    char  *p = s ? strdup(s) : NULL;

    if (s && p == NULL) {
        *failed = 1;
    }
    return p;
}

/* For whatever host and port the URL names. */
static struct curl_slist *
connect_to(const char *where)
{
    char  entry[512];

    snprintf(entry, sizeof(entry), "::%s", where);
    return curl_slist_append(NULL, entry);
}

mc_http_t *
mc_http_create(uv_loop_t *loop, const mc_http_conf_t *conf)
{
    mc_http_t  *http = calloc(1, sizeof(*http));
    int         failed = 0;

    if (http == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        free(http);
        return NULL;
    }
    http->loop = loop;
    http->parallel = conf->parallel ? conf->parallel : 16;
    http->queue = conf->queue ? conf->queue : 1024;
    http->streams = conf->streams ? conf->streams : 1024;
    http->base = copy(conf->base, &failed);
    http->unix_socket = copy(conf->unix_socket, &failed);
    http->host = copy(conf->host, &failed);
    http->proxy = copy(conf->proxy, &failed);
    http->agent = copy(conf->user_agent, &failed);
    if (conf->connect_to) {
        http->connect_to = connect_to(conf->connect_to);
        failed |= http->connect_to == NULL;
    }
    http->multi = curl_multi_init();
    if (failed || http->multi == NULL) {
        curl_multi_cleanup(http->multi);
        http_free(http);
        return NULL;
    }
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, curl_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, curl_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS,
                      (long) http->parallel);
    uv_timer_init(loop, &http->timer);
    uv_timer_init(loop, &http->sweep);
    http->timer.data = http->sweep.data = http;
    http->handles = 2;
    return http;
}

void
mc_http_counters(const mc_http_t *http, unsigned long counts[6])
{
    memcpy(counts, http->counts, sizeof(http->counts));
}
