#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kube_dial.h"

/* Connecting goes in steps, which is simpler than to watch the sockets that
 * libcurl tries; it is over after a few. */
#define STEP_MS     10
#define CONNECT_MS  10000

struct mc_kube_dial_s {
    mc_kube_t                *kube;
    uv_loop_t                *loop;
    mc_kube_dial_handlers_t   on;
    CURLM                    *multi;
    CURL                     *easy;
    struct curl_slist        *headers;
    uv_timer_t                timer;
    uv_poll_t                 poll;
    bool                      polled;
    bool                      closed;
    unsigned                  handles;
    uint64_t                  deadline;
    char                     *path;
};


static void
handle_closed(uv_handle_t *h)
{
    mc_kube_dial_t      *d = h->data;
    struct curl_slist   *s;

    if (--d->handles > 0) {
        return;
    }
    if (d->easy) {
        curl_multi_remove_handle(d->multi, d->easy);
        curl_easy_cleanup(d->easy);
    }
    curl_multi_cleanup(d->multi);
    for (s = d->headers; s; s = s->next) {
        explicit_bzero(s->data, strlen(s->data));
    }
    curl_slist_free_all(d->headers);
    free(d->path);
    free(d);
}


void
mc_kube_dial_close(mc_kube_dial_t *d)
{
    if (d->closed) {
        return;
    }
    d->closed = true;
    uv_close((uv_handle_t *) &d->timer, handle_closed);
    if (d->polled) {
        uv_poll_stop(&d->poll);
        uv_close((uv_handle_t *) &d->poll, handle_closed);
    }
}


static void
failed(mc_kube_dial_t *d, const char *error)
{
    uv_timer_stop(&d->timer);
    if (d->polled) {
        uv_poll_stop(&d->poll);
    }
    d->on.failed(d->on.data, error);
}


/* -- the request's head -- */

static void
add(char *buf, size_t size, const char *text)
{
    size_t  len = strlen(buf);

    snprintf(buf + len, size - len, "%s", text);
}


/* "GET /path HTTP/1.1" and the headers that have a value. */
static int
write_request(const mc_kube_dial_t *d, char *buf, size_t size)
{
    char        *url = NULL, *host = NULL, *port = NULL, *path = NULL;
    char        *query = NULL;
    CURLU       *u = curl_url();
    const char  *colon;
    bool         named = false;
    int          rc = -1;

    curl_easy_getinfo(d->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (u && url && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)
           == CURLUE_OK
        && curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK)
    {
        (void) curl_url_get(u, CURLUPART_QUERY, &query, 0);
        snprintf(buf, size, "GET %s%s%s HTTP/1.1\r\n", path, query ? "?" : "",
                 query ? query : "");
        for (struct curl_slist *s = d->headers; s; s = s->next) {
            colon = strchr(s->data, ':');
            if (colon == NULL || colon[1] == '\0') {
                continue;
            }
            named = named || strncasecmp(s->data, "Host:", 5) == 0;
            add(buf, size, s->data);
            add(buf, size, "\r\n");
        }
        if (!named) {
            add(buf, size, "Host: ");
            add(buf, size, host);
            add(buf, size, ":");
            add(buf, size, port);
            add(buf, size, "\r\n");
        }
        rc = strlen(buf) + 1 < size ? 0 : -1;
    }
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    return rc;
}


/* -- connecting -- */

static void
poll_cb(uv_poll_t *poll, int status, int events)
{
    mc_kube_dial_t  *d = poll->data;

    (void) events;
    if (status < 0) {
        failed(d, uv_strerror(status));
    } else {
        d->on.ready(d->on.data);
    }
}


static void
connected(mc_kube_dial_t *d)
{
    curl_socket_t  fd = CURL_SOCKET_BAD;
    char           request[65536];

    uv_timer_stop(&d->timer);
    curl_easy_getinfo(d->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD
        || uv_poll_init_socket(d->loop, &d->poll, fd) != 0)
    {
        failed(d, "the connection has no socket");
        return;
    }
    d->poll.data = d;
    d->polled = true;
    d->handles++;
    if (write_request(d, request, sizeof(request)) != 0) {
        failed(d, "the request is too long");
        return;
    }
    mc_kube_dial_watch(d, true);
    d->on.connected(d->on.data, request);
    explicit_bzero(request, sizeof(request));
}


/* Sets the transfer up at the first step. 0 or -1. */
static int
begin(mc_kube_dial_t *d)
{
    d->multi = curl_multi_init();
    d->easy = curl_easy_init();
    if (d->multi == NULL || d->easy == NULL
        || mc_kube_prepare(d->kube, d->easy, d->path, &d->headers) != 0)
    {
        return -1;
    }
    curl_easy_setopt(d->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(d->easy, CURLOPT_FRESH_CONNECT, 1L);
    return curl_multi_add_handle(d->multi, d->easy) == CURLM_OK ? 0 : -1;
}


static void
step_cb(uv_timer_t *t)
{
    mc_kube_dial_t  *d = t->data;
    CURLMsg         *m;
    int              n;

    if (d->multi == NULL && begin(d) != 0) {
        failed(d, "there are no credentials for the Kubernetes API now");
        return;
    }
    curl_multi_perform(d->multi, &n);
    while ((m = curl_multi_info_read(d->multi, &n)) != NULL) {
        if (m->msg != CURLMSG_DONE) {
            continue;
        }
        if (m->data.result == CURLE_OK) {
            connected(d);
        } else {
            failed(d, curl_easy_strerror(m->data.result));
        }
        return;
    }
    if (uv_now(d->loop) >= d->deadline) {
        failed(d, "connecting takes too long");
    }
}


mc_kube_dial_t *
mc_kube_dial(mc_kube_t *kube, uv_loop_t *loop, const char *path,
    const mc_kube_dial_handlers_t *handlers)
{
    mc_kube_dial_t  *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        return NULL;
    }
    d->path = strdup(path);
    if (d->path == NULL) {
        free(d);
        return NULL;
    }
    d->kube = kube;
    d->loop = loop;
    d->on = *handlers;
    d->deadline = uv_now(loop) + CONNECT_MS;
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    d->handles = 1;
    uv_timer_start(&d->timer, step_cb, 0, STEP_MS);
    return d;
}


/* -- connected -- */

void
mc_kube_dial_watch(mc_kube_dial_t *d, bool writable)
{
    uv_poll_start(&d->poll, UV_READABLE | (writable ? UV_WRITABLE : 0),
                  poll_cb);
}


ptrdiff_t
mc_kube_dial_read(mc_kube_dial_t *d, void *p, size_t len)
{
    size_t    n = 0;
    CURLcode  rc = curl_easy_recv(d->easy, p, len, &n);

    return rc == CURLE_AGAIN ? 0 : rc == CURLE_OK && n ? (ptrdiff_t) n : -1;
}


ptrdiff_t
mc_kube_dial_write(mc_kube_dial_t *d, const void *p, size_t len)
{
    size_t    n = 0;
    CURLcode  rc = curl_easy_send(d->easy, p, len, &n);

    return rc == CURLE_AGAIN ? 0 : rc == CURLE_OK ? (ptrdiff_t) n : -1;
}
