/*
 * POST /ws-tickets: what a browser, which can send no header with a socket,
 * opens one with. A ticket is good once, for 30 seconds, from the same origin.
 */

#include "ngx_http_mchost_request.h"


static ngx_int_t
ngx_http_mchost_ticket_created(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    u_char     *p;
    ngx_str_t   expires, text;

    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    expires = ngx_http_mchost_field(reply, 0);

    p = ngx_pnalloc(ctx->request->pool, ctx->secret.len + expires.len + 64);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    p = ngx_sprintf(p, "{\"ticket\":\"%V\",\"expiresAt\":%V}", &ctx->secret,
                    &expires);
    text.len = p - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_CREATED, &text, NULL);
}


ngx_int_t
ngx_http_mchost_ticket_create(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t         params[5];
    ngx_table_elt_t  *origin;

    if (ngx_http_mchost_new_token(ctx, MC_TOKEN_TICKET,
                                  &params[1])
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    params[0] = ctx->id;

    if (ctx->credential.kind == MC_TOKEN_SESSION) {
        ngx_str_set(&params[2], "session");

    } else {
        ngx_str_set(&params[2], "key");
    }

    params[3].data = ctx->credential.hash;
    params[3].len = NGX_HTTP_MCHOST_HASH_LEN;

    origin = ngx_http_mchost_header_in(ctx->request, "Origin",
                                       sizeof("Origin") - 1);

    if (origin && origin->value.len <= 512
        && mc_utf8_valid((char *) origin->value.data, origin->value.len))
    {
        params[4] = origin->value;

    } else {
        ngx_str_set(&params[4], "");
    }

    return ngx_http_mchost_query(ctx, MC_SQL_TICKET_CREATE, params,
                                 ngx_http_mchost_ticket_created);
}
