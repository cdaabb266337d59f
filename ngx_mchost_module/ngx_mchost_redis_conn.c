#include "ngx_mchost_redis_conn.h"

#define NGX_MCHOST_REDIS_BACKOFF_MIN  100       /* ms */
#define NGX_MCHOST_REDIS_BACKOFF_MAX  5000
#define NGX_MCHOST_REDIS_OUT_MAX      (8 * 1024 * 1024)
#define NGX_MCHOST_REDIS_OUT_KEEP     16384     /* kept when drained */
#define NGX_MCHOST_REDIS_READ         65536     /* a recv() */
#define NGX_MCHOST_REDIS_READS        4         /* recv()s of a wakeup */


static void ngx_mchost_redis_conn_connect(ngx_mchost_redis_conn_t *conn);
static void ngx_mchost_redis_conn_fail(ngx_mchost_redis_conn_t *conn,
    const char *why);


static void
ngx_mchost_redis_conn_timer(ngx_mchost_redis_conn_t *conn, ngx_msec_t ms)
{
    /* cancelable: neither an attempt nor an idle Redis may keep a worker
     * that is shutting down */
    conn->timer.cancelable = 1;
    ngx_add_timer(&conn->timer, ms);
}


static void
ngx_mchost_redis_conn_close(ngx_mchost_redis_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }
    if (conn->c != NULL) {
        ngx_close_connection(conn->c);
        conn->c = NULL;
    }
    if (conn->reader != NULL) {
        redisReaderFree(conn->reader);
        conn->reader = NULL;
    }
    if (conn->out != NULL) {
        ngx_free(conn->out);
        conn->out = NULL;
    }
    conn->out_size = conn->out_pos = conn->out_last = 0;
    conn->lost = NULL;
}


/* Closes, tells the owner, and schedules the next attempt. Only from the
 * connection's own events, at their end. */
static void
ngx_mchost_redis_conn_fail(ngx_mchost_redis_conn_t *conn, const char *why)
{
    ngx_uint_t  was_up = (conn->state == NGX_MCHOST_REDIS_UP);

    if (!conn->silent && !ngx_exiting && !ngx_terminate) {
        ngx_log_error(NGX_LOG_ERR, conn->log, 0,
                      "mchost: redis %s connection to %V: %s",
                      conn->name, &conn->conf->address, why);
        conn->silent = 1;
    }

    ngx_mchost_redis_conn_close(conn);
    conn->state = NGX_MCHOST_REDIS_CLOSED;

    ngx_mchost_redis_conn_timer(conn,
        conn->backoff / 2 + (ngx_msec_t) ngx_random() % (conn->backoff / 2));
    conn->backoff = ngx_min(conn->backoff * 2, NGX_MCHOST_REDIS_BACKOFF_MAX);

    if (was_up) {
        conn->ops->down(conn->data);
    }
}


void
ngx_mchost_redis_conn_lost(ngx_mchost_redis_conn_t *conn, const char *why)
{
    if (conn->c == NULL || conn->lost != NULL) {
        return;
    }
    conn->lost = why;
    ngx_post_event(conn->c->read, &ngx_posted_events);
}


static ngx_int_t
ngx_mchost_redis_conn_flush(ngx_mchost_redis_conn_t *conn)
{
    ssize_t            n;
    ngx_connection_t  *c = conn->c;

    while (conn->out_pos < conn->out_last) {
        n = c->send(c, conn->out + conn->out_pos,
                    conn->out_last - conn->out_pos);
        if (n == NGX_AGAIN) {
            return ngx_handle_write_event(c->write, 0);
        }
        if (n <= 0) {
            return NGX_ERROR;
        }
        conn->out_pos += n;
    }

    conn->out_pos = conn->out_last = 0;
    if (conn->out_size > NGX_MCHOST_REDIS_OUT_KEEP) {
        ngx_free(conn->out);
        conn->out = NULL;
        conn->out_size = 0;
    }
    return NGX_OK;
}


static ngx_int_t
ngx_mchost_redis_conn_reserve(ngx_mchost_redis_conn_t *conn, size_t len)
{
    size_t   used = conn->out_last - conn->out_pos, size;
    u_char  *p;

    if (used + len > NGX_MCHOST_REDIS_OUT_MAX) {
        return NGX_DECLINED;
    }

    if (conn->out_pos > 0) {
        ngx_memmove(conn->out, conn->out + conn->out_pos, used);
        conn->out_pos = 0;
        conn->out_last = used;
    }

    if (used + len > conn->out_size) {
        size = ngx_max(ngx_max(conn->out_size * 2, used + len), 4096);
        p = ngx_alloc(size, conn->log);
        if (p == NULL) {
            return NGX_DECLINED;
        }
        if (conn->out != NULL) {
            ngx_memcpy(p, conn->out, used);
            ngx_free(conn->out);
        }
        conn->out = p;
        conn->out_size = size;
    }
    return NGX_OK;
}


