/*
 * What handlers have in common: parameters of statements, and parts of
 * replies.
 */

#include "ngx_http_mchost_request.h"


ngx_str_t
ngx_http_mchost_body_str(ngx_http_mchost_ctx_t *ctx, const char *name)
{
    ngx_str_t         s;
    const mc_json_t  *v;

    v = mc_json_get(ctx->body, name);

    if (v == NULL || v->type != MC_JSON_STRING) {
        ngx_str_null(&s);
        return s;
    }

    s.data = (u_char *) v->str;
    s.len = v->len;

    return s;
}


ngx_int_t
ngx_http_mchost_trail(ngx_http_mchost_ctx_t *ctx, ngx_str_t params[2])
{
    ngx_str_t  *id;

    id = ngx_http_mchost_request_id(ctx->request);
    params[0].data = ngx_pnalloc(ctx->request->pool, MC_UUID_LEN + 1);

    if (id == NULL || params[0].data == NULL) {
        return NGX_ERROR;
    }

    ngx_http_mchost_uuid7((char *) params[0].data);
    params[0].len = MC_UUID_LEN;
    params[1] = *id;

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_reply_with(ngx_http_mchost_ctx_t *ctx, ngx_uint_t status,
    const ngx_str_t *document, const char *name, const ngx_str_t *text)
{
    u_char     *p;
    ngx_str_t   reply;

    p = ngx_pnalloc(ctx->request->pool, document->len + ngx_strlen(name)
                                        + text->len + sizeof(", \"\": \"\"}"));
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reply.data = p;
    p = ngx_sprintf(p, "%*s, \"%s\": \"%V\"}", document->len - 1,
                    document->data, name, text);
    reply.len = p - reply.data;

    return ngx_http_mchost_reply(ctx->request, status, &reply, NULL);
}
