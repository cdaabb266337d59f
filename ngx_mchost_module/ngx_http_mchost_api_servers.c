/*
 * /servers and /servers/{id}: list, read, create, delete.
 */

#include "ngx_http_mchost_request.h"


static ngx_int_t ngx_http_mchost_get_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);
static ngx_int_t ngx_http_mchost_create_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);
static ngx_int_t ngx_http_mchost_delete_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);


ngx_int_t
ngx_http_mchost_no_server(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                   "There is no such server.");
}


/* -- GET /servers -- */

ngx_int_t
ngx_http_mchost_server_list(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[4];

    ngx_http_mchost_page(ctx, params);

    params[2] = ctx->state;
    params[3] = ctx->q;

    if (params[2].data == NULL && params[3].data == NULL) {
        return ngx_http_mchost_query(ctx, MC_SQL_SERVER_LIST, params,
                                     ngx_http_mchost_document_step);
    }

    if (params[2].data == NULL) {
        ngx_str_set(&params[2], "");
    }

    if (params[3].data == NULL) {
        ngx_str_set(&params[3], "");
    }

    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_SEARCH, params,
                                 ngx_http_mchost_document_step);
}


/* -- GET /servers/{id} -- */

ngx_int_t
ngx_http_mchost_server_get(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_GET, &ctx->id,
                                 ngx_http_mchost_get_step);
}


static ngx_int_t
ngx_http_mchost_get_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  generation;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    generation = ngx_http_mchost_field(reply, 0);

    if (ngx_http_mchost_if_none_match(ctx->request, &generation)
        == NGX_HTTP_MCHOST_MATCH_YES)
    {
        return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NOT_MODIFIED,
                                           &generation);
    }

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 1, 0);
}


/* -- POST /servers -- */

ngx_int_t
ngx_http_mchost_server_create(ngx_http_mchost_ctx_t *ctx)
{
    char         id[MC_UUID_LEN + 1];
    ngx_int_t    rc;
    ngx_str_t    params[8];
    mc_json_t   *name;

    if (!ngx_http_mchost_document_check(ctx, ctx->body, &rc)) {
        return rc;
    }

    ngx_http_mchost_uuid7(id);
    name = mc_json_get(ctx->body, "name");

    params[0].data = (u_char *) id;
    params[0].len = MC_UUID_LEN;
    params[1].data = (u_char *) name->str;
    params[1].len = name->len;
    params[2] = ngx_http_mchost_json_text(ctx,
                                          mc_json_get(ctx->body, "spec"));

    if (params[2].data == NULL
        || ngx_http_mchost_trail(ctx, &params[3]) != NGX_OK
        || ngx_http_mchost_server_sizes(ctx, mc_json_get(ctx->body, "spec"),
                                        &params[5])
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query_once(ctx, MC_SQL_SERVER_CREATE, params,
                                      ngx_http_mchost_create_step);
}


static ngx_int_t
ngx_http_mchost_create_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  id, broken;

    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_mchost_field(reply, 0).len == 0) {
        broken = ngx_http_mchost_field(reply, 3);
        return ngx_http_mchost_quota_problem(ctx, &broken);
    }

    id = ngx_http_mchost_field(reply, 2);

    if (ngx_http_mchost_location(ctx, "/servers/%V", &id) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mchost_wake(ctx, (char *) id.data, id.len);

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_CREATED, reply, 1, 0);
}


/* -- DELETE /servers/{id} -- */

ngx_int_t
ngx_http_mchost_server_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[5];

    params[0] = ctx->id;
    params[1] = ngx_http_mchost_if_match_generation(ctx->request);
    params[2] = ctx->purge;

    if (ngx_http_mchost_trail(ctx, &params[3]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (params[2].data == NULL) {
        ngx_str_set(&params[2], "false");
    }

    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_DELETE, params,
                                 ngx_http_mchost_delete_step);
}


static ngx_int_t
ngx_http_mchost_delete_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 1)) {
        return ngx_http_mchost_problem(ctx->request,
                                       NGX_HTTP_PRECONDITION_FAILED,
                                       "The server has changed: If-Match "
                                       "names another generation.");
    }

    ngx_http_mchost_wake(ctx, (char *) ctx->id.data, ctx->id.len);

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_ACCEPTED, reply, 2, -1);
}