static ngx_int_t
ngx_mchost_redis_conn_queue(ngx_mchost_redis_conn_t *conn, int argc,
    const char **argv, const size_t *argvlen)
{
    char  *cmd;
    int    len;

    len = (int) redisFormatCommandArgv(&cmd, argc, argv, argvlen);
    if (len < 0) {
        return NGX_DECLINED;
    }

    if (ngx_mchost_redis_conn_reserve(conn, len) != NGX_OK) {
        redisFreeCommand(cmd);
        return NGX_DECLINED;
    }

    ngx_memcpy(conn->out + conn->out_last, cmd, len);
    conn->out_last += len;
    redisFreeCommand(cmd);

    /* commands of one wakeup leave in one write, and a failing write calls
     * nobody back from within this call */
    ngx_post_event(conn->c->write, &ngx_posted_events);
    return NGX_OK;
}


ngx_int_t
ngx_mchost_redis_conn_send(ngx_mchost_redis_conn_t *conn, int argc,
    const char **argv, const size_t *argvlen)
{
    if (conn->state != NGX_MCHOST_REDIS_UP || conn->lost != NULL) {
        return NGX_DECLINED;
    }
    return ngx_mchost_redis_conn_queue(conn, argc, argv, argvlen);
}


static void
ngx_mchost_redis_conn_up(ngx_mchost_redis_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }
    if (conn->silent) {
        ngx_log_error(NGX_LOG_NOTICE, conn->log, 0,
                      "mchost: redis %s connection to %V is back",
                      conn->name, &conn->conf->address);
    }
    conn->state = NGX_MCHOST_REDIS_UP;
    conn->backoff = NGX_MCHOST_REDIS_BACKOFF_MIN;
    conn->silent = 0;
    conn->ops->up(conn->data);
}


/* The socket is connected: authenticate, or be up. */
static ngx_int_t
ngx_mchost_redis_conn_hello(ngx_mchost_redis_conn_t *conn)
{
    int          argc;
    size_t       argvlen[3];
    const char  *argv[3];

    if (conn->conf->password.len == 0) {
        ngx_mchost_redis_conn_up(conn);
        return NGX_OK;
    }

    argc = 0;
    argv[argc] = "AUTH";
    argvlen[argc++] = 4;
    if (conn->conf->user.len != 0) {
        argv[argc] = (char *) conn->conf->user.data;
        argvlen[argc++] = conn->conf->user.len;
    }
    argv[argc] = (char *) conn->conf->password.data;
    argvlen[argc++] = conn->conf->password.len;

    conn->state = NGX_MCHOST_REDIS_AUTH;
    return ngx_mchost_redis_conn_queue(conn, argc, argv, argvlen);
}


static ngx_int_t
ngx_mchost_redis_conn_test(ngx_connection_t *c)
{
    int        err = 0;
    socklen_t  len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }
    return err == 0 ? NGX_OK : NGX_ERROR;
}


static void
ngx_mchost_redis_conn_write_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c = ev->data;
    ngx_mchost_redis_conn_t  *conn = c->data;

    if (c->close) {
        ngx_mchost_redis_conn_fail(conn, "worker is shutting down");
        return;
    }

    if (conn->state == NGX_MCHOST_REDIS_CONNECTING) {
        if (ngx_mchost_redis_conn_test(c) != NGX_OK) {
            ngx_mchost_redis_conn_fail(conn, "cannot connect");
            return;
        }
        if (ngx_mchost_redis_conn_hello(conn) != NGX_OK) {
            ngx_mchost_redis_conn_fail(conn, "cannot authenticate");
            return;
        }
        if (c->read->ready) {
            ngx_post_event(c->read, &ngx_posted_events);
        }
    }

    if (ngx_mchost_redis_conn_flush(conn) != NGX_OK) {
        ngx_mchost_redis_conn_fail(conn, "cannot send");
    }
}


/* One reply of Redis; NULL or why the connection must go. */
static const char *
ngx_mchost_redis_conn_reply(ngx_mchost_redis_conn_t *conn, redisReply *reply)
{
    if (conn->state == NGX_MCHOST_REDIS_AUTH) {
        if (reply->type == REDIS_REPLY_ERROR) {
            return "user or password refused";
        }
        ngx_mchost_redis_conn_up(conn);
        return NULL;
    }

    conn->ops->reply(conn->data, reply);
    return conn->lost;
}


