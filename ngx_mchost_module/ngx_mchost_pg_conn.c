/*
 * One pipelined connection: connecting, sending segments, reading results,
 * losing it.
 *
 * libpq's socket is registered level-triggered (libpq reads once per call and
 * would be stalled by edges), and read interest stays on for good. Nothing in
 * here calls libpq where it could wait.
 */

#include "ngx_mchost_pg_int.h"
#include <openssl/ssl.h>

#define NGX_MCHOST_PG_BACKOFF_MIN  100          /* ms between attempts */
#define NGX_MCHOST_PG_BACKOFF_MAX  5000
#define NGX_MCHOST_PG_LIFETIME     1800000      /* libpq's buffers only grow */
#define NGX_MCHOST_PG_GRACE        1000         /* over statement_timeout */
#define NGX_MCHOST_PG_NULLS        4


static void ngx_mchost_pg_conn_state(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_state_e state);
static void ngx_mchost_pg_conn_settle(ngx_mchost_pg_conn_t *pc);
static ngx_int_t ngx_mchost_pg_conn_watch(ngx_mchost_pg_conn_t *pc,
    ngx_int_t event);
static void ngx_mchost_pg_conn_unwatch(ngx_mchost_pg_conn_t *pc);
static void ngx_mchost_pg_conn_poll(ngx_mchost_pg_conn_t *pc);
static void ngx_mchost_pg_conn_established(ngx_mchost_pg_conn_t *pc);
static void ngx_mchost_pg_conn_refused(ngx_mchost_pg_conn_t *pc,
    const char *reason);
static void ngx_mchost_pg_conn_lost(ngx_mchost_pg_conn_t *pc,
    const char *reason);
static void ngx_mchost_pg_conn_again(ngx_mchost_pg_conn_t *pc);
static ngx_int_t ngx_mchost_pg_conn_results(ngx_mchost_pg_conn_t *pc);
static void ngx_mchost_pg_conn_deadline(ngx_mchost_pg_conn_t *pc);

static void ngx_mchost_pg_conn_connect_handler(ngx_event_t *ev);
static void ngx_mchost_pg_conn_read_handler(ngx_event_t *ev);
static void ngx_mchost_pg_conn_write_handler(ngx_event_t *ev);
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

static void
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


static void
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

static ngx_int_t
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


static void
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


/* -- sending -- */

static void
ngx_mchost_pg_op(ngx_mchost_pg_segment_t *seg, ngx_mchost_pg_op_e kind,
    ngx_uint_t n)
{
    seg->ops[seg->nops].kind = (u_char) kind;
    seg->ops[seg->nops].n = (u_char) n;
    seg->nops++;
}


static int
ngx_mchost_pg_send_bracket(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_segment_t *seg, const char *command)
{
    if (!pc->brackets) {
        return 1;
    }

    ngx_mchost_pg_op(seg, NGX_MCHOST_PG_OP_BRACKET, 0);

    return PQsendQueryParams(pc->conn, command, 0, NULL, NULL, NULL, NULL, 0);
}


/*
 * Every Parse goes before the first execution, so that the failure of a
 * statement does not leave a later one unprepared that the segments behind
 * count on.
 */

static int
ngx_mchost_pg_send_statements(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_segment_t *seg)
{
    uint64_t                    bit, *word;
    ngx_uint_t                  i, id;
    const mc_sql_t             *sql;
    ngx_mchost_pg_statement_t  *st;

    for (i = 0; i < seg->nstatements; i++) {
        id = seg->statements[i].id;
        sql = &mc_sql[id];
        word = &pc->prepared[id / 64];
        bit = (uint64_t) 1 << (id % 64);

        if (*word & bit) {
            continue;
        }

        ngx_mchost_pg_op(seg, NGX_MCHOST_PG_OP_PARSE, i);

        if (!PQsendPrepare(pc->conn, sql->name, sql->text, sql->nparams,
                           NULL))
        {
            return 0;
        }

        *word |= bit;
    }

    for (i = 0; i < seg->nstatements; i++) {
        st = &seg->statements[i];
        sql = &mc_sql[st->id];

        ngx_mchost_pg_op(seg, NGX_MCHOST_PG_OP_EXECUTE, i);

        if (!PQsendQueryPrepared(pc->conn, sql->name, sql->nparams,
                                 st->params, NULL, NULL, 0))
        {
            return 0;
        }
    }

    return 1;
}


