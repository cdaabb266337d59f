/*
 * One connection: its states, its socket, connecting and losing it.
 *
 * libpq's socket is registered level-triggered (libpq reads once per call and
 * would be stalled by edges), and read interest stays on for good. Nothing in
 * here calls libpq where it could wait.
 */

#include "ngx_mchost_pg_int.h"

#define NGX_MCHOST_PG_BACKOFF_MIN  100          /* ms between attempts */
#define NGX_MCHOST_PG_BACKOFF_MAX  5000
#define NGX_MCHOST_PG_LIFETIME     1800000      /* libpq's buffers only grow */


static void ngx_mchost_pg_conn_unwatch(ngx_mchost_pg_conn_t *pc);
static void ngx_mchost_pg_conn_poll(ngx_mchost_pg_conn_t *pc);
static void ngx_mchost_pg_conn_established(ngx_mchost_pg_conn_t *pc);
static void ngx_mchost_pg_conn_refused(ngx_mchost_pg_conn_t *pc,
    const char *reason);
static void ngx_mchost_pg_conn_again(ngx_mchost_pg_conn_t *pc);

static void ngx_mchost_pg_conn_connect_handler(ngx_event_t *ev);
static void ngx_mchost_pg_conn_timer_handler(ngx_event_t *ev);
static void ngx_mchost_pg_conn_notice(void *data, const char *message);


void
ngx_mchost_pg_conn_init(ngx_mchost_pg_conn_t *pc, ngx_mchost_pg_pool_t *pool)
{
    pc->pool = pool;
    pc->state = NGX_MCHOST_PG_CLOSED;
    ngx_queue_init(&pc->segments);

    ngx_queue_insert_tail(&pool->conns[NGX_MCHOST_PG_CLOSED], &pc->queue);
    pool->nconns[NGX_MCHOST_PG_CLOSED]++;

    pc->timer.handler = ngx_mchost_pg_conn_timer_handler;
    pc->timer.data = pc;
    pc->timer.log = pool->log;
    pc->timer.cancelable = 1;
}


/* The only place where a connection changes its state. */

void
ngx_mchost_pg_conn_state(ngx_mchost_pg_conn_t *pc, ngx_mchost_pg_state_e state)
{
    ngx_mchost_pg_pool_t  *pool;

    pool = pc->pool;

    if (pc->state != state) {
        ngx_queue_remove(&pc->queue);
        pool->nconns[pc->state]--;

        pc->state = state;

        ngx_queue_insert_tail(&pool->conns[state], &pc->queue);
        pool->nconns[state]++;
    }

    /* a worker that exits waits for the timers of what is in flight, and
     * closes connections that are idle */

    pc->timer.cancelable = (pc->in_flight == 0);

    if (pc->c) {
        pc->c->idle = (pc->in_flight == 0);
    }
}


void
ngx_mchost_pg_conn_settle(ngx_mchost_pg_conn_t *pc)
{
    ngx_uint_t  depth;

    if (pc->state == NGX_MCHOST_PG_DRAINING) {

        if (pc->in_flight == 0) {
            ngx_mchost_pg_conn_close(pc);
            ngx_mchost_pg_conn_again(pc);
            return;
        }

        ngx_mchost_pg_conn_state(pc, NGX_MCHOST_PG_DRAINING);
        return;
    }

    depth = pc->brackets ? 1 : pc->pool->conf->pipeline;

    ngx_mchost_pg_conn_state(pc, pc->in_flight < depth ? NGX_MCHOST_PG_READY
                                                       : NGX_MCHOST_PG_FULL);
}


/* -- the socket -- */

ngx_int_t
ngx_mchost_pg_conn_watch(ngx_mchost_pg_conn_t *pc, ngx_int_t event)
{
    int                fd;
    ngx_event_t       *ev;
    ngx_connection_t  *c;

    fd = PQsocket(pc->conn);
    if (fd == -1) {
        return NGX_ERROR;
    }

    if (pc->c == NULL) {
        c = ngx_get_connection(fd, pc->pool->log);
        if (c == NULL) {
            return NGX_ERROR;
        }

        c->data = pc;
        c->shared = 1;          /* libpq closes the descriptor */
        c->log = pc->pool->log;
        c->read->log = c->log;
        c->write->log = c->log;
        c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
        c->idle = 1;

        pc->c = c;
    }

    ev = (event == NGX_READ_EVENT) ? pc->c->read : pc->c->write;

    if (ev->active) {
        return NGX_OK;
    }

    return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
}