static const char *
ngx_mchost_redis_conn_parse(ngx_mchost_redis_conn_t *conn, u_char *buf,
    size_t len)
{
    void        *reply;
    const char  *why;

    if (redisReaderFeed(conn->reader, (char *) buf, len) != REDIS_OK) {
        return "out of memory";
    }

    for ( ;; ) {
        reply = NULL;
        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
            return "protocol error";
        }
        if (reply == NULL) {
            return NULL;
        }
        why = ngx_mchost_redis_conn_reply(conn, reply);
        freeReplyObject(reply);
        if (why != NULL) {
            return why;
        }
    }
}


/* Everything that this wakeup brought is handled before any of the sockets
 * it fans out to is written: their writes are posted events. */
static const char *
ngx_mchost_redis_conn_read(ngx_mchost_redis_conn_t *conn)
{
    ssize_t            n;
    ngx_uint_t         i;
    const char        *why;
    ngx_connection_t  *c = conn->c;
    u_char             buf[NGX_MCHOST_REDIS_READ];

    for (i = 0; i < NGX_MCHOST_REDIS_READS; i++) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
                return "event error";
            }
            return NULL;
        }
        if (n == 0) {
            return "closed by Redis";
        }
        if (n < 0) {
            return "cannot receive";
        }

        why = ngx_mchost_redis_conn_parse(conn, buf, n);
        if (why != NULL) {
            return why;
        }
    }

    /* more may be there; the sockets come first */
    ngx_post_event(c->read, &ngx_posted_next_events);
    return NULL;
}


static void
ngx_mchost_redis_conn_read_handler(ngx_event_t *ev)
{
    const char               *why;
    ngx_connection_t         *c = ev->data;
    ngx_mchost_redis_conn_t  *conn = c->data;

    if (c->close) {
        ngx_mchost_redis_conn_fail(conn, "worker is shutting down");
        return;
    }

    if (conn->state == NGX_MCHOST_REDIS_CONNECTING) {
        return;                         /* the write event comes as well */
    }

    why = conn->lost;
    if (why == NULL) {
        why = ngx_mchost_redis_conn_read(conn);
    }
    if (why != NULL) {
        ngx_mchost_redis_conn_fail(conn, why);
    }
}


static void
ngx_mchost_redis_conn_connect(ngx_mchost_redis_conn_t *conn)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    conn->reader = redisReaderCreate();
    if (conn->reader == NULL) {
        ngx_mchost_redis_conn_fail(conn, "out of memory");
        return;
    }

    conn->reader->maxbuf = 2 * NGX_MCHOST_REDIS_READ;

    conn->state = NGX_MCHOST_REDIS_CONNECTING;
    rc = ngx_event_connect_peer(&conn->peer);
    conn->c = conn->peer.connection;
    conn->peer.connection = NULL;

    if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {
        ngx_mchost_redis_conn_fail(conn, "cannot connect");
        return;
    }

    c = conn->c;
    c->data = conn;
    c->read->handler = ngx_mchost_redis_conn_read_handler;
    c->write->handler = ngx_mchost_redis_conn_write_handler;

    ngx_mchost_redis_conn_timer(conn, conn->conf->timeout);
    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }
}


static void
ngx_mchost_redis_conn_timer_handler(ngx_event_t *ev)
{
    ngx_mchost_redis_conn_t  *conn = ev->data;

    if (conn->state == NGX_MCHOST_REDIS_CLOSED) {
        if (!ngx_terminate) {
            ngx_mchost_redis_conn_connect(conn);
        }
        return;
    }
    ngx_mchost_redis_conn_fail(conn, "timed out");
}


void
ngx_mchost_redis_conn_start(ngx_mchost_redis_conn_t *conn, ngx_addr_t *addr)
{
    conn->peer.sockaddr = addr->sockaddr;
    conn->peer.socklen = addr->socklen;
    conn->peer.name = &conn->conf->address;    /* addr is the caller's */
    conn->peer.get = ngx_event_get_peer;
    conn->peer.log = conn->log;
    conn->peer.log_error = NGX_ERROR_ERR;

    conn->backoff = NGX_MCHOST_REDIS_BACKOFF_MIN;
    conn->timer.handler = ngx_mchost_redis_conn_timer_handler;
    conn->timer.data = conn;
    conn->timer.log = conn->log;

    /* from the event loop, once the worker's process is set up */
    ngx_mchost_redis_conn_timer(conn, 1);
}


void
ngx_mchost_redis_conn_stop(ngx_mchost_redis_conn_t *conn)
{
    ngx_mchost_redis_conn_close(conn);
    conn->state = NGX_MCHOST_REDIS_CLOSED;
}
