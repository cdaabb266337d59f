/*
 * mchost_health: this process lives. mchost_ready: what it needs answers.
 */

#include "ngx_http_mchost_request.h"

#define NGX_HTTP_MCHOST_READY_TIMEOUT  "1000"       /* ms */


static void ngx_http_mchost_ready_answer(void *data,
    ngx_mchost_pg_reply_t *reply);


static ngx_int_t
ngx_http_mchost_health_begin(ngx_http_request_t *r)
{
    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    return ngx_http_discard_request_body(r);
}


ngx_int_t
ngx_http_mchost_health_handler(ngx_http_request_t *r)
{
    ngx_int_t         rc;

    static ngx_str_t  ok = ngx_string("{\"status\":\"ok\"}\n");

    rc = ngx_http_mchost_health_begin(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_mchost_reply(r, NGX_HTTP_OK, &ok, NULL);
}


ngx_int_t
ngx_http_mchost_ready_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    params[2];
    ngx_http_mchost_ctx_t       *ctx;
    ngx_mchost_pg_segment_t     *seg;
    ngx_http_mchost_loc_conf_t  *mlcf;

    rc = ngx_http_mchost_health_begin(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_mchost_ctx(r);

    if (ctx == NULL || ngx_http_mchost_worker == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mchost_module);
    ctx->pool = ngx_http_mchost_worker->pools[mlcf->pool];

    seg = ngx_mchost_pg_segment(ctx->pool, ngx_http_mchost_ready_answer, ctx);
    if (seg == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&params[0], "");
    ngx_str_set(&params[1], NGX_HTTP_MCHOST_READY_TIMEOUT);

    if (ngx_mchost_pg_add(seg, MC_SQL_PRESENT_KEY, params) != NGX_OK
        || ngx_mchost_pg_add(seg, MC_SQL_PING, NULL) != NGX_OK)
    {
        ngx_mchost_pg_segment_free(seg);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->segment = seg;
    ngx_mchost_pg_submit(seg);

    r->main->count++;

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    return NGX_DONE;
}


static void
ngx_http_mchost_ready_answer(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_ctx_t *ctx = data;

    u_char                 text[128];
    ngx_str_t              json;
    ngx_uint_t             database, redis, status;
    ngx_http_request_t    *r;
    ngx_mchost_redis_t    *rd;

    ctx->segment = NULL;
    ctx->asked = 1;
    ctx->pg_time = reply->time;
    ctx->pg_queue_time = reply->queue_time;

    r = ctx->request;
    ngx_http_set_log_request(r->connection->log, r);

    database = (reply->status == NGX_MCHOST_PG_OK);

    rd = ngx_http_mchost_worker->redis;
    redis = rd ? ngx_mchost_redis_ready(rd) : 1;

    json.data = text;
    json.len = ngx_sprintf(text, "{\"database\":\"%s\"%s%s%s}\n",
                           database ? "ok" : "unavailable",
                           rd ? ",\"redis\":\"" : "",
                           rd == NULL ? "" : redis ? "ok" : "unavailable",
                           rd ? "\"" : "")
               - text;

    json.data = ngx_pstrdup(r->pool, &json);

    if (json.data == NULL) {
        ngx_http_mchost_finish(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    status = database && redis ? NGX_HTTP_OK : NGX_HTTP_SERVICE_UNAVAILABLE;

    ngx_http_mchost_finish(ctx, ngx_http_mchost_reply(r, status, &json, NULL));
}
