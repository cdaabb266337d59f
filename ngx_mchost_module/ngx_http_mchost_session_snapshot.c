/*
 * A subscribe's second half: its servers and their state from the database,
 * and then the subscription itself.
 */

#include "ngx_http_mchost_session.h"


/* RFC 3339 from PostgreSQL's "2026-01-02 03:04:05.678+00". */
static size_t
ngx_http_mchost_sub_time(char dst[48], const char *text)
{
    size_t  n = ngx_min(ngx_strlen(text), 40);

    ngx_memcpy(dst, text, n);
    if (n > 10 && dst[10] == ' ') {
        dst[10] = 'T';
    }
    if (n > 3 && ngx_memcmp(dst + n - 3, "+00", 3) == 0) {
        dst[n - 3] = 'Z';
        return n - 2;
    }
    if (n > 3 && (dst[n - 3] == '+' || dst[n - 3] == '-')) {
        ngx_memcpy(dst + n, ":00", 3);
        n += 3;
    }
    return n;
}


/* The envelope of row i: id, seq, time, status. */
static void
ngx_http_mchost_sub_row(PGresult *res, int i, mc_envelope_t *env,
    char seq[32], char time[48])
{
    env->server = PQgetvalue(res, i, 0);
    env->seq = seq;
    env->seq_len = snprintf(seq, 32, "%.20s-0", PQgetvalue(res, i, 1));
    env->time = time;
    env->time_len = ngx_http_mchost_sub_time(time, PQgetvalue(res, i, 2));
    env->data = PQgetvalue(res, i, 3);
    env->data_len = PQgetlength(res, i, 3);
}


/* 1 when a live event that came meanwhile is newer than the row; an older one
 * is dropped. */
static ngx_uint_t
ngx_http_mchost_sub_newer(ngx_http_mchost_session_t *s,
    const mc_envelope_t *env)
{
    ngx_mchost_key_t   key;
    ngx_mchost_out_t  *held;

    if (s->held.head == NULL) {
        return 0;
    }

    ngx_mchost_key_parse(&key, env->server);
    held = ngx_mchost_outq_find(&s->held, &key);
    if (held == NULL) {
        return 0;
    }
    if (mc_seq_cmp((char *) held->seq.text, held->seq.len, env->seq,
                   env->seq_len)
        > 0)
    {
        return 1;
    }
    held->stale = 1;
    return 0;
}


/* Queues the state of every server, in one block. It is not counted against
 * the queue: how much it is depends on the tenant, and no other subscribe
 * begins before the reader has taken it. */
static ngx_int_t
ngx_http_mchost_sub_snapshot(ngx_http_mchost_session_t *s, PGresult *res)
{
    int                  i, n = PQntuples(res);
    char                 seq[32], time[48];
    size_t               size = 0;
    ngx_int_t            rc;
    ngx_uint_t           frames = 0;
    mc_envelope_t        env;
    ngx_mchost_block_t  *b;

    for (i = 0; i < n; i++) {
        ngx_http_mchost_sub_row(res, i, &env, seq, time);
        size += ngx_mchost_event_size("status", &env);
    }

    b = ngx_mchost_block_create(size, s->connection->log);
    if (b == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        ngx_http_mchost_sub_row(res, i, &env, seq, time);
        if (!ngx_http_mchost_sub_newer(s, &env)) {
            b->last = ngx_mchost_event_write(b->last, "status", &env);
            frames++;
        }
    }

    rc = NGX_OK;
    if (frames > 0) {
        rc = ngx_mchost_outq_add(&s->out, b, (u_char *) (b + 1), b->last,
                                 frames, 1, s->connection->log);
    }
    ngx_mchost_block_release(b);
    return rc;
}


