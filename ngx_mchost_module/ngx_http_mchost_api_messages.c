/*
 * POST /messages: a broadcast to the sockets that listen to the topic
 * "custom", of some servers or of all.
 */

#include "ngx_http_mchost_router.h"
#include "mc_envelope.h"

#define NGX_HTTP_MCHOST_MESSAGE_DATA     16384      /* bytes of JSON */

/* The server of a message to all. */
#define NGX_HTTP_MCHOST_ALL_SERVERS      "00000000-0000-0000-0000-000000000000"


static ngx_int_t ngx_http_mchost_message_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);


/* What the schema has no words for: "*" stands alone, and the size. */

static ngx_uint_t
ngx_http_mchost_message_check(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    ngx_uint_t                n;
    const mc_json_t          *m, *servers, *data;
    ngx_http_mchost_fault_t   faults[2];

    n = 0;
    servers = mc_json_get(ctx->body, "servers");
    data = mc_json_get(ctx->body, "data");

    for (m = servers ? servers->child : NULL; m; m = m->next) {
        if (servers->n > 1 && ngx_strcmp(mc_json_str(m, ""), "*") == 0) {
            ngx_http_mchost_fault(&faults[n++], "/servers", "all",
                                  "\"*\" has to stand alone");
            break;
        }
    }

    if (data && mc_json_write(NULL, 0, data) > NGX_HTTP_MCHOST_MESSAGE_DATA) {
        ngx_http_mchost_fault(&faults[n++], "/data", "length",
                              "must have at most 16384 bytes of JSON");
    }

    return ngx_http_mchost_body_check_more(ctx, "MessageSend", faults, n, rc);
}


/* The ids as an array of the database, "{}" for all. */

static ngx_str_t
ngx_http_mchost_message_ids(ngx_http_mchost_ctx_t *ctx)
{
    u_char           *p;
    ngx_str_t         ids;
    const mc_json_t  *m, *servers;

    servers = mc_json_get(ctx->body, "servers");

    ids.len = 0;
    ids.data = ngx_pnalloc(ctx->request->pool,
                           servers->n * (MC_UUID_LEN + 1) + 3);
    if (ids.data == NULL) {
        return ids;
    }

    p = ids.data;
    *p++ = '{';

    for (m = servers->child; m; m = m->next) {
        if (m->str[0] != '*') {
            ngx_strlow((u_char *) m->str, (u_char *) m->str, m->len);
            p = ngx_sprintf(p, "%s%s", p[-1] == '{' ? "" : ",", m->str);
        }
    }

    *p++ = '}';
    ids.len = p - ids.data;

    return ids;
}


ngx_int_t
ngx_http_mchost_message_send(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_str_t   params[4];
    mc_json_t  *topic;

    if (!ngx_http_mchost_message_check(ctx, &rc)) {
        return rc;
    }

    if (ngx_http_mchost_worker->redis == NULL
        || !ngx_mchost_redis_ready(ngx_http_mchost_worker->redis))
    {
        return ngx_http_mchost_problem(ctx->request,
                                       NGX_HTTP_SERVICE_UNAVAILABLE,
                                       "Messages cannot be sent now.");
    }

    topic = mc_json_get(ctx->body, "topic");

    params[0] = ngx_http_mchost_message_ids(ctx);
    params[1].data = (u_char *) topic->str;
    params[1].len = topic->len;

    if (params[0].data == NULL
        || ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query_once(ctx, MC_SQL_MESSAGE_SEND, params,
                                      ngx_http_mchost_message_step);
}


/* {"topic", "data"} as it reaches the sockets; data is NULL: no memory. */

static ngx_str_t
ngx_http_mchost_message_text(ngx_http_mchost_ctx_t *ctx)
{
    mc_json_t  *message;
    ngx_str_t   none;

    ngx_str_null(&none);

    message = mc_json_copy(&ctx->alloc, ctx->body);

    if (message == NULL) {
        return none;
    }

    mc_json_remove(message, "servers");

    return ngx_http_mchost_json_text(ctx, message);
}


static ngx_int_t
ngx_http_mchost_message_publish(ngx_http_mchost_ctx_t *ctx, ngx_str_t *time,
    ngx_str_t *own)
{
    char              seq[NGX_INT64_LEN + 6];
    u_char            channel[sizeof("t::custom") + MC_UUID_LEN];
    u_char           *buf, *p;
    size_t            size;
    ngx_str_t         text;
    ngx_time_t       *tp;
    mc_envelope_t     env;
    const mc_json_t  *m;

    text = ngx_http_mchost_message_text(ctx);
    size = text.len + 256;
    buf = ngx_pnalloc(ctx->request->pool, size);

    if (text.data == NULL || buf == NULL) {
        return NGX_ERROR;
    }

    tp = ngx_timeofday();
    ngx_memzero(&env, sizeof(mc_envelope_t));

    env.seq = seq;
    env.seq_len = ngx_sprintf((u_char *) seq, "%T%03M-0", tp->sec, tp->msec)
                  - (u_char *) seq;
    env.time = (char *) time->data;
    env.time_len = time->len;
    env.data = (char *) text.data;
    env.data_len = text.len;

    *ngx_sprintf(channel, "t:%s:custom", ctx->identity.tenant) = '\0';

    /* "*" of a key with servers of its own: those, by spaces */

    for (p = own->data; own->len && p < own->data + own->len;
         p += MC_UUID_LEN + 1)
    {
        env.server = (char *) p;
        ngx_mchost_redis_publish(ngx_http_mchost_worker->redis,
                                 (char *) channel, (char *) buf,
                                 mc_envelope_encode((char *) buf, size, &env));
    }

    m = own->len ? NULL : mc_json_get(ctx->body, "servers")->child;

    for ( /* void */ ; m; m = m->next) {
        env.server = m->str[0] == '*' ? NGX_HTTP_MCHOST_ALL_SERVERS : m->str;
        ngx_mchost_redis_publish(ngx_http_mchost_worker->redis,
                                 (char *) channel, (char *) buf,
                                 mc_envelope_encode((char *) buf, size, &env));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mchost_message_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t                 id, time, own, text;
    ngx_http_mchost_fault_t   fault;

    if (ngx_http_mchost_rows(reply) != 1) {
        ngx_http_mchost_fault(&fault, "/servers", "not_found",
                              "an id is not one of a server, or is there "
                              "twice");

        return ngx_http_mchost_problem_faults(ctx->request, 422,
                                              "The message is not valid.",
                                              &fault, 1);
    }

    id = ngx_http_mchost_field(reply, 0);
    time = ngx_http_mchost_field(reply, 1);
    own = ngx_http_mchost_field(reply, 2);

    if (!ctx->replayed
        && ngx_http_mchost_message_publish(ctx, &time, &own) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = ngx_pnalloc(ctx->request->pool,
                            sizeof("{\"id\":\"\",\"time\":\"\"}\n")
                            + id.len + time.len);
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.len = ngx_sprintf(text.data, "{\"id\":\"%V\",\"time\":\"%V\"}\n", &id,
                           &time)
               - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_ACCEPTED, &text, NULL);
}