/*
 * libpq may have closed the descriptor already: the kernel has forgotten it
 * then, and asking would raise an alert, or hit another file.
 */

static void
ngx_mchost_pg_conn_unwatch(ngx_mchost_pg_conn_t *pc)
{
    ngx_uint_t         flags;
    ngx_connection_t  *c;

    c = pc->c;

    if (c == NULL) {
        return;
    }

    flags = (PQsocket(pc->conn) == c->fd) ? 0 : NGX_CLOSE_EVENT;

    if (c->read->active) {
        ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    pc->c = NULL;
    ngx_close_connection(c);
}


/* -- connecting -- */

void
ngx_mchost_pg_conn_connect(ngx_mchost_pg_conn_t *pc)
{
    ngx_mchost_pg_conf_t  *conf;

    conf = pc->pool->conf;

    if (pc->timer.timer_set) {
        ngx_del_timer(&pc->timer);
    }

    ngx_memzero(pc->prepared, sizeof(pc->prepared));
    pc->dirty = 0;
    pc->nulls = 0;
    pc->brackets = 0;
    pc->proved = 0;

    pc->conn = PQconnectStartParams(conf->keywords, conf->values, 0);

    if (pc->conn == NULL) {
        ngx_mchost_pg_conn_refused(pc, "out of memory");
        return;
    }

    if (PQstatus(pc->conn) == CONNECTION_BAD) {
        ngx_mchost_pg_conn_refused(pc, PQerrorMessage(pc->conn));
        return;
    }

    PQsetNoticeProcessor(pc->conn, ngx_mchost_pg_conn_notice, pc);

    ngx_mchost_pg_conn_state(pc, NGX_MCHOST_PG_CONNECTING);
    ngx_add_timer(&pc->timer, conf->connect_timeout);

    if (ngx_mchost_pg_conn_watch(pc, NGX_WRITE_EVENT) != NGX_OK) {
        ngx_mchost_pg_conn_refused(pc, "no connection is free in the worker");
        return;
    }

    pc->c->read->handler = ngx_mchost_pg_conn_connect_handler;
    pc->c->write->handler = ngx_mchost_pg_conn_connect_handler;
}


static void
ngx_mchost_pg_conn_connect_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_mchost_pg_conn_t  *pc;

    c = ev->data;
    pc = c->data;

    if (c->close) {
        c->close = 0;

        if (pc->pool->queued == 0) {
            ngx_mchost_pg_conn_close(pc);
        }

        return;
    }

    ngx_mchost_pg_conn_poll(pc);
}


/*
 * PQconnectPoll() may go to another socket (the next host, or once more
 * without TLS), even one with the same number: whatever was registered is
 * taken back before it.
 */

static void
ngx_mchost_pg_conn_poll(ngx_mchost_pg_conn_t *pc)
{
    ngx_int_t                  event;
    PostgresPollingStatusType  status;

    ngx_mchost_pg_conn_unwatch(pc);

    status = PQconnectPoll(pc->conn);

    switch (status) {

    case PGRES_POLLING_READING:
    case PGRES_POLLING_OK:
        event = NGX_READ_EVENT;
        break;

    case PGRES_POLLING_WRITING:
        event = NGX_WRITE_EVENT;
        break;

    default:
        ngx_mchost_pg_conn_refused(pc, PQerrorMessage(pc->conn));
        return;
    }

    if (ngx_mchost_pg_conn_watch(pc, event) != NGX_OK) {
        ngx_mchost_pg_conn_refused(pc, "no connection is free in the worker");
        return;
    }

    if (status == PGRES_POLLING_OK) {
        ngx_mchost_pg_conn_established(pc);
        return;
    }

    pc->c->read->handler = ngx_mchost_pg_conn_connect_handler;
    pc->c->write->handler = ngx_mchost_pg_conn_connect_handler;
}


