/*
 * A WebSocket's socket (RFC 6455): frames in and out, heartbeat, closing, and
 * the worker's shutdown. The handshake is in ngx_http_mchost_ws_handshake.c.
 *
 * Nothing is freed but by the connection's own events, at their end: whatever
 * else finds that the socket must go marks it done, and posts its write event.
 */

#include <sys/ioctl.h>
#include "ngx_http_mchost_session.h"
#include "ngx_http_mchost_ws.h"

#define NGX_HTTP_MCHOST_WS_READ         16384   /* a recv() */
#define NGX_HTTP_MCHOST_WS_READS        4       /* of a wakeup */
#define NGX_HTTP_MCHOST_WS_SPANS        64      /* buffers of a writev() */
#define NGX_HTTP_MCHOST_WS_WRITES       16      /* writev()s of a wakeup */
#define NGX_HTTP_MCHOST_WS_LEAVE        2000    /* ms, at most, to 1001 */
#define NGX_HTTP_MCHOST_WS_CLOSE        5000    /* ms for the peer's Close */
#define NGX_HTTP_MCHOST_WS_SLOW         30000   /* the same, of one who was */
                                                /* too slow to be sent ours */
#define NGX_HTTP_MCHOST_WS_STALL        20000   /* ms without taking a byte */
#define NGX_HTTP_MCHOST_WS_FULL         60000   /* ms with a long queue */


#define ngx_http_mchost_ws_count(name, n)                                     \
    (void) ngx_atomic_fetch_add(&ngx_http_mchost_worker->counters->name, n)


/* -- timers -- */

/* Those of the heartbeat must not keep a worker that is told to leave: its
 * sockets are closed by ngx_http_mchost_ws_leave(). */
void
ngx_http_mchost_ws_timer(ngx_http_mchost_session_t *s, ngx_msec_t ms,
    ngx_uint_t cancelable)
{
    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }
    s->timer.cancelable = (cancelable != 0);
    ngx_add_timer(&s->timer, ms);
}


/* -- out -- */

static ngx_uint_t
ngx_http_mchost_ws_tls(ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)
    return c->ssl != NULL;
#else
    return 0;
#endif
}


static ngx_uint_t
ngx_http_mchost_ws_unsent(ngx_http_mchost_session_t *s)
{
#if (NGX_HTTP_SSL)
    if (s->connection->buffered & NGX_SSL_BUFFERED) {
        return 1;
    }
#endif
    return s->out.head != NULL;
}


void
ngx_http_mchost_ws_dirty(ngx_http_mchost_session_t *s)
{
    if (s->dirty || s->blocked || s->state < NGX_HTTP_MCHOST_WS_OPEN) {
        return;
    }
    s->dirty = 1;
    ngx_post_event(s->connection->write, &ngx_posted_events);
}


static void
ngx_http_mchost_ws_done(ngx_http_mchost_session_t *s)
{
    s->done = 1;
    ngx_post_event(s->connection->write, &ngx_posted_events);
}


/* Queues a control frame. */
static void
ngx_http_mchost_ws_control(ngx_http_mchost_session_t *s, int opcode,
    u_char *data, size_t len)
{
    ngx_mchost_block_t  *b;

    b = ngx_mchost_block_create(MC_WS_HEADER_MAX + MC_WS_CONTROL_MAX,
                                s->connection->log);
    if (b == NULL) {
        ngx_http_mchost_ws_done(s);
        return;
    }

    b->last += mc_ws_header(b->last, opcode, len);
    b->last = ngx_cpymem(b->last, data, len);

    if (ngx_mchost_outq_add(&s->out, b, (u_char *) (b + 1), b->last, 0, 0,
                            s->connection->log)
        != NGX_OK)
    {
        ngx_http_mchost_ws_done(s);
    }
    ngx_mchost_block_release(b);
    ngx_http_mchost_ws_dirty(s);
}


/* One span, or several in one writev(). Returns the bytes that left the
 * queue, NGX_AGAIN or NGX_ERROR. */
