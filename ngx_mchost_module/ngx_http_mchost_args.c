/*
 * Query parameters: those a route knows, each at most once, each of its form.
 */

#include "ngx_http_mchost_router.h"


static ngx_str_t *
ngx_http_mchost_arg(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *name)
{
    size_t       len;
    ngx_uint_t   i;
    const char  *known;

    static const char  *names[] = { "limit", "after", "purge" };

    ngx_str_t   *slots[] = { &ctx->limit, &ctx->after, &ctx->purge };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        len = ngx_strlen(names[i]);

        if (name->len != len
            || ngx_strncmp(name->data, names[i], len) != 0)
        {
            continue;
        }

        known = ctx->route->args ? ngx_strstr(ctx->route->args, names[i])
                                 : NULL;

        return known ? slots[i] : NULL;
    }

    return NULL;
}


static ngx_int_t
ngx_http_mchost_arg_problem(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *name,
    const char *code, const char *message)
{
    u_char                   detail[192];
    ngx_http_mchost_fault_t  fault;

    ngx_snprintf(detail, sizeof(detail), "Query parameter \"%*s\" %s.%Z",
                 ngx_min(name->len, 64), name->data, message);
    detail[sizeof(detail) - 1] = '\0';

    fault.pointer[0] = '\0';
    fault.code = code;
    fault.message = (char *) detail;

    return ngx_http_mchost_problem_faults(ctx->request, NGX_HTTP_BAD_REQUEST,
                                          (char *) detail, &fault, 1);
}


static ngx_uint_t
ngx_http_mchost_args_check(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    ngx_int_t         n;

    static ngx_str_t  limit = ngx_string("limit");
    static ngx_str_t  after = ngx_string("after");
    static ngx_str_t  purge = ngx_string("purge");

    if (ctx->limit.data) {
        n = ngx_atoi(ctx->limit.data, ctx->limit.len);

        if (n == NGX_ERROR || n < 1 || n > 200) {
            *rc = ngx_http_mchost_arg_problem(ctx, &limit, "range",
                                              "must be from 1 to 200");
            return 0;
        }
    }

    if (ctx->after.data
        && !mc_uuid_valid((char *) ctx->after.data, ctx->after.len))
    {
        *rc = ngx_http_mchost_arg_problem(ctx, &after, "cursor",
                                          "is not a cursor of a list");
        return 0;
    }

    if (ctx->purge.data
        && !(ctx->purge.len == 4
             && ngx_strncmp(ctx->purge.data, "true", 4) == 0)
        && !(ctx->purge.len == 5
             && ngx_strncmp(ctx->purge.data, "false", 5) == 0))
    {
        *rc = ngx_http_mchost_arg_problem(ctx, &purge, "type",
                                          "must be true or false");
        return 0;
    }

    return 1;
}


ngx_uint_t
ngx_http_mchost_args(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    u_char     *p, *last, *amp, *eq, *src, *dst;
    ngx_str_t   name, value, *slot;

    p = ctx->request->args.data;
    last = p + ctx->request->args.len;

    for ( /* void */ ; p < last; p = amp + 1) {

        amp = ngx_strlchr(p, last, '&');
        if (amp == NULL) {
            amp = last;
        }

        if (amp == p) {
            continue;
        }

        eq = ngx_strlchr(p, amp, '=');

        name.data = p;
        name.len = (eq ? eq : amp) - p;

        value.data = eq ? eq + 1 : amp;
        value.len = amp - value.data;

        slot = ngx_http_mchost_arg(ctx, &name);

        if (slot == NULL) {
            *rc = ngx_http_mchost_arg_problem(ctx, &name, "unknown_parameter",
                                              "is not known here");
            return 0;
        }

        if (slot->data) {
            *rc = ngx_http_mchost_arg_problem(ctx, &name, "duplicate",
                                              "is there twice");
            return 0;
        }

        slot->data = ngx_pnalloc(ctx->request->pool, value.len + 1);
        if (slot->data == NULL) {
            *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            return 0;
        }

        src = value.data;
        dst = slot->data;
        ngx_unescape_uri(&dst, &src, value.len, 0);
        slot->len = dst - slot->data;
    }

    return ngx_http_mchost_args_check(ctx, rc);
}
