/*
 * /platform: tenants, keys and statistics, for the platform's operators. All
 * of it runs on a pool of its own, whose database role sees tenants and none
 * of their servers.
 */

#include "ngx_http_mchost_request.h"
#include "ngx_http_mchost_metrics.h"

#define NGX_HTTP_MCHOST_STATS_MAX  4096


static ngx_int_t
ngx_http_mchost_none_of_that_id(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                   "There is no such resource.");
}


static void
ngx_http_mchost_search(ngx_http_mchost_ctx_t *ctx, ngx_str_t params[3])
{
    ngx_http_mchost_page(ctx, params);
    params[2] = ctx->q;

    if (params[2].data == NULL) {
        ngx_str_set(&params[2], "");
    }
}


/* -- tenants -- */

ngx_int_t
ngx_http_mchost_tenant_list(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    ngx_http_mchost_search(ctx, params);

    return ngx_http_mchost_query(ctx, MC_SQL_TENANT_LIST, params,
                                 ngx_http_mchost_document_step);
}


ngx_int_t
ngx_http_mchost_tenant_get(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_TENANT_GET, &ctx->id,
                                 ngx_http_mchost_document_step);
}


static ngx_int_t
ngx_http_mchost_tenant_created(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  document;

    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_mchost_location(ctx, "/platform/tenants/%V", &ctx->sub)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    document = ngx_http_mchost_field(reply, 0);

    return ngx_http_mchost_reply_with(ctx, NGX_HTTP_CREATED, &document,
                                      "ownerKey", &ctx->secret);
}


/* The quota as it was given, or SQL's NULL. */

static ngx_int_t
ngx_http_mchost_quota_param(ngx_http_mchost_ctx_t *ctx, ngx_str_t *param)
{
    const mc_json_t  *quota;

    ngx_str_null(param);

    quota = mc_json_get(ctx->body, "quota");
    if (quota == NULL) {
        return NGX_OK;
    }

    *param = ngx_http_mchost_json_text(ctx, quota);

    return param->data ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_mchost_tenant_create(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  params[7];

    if (!ngx_http_mchost_body_check(ctx, "TenantCreate", &rc)) {
        return rc;
    }

    ctx->sub.len = MC_UUID_LEN;
    ctx->sub.data = ngx_pnalloc(ctx->request->pool, MC_UUID_LEN + 1);

    if (ctx->sub.data == NULL
        || ngx_http_mchost_new_token(ctx, MC_TOKEN_KEY,
                                     &params[4])
           != NGX_OK
        || ngx_http_mchost_quota_param(ctx, &params[2]) != NGX_OK
        || ngx_http_mchost_trail(ctx, &params[5]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mchost_uuid7((char *) ctx->sub.data);

    params[0] = ctx->sub;
    params[1] = ngx_http_mchost_body_str(ctx, "name");
    params[3] = ctx->id;

    return ngx_http_mchost_query(ctx, MC_SQL_TENANT_CREATE, params,
                                 ngx_http_mchost_tenant_created);
}


ngx_int_t
ngx_http_mchost_tenant_update(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_str_t         params[7];
    const mc_json_t  *suspended;

    if (!ngx_http_mchost_body_check(ctx, "TenantUpdate", &rc)) {
        return rc;
    }

    if (ngx_http_mchost_quota_param(ctx, &params[2]) != NGX_OK
        || ngx_http_mchost_trail(ctx, &params[5]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    params[0] = ctx->id;
    params[1] = ngx_http_mchost_body_str(ctx, "name");
    params[4] = ngx_http_mchost_body_str(ctx, "suspendedReason");

    ngx_str_null(&params[3]);
    suspended = mc_json_get(ctx->body, "suspended");

    if (suspended && mc_json_bool(suspended, 0)) {
        ngx_str_set(&params[3], "true");

    } else if (suspended) {
        ngx_str_set(&params[3], "false");
    }

    return ngx_http_mchost_query(ctx, MC_SQL_TENANT_UPDATE, params,
                                 ngx_http_mchost_document_step);
}


static ngx_int_t
ngx_http_mchost_tenant_deleted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_none_of_that_id(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The tenant still has servers.");
    }

    return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                       NULL);
}


ngx_int_t
ngx_http_mchost_tenant_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    params[0] = ctx->id;

    if (ngx_http_mchost_trail(ctx, &params[1]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_TENANT_DELETE, params,
                                 ngx_http_mchost_tenant_deleted);
}


/* -- keys -- */

ngx_int_t
ngx_http_mchost_platform_key_list(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[2];

    ngx_http_mchost_page(ctx, params);

    return ngx_http_mchost_query(ctx, MC_SQL_PLATFORM_KEY_LIST, params,
                                 ngx_http_mchost_document_step);
}


static ngx_int_t
ngx_http_mchost_platform_key_created(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  document;

    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    document = ngx_http_mchost_field(reply, 0);

    return ngx_http_mchost_reply_with(ctx, NGX_HTTP_CREATED, &document,
                                      "secret", &ctx->secret);
}


ngx_int_t
ngx_http_mchost_platform_key_create(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  params[6];

    if (!ngx_http_mchost_body_check(ctx, "PlatformKeyCreate", &rc)) {
        return rc;
    }

    if (ngx_http_mchost_new_token(ctx, MC_TOKEN_PLATFORM,
                                  &params[2])
        != NGX_OK
        || ngx_http_mchost_trail(ctx, &params[4]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    params[0] = ctx->id;
    params[1] = ngx_http_mchost_body_str(ctx, "name");
    params[3] = ngx_http_mchost_body_str(ctx, "expiresAt");

    return ngx_http_mchost_query(ctx, MC_SQL_PLATFORM_KEY_CREATE, params,
                                 ngx_http_mchost_platform_key_created);
}


static ngx_int_t
ngx_http_mchost_platform_key_deleted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_none_of_that_id(ctx);
    }

    return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                       NULL);
}


ngx_int_t
ngx_http_mchost_platform_key_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    params[0] = ctx->id;

    if (ngx_http_mchost_trail(ctx, &params[1]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_PLATFORM_KEY_DELETE, params,
                                 ngx_http_mchost_platform_key_deleted);
}


/* -- statistics -- */

static ngx_int_t
ngx_http_mchost_stats_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    u_char     *p, *last;
    ngx_str_t   text, f[6];
    ngx_uint_t  i;

    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_pnalloc(ctx->request->pool, NGX_HTTP_MCHOST_STATS_MAX);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < 6; i++) {
        f[i] = ngx_http_mchost_field(reply, i);
    }

    text.data = p;
    last = p + NGX_HTTP_MCHOST_STATS_MAX;

    p = ngx_slprintf(p, last, "{\"tenants\":{\"total\":%V,\"suspended\":%V},"
                     "\"use\":{\"servers\":%V,\"memoryBytes\":%V,"
                     "\"cpuMillis\":%V,\"storageBytes\":%V},",
                     &f[0], &f[1], &f[2], &f[3], &f[4], &f[5]);
    p = ngx_http_mchost_metrics_stats(p, last);
    p = ngx_slprintf(p, last, "}");

    text.len = p - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_OK, &text, NULL);
}


ngx_int_t
ngx_http_mchost_platform_stats(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_PLATFORM_STATS, NULL,
                                 ngx_http_mchost_stats_step);
}