static ssize_t
ngx_http_mchost_ws_write(ngx_http_mchost_session_t *s)
{
    ssize_t            n;
    ngx_buf_t          bufs[NGX_HTTP_MCHOST_WS_SPANS];
    ngx_uint_t         i, used;
    ngx_chain_t        chain[NGX_HTTP_MCHOST_WS_SPANS];
    ngx_connection_t  *c = s->connection;
    ngx_mchost_out_t  *out = s->out.head;

    if (out != NULL && out->next == NULL && !ngx_http_mchost_ws_tls(c)) {
        return c->send(c, out->pos, out->last - out->pos);
    }

    for (i = 0; out != NULL && i < NGX_HTTP_MCHOST_WS_SPANS; i++) {
        ngx_memzero(&bufs[i], sizeof(ngx_buf_t));
        bufs[i].pos = out->pos;
        bufs[i].last = out->last;
        bufs[i].memory = 1;
        chain[i].buf = &bufs[i];
        chain[i].next = &chain[i + 1];
        out = out->next;
    }
    used = i;

    if (used > 0) {
        bufs[used - 1].flush = 1;       /* of what TLS gathers */
        chain[used - 1].next = NULL;
    }

    if (c->send_chain(c, used ? chain : NULL, 0) == NGX_CHAIN_ERROR) {
        return NGX_ERROR;
    }

    for (n = 0, i = 0, out = s->out.head; i < used; i++, out = out->next) {
        n += bufs[i].pos - out->pos;
    }
    return n > 0 ? n : NGX_AGAIN;
}


/* Writes until the queue is empty or the socket is full. */
static ngx_int_t
ngx_http_mchost_ws_flush(ngx_http_mchost_session_t *s)
{
    ssize_t            n;
    ngx_uint_t         i, frames = 0, progress = 0;
    ngx_connection_t  *c = s->connection;

    for (i = 0; ngx_http_mchost_ws_unsent(s) && c->write->ready; i++) {
        if (i == NGX_HTTP_MCHOST_WS_WRITES) {
            ngx_post_event(c->write, &ngx_posted_next_events);
            break;
        }

        n = ngx_http_mchost_ws_write(s);
        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }
        if (n == NGX_AGAIN) {
            break;
        }
        frames += ngx_mchost_outq_sent(&s->out, n);
        progress = 1;
    }

    if (frames > 0) {
        ngx_http_mchost_ws_count(ws_messages_out, frames);
    }

    s->blocked = ngx_http_mchost_ws_unsent(s) && !c->write->ready;
    if (!s->blocked) {
        if (c->write->timer_set) {
            ngx_del_timer(c->write);
        }

    } else if (progress || !c->write->timer_set) {
        ngx_add_timer(c->write, NGX_HTTP_MCHOST_WS_STALL);
    }
    return ngx_handle_write_event(c->write, 0);
}


/* 1 when the peer's kernel has taken something since this was asked last,
 * though it may not be read yet: a slow line, not a dead one. */
static ngx_uint_t
ngx_http_mchost_ws_moving(ngx_http_mchost_session_t *s)
{
    int    unacked;
    off_t  taken;

    if (ioctl(s->connection->fd, TIOCOUTQ, &unacked) == -1 || unacked == 0) {
        return 0;
    }

    taken = s->connection->sent - unacked;
    if (taken == s->taken) {
        return 0;
    }
    s->taken = taken;
    return 1;
}


/* -- closing -- */

/* The Close frame goes behind what is queued. The conversation is over, but
 * what it consists of is freed by the write event: the caller may be one of
 * its operations. */
static void
ngx_http_mchost_ws_send_close(ngx_http_mchost_session_t *s, ngx_uint_t code,
    const char *reason)
{
    size_t  len = 0;
    u_char  payload[MC_WS_CONTROL_MAX];

    s->state = NGX_HTTP_MCHOST_WS_CLOSING;
    s->quiesce = 1;
    ngx_post_event(s->connection->write, &ngx_posted_events);

    if (code != MC_WS_NO_STATUS) {
        payload[0] = (u_char) (code >> 8);
        payload[1] = (u_char) code;
        len = 2 + ngx_min(ngx_strlen(reason), sizeof(payload) - 2);
        ngx_memcpy(payload + 2, reason, len - 2);
    }
    ngx_http_mchost_ws_control(s, MC_WS_CLOSE, payload, len);
    ngx_http_mchost_ws_timer(s, NGX_HTTP_MCHOST_WS_CLOSE, 0);
}


void
ngx_http_mchost_ws_close(ngx_http_mchost_session_t *s, ngx_uint_t code,
    const char *reason)
{
    if (s->state == NGX_HTTP_MCHOST_WS_OPENING) {
        ngx_http_mchost_ws_done(s);     /* not even the 101 got through */
        return;
    }
    if (s->state == NGX_HTTP_MCHOST_WS_OPEN) {
        ngx_http_mchost_ws_send_close(s, code, reason);
    }
}


