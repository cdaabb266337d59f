/*
 * PATCH /servers/{id}: read, merge here, write if nobody else did meanwhile.
 */

#include "ngx_http_mchost_request.h"

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


static ngx_int_t
ngx_http_mchost_stale(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_PRECONDITION_FAILED,
                                   "The server has changed: If-Match names "
                                   "another generation.");
}


/* The document {name, spec} with the patch applied; NULL when memory is out.
 * *before is the text of the spec as it was. */

static mc_json_t *
ngx_http_mchost_patch_merge(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply, ngx_str_t *before)
{
    ngx_str_t         text, name;
    mc_json_t        *document, *spec;
    mc_json_error_t   error;

    text = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_SPEC);
    name = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_NAME);

    spec = mc_json_parse(&ctx->alloc, (char *) text.data, text.len, &error);
    document = mc_json_object(&ctx->alloc);

    if (spec == NULL || document == NULL) {
        return NULL;
    }

    *before = ngx_http_mchost_json_text(ctx, spec);

    if (before->data == NULL
        || mc_json_set(&ctx->alloc, document, "name",
                       mc_json_string(&ctx->alloc, (char *) name.data,
                                      name.len))
           != 0
        || mc_json_set(&ctx->alloc, document, "spec", spec) != 0)
    {
        return NULL;
    }

    return mc_json_merge_patch(&ctx->alloc, document, ctx->body);
}


static ngx_int_t
ngx_http_mchost_patch_renamed(ngx_http_mchost_ctx_t *ctx)
{
    ngx_http_mchost_fault_t  fault;

    ngx_sprintf((u_char *) fault.pointer, "/name%Z");
    fault.code = "immutable";
    fault.message = "the name of a server cannot be changed";

    return ngx_http_mchost_problem_faults(ctx->request, 422,
                                          "The document is not valid.",
                                          &fault, 1);
}


static ngx_int_t
ngx_http_mchost_patch_write(ngx_http_mchost_ctx_t *ctx, ngx_str_t *generation,
    ngx_str_t *spec)
{
    char       audit[MC_UUID_LEN + 1];
    ngx_str_t  params[5];

    ngx_http_mchost_uuid7(audit);

    params[0] = ctx->id;
    params[1] = *generation;
    params[2] = *spec;
    params[3].data = (u_char *) audit;
    params[3].len = MC_UUID_LEN;
    params[4] = *ngx_http_mchost_request_id(ctx->request);

    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_UPDATE, params,
                                 ngx_http_mchost_patch_written);
}


static ngx_int_t
ngx_http_mchost_patch_read(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_int_t    rc;
    ngx_str_t    generation, name, owner, before, after;
    mc_json_t   *document, *renamed;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                       "There is no such server.");
    }

    generation = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_GENERATION);
    owner = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_OWNER);
    name = ngx_http_mchost_field(reply, NGX_HTTP_MCHOST_GET_NAME);

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
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The server belongs to its resource "
                                       "in Kubernetes: change it there.");
    }

    renamed = mc_json_get(ctx->body, "name");

    if (renamed && (renamed->type != MC_JSON_STRING
                    || renamed->len != name.len
                    || ngx_strncmp(renamed->str, name.data, name.len) != 0))
    {
        return ngx_http_mchost_patch_renamed(ctx);
    }

    document = ngx_http_mchost_patch_merge(ctx, reply, &before);
    if (document == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_mchost_document_check(ctx, document, &rc)) {
        return rc;
    }

    after = ngx_http_mchost_json_text(ctx, mc_json_get(document, "spec"));
    if (after.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (after.len == before.len
        && ngx_memcmp(after.data, before.data, after.len) == 0)
    {
        /* nothing to change: not a new generation */

        return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply,
                                           NGX_HTTP_MCHOST_GET_DOCUMENT,
                                           NGX_HTTP_MCHOST_GET_GENERATION);
    }

    return ngx_http_mchost_patch_write(ctx, &generation, &after);
}


/* No row: somebody else has written since. A client that named a generation is
 * told, for another one it is tried again. */

static ngx_int_t
ngx_http_mchost_patch_written(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
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
