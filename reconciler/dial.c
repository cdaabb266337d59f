#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dial.h"

struct mc_dial_s {
    uv_tcp_t       tcp;
    uv_timer_t     timer;
    uv_connect_t   connect;
    unsigned       handles;         /* open ones, this one's life */
    int            failed;          /* a uv error before the loop could tell */
    uint64_t       deadline;        /* loop time */
    uint8_t       *buf;
    size_t         len, size, max;
    mc_dial_pt     handler;         /* NULL: over */
    void          *data;
};

typedef struct {
    uv_write_t     req;
    uint8_t        bytes[];
} write_t;


static void
closed(uv_handle_t *h)
{
    mc_dial_t  *d = h->data;

    if (--d->handles == 0) {
        free(d->buf);
        free(d);
    }
}

void
mc_dial_close(mc_dial_t *d)
{
    d->handler = NULL;
    uv_close((uv_handle_t *) &d->tcp, closed);
    uv_close((uv_handle_t *) &d->timer, closed);
}

static void
event(mc_dial_t *d, mc_dial_event_t ev, const char *message)
{
    mc_dial_pt  handler = d->handler;

    if (handler == NULL) {
        return;
    }
    if (ev != MC_DIAL_CONNECTED && ev != MC_DIAL_DATA) {
        d->handler = NULL;              /* the last one */
        uv_timer_stop(&d->timer);
    }
    handler(d->data, ev, message);
}

static void
timer_cb(uv_timer_t *t)
{
    mc_dial_t  *d = t->data;

    if (d->failed) {
        event(d, MC_DIAL_CLOSED, uv_strerror(d->failed));
    } else {
        event(d, MC_DIAL_TIMEOUT, "no answer in time");
    }
}

/* Grows up to max; what is full after that is too much. */
static void
alloc_cb(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    mc_dial_t  *d = h->data;
    size_t      size = d->size ? d->size * 2 : 2048;
    uint8_t    *p;

    (void) suggested;
    if (d->len == d->size && d->size < d->max) {
        size = size > d->max ? d->max : size;
        p = realloc(d->buf, size);
        if (p) {
            d->buf = p;
            d->size = size;
        }
    }
    *buf = uv_buf_init((char *) d->buf + d->len,
                       (unsigned) (d->size - d->len));
}

static void
read_cb(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    mc_dial_t  *d = s->data;

    (void) buf;
    if (n == UV_ENOBUFS) {
        uv_read_stop(s);
        event(d, MC_DIAL_FULL, "the answer is too long");

    } else if (n < 0) {
        uv_read_stop(s);
        event(d, MC_DIAL_CLOSED, n == UV_EOF ? "the connection was closed"
                                             : uv_strerror((int) n));
    } else if (n > 0) {
        d->len += (size_t) n;
        event(d, MC_DIAL_DATA, "");
    }
}

static void
connect_cb(uv_connect_t *req, int status)
{
    mc_dial_t  *d = req->data;

    if (d->handler == NULL) {
        return;                         /* closed meanwhile */
    }
    if (status == 0) {
        uv_tcp_nodelay(&d->tcp, 1);
        status = uv_read_start((uv_stream_t *) &d->tcp, alloc_cb, read_cb);
    }
    if (status != 0) {
        event(d, MC_DIAL_CLOSED, uv_strerror(status));
        return;
    }
    event(d, MC_DIAL_CONNECTED, "");
}

static int
begin(mc_dial_t *d, const char *host, uint16_t port)
{
    struct sockaddr_in   in;
    struct sockaddr_in6  in6;

    d->connect.data = d;
    if (uv_ip4_addr(host, port, &in) == 0) {
        return uv_tcp_connect(&d->connect, &d->tcp,
                              (const struct sockaddr *) &in, connect_cb);
    }
    if (uv_ip6_addr(host, port, &in6) == 0) {
        return uv_tcp_connect(&d->connect, &d->tcp,
                              (const struct sockaddr *) &in6, connect_cb);
    }
    return UV_EADDRNOTAVAIL;
}

mc_dial_t *
mc_dial(uv_loop_t *loop, const char *host, uint16_t port,
    uint64_t timeout_ms, size_t buffer, mc_dial_pt handler, void *data)
{
    mc_dial_t  *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        return NULL;
    }
    d->max = buffer;
    d->handler = handler;
    d->data = data;
    uv_tcp_init(loop, &d->tcp);
    uv_timer_init(loop, &d->timer);
    d->tcp.data = d->timer.data = d;
    d->handles = 2;
    d->failed = begin(d, host, port);
    uv_update_time(loop);
    d->deadline = uv_now(loop) + timeout_ms;
    uv_timer_start(&d->timer, timer_cb, d->failed ? 0 : timeout_ms, 0);
    return d;
}

static void
written(uv_write_t *req, int status)
{
    write_t  *w = (write_t *) req;

    (void) status;                      /* reading tells */
    explicit_bzero(w->bytes, (size_t) (uintptr_t) req->data);
    free(w);
}

void
mc_dial_write(mc_dial_t *d, const void *p, size_t len)
{
    write_t   *w = malloc(sizeof(*w) + len);
    uv_buf_t   buf;

    if (w == NULL) {
        mc_dial_hurry(d, 0);
        return;
    }
    memcpy(w->bytes, p, len);
    w->req.data = (void *) (uintptr_t) len;
    buf = uv_buf_init((char *) w->bytes, (unsigned) len);
    if (uv_write(&w->req, (uv_stream_t *) &d->tcp, &buf, 1, written) != 0) {
        free(w);
        mc_dial_hurry(d, 0);
    }
}

const uint8_t *
mc_dial_bytes(const mc_dial_t *d, size_t *len)
{
    *len = d->len;
    return d->buf;
}

void
mc_dial_consume(mc_dial_t *d, size_t n)
{
    d->len -= n;
    memmove(d->buf, d->buf + n, d->len);
}

void
mc_dial_hurry(mc_dial_t *d, uint64_t ms)
{
    uint64_t  now = uv_now(d->timer.loop);

    if (now + ms < d->deadline) {
        d->deadline = now + ms;
        uv_timer_start(&d->timer, timer_cb, ms, 0);
    }
}