void
ngx_http_mchost_ws_overflow(ngx_http_mchost_session_t *s)
{
    if (s->state != NGX_HTTP_MCHOST_WS_OPEN) {
        return;
    }
    ngx_http_mchost_ws_count(ws_slow_closed, 1);
    ngx_mchost_outq_truncate(&s->out);
    ngx_http_mchost_ws_send_close(s, MC_WS_TRY_LATER, "reader is too slow");
    ngx_http_mchost_ws_timer(s, NGX_HTTP_MCHOST_WS_SLOW, 0);
}


/* A protocol error: RFC 6455 section 7.1.7. What the peer still sends is of
 * no interest, but it is read, or the kernel would answer it with a reset
 * that could overtake the Close frame. */
static void
ngx_http_mchost_ws_fail(ngx_http_mchost_session_t *s, ngx_uint_t code,
    const char *reason)
{
    s->failed = 1;
    if (s->state == NGX_HTTP_MCHOST_WS_OPEN) {
        ngx_http_mchost_ws_send_close(s, code, reason);

    } else {
        ngx_http_mchost_ws_done(s);
    }
}


static void
ngx_http_mchost_ws_peer_close(ngx_http_mchost_session_t *s, ngx_uint_t code)
{
    s->close_seen = 1;
    if (s->state == NGX_HTTP_MCHOST_WS_OPEN) {
        ngx_http_mchost_ws_send_close(s, code, "");

    } else {
        ngx_post_event(s->connection->write, &ngx_posted_events);
    }
}


static void
ngx_http_mchost_ws_finalize(ngx_http_mchost_session_t *s)
{
    ngx_connection_t    *c = s->connection;
    ngx_http_request_t  *r = s->request;

    /* before the request's own cleanups, so that it happens but once */
    ngx_http_mchost_session_destroy(s);

    r->keepalive = 0;
    r->lingering_close = 0;
    ngx_http_finalize_request(r, NGX_ERROR);    /* terminates; no alert */
    ngx_http_run_posted_requests(c);
}


/* Close is sent: the server closes TCP first once both have said so. */
static void
ngx_http_mchost_ws_closed(ngx_http_mchost_session_t *s)
{
    if (s->close_seen) {
        ngx_http_mchost_ws_finalize(s);

    } else if (s->failed && !ngx_http_mchost_ws_tls(s->connection)) {
        (void) ngx_shutdown_socket(s->connection->fd, NGX_WRITE_SHUTDOWN);
    }
}


/* Closes a little later than the others of this worker, so that they do not
 * all come to the new one at once. */
static void
ngx_http_mchost_ws_go(ngx_http_mchost_session_t *s)
{
    s->leaving = 1;
    ngx_http_mchost_ws_timer(s, ngx_random() % NGX_HTTP_MCHOST_WS_LEAVE + 1,
                             0);
}


/* The worker was told to leave, gracefully or, after worker_shutdown_timeout
 * and with c->error, at once. Returns 1 when the socket is gone. */
static ngx_uint_t
ngx_http_mchost_ws_leave(ngx_http_mchost_session_t *s)
{
    ngx_connection_t  *c = s->connection;

    if (c->error) {
        ngx_http_mchost_ws_finalize(s);
        return 1;
    }

    c->close = 0;
    if (!s->leaving && s->state < NGX_HTTP_MCHOST_WS_CLOSING) {
        ngx_http_mchost_ws_go(s);
    }
    return 0;
}


/* -- events -- */

static void
ngx_http_mchost_ws_resume(ngx_http_mchost_session_t *s)
{
    if (s->out.bytes > s->conf->ws_queue / 2) {
        return;
    }
    s->full = 0;
    if (s->paused) {
        s->paused = 0;
        ngx_post_event(s->connection->read, &ngx_posted_events);
    }
    if (s->state == NGX_HTTP_MCHOST_WS_OPEN) {
        ngx_http_mchost_sub_next(s);
        ngx_http_mchost_logs_continue(s);
    }
}


/* What nginx itself still has to write of the 101. */
static ngx_int_t
ngx_http_mchost_ws_opening(ngx_http_mchost_session_t *s)
{
    ngx_connection_t    *c = s->connection;
    ngx_http_request_t  *r = s->request;

    if (r->out != NULL || c->buffered) {
        if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
            return NGX_ERROR;
        }
        if (c->buffered) {
            return ngx_handle_write_event(c->write, 0);
        }
    }

    s->state = NGX_HTTP_MCHOST_WS_OPEN;
    ngx_http_mchost_ws_count(sockets, 1);
    ngx_http_mchost_ws_count(sockets_total, 1);
    if (ngx_exiting) {
        ngx_http_mchost_ws_go(s);

    } else if (s->authenticated) {
        ngx_http_mchost_ws_heartbeat(s);

    } else {
        ngx_http_mchost_ws_timer(s, NGX_HTTP_MCHOST_WS_AUTH, 1);
    }
    ngx_post_event(c->read, &ngx_posted_events);
    return NGX_OK;
}


