/*
 * /servers/{id}/addons: the entries of spec.addons, one at a time.
 */

#include "ngx_http_mchost_router.h"


static ngx_int_t ngx_http_mchost_addon_created(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);
static ngx_int_t ngx_http_mchost_addon_deleted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);


ngx_int_t
ngx_http_mchost_addon_list(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_ADDON_LIST, &ctx->id,
                                 ngx_http_mchost_document_step);
}


/* A name is text that the database can hold: 0 when it cannot be one. */

static ngx_uint_t
ngx_http_mchost_addon_name(const ngx_str_t *name)
{
    return name->len <= 63
           && ngx_strlchr(name->data, name->data + name->len, '\0') == NULL
           && mc_utf8_valid((char *) name->data, name->len);
}


static ngx_int_t
ngx_http_mchost_no_addon(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                   "There is no such add-on.");
}


ngx_int_t
ngx_http_mchost_addon_get(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[2];

    if (!ngx_http_mchost_addon_name(&ctx->sub)) {
        return ngx_http_mchost_no_addon(ctx);
    }

    params[0] = ctx->id;
    params[1] = ctx->sub;

    return ngx_http_mchost_query(ctx, MC_SQL_ADDON_GET, params,
                                 ngx_http_mchost_document_step);
}


ngx_int_t
ngx_http_mchost_addon_create(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_str_t   params[5];
    mc_json_t  *name;

    if (!ngx_http_mchost_addon_check(ctx, &rc)) {
        return rc;
    }

    name = mc_json_get(ctx->body, "name");

    params[0] = ctx->id;
    params[1].data = (u_char *) name->str;
    params[1].len = name->len;
    params[2] = ngx_http_mchost_json_text(ctx, ctx->body);

    if (params[2].data == NULL
        || ngx_http_mchost_trail(ctx, &params[3]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query_once(ctx, MC_SQL_ADDON_CREATE, params,
                                      ngx_http_mchost_addon_created);
}


static ngx_int_t
ngx_http_mchost_addon_created(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t    name;
    const char  *detail;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    if (ngx_http_mchost_field_bool(reply, 1)) {
        return ngx_http_mchost_gitops(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {

        detail = ngx_http_mchost_field_bool(reply, 3)
                 ? "There is an add-on of that name already."
                 : ngx_http_mchost_field_bool(reply, 2)
                 ? "The server has as many add-ons as it may."
                 : "The server was changed meanwhile; try again.";

        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       detail);
    }

    name = ngx_http_mchost_field(reply, 5);

    if (ngx_http_mchost_location(ctx, "/servers/%V/addons/%V", &ctx->id, &name)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mchost_wake(ctx, (char *) ctx->id.data, ctx->id.len);

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_CREATED, reply, 4, -1);
}


ngx_int_t
ngx_http_mchost_addon_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[4];

    if (!ngx_http_mchost_addon_name(&ctx->sub)) {
        return ngx_http_mchost_no_addon(ctx);
    }

    params[0] = ctx->id;
    params[1] = ctx->sub;

    if (ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_ADDON_DELETE, params,
                                 ngx_http_mchost_addon_deleted);
}


static ngx_int_t
ngx_http_mchost_addon_deleted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_addon(ctx);
    }

    if (ngx_http_mchost_field_bool(reply, 1)) {
        return ngx_http_mchost_gitops(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The server was changed meanwhile; try "
                                       "again.");
    }

    ngx_http_mchost_wake(ctx, (char *) ctx->id.data, ctx->id.len);

    return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                       NULL);
}
