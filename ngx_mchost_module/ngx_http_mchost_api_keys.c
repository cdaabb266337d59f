/*
 * /keys: API keys of a tenant.
 */

#include "ngx_http_mchost_request.h"


static ngx_int_t
ngx_http_mchost_no_key(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                   "There is no such key.");
}


/* -- GET /keys, GET /keys/{id} -- */

ngx_int_t
ngx_http_mchost_key_list(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    ngx_http_mchost_page(ctx, params);
    params[2] = ctx->q;

    if (params[2].data == NULL) {
        ngx_str_set(&params[2], "");
    }

    return ngx_http_mchost_query(ctx, MC_SQL_KEY_LIST, params,
                                 ngx_http_mchost_document_step);
}


static ngx_int_t
ngx_http_mchost_key_get_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_key(ctx);
    }

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 0, -1);
}


ngx_int_t
ngx_http_mchost_key_get(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_KEY_GET, &ctx->id,
                                 ngx_http_mchost_key_get_step);
}


/* -- POST /keys -- */

static const struct {
    const char  *name;
    const char  *pointer;
    const char  *code;
    const char  *message;
} ngx_http_mchost_key_refusals[] = {
    { "role", "/role", "above_own", "must not be above your own role" },
    { "scopes", "/scopes", "above_own",
      "must be among the scopes of the key that makes it" },
    { "servers", "/servers", "unknown_server",
      "must be servers that you can see" }
};


#define NGX_HTTP_MCHOST_KEY_REFUSALS                                          \
    (sizeof(ngx_http_mchost_key_refusals)                                     \
     / sizeof(ngx_http_mchost_key_refusals[0]))


static ngx_int_t
ngx_http_mchost_key_refused(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *what)
{
    ngx_uint_t                i, n;
    ngx_http_mchost_fault_t   faults[NGX_HTTP_MCHOST_KEY_REFUSALS];

    n = 0;

    for (i = 0; i < NGX_HTTP_MCHOST_KEY_REFUSALS; i++) {

        if (ngx_strlcasestrn(what->data, what->data + what->len,
                             (u_char *) ngx_http_mchost_key_refusals[i].name,
                             ngx_strlen(ngx_http_mchost_key_refusals[i].name)
                             - 1)
            == NULL)
        {
            continue;
        }

        (void) ngx_cpystrn((u_char *) faults[n].pointer,
                           (u_char *) ngx_http_mchost_key_refusals[i].pointer,
                           sizeof(faults[n].pointer));
        faults[n].code = ngx_http_mchost_key_refusals[i].code;
        faults[n].message = ngx_http_mchost_key_refusals[i].message;
        n++;
    }

    if (n == 0) {
        faults[0].pointer[0] = '\0';
        faults[0].code = "quota_exceeded";
        faults[0].message = "the tenant has as many keys as it may";

        return ngx_http_mchost_problem_type(ctx->request, NGX_HTTP_FORBIDDEN,
                                            "quota",
                                            "The quota of keys is used up.",
                                            faults, 1);
    }

    return ngx_http_mchost_problem_faults(ctx->request, 422,
                                          "The key cannot be made.", faults,
                                          n);
}


static ngx_int_t
ngx_http_mchost_key_created(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  refused, document;

    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    refused = ngx_http_mchost_field(reply, 0);

    if (refused.len) {
        return ngx_http_mchost_key_refused(ctx, &refused);
    }

    document = ngx_http_mchost_field(reply, 1);

    if (ngx_http_mchost_location(ctx, "/keys/%V", &ctx->id) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_reply_with(ctx, NGX_HTTP_CREATED, &document,
                                      "secret", &ctx->secret);
}


/* An array of strings from the body, which the schema has checked, as an
 * array of SQL; NULL when it is absent. */

static ngx_int_t
ngx_http_mchost_key_array(ngx_http_mchost_ctx_t *ctx, const char *name,
    ngx_str_t *param)
{
    u_char           *p;
    size_t            size;
    const mc_json_t  *v, *list;

    ngx_str_null(param);

    list = mc_json_get(ctx->body, name);

    if (list == NULL) {
        return NGX_OK;
    }

    size = 2;

    for (v = list->child; v; v = v->next) {
        size += v->len + 1;
    }

    p = ngx_pnalloc(ctx->request->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    param->data = p;
    *p++ = '{';

    for (v = list->child; v; v = v->next) {
        p = ngx_cpymem(p, v->str, v->len);

        if (v->next) {
            *p++ = ',';
        }
    }

    *p++ = '}';
    param->len = p - param->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_new_token(ngx_http_mchost_ctx_t *ctx,
    mc_token_e kind, ngx_str_t *hash)
{
    u_char  *p;

    p = ngx_pnalloc(ctx->request->pool, MC_UUID_LEN + 1
                                        + MC_TOKEN_LEN + 1
                                        + NGX_HTTP_MCHOST_HASH_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_mchost_uuid7((char *) p);

    ctx->id.data = p;
    ctx->id.len = MC_UUID_LEN;
    p += MC_UUID_LEN + 1;

    ctx->secret.data = p;
    ctx->secret.len = MC_TOKEN_LEN;
    p += MC_TOKEN_LEN + 1;

    hash->data = p;
    hash->len = NGX_HTTP_MCHOST_HASH_LEN;

    return ngx_http_mchost_token_make(kind, (char *) ctx->id.data,
                                      ctx->secret.data, hash->data);
}


ngx_int_t
ngx_http_mchost_key_create(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  params[9];

    if (!ngx_http_mchost_body_check(ctx, "KeyCreate", &rc)) {
        return rc;
    }

    if (ngx_http_mchost_new_token(ctx, MC_TOKEN_KEY, &params[2])
        != NGX_OK
        || ngx_http_mchost_key_array(ctx, "scopes", &params[4]) != NGX_OK
        || ngx_http_mchost_key_array(ctx, "servers", &params[5]) != NGX_OK
        || ngx_http_mchost_trail(ctx, &params[7]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    params[0] = ctx->id;
    params[1] = ngx_http_mchost_body_str(ctx, "name");
    params[3] = ngx_http_mchost_body_str(ctx, "role");
    params[6] = ngx_http_mchost_body_str(ctx, "expiresAt");

    return ngx_http_mchost_query(ctx, MC_SQL_KEY_CREATE, params,
                                 ngx_http_mchost_key_created);
}


/* -- DELETE /keys/{id} -- */

static ngx_int_t
ngx_http_mchost_key_deleted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_key(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_FORBIDDEN,
                                       "The key's role is above yours.");
    }

    return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                       NULL);
}


ngx_int_t
ngx_http_mchost_key_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    params[0] = ctx->id;

    if (ngx_http_mchost_trail(ctx, &params[1]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_KEY_DELETE, params,
                                 ngx_http_mchost_key_deleted);
}