void
ngx_http_mchost_ws_write_handler(ngx_event_t *ev)
{
    ngx_connection_t           *c = ev->data;
    ngx_http_mchost_session_t  *s = ngx_http_mchost_ws_session(c->data);

    if (c->close && ngx_http_mchost_ws_leave(s)) {
        return;
    }

    if (ev->timedout) {
        ev->timedout = 0;
        if (!ngx_http_mchost_ws_moving(s)) {
            ngx_http_mchost_ws_overflow(s);
        }
    }

    if (s->state == NGX_HTTP_MCHOST_WS_OPENING && !s->done
        && ngx_http_mchost_ws_opening(s) != NGX_OK)
    {
        s->done = 1;
    }

    if (s->quiesce) {
        s->quiesce = 0;
        ngx_http_mchost_session_quiesce(s);
    }

    s->dirty = 0;
    if (s->state >= NGX_HTTP_MCHOST_WS_OPEN && !s->done
        && ngx_http_mchost_ws_flush(s) != NGX_OK)
    {
        s->done = 1;
    }

    if (s->done) {
        ngx_http_mchost_ws_finalize(s);
        return;
    }

    ngx_http_mchost_ws_resume(s);
    if (s->state == NGX_HTTP_MCHOST_WS_CLOSING
        && !ngx_http_mchost_ws_unsent(s))
    {
        ngx_http_mchost_ws_closed(s);
    }
}


/* A piece of a message; whole ones are used where they lie. */
static void
ngx_http_mchost_ws_data(ngx_http_mchost_session_t *s, mc_ws_event_t *ev)
{
    size_t   size;
    u_char  *p;

    if (s->state != NGX_HTTP_MCHOST_WS_OPEN) {
        return;
    }
    if (ev->opcode != MC_WS_TEXT) {
        ngx_http_mchost_ws_close(s, MC_WS_UNSUPPORTED, "text only");
        return;
    }
    if (ev->first && ev->last) {
        ngx_http_mchost_session_message(s, ev->data, ev->len);
        return;
    }

    if (s->message_len + ev->len > s->message_size) {
        size = ngx_max(s->message_size * 2, s->message_len + ev->len);
        p = ngx_alloc(size, s->connection->log);
        if (p == NULL) {
            ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");
            return;
        }
        if (s->message != NULL) {
            ngx_memcpy(p, s->message, s->message_len);
            ngx_free(s->message);
        }
        s->message = p;
        s->message_size = size;
    }
    ngx_memcpy(s->message + s->message_len, ev->data, ev->len);
    s->message_len += ev->len;

    if (ev->last) {
        ngx_http_mchost_session_message(s, s->message, s->message_len);
        ngx_free(s->message);
        s->message = NULL;
        s->message_len = s->message_size = 0;
    }
}


static void
ngx_http_mchost_ws_feed(ngx_http_mchost_session_t *s, u_char *buf, size_t len)
{
    size_t         used;
    mc_ws_event_t  ev;

    while (!s->close_seen && !s->failed && !s->done) {
        used = mc_ws_parse(&s->parser, buf, len, &ev);
        buf += used;
        len -= used;

        switch (ev.type) {

        case MC_WS_EV_MORE:
            return;

        case MC_WS_EV_ERROR:
            ngx_http_mchost_ws_fail(s, ev.code, ev.reason);
            return;

        case MC_WS_EV_CONTROL:
            if (ev.opcode == MC_WS_CLOSE) {
                ngx_http_mchost_ws_peer_close(s, ev.code);

            } else if (ev.opcode == MC_WS_PING
                       && s->state == NGX_HTTP_MCHOST_WS_OPEN)
            {
                ngx_http_mchost_ws_control(s, MC_WS_PONG, ev.data, ev.len);
            }
            break;

        case MC_WS_EV_DATA:
            ngx_http_mchost_ws_data(s, &ev);
            break;
        }
    }
}


/* NGX_OK when there may be more to read, NGX_AGAIN when not now, NGX_ERROR
 * when the peer is gone. */
