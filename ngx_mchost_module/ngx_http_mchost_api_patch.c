/*
 * PATCH and PUT of /servers/{id}: read, merge or replace here, write if nobody
 * else did meanwhile.
 */

#include "ngx_http_mchost_router.h"

#define NGX_HTTP_MCHOST_PATCH_TRIES  3


/* What server_get selects. */
enum {
    NGX_HTTP_MCHOST_GET_GENERATION = 0,
    NGX_HTTP_MCHOST_GET_DOCUMENT,
    NGX_HTTP_MCHOST_GET_SPEC,
    NGX_HTTP_MCHOST_GET_NAME,
    NGX_HTTP_MCHOST_GET_DELETED,
    NGX_HTTP_MCHOST_GET_OWNER
};


static ngx_int_t ngx_http_mchost_patch_read(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);
static ngx_int_t ngx_http_mchost_patch_written(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);


ngx_int_t
ngx_http_mchost_server_patch(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_GET, &ctx->id,
                                 ngx_http_mchost_patch_read);
}


/* Who replaces a document has to say which one. */

ngx_int_t
ngx_http_mchost_server_put(ngx_http_mchost_ctx_t *ctx)
{
    if (ctx->request->headers_in.if_match == NULL) {
        return ngx_http_mchost_problem(ctx->request, 428,
                                       "Say with If-Match which generation "
                                       "is to be replaced.");
    }

    return ngx_http_mchost_server_patch(ctx);
}


ngx_int_t
ngx_http_mchost_gitops(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                   "The server belongs to its resource in "
                                   "Kubernetes: change it there.");
}


static ngx_int_t
ngx_http_mchost_stale(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_PRECONDITION_FAILED,
                                   "The server has changed: If-Match names "
                                   "another generation.");
}


/* The document {name, spec} as it is; NULL when memory is out. */

static mc_json_t *
ngx_http_mchost_patch_before(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t         text, name;
    mc_json_t        *document, *spec;
    mc_json_error_t   error;

    text = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_SPEC);
    name = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_NAME);

    spec = mc_json_parse(&ctx->alloc, (char *) text.data, text.len, &error);
    document = mc_json_object(&ctx->alloc);

    if (spec == NULL || document == NULL
        || mc_json_set(&ctx->alloc, document, "name",
                       mc_json_string(&ctx->alloc, (char *) name.data,
                                      name.len))
           != 0
        || mc_json_set(&ctx->alloc, document, "spec", spec) != 0)
    {
        return NULL;
    }

    return document;
}


/* The document as it is to be; NULL when memory is out. */

static mc_json_t *
ngx_http_mchost_patch_after(ngx_http_mchost_ctx_t *ctx,
    const mc_json_t *before)
{
    mc_json_t  *document;

    if (ctx->route->body == NGX_HTTP_MCHOST_BODY_JSON) {
        return mc_json_copy(&ctx->alloc, ctx->body);    /* tries are many */
    }

    document = mc_json_copy(&ctx->alloc, before);

    return document ? mc_json_merge_patch(&ctx->alloc, document, ctx->body)
                    : NULL;
}


static ngx_int_t
ngx_http_mchost_patch_write(ngx_http_mchost_ctx_t *ctx, ngx_str_t *generation,
    const mc_json_t *spec)
{
    ngx_str_t  params[8];

    params[0] = ctx->id;
    params[1] = *generation;
    params[2] = ngx_http_mchost_json_text(ctx, spec);

    if (params[2].data == NULL
        || ngx_http_mchost_trail(ctx, &params[3]) != NGX_OK
        || ngx_http_mchost_server_sizes(ctx, spec, &params[5]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_UPDATE, params,
                                 ngx_http_mchost_patch_written);
}


static ngx_int_t
ngx_http_mchost_patch_read(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_int_t    rc;
    ngx_str_t    generation, owner;
    mc_json_t   *was, *document;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                       "There is no such server.");
    }

    generation = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_GENERATION);
    owner = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_OWNER);

    if (ngx_http_mchost_if_match(ctx->request, &generation)
        == NGX_HTTP_MCHOST_MATCH_NO)
    {
        return ngx_http_mchost_stale(ctx);
    }

    if (ngx_http_mchost_field_bool(reply, NGX_HTTP_MCHOST_GET_DELETED)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The server is being deleted.");
    }

    if (owner.len != 2 || ngx_strncmp(owner.data, "db", 2) != 0) {
        return ngx_http_mchost_gitops(ctx);
    }

    was = ngx_http_mchost_patch_before(ctx, reply);
    document = was ? ngx_http_mchost_patch_after(ctx, was) : NULL;

    if (document == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_mchost_change_check(ctx, was, document, &rc)) {
        return rc;
    }

    if (mc_json_equal(mc_json_get(was, "spec"), mc_json_get(document, "spec")))
    {
        /* nothing to change: not a new generation */

        return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply,
                                           NGX_HTTP_MCHOST_GET_DOCUMENT,
                                           NGX_HTTP_MCHOST_GET_GENERATION);
    }

    return ngx_http_mchost_patch_write(ctx, &generation,
                                       mc_json_get(document, "spec"));
}


/* No row: somebody else has written since. A client that named a generation is
 * told, for another one it is tried again. */

static ngx_int_t
ngx_http_mchost_patch_written(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  broken;

    if (ngx_http_mchost_rows(reply) == 1
        && ngx_http_mchost_field(reply, 0).len == 0)
    {
        broken = ngx_http_mchost_field(reply, 2);
        return ngx_http_mchost_quota_problem(ctx, &broken);
    }

    if (ngx_http_mchost_rows(reply) == 1) {
        ngx_http_mchost_wake(ctx, (char *) ctx->id.data, ctx->id.len);

        return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 1, 0);
    }

    if (ctx->request->headers_in.if_match) {
        return ngx_http_mchost_stale(ctx);
    }

    if (++ctx->tries == NGX_HTTP_MCHOST_PATCH_TRIES) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "Others keep changing this server.");
    }

    return ngx_http_mchost_server_patch(ctx);
}
