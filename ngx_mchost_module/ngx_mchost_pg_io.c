/*
 * What goes over a pipelined connection: segments out, results in, and the
 * time that may pass between.
 */

#include "ngx_mchost_pg_int.h"
#include <openssl/ssl.h>

#define NGX_MCHOST_PG_GRACE  1000               /* over statement_timeout */
#define NGX_MCHOST_PG_NULLS  4


static ngx_int_t ngx_mchost_pg_conn_results(ngx_mchost_pg_conn_t *pc);


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


void
ngx_mchost_pg_conn_write_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_mchost_pg_conn_t  *pc;

    c = ev->data;
    pc = c->data;

    ngx_mchost_pg_conn_flush(pc);
}


/* -- reading -- */

void
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


/* -- deadlines -- */

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

void
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