static ngx_int_t
ngx_http_mchost_ws_receive(ngx_http_mchost_session_t *s)
{
    ssize_t            n;
    ngx_connection_t  *c = s->connection;
    u_char             buf[NGX_HTTP_MCHOST_WS_READ];

    /* who does not read the answers need not be asked for more */
    if (s->state == NGX_HTTP_MCHOST_WS_OPEN
        && s->out.bytes > s->conf->ws_queue / 2)
    {
        s->paused = 1;
        return NGX_AGAIN;
    }

    n = c->recv(c, buf, sizeof(buf));
    if (n == NGX_AGAIN) {
        return ngx_handle_read_event(c->read, 0) == NGX_OK ? NGX_AGAIN
                                                           : NGX_ERROR;
    }
    if (n <= 0) {
        return NGX_ERROR;
    }

    s->missed = 0;
    ngx_http_mchost_ws_feed(s, buf, n);
    return NGX_OK;
}


void
ngx_http_mchost_ws_read_handler(ngx_event_t *ev)
{
    ngx_int_t                   rc = NGX_OK;
    ngx_buf_t                  *b;
    ngx_uint_t                  i;
    ngx_connection_t           *c = ev->data;
    ngx_http_mchost_session_t  *s = ngx_http_mchost_ws_session(c->data);

    if (c->close && ngx_http_mchost_ws_leave(s)) {
        return;
    }
    if (s->state < NGX_HTTP_MCHOST_WS_OPEN) {
        return;                         /* read when the 101 is out */
    }

    /* frames that came together with the request */
    b = s->request->header_in;
    if (b->pos < b->last) {
        ngx_http_mchost_ws_feed(s, b->pos, b->last - b->pos);
        b->pos = b->last;
    }

    for (i = 0; i < NGX_HTTP_MCHOST_WS_READS && rc == NGX_OK; i++) {
        rc = ngx_http_mchost_ws_receive(s);
    }

    if (rc == NGX_ERROR || s->done) {
        ngx_http_mchost_ws_finalize(s);
        return;
    }
    if (rc == NGX_OK) {
        ngx_post_event(c->read, &ngx_posted_next_events);
    }
}


/* -- heartbeat -- */

void
ngx_http_mchost_ws_heartbeat(ngx_http_mchost_session_t *s)
{
    if (s->leaving || s->state != NGX_HTTP_MCHOST_WS_OPEN) {
        return;
    }
    s->missed = 0;
    s->checked = ngx_current_msec;
    ngx_http_mchost_ws_timer(s, s->conf->ws_ping, 1);
}


static void
ngx_http_mchost_ws_beat(ngx_http_mchost_session_t *s)
{
    if (s->missed >= 2 && !s->blocked && !ngx_http_mchost_ws_moving(s)) {
        ngx_http_mchost_ws_close(s, MC_WS_POLICY, "pings are not answered");
        return;
    }

    /* takes bytes, but in a minute not half of what it is owed */
    if (s->out.bytes > s->conf->ws_queue / 2) {
        if (!s->full) {
            s->full = 1;
            s->full_since = ngx_current_msec;

        } else if (ngx_current_msec - s->full_since > NGX_HTTP_MCHOST_WS_FULL)
        {
            ngx_http_mchost_ws_overflow(s);
            return;
        }
    }

    if (!s->blocked) {
        s->missed++;
        ngx_http_mchost_ws_control(s, MC_WS_PING, (u_char *) "", 0);
    }

    if (ngx_current_msec - s->checked >= NGX_HTTP_MCHOST_WS_CHECK) {
        s->checked = ngx_current_msec;
        ngx_http_mchost_session_check(s);
    }
    ngx_http_mchost_logs_tick(s);
    ngx_http_mchost_ws_timer(s, s->conf->ws_ping, 1);
}


void
ngx_http_mchost_ws_timer_handler(ngx_event_t *ev)
{
    ngx_http_mchost_session_t  *s = ev->data;

    if (s->state == NGX_HTTP_MCHOST_WS_HANDSHAKE) {
        return;                         /* the database's answer comes */
    }

    if (s->state != NGX_HTTP_MCHOST_WS_OPEN) {
        ngx_http_mchost_ws_done(s);

    } else if (s->leaving) {
        ngx_http_mchost_ws_close(s, MC_WS_GOING_AWAY, "server is restarting");

    } else if (!s->authenticated) {
        ngx_http_mchost_session_error(s, NULL, "unauthorized",
                                      "no authentication in time");
        ngx_http_mchost_ws_close(s, MC_WS_AUTH_TIMEOUT, "no authentication");

    } else {
        ngx_http_mchost_ws_beat(s);
    }
}
