/*
 * Quotas: what a server asks for, the refusal when there is no room for it,
 * and GET /quota.
 */

#include "ngx_http_mchost_request.h"
#include "mc_quantity.h"


static const struct {
    const char  *name;
    const char  *pointer;       /* into the server document */
    const char  *message;
} ngx_http_mchost_quotas[] = {
    { "servers", "", "the tenant has as many servers as it may" },
    { "memory", "/spec/resources/memory",
      "the tenant's servers would have more memory than they may" },
    { "cpu", "/spec/resources/cpu",
      "the tenant's servers would have more CPU than they may" },
    { "storage", "/spec/storage/size",
      "the tenant's servers would have more storage than they may" }
};


#define NGX_HTTP_MCHOST_QUOTAS                                                \
    (sizeof(ngx_http_mchost_quotas) / sizeof(ngx_http_mchost_quotas[0]))


static ngx_int_t
ngx_http_mchost_size(ngx_http_mchost_ctx_t *ctx, const mc_json_t *spec,
    const char *path, int64_t unit, ngx_str_t *param)
{
    int64_t      n;
    const char  *text;

    text = mc_json_str(mc_json_at(spec, path), NULL);
    n = text ? mc_quantity_milli(text) : 0;

    param->data = ngx_pnalloc(ctx->request->pool, NGX_INT64_LEN);
    if (param->data == NULL) {
        return NGX_ERROR;
    }

    param->len = ngx_sprintf(param->data, "%L", n < 0 ? 0 : n / unit)
                 - param->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_server_sizes(ngx_http_mchost_ctx_t *ctx,
    const mc_json_t *spec, ngx_str_t params[3])
{
    if (ngx_http_mchost_size(ctx, spec, "resources.memory", 1000, &params[0])
        != NGX_OK
        || ngx_http_mchost_size(ctx, spec, "resources.cpu", 1, &params[1])
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_mchost_size(ctx, spec, "storage.size", 1000, &params[2]);
}


static ngx_uint_t
ngx_http_mchost_quota_named(const ngx_str_t *list, const char *name)
{
    size_t   len;
    u_char  *p, *last;

    len = ngx_strlen(name);
    last = list->data + list->len;

    for (p = list->data; p && p < last; p = ngx_strlchr(p, last, ',')) {
        p += (*p == ',');

        if ((size_t) (last - p) >= len && ngx_strncmp(p, name, len) == 0
            && (p + len == last || p[len] == ','))
        {
            return 1;
        }
    }

    return 0;
}


/* Several creates at once may each have found room: then none of them knows
 * which quota the others have used up, and the fault has no name. */

ngx_int_t
ngx_http_mchost_quota_problem(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t *broken)
{
    ngx_uint_t                i, n;
    ngx_http_mchost_fault_t   faults[NGX_HTTP_MCHOST_QUOTAS];

    n = 0;

    for (i = 0; i < NGX_HTTP_MCHOST_QUOTAS; i++) {

        if (!ngx_http_mchost_quota_named(broken,
                                         ngx_http_mchost_quotas[i].name))
        {
            continue;
        }

        (void) ngx_cpystrn((u_char *) faults[n].pointer,
                           (u_char *) ngx_http_mchost_quotas[i].pointer,
                           sizeof(faults[n].pointer));
        faults[n].code = "quota_exceeded";
        faults[n].message = ngx_http_mchost_quotas[i].message;
        n++;
    }

    if (n == 0) {
        faults[0].pointer[0] = '\0';
        faults[0].code = "quota_exceeded";
        faults[0].message = "the tenant has no room for it";
        n = 1;
    }

    return ngx_http_mchost_problem_type(ctx->request, NGX_HTTP_FORBIDDEN,
                                        "quota",
                                        "A quota of the tenant is used up.",
                                        faults, n);
}


/* -- GET /quota -- */

static ngx_int_t
ngx_http_mchost_quota_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    u_char               *p;
    ngx_str_t             limits, used, text;
    ngx_http_mchost_use_t use;

    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    limits = ngx_http_mchost_field(reply, 0);
    used = ngx_http_mchost_field(reply, 1);

    /* sockets and requests are counted here, not in the database */

    ngx_http_mchost_limit_use(ctx->identity.tenant, &use);

    p = ngx_pnalloc(ctx->request->pool, limits.len + used.len + 128);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    p = ngx_sprintf(p, "{\"limits\":%V,\"use\":%*s,\"sockets\":%ui,"
                    "\"requestsPerMinute\":%ui}}", &limits, used.len - 1,
                    used.data, use.sockets, use.requests);
    text.len = p - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_OK, &text, NULL);
}


ngx_int_t
ngx_http_mchost_quota(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_QUOTA, NULL,
                                 ngx_http_mchost_quota_step);
}