static void
ngx_mchost_pg_conn_established(ngx_mchost_pg_conn_t *pc)
{
    ngx_uint_t             i;
    const char            *superuser;
    ngx_mchost_pg_pool_t  *pool;
    ngx_mchost_pg_conn_t  *other;

    pool = pc->pool;

    if (PQsetnonblocking(pc->conn, 1) != 0
        || PQenterPipelineMode(pc->conn) != 1)
    {
        ngx_mchost_pg_conn_refused(pc, PQerrorMessage(pc->conn));
        return;
    }

    ngx_del_timer(&pc->timer);

    pc->c->read->handler = ngx_mchost_pg_conn_read_handler;
    pc->c->write->handler = ngx_mchost_pg_conn_write_handler;

    /*
     * The dialects: on PostgreSQL a segment is an implicit transaction. On
     * CockroachDB local settings hold only within BEGIN ... COMMIT, and a
     * failed block needs its ROLLBACK, so one segment has the connection for
     * itself and an error ends it.
     */

    pc->brackets = (PQparameterStatus(pc->conn, "crdb_version") != NULL);

    pc->expires = ngx_current_msec + NGX_MCHOST_PG_LIFETIME
                  - ngx_random() % (NGX_MCHOST_PG_LIFETIME / 10);
    pool->stat.connects++;

    superuser = PQparameterStatus(pc->conn, "is_superuser");

    if (superuser && ngx_strcmp(superuser, "on") == 0) {
        ngx_log_error(NGX_LOG_WARN, pool->log, 0,
                      "mchost_postgres \"%V\": the role is a superuser, "
                      "row-level security does not bind it",
                      &pool->conf->name);
    }

    ngx_mchost_pg_conn_settle(pc);

    if (pool->unreachable) {
        pool->unreachable = 0;

        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "mchost_postgres \"%V\": the database answers again",
                      &pool->conf->name);

        for (i = 0; i < pool->conf->connections; i++) {
            other = &pool->connections[i];

            if (other->state == NGX_MCHOST_PG_CLOSED) {
                other->attempts = 0;
                ngx_mchost_pg_conn_again(other);
            }
        }
    }

    ngx_mchost_pg_wakeup(pool);
}


/* The length of libpq's message without the line feed at its end. */

static size_t
ngx_mchost_pg_message_len(const char *message)
{
    size_t  len;

    len = ngx_strlen(message);

    while (len && (message[len - 1] == LF || message[len - 1] == ' ')) {
        len--;
    }

    return len;
}


/* An attempt to connect has failed. */

static void
ngx_mchost_pg_conn_refused(ngx_mchost_pg_conn_t *pc, const char *reason)
{
    ngx_uint_t             level;
    ngx_mchost_pg_pool_t  *pool;

    pool = pc->pool;
    level = pc->attempts ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, pool->log, 0,
                  "mchost_postgres \"%V\": cannot connect: %*s",
                  &pool->conf->name, ngx_mchost_pg_message_len(reason), reason);

    ngx_mchost_pg_conn_close(pc);
    pc->attempts++;

    if (pool->nconns[NGX_MCHOST_PG_READY] == 0
        && pool->nconns[NGX_MCHOST_PG_FULL] == 0
        && pool->nconns[NGX_MCHOST_PG_DRAINING] == 0)
    {
        pool->unreachable = 1;
        ngx_mchost_pg_wakeup(pool);
    }

    ngx_mchost_pg_conn_again(pc);
}


/* Plans the next attempt. */

static void
ngx_mchost_pg_conn_again(ngx_mchost_pg_conn_t *pc)
{
    ngx_msec_t  delay;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    if (pc->attempts == 0) {
        delay = 1;

    } else {
        delay = NGX_MCHOST_PG_BACKOFF_MIN << ngx_min(pc->attempts - 1, 6);
        delay = ngx_min(delay, NGX_MCHOST_PG_BACKOFF_MAX);
        delay = delay / 2 + ngx_random() % delay;
    }

    if (pc->timer.timer_set) {
        ngx_del_timer(&pc->timer);
    }

    ngx_add_timer(&pc->timer, delay);
}


