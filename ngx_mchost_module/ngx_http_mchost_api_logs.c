/*
 * GET /servers/{id}/logs: what the reconciler has put into the server's stream
 * in Redis, which keeps the newest lines. A cursor is the place in the stream.
 */

#include "ngx_http_mchost_router.h"
#include "ngx_http_mchost_session_logs.h"


static ngx_int_t ngx_http_mchost_logs_read(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);
static void ngx_http_mchost_logs_answered(void *data, redisReply *reply);


ngx_int_t
ngx_http_mchost_server_logs(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_EXISTS, &ctx->id,
                                 ngx_http_mchost_logs_read);
}


static ngx_int_t
ngx_http_mchost_logs_away(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "The logs cannot be reached now.");
}


/* Without a cursor the newest lines, else those behind it. Its own line is
 * read as well: when it is gone, others behind it may be, too. */

static ngx_int_t
ngx_http_mchost_logs_read(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    int           i;
    size_t        len[6];
    u_char        key[256], from[64], limit[NGX_INT_T_LEN];
    ngx_str_t     id, page[2], *prefix;
    const char   *argv[6];

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    if (ngx_http_mchost_worker->redis == NULL) {
        return ngx_http_mchost_logs_away(ctx);
    }

    ngx_http_mchost_page(ctx, page);

    /* the id as the database writes it */

    prefix = ngx_mchost_redis_prefix(ngx_http_mchost_worker->redis);
    id = ngx_http_mchost_field(reply, 0);
    *ngx_snprintf(key, sizeof(key) - 1, "%Vlog:%V", prefix, &id) = '\0';
    *ngx_snprintf(from, sizeof(from) - 1, "%V", &page[1]) = '\0';
    *ngx_snprintf(limit, sizeof(limit) - 1, "%i",
                  ngx_atoi(page[0].data, page[0].len) + (page[1].len != 0))
        = '\0';

    argv[0] = page[1].len ? "XRANGE" : "XREVRANGE";
    argv[1] = (char *) key;
    argv[2] = page[1].len ? (char *) from : "+";
    argv[3] = page[1].len ? "+" : "-";
    argv[4] = "COUNT";
    argv[5] = (char *) limit;

    for (i = 0; i < 6; i++) {
        len[i] = ngx_strlen(argv[i]);
    }

    if (ngx_mchost_redis_command(ngx_http_mchost_worker->redis,
                                 ngx_http_mchost_logs_answered, ctx, 6, argv,
                                 len)
        != NGX_OK)
    {
        return ngx_http_mchost_logs_away(ctx);
    }

    ctx->redis = 1;
    ctx->request->connection->log->action = "waiting for logs";

    return NGX_HTTP_MCHOST_WAIT;
}


/* Entry i in the order of time. */

static redisReply *
ngx_http_mchost_logs_item(ngx_http_mchost_ctx_t *ctx, redisReply *reply,
    size_t i)
{
    return reply->element[ctx->after.data ? i : reply->elements - 1 - i];
}


/* How many entries are not behind the cursor: its own, when it is there. */

static size_t
ngx_http_mchost_logs_at_cursor(ngx_http_mchost_ctx_t *ctx, redisReply *reply)
{
    mc_envelope_t  env;

    return ctx->after.data && reply->elements > 0
           && ngx_http_mchost_logs_entry(reply->element[0], "", &env)
              == NGX_OK
           && mc_seq_cmp(env.seq, env.seq_len, (char *) ctx->after.data,
                         ctx->after.len)
              == 0;
}


static ngx_int_t
ngx_http_mchost_logs_reply(ngx_http_mchost_ctx_t *ctx, redisReply *reply)
{
    u_char         *p, *start;
    size_t          i, n, first, size;
    ngx_str_t       text, next, page[2];
    ngx_int_t       limit;
    ngx_uint_t      gap;
    mc_envelope_t   env;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        return ngx_http_mchost_logs_away(ctx);
    }

    ngx_http_mchost_page(ctx, page);
    limit = ngx_atoi(page[0].data, page[0].len);

    first = ngx_http_mchost_logs_at_cursor(ctx, reply);
    gap = ctx->after.data && first == 0;

    /* one more was read than was asked for */

    n = reply->elements;

    if (gap && n > (size_t) limit) {
        n--;
    }

    size = sizeof("{\"items\":[],\"next\":\"\",\"gap\":false}\n") + 64;

    for (i = first; i < n; i++) {
        if (ngx_http_mchost_logs_entry(reply->element[i], "", &env)
            == NGX_OK)
        {
            size += sizeof(",{\"seq\":\"\",\"time\":\"\",\"data\":}")
                    + env.seq_len + env.time_len + env.data_len;
        }
    }

    p = ngx_pnalloc(ctx->request->pool, size);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    next = ctx->after;
    p = start = ngx_cpymem(p, "{\"items\":[", sizeof("{\"items\":[") - 1);

    for (i = first; i < n; i++) {
        if (ngx_http_mchost_logs_entry(ngx_http_mchost_logs_item(ctx, reply,
                                                                 i), "", &env)
            != NGX_OK)
        {
            continue;
        }

        p = ngx_sprintf(p, "%s{\"seq\":\"%*s\",\"time\":\"%*s\",\"data\":",
                        p == start ? "" : ",", env.seq_len, env.seq,
                        env.time_len, env.time);
        p = ngx_cpymem(p, env.data, env.data_len);
        *p++ = '}';

        next.data = (u_char *) env.seq;
        next.len = env.seq_len;
    }

    p = next.data ? ngx_sprintf(p, "],\"next\":\"%V\"", &next)
                  : ngx_sprintf(p, "],\"next\":null");
    p = ngx_sprintf(p, ",\"gap\":%s}\n", gap ? "true" : "false");

    text.len = p - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_OK, &text, NULL);
}


static void
ngx_http_mchost_logs_answered(void *data, redisReply *reply)
{
    ngx_http_mchost_ctx_t *ctx = data;

    ctx->redis = 0;

    ngx_http_set_log_request(ctx->request->connection->log, ctx->request);

    ngx_http_mchost_finish(ctx, ngx_http_mchost_logs_reply(ctx, reply));
}