static int
ngx_mchost_pg_send_sync(ngx_mchost_pg_conn_t *pc)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(pc->conn);
#else
    return PQpipelineSync(pc->conn);    /* flushes as well */
#endif
}


void
ngx_mchost_pg_conn_send(ngx_mchost_pg_conn_t *pc, ngx_mchost_pg_segment_t *seg)
{
    seg->state = NGX_MCHOST_PG_SEG_SENT;
    seg->sent = ngx_current_msec ? ngx_current_msec : 1;

    if (pc->in_flight == 0) {
        pc->head_since = ngx_current_msec;
    }

    ngx_queue_insert_tail(&pc->segments, &seg->queue);
    pc->in_flight++;

    if (!ngx_mchost_pg_send_bracket(pc, seg, "BEGIN")
        || !ngx_mchost_pg_send_statements(pc, seg)
        || !ngx_mchost_pg_send_bracket(pc, seg, "COMMIT"))
    {
        ngx_mchost_pg_conn_lost(pc, PQerrorMessage(pc->conn));
        return;
    }

    seg->synced = 1;

    if (!ngx_mchost_pg_send_sync(pc)) {
        ngx_mchost_pg_conn_lost(pc, PQerrorMessage(pc->conn));
        return;
    }

    pc->dirty = 1;

    if (!pc->timer.timer_set) {
        ngx_add_timer(&pc->timer, pc->pool->conf->query_timeout
                                  + NGX_MCHOST_PG_GRACE);
    }

    ngx_mchost_pg_conn_settle(pc);
}


/* Write interest is on only while libpq holds bytes: it would spin. */

void
ngx_mchost_pg_conn_flush(ngx_mchost_pg_conn_t *pc)
{
    int  rc;

    pc->dirty = 0;

    rc = PQflush(pc->conn);

    if (rc < 0) {
        ngx_mchost_pg_conn_lost(pc, PQerrorMessage(pc->conn));
        return;
    }

    if (rc > 0) {
        if (ngx_mchost_pg_conn_watch(pc, NGX_WRITE_EVENT) != NGX_OK) {
            ngx_mchost_pg_conn_lost(pc, "no event for writing");
        }

        return;
    }

    if (pc->c->write->active
        && ngx_del_event(pc->c->write, NGX_WRITE_EVENT, 0) != NGX_OK)
    {
        ngx_mchost_pg_conn_lost(pc, "no event for writing");
    }
}


static void
ngx_mchost_pg_conn_write_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_mchost_pg_conn_t  *pc;

    c = ev->data;
    pc = c->data;

    ngx_mchost_pg_conn_flush(pc);
}


/* -- reading -- */

static void
ngx_mchost_pg_conn_read_handler(ngx_event_t *ev)
{
    int                    ok;
    SSL                   *ssl;
    ngx_connection_t      *c;
    ngx_mchost_pg_conn_t  *pc;

    c = ev->data;
    pc = c->data;

    if (c->close) {             /* the worker exits and this one is idle */
        c->close = 0;

        if (pc->in_flight == 0 && pc->pool->queued == 0) {
            ngx_mchost_pg_conn_close(pc);
        }

        return;
    }

    ok = PQconsumeInput(pc->conn);

    /* decrypted bytes do not show on the descriptor */

    ssl = PQsslStruct(pc->conn, "OpenSSL");

    while (ok && ssl && SSL_pending(ssl) > 0) {
        ok = PQconsumeInput(pc->conn);
    }

    /* what came before the loss still counts */

    if (ngx_mchost_pg_conn_results(pc) != NGX_OK) {
        return;
    }

    if (!ok || PQstatus(pc->conn) == CONNECTION_BAD) {
        ngx_mchost_pg_conn_lost(pc, PQerrorMessage(pc->conn));
        return;
    }

    if (pc->c->write->active) {
        ngx_mchost_pg_conn_flush(pc);
    }
}


/* Remembers the first error of a segment. */

