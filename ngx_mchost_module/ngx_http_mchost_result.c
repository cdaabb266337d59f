/*
 * What handlers make of a segment's results: fields, replies, Location, and
 * the hint to the reconciler.
 */

#include "ngx_http_mchost_router.h"

#define NGX_HTTP_MCHOST_LOCATION_MAX  256       /* below the prefix */


ngx_uint_t
ngx_http_mchost_rows(ngx_mchost_pg_reply_t *reply)
{
    PGresult  *res;

    res = ngx_http_mchost_result(reply);

    return res ? PQntuples(res) : 0;
}


ngx_str_t
ngx_http_mchost_field(ngx_mchost_pg_reply_t *reply, int column)
{
    ngx_str_t  s;

    s.data = (u_char *) PQgetvalue(ngx_http_mchost_result(reply), 0, column);
    s.len = PQgetlength(ngx_http_mchost_result(reply), 0, column);

    return s;
}


ngx_uint_t
ngx_http_mchost_field_bool(ngx_mchost_pg_reply_t *reply, int column)
{
    return PQgetvalue(ngx_http_mchost_result(reply), 0, column)[0] == 't';
}


ngx_int_t
ngx_http_mchost_reply_field(ngx_http_mchost_ctx_t *ctx, ngx_uint_t status,
    ngx_mchost_pg_reply_t *reply, int document, int etag)
{
    ngx_str_t            text, tag;
    ngx_http_request_t  *r;

    r = ctx->request;

    text = ngx_http_mchost_field(reply, document);
    text.data = ngx_pstrdup(r->pool, &text);

    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (etag < 0) {
        return ngx_http_mchost_reply(r, status, &text, NULL);
    }

    tag = ngx_http_mchost_field(reply, etag);

    return ngx_http_mchost_reply(r, status, &text, &tag);
}


void
ngx_http_mchost_page(ngx_http_mchost_ctx_t *ctx, ngx_str_t params[2])
{
    params[0] = ctx->limit;

    if (params[0].data == NULL) {
        ngx_str_set(&params[0], "50");
    }

    params[1] = ctx->after;

    if (params[1].data == NULL) {
        ngx_str_set(&params[1], "");
    }
}


ngx_int_t
ngx_http_mchost_document_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                       "There is no such resource.");
    }

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 0, -1);
}


/* The header by itself: nginx would make it absolute, with a host and a port
 * that a proxy before us need not have. */

ngx_int_t
ngx_http_mchost_location(ngx_http_mchost_ctx_t *ctx, const char *format, ...)
{
    u_char                      *last;
    va_list                      args;
    ngx_str_t                    location;
    ngx_http_mchost_loc_conf_t  *mlcf;

    mlcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_mchost_module);

    location.data = ngx_pnalloc(ctx->request->pool,
                                mlcf->prefix.len
                                + NGX_HTTP_MCHOST_LOCATION_MAX);
    if (location.data == NULL) {
        return NGX_ERROR;
    }

    last = ngx_cpymem(location.data, mlcf->prefix.data, mlcf->prefix.len);

    va_start(args, format);
    last = ngx_vslprintf(last, last + NGX_HTTP_MCHOST_LOCATION_MAX, format,
                         args);
    va_end(args);

    location.len = last - location.data;

    return ngx_http_mchost_header(ctx->request, "Location", &location);
}


void
ngx_http_mchost_wake(ngx_http_mchost_ctx_t *ctx, const char *server,
    size_t len)
{
    u_char  hint[2 * MC_UUID_LEN + 2], *p;

    if (ngx_http_mchost_worker->redis == NULL || len != MC_UUID_LEN) {
        return;
    }

    p = ngx_sprintf(hint, "%s %*s", ctx->identity.tenant, len, server);

    ngx_mchost_redis_publish(ngx_http_mchost_worker->redis, "wake",
                             (char *) hint, p - hint);
}