/* -- closing -- */

void
ngx_mchost_pg_conn_close(ngx_mchost_pg_conn_t *pc)
{
    ngx_mchost_pg_conn_unwatch(pc);

    if (pc->conn) {
        PQfinish(pc->conn);
        pc->conn = NULL;
    }

    if (pc->timer.timer_set) {
        ngx_del_timer(&pc->timer);
    }

    pc->dirty = 0;

    ngx_mchost_pg_conn_state(pc, NGX_MCHOST_PG_CLOSED);
}


ngx_uint_t
ngx_mchost_pg_conn_expired(ngx_mchost_pg_conn_t *pc)
{
    if ((ngx_msec_int_t) (pc->expires - ngx_current_msec) > 0) {
        return 0;
    }

    ngx_mchost_pg_conn_state(pc, NGX_MCHOST_PG_DRAINING);
    ngx_mchost_pg_conn_settle(pc);

    return 1;
}


/*
 * What happens to a segment whose Sync was not answered: one that cannot have
 * taken effect (its Sync was never sent, or it only reads) goes to another
 * connection, once. Of a write nobody knows.
 */

static void
ngx_mchost_pg_conn_forsake(ngx_mchost_pg_segment_t *seg)
{
    if (seg->handler == NULL) {
        ngx_mchost_pg_segment_free(seg);
        return;
    }

    if (seg->status == NGX_MCHOST_PG_TIMEOUT) {
        ngx_mchost_pg_fail(seg, NGX_MCHOST_PG_TIMEOUT);
        return;
    }

    if ((!seg->synced || !seg->writes) && ngx_mchost_pg_retry(seg) == NGX_OK) {
        return;
    }

    ngx_mchost_pg_fail(seg, seg->synced && seg->writes
                            ? NGX_MCHOST_PG_LOST : NGX_MCHOST_PG_UNAVAILABLE);
}


void
ngx_mchost_pg_conn_lost(ngx_mchost_pg_conn_t *pc, const char *reason)
{
    ngx_queue_t              *q;
    ngx_mchost_pg_pool_t     *pool;
    ngx_mchost_pg_segment_t  *seg;

    pool = pc->pool;

    ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                  "mchost_postgres \"%V\": connection lost with %ui requests "
                  "in flight: %*s", &pool->conf->name, pc->in_flight,
                  ngx_mchost_pg_message_len(reason), reason);

    pool->stat.lost++;

    if (!pc->proved) {
        pc->attempts++;         /* as good as a refused one */
    }

    /* backwards, since each goes to the head of the queue */

    while (!ngx_queue_empty(&pc->segments)) {
        q = ngx_queue_last(&pc->segments);
        ngx_queue_remove(q);

        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        ngx_mchost_pg_conn_forsake(seg);
    }

    pc->in_flight = 0;

    ngx_mchost_pg_conn_close(pc);
    ngx_mchost_pg_conn_again(pc);
    ngx_mchost_pg_wakeup(pool);
}


/* -- time -- */

static void
ngx_mchost_pg_conn_timer_handler(ngx_event_t *ev)
{
    ngx_mchost_pg_conn_t  *pc;

    pc = ev->data;

    switch (pc->state) {

    case NGX_MCHOST_PG_CLOSED:
        ngx_mchost_pg_conn_connect(pc);
        break;

    case NGX_MCHOST_PG_CONNECTING:
        ngx_mchost_pg_conn_refused(pc, "timed out");
        break;

    default:
        ngx_mchost_pg_conn_deadline(pc);
        break;
    }
}


static void
ngx_mchost_pg_conn_notice(void *data, const char *message)
{
    ngx_mchost_pg_conn_t  *pc = data;

    ngx_log_error(NGX_LOG_INFO, pc->pool->log, 0, "mchost_postgres \"%V\": %*s",
                  &pc->pool->conf->name, ngx_mchost_pg_message_len(message),
                  message);
}