static void
ngx_mchost_pg_note_error(ngx_mchost_pg_segment_t *seg, PGresult *res)
{
    char        *state, *message;
    ngx_str_t    text;

    if (seg->failed) {
        return;
    }

    seg->failed = 1;

    state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (state) {
        (void) ngx_cpystrn((u_char *) seg->sqlstate, (u_char *) state,
                           sizeof(seg->sqlstate));
    }

    if (message) {
        text.data = (u_char *) message;
        text.len = ngx_strlen(message) + 1;
        seg->message = (char *) ngx_pstrdup(seg->memory, &text);
    }
}


static void
ngx_mchost_pg_unprepare(ngx_mchost_pg_conn_t *pc, ngx_mchost_pg_segment_t *seg)
{
    ngx_uint_t           id;
    ngx_mchost_pg_op_t  *op;

    if (seg->op == seg->nops) {
        return;
    }

    op = &seg->ops[seg->op];

    if (op->kind == NGX_MCHOST_PG_OP_PARSE) {
        id = seg->statements[op->n].id;
        pc->prepared[id / 64] &= ~((uint64_t) 1 << (id % 64));
    }
}


/* The segment's Sync: only now its outcome is known. */

static void
ngx_mchost_pg_conn_synced(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_segment_t *seg)
{
    ngx_uint_t  again;

    ngx_queue_remove(&seg->queue);
    pc->in_flight--;
    pc->head_since = ngx_current_msec;
    pc->proved = 1;
    pc->attempts = 0;

    if (!seg->failed) {
        ngx_mchost_pg_complete(seg);
        return;
    }

    again = 0;

    if (ngx_strcmp(seg->sqlstate, "26000") == 0
        || ngx_strcmp(seg->sqlstate, "0A000") == 0)
    {
        /* a statement is gone, or is no longer what was prepared: start
         * afresh on a new connection */

        ngx_mchost_pg_conn_state(pc, NGX_MCHOST_PG_DRAINING);
        again = 1;

    } else if (ngx_strcmp(seg->sqlstate, "40001") == 0
               || ngx_strcmp(seg->sqlstate, "40P01") == 0)
    {
        again = 1;
    }

    if (pc->brackets) {
        ngx_mchost_pg_conn_state(pc, NGX_MCHOST_PG_DRAINING);
    }

    if (again && seg->handler && ngx_mchost_pg_retry(seg) == NGX_OK) {
        return;
    }

    if (ngx_strcmp(seg->sqlstate, "57014") == 0) {
        seg->status = NGX_MCHOST_PG_TIMEOUT;
        seg->pool->stat.timed_out++;

    } else {
        seg->status = NGX_MCHOST_PG_ERROR;
    }

    ngx_mchost_pg_complete(seg);
}


/*
 * One result of the first segment. NGX_ERROR: the connection is of no more
 * use (a FATAL message precedes the end of the stream).
 */

static ngx_int_t
ngx_mchost_pg_conn_result(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_segment_t *seg, PGresult *res)
{
    char                *severity;
    ngx_mchost_pg_op_t  *op;

    switch (PQresultStatus(res)) {

    case PGRES_PIPELINE_SYNC:
        PQclear(res);
        ngx_mchost_pg_conn_synced(pc, seg);
        return NGX_OK;

    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        op = (seg->op < seg->nops) ? &seg->ops[seg->op] : NULL;

        if (op && op->kind == NGX_MCHOST_PG_OP_EXECUTE
            && seg->results[op->n] == NULL)
        {
            seg->results[op->n] = res;
            return NGX_OK;
        }

        PQclear(res);
        return NGX_OK;

    case PGRES_PIPELINE_ABORTED:
        ngx_mchost_pg_unprepare(pc, seg);
        PQclear(res);
        return NGX_OK;

    case PGRES_FATAL_ERROR:
        severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

        if (severity == NULL || ngx_strcmp(severity, "ERROR") != 0) {
            ngx_mchost_pg_conn_lost(pc, PQresultErrorMessage(res));
            PQclear(res);
            return NGX_ERROR;
        }

        ngx_mchost_pg_unprepare(pc, seg);
        ngx_mchost_pg_note_error(seg, res);
        PQclear(res);
        return NGX_OK;

    default:
        ngx_mchost_pg_conn_lost(pc, PQresStatus(PQresultStatus(res)));
        PQclear(res);
        return NGX_ERROR;
    }
}