/* Begins to read the history of every server that since speaks of. */
static ngx_int_t
ngx_http_mchost_sub_history(ngx_http_mchost_op_t *op, PGresult *res)
{
    int                         i, n = PQntuples(res);
    mc_json_t                  *since = op->since;
    ngx_uint_t                  strict;
    ngx_mchost_key_t            key;
    ngx_http_mchost_session_t  *s = op->session;

    strict = op->since->type == MC_JSON_OBJECT
             || (!op->servers.all && op->servers.n == 1);

    for (i = 0; i < n; i++) {
        if (op->since->type == MC_JSON_OBJECT) {
            since = mc_json_get(op->since, PQgetvalue(res, i, 0));
            if (since == NULL) {
                continue;
            }
        }
        ngx_mchost_key_parse(&key, PQgetvalue(res, i, 0));
        if (ngx_http_mchost_logs_load(s, &key, since->str, since->len, strict)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}


/* Takes the subscription over. NULL, or why not. */
static const char *
ngx_http_mchost_sub_adopt(ngx_http_mchost_op_t *op)
{
    ngx_uint_t                  i;
    ngx_http_mchost_set_t      *set;
    ngx_http_mchost_session_t  *s = op->session;

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        set = &s->interest[i].servers;
        if ((op->topics & ngx_http_mchost_bit(i))
            && set->n + op->servers.n > NGX_HTTP_MCHOST_SESSION_IDS)
        {
            return "Too many servers; subscribe to \"*\".";
        }
    }

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        if ((op->topics & ngx_http_mchost_bit(i))
            && ngx_http_mchost_set_merge(&s->interest[i].servers,
                                         &op->servers, ngx_cycle->log)
               != NGX_OK)
        {
            return "Out of memory.";
        }
    }
    return NULL;
}


static void
ngx_http_mchost_sub_accept(ngx_http_mchost_op_t *op, PGresult *res)
{
    ngx_int_t                   rc = NGX_OK;
    const char                 *error;
    ngx_http_mchost_session_t  *s = op->session;

    if (!op->servers.all && (ngx_uint_t) PQntuples(res) < op->servers.n) {
        ngx_http_mchost_op_error(op, "not_found", "There is no such server.");
        return;
    }
    error = ngx_http_mchost_sub_adopt(op);
    if (error != NULL) {
        ngx_http_mchost_op_error(op, "invalid", error);
        return;
    }

    ngx_http_mchost_session_send(s, "ack", &op->id, NULL, 0);

    if (op->topics & ngx_http_mchost_bit(NGX_HTTP_MCHOST_STATUS)) {
        rc = ngx_http_mchost_sub_snapshot(s, res);
    }
    if (rc == NGX_OK && op->since != NULL
        && (op->topics & ngx_http_mchost_bit(NGX_HTTP_MCHOST_LOGS)))
    {
        rc = ngx_http_mchost_sub_history(op, res);
        ngx_http_mchost_logs_settle(s, op->since);
    }
    if (rc != NGX_OK) {
        ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");
    }
    ngx_http_mchost_op_done(op);
}


static void
ngx_http_mchost_sub_loaded(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_op_t        *op = data;
    ngx_http_mchost_session_t   *s = op->session;
    ngx_http_mchost_identity_t   id;

    if (ngx_http_mchost_op_authorized(op, reply, &id) == NGX_OK) {
        if (ngx_http_mchost_result(reply) == NULL) {
            ngx_http_mchost_op_error(op, "internal", "No answer.");

        } else {
            ngx_http_mchost_sub_accept(op, ngx_http_mchost_result(reply));
        }
    }

    if (s->state == NGX_HTTP_MCHOST_WS_OPEN) {
        ngx_http_mchost_logs_continue(s);
        ngx_http_mchost_sub_next(s);
    }
}


/* "{id,id}", or "{}" for all. */
static ngx_int_t
ngx_http_mchost_sub_ids(ngx_http_mchost_op_t *op, ngx_str_t *ids)
{
    u_char      *p;
    ngx_uint_t   i;

    p = ngx_pnalloc(op->pool, 2 + op->servers.n * 37);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ids->data = p;
    *p++ = '{';
    for (i = 0; i < op->servers.n; i++) {
        if (i > 0) {
            *p++ = ',';
        }
        p = ngx_mchost_key_text(p, &op->servers.keys[i]);
    }
    *p++ = '}';
    ids->len = p - ids->data;
    return NGX_OK;
}


void
ngx_http_mchost_sub_load(ngx_http_mchost_op_t *op)
{
    ngx_str_t                  ids;
    ngx_mchost_pg_segment_t   *seg;

    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    seg = ngx_http_mchost_op_segment(op, &op->session->credential,
                                     NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
                                     NGX_HTTP_MCHOST_GATE_NONE,
                                     ngx_http_mchost_sub_loaded);
    if (seg == NULL) {
        return;
    }
    if (ngx_http_mchost_sub_ids(op, &ids) != NGX_OK
        || ngx_mchost_pg_add(seg, MC_SQL_SERVER_SNAPSHOT, &ids) != NGX_OK)
    {
        ngx_mchost_pg_segment_free(seg);
        op->segment = NULL;
        ngx_http_mchost_op_error(op, "internal", "Out of memory.");
        return;
    }

    op->loading = 1;
    ngx_mchost_pg_submit(seg);
}