/*
 * Takes every result that is complete. NGX_ERROR: the connection was lost on
 * the way. A NULL ends the results of one operation; an idle pipeline returns
 * NULL for ever, so what counts is our own number of segments.
 */

static ngx_int_t
ngx_mchost_pg_conn_results(ngx_mchost_pg_conn_t *pc)
{
    PGresult                 *res;
    ngx_queue_t              *q;
    ngx_uint_t                before;
    ngx_mchost_pg_segment_t  *seg;

    before = pc->in_flight;

    while (!PQisBusy(pc->conn) && pc->in_flight) {

        q = ngx_queue_head(&pc->segments);
        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);

        res = PQgetResult(pc->conn);

        if (res == NULL) {

            if (++pc->nulls == NGX_MCHOST_PG_NULLS) {
                ngx_mchost_pg_conn_lost(pc, "results out of step");
                return NGX_ERROR;
            }

            if (seg->op < seg->nops) {
                seg->op++;
            }

            continue;
        }

        pc->nulls = 0;

        if (ngx_mchost_pg_conn_result(pc, seg, res) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (pc->in_flight != before) {
        ngx_mchost_pg_conn_settle(pc);

        if (pc->pool->queued || ngx_exiting) {
            ngx_mchost_pg_wakeup(pc->pool);
        }

        if (pc->conn == NULL) {
            return NGX_ERROR;       /* drained, and closed for that */
        }
    }

    return NGX_OK;
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


/* Gives the submitter its answer now and leaves the segment to be drained. */

static void
ngx_mchost_pg_conn_give_up(ngx_mchost_pg_segment_t *seg)
{
    ngx_mchost_pg_reply_t     reply;
    ngx_mchost_pg_handler_pt  handler;

    ngx_memzero(&reply, sizeof(ngx_mchost_pg_reply_t));

    reply.status = NGX_MCHOST_PG_TIMEOUT;
    reply.results = seg->results;
    reply.nresults = seg->nstatements;
    reply.message = "no answer in time";
    reply.queue_time = seg->queue_time;
    reply.time = ngx_current_msec - seg->sent;

    seg->pool->stat.timed_out++;
    seg->pool->stat.errors++;

    handler = seg->handler;
    seg->handler = NULL;
    handler(seg->data, &reply);
}


/*
 * The back-stop behind statement_timeout. Each segment has its deadline from
 * when it was sent; when the first one has had its turn for that long, the
 * connection hangs and is given up.
 */

static void
ngx_mchost_pg_conn_deadline(ngx_mchost_pg_conn_t *pc)
{
    ngx_msec_t                limit, since;
    ngx_queue_t              *q;
    ngx_msec_int_t            left;
    ngx_mchost_pg_segment_t  *seg;

    limit = pc->pool->conf->query_timeout + NGX_MCHOST_PG_GRACE;

    if (pc->in_flight == 0) {
        return;
    }

    if (ngx_current_msec - pc->head_since >= limit) {
        q = ngx_queue_head(&pc->segments);
        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        seg->status = NGX_MCHOST_PG_TIMEOUT;
        pc->pool->stat.timed_out++;

        ngx_mchost_pg_conn_lost(pc, "no answer in time");
        return;
    }

    since = pc->head_since;
    q = ngx_queue_head(&pc->segments);

    while (q != ngx_queue_sentinel(&pc->segments)) {
        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        q = ngx_queue_next(q);

        if (seg->handler == NULL) {
            continue;
        }

        if (ngx_current_msec - seg->sent < limit) {
            since = seg->sent;
            break;
        }

        ngx_mchost_pg_conn_give_up(seg);
    }

    left = (ngx_msec_int_t) (since + limit - ngx_current_msec);

    ngx_add_timer(&pc->timer, left > 0 ? (ngx_msec_t) left : 1);
}


static void
ngx_mchost_pg_conn_notice(void *data, const char *message)
{
    ngx_mchost_pg_conn_t  *pc = data;

    ngx_log_error(NGX_LOG_INFO, pc->pool->log, 0, "mchost_postgres \"%V\": %*s",
                  &pc->pool->conf->name, ngx_mchost_pg_message_len(message),
                  message);
}
