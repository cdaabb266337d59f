/*
 * Whose request it is, before the database is asked: the bearer's token, or
 * the session's cookie with what keeps other pages from using it.
 */

#include "ngx_http_mchost_router.h"
#include <openssl/crypto.h>


static ngx_str_t  ngx_http_mchost_cookie = ngx_string("__Host-mchost");


ngx_int_t
ngx_http_mchost_csrf_token(const ngx_str_t *token,
    u_char csrf[NGX_HTTP_MCHOST_HASH_LEN])
{
    u_char  text[sizeof("csrf:") - 1 + MC_TOKEN_LEN];

    if (token->len != MC_TOKEN_LEN) {
        return NGX_ERROR;
    }

    ngx_memcpy(text, "csrf:", 5);
    ngx_memcpy(text + 5, token->data, token->len);

    return ngx_http_mchost_sha256_hex(text, sizeof(text), csrf);
}


static ngx_int_t
ngx_http_mchost_cookie_token(ngx_http_request_t *r, ngx_str_t *token)
{
#if (nginx_version >= 1023000)
    return ngx_http_parse_multi_header_lines(r, r->headers_in.cookie,
                                             &ngx_http_mchost_cookie, token)
           ? NGX_OK : NGX_DECLINED;
#else
    return ngx_http_parse_multi_header_lines(&r->headers_in.cookies,
                                             &ngx_http_mchost_cookie, token)
           == NGX_DECLINED ? NGX_DECLINED : NGX_OK;
#endif
}


static ngx_uint_t
ngx_http_mchost_is(const ngx_table_elt_t *h, const char *text)
{
    return h->value.len == ngx_strlen(text)
           && ngx_strncmp(h->value.data, text, h->value.len) == 0;
}


/* "scheme://host[:port]" of this very address. */

static ngx_uint_t
ngx_http_mchost_same_origin(ngx_http_request_t *r, const ngx_str_t *origin)
{
    u_char           *p;
    ngx_table_elt_t  *host;

    host = r->headers_in.host;
    p = ngx_strlcasestrn(origin->data, origin->data + origin->len,
                         (u_char *) "://", 3 - 1);

    if (p == NULL || host == NULL) {
        return 0;
    }

    p += 3;

    return (size_t) (origin->data + origin->len - p) == host->value.len
           && ngx_strncasecmp(p, host->value.data, host->value.len) == 0;
}


/* A browser sends the cookie with whatever a page asks for: what changes
 * something must come from our own page, and show that it could read a reply
 * of ours. */

static ngx_uint_t
ngx_http_mchost_csrf_ok(ngx_http_request_t *r, const ngx_str_t *token)
{
    u_char            csrf[NGX_HTTP_MCHOST_HASH_LEN];
    ngx_table_elt_t  *site, *origin, *h;

    if (r->method == NGX_HTTP_GET || r->method == NGX_HTTP_HEAD) {
        return 1;
    }

    site = ngx_http_mchost_header_in(r, "Sec-Fetch-Site",
                                     sizeof("Sec-Fetch-Site") - 1);
    origin = ngx_http_mchost_header_in(r, "Origin", sizeof("Origin") - 1);
    h = ngx_http_mchost_header_in(r, "X-CSRF-Token",
                                  sizeof("X-CSRF-Token") - 1);

    if ((site && !ngx_http_mchost_is(site, "same-origin")
         && !ngx_http_mchost_is(site, "none"))
        || (origin && !ngx_http_mchost_same_origin(r, &origin->value))
        || h == NULL || h->value.len != sizeof(csrf)
        || ngx_http_mchost_csrf_token(token, csrf) != NGX_OK)
    {
        return 0;
    }

    return CRYPTO_memcmp(h->value.data, csrf, sizeof(csrf)) == 0;
}


static ngx_uint_t
ngx_http_mchost_within_limits(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    ngx_http_mchost_loc_conf_t  *mlcf;

    mlcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_mchost_module);

    ngx_http_mchost_limit_check(&ctx->credential, mlcf->rates, &ctx->verdict);

    if (ctx->verdict.retry == 0) {
        return 1;
    }

    *rc = ngx_http_mchost_problem(ctx->request, NGX_HTTP_TOO_MANY_REQUESTS,
                                  ctx->verdict.name[0] == 't'
                                  ? "The tenant has made too many requests."
                                  : "This key has made too many requests.");
    return 0;
}


ngx_uint_t
ngx_http_mchost_access(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    ngx_str_t            token;
    ngx_uint_t           cookie, presented;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->route->scope == NGX_HTTP_MCHOST_SCOPE_PUBLIC) {
        return 1;
    }

    cookie = 0;
    presented = ngx_http_mchost_bearer(r, &token) == NGX_OK;

    if (!presented && r->headers_in.authorization == NULL) {
        presented = ngx_http_mchost_cookie_token(r, &token) == NGX_OK;
        cookie = presented;
    }

    if (!presented
        || ngx_http_mchost_credential(&token, &ctx->credential) != NGX_OK
        || (cookie
            && ctx->credential.kind != MC_TOKEN_SESSION))
    {
        *rc = ngx_http_mchost_unauthorized(ctx, presented);
        return 0;
    }

    if (cookie && !ngx_http_mchost_csrf_ok(r, &token)) {
        *rc = ngx_http_mchost_problem_type(r, NGX_HTTP_FORBIDDEN, "csrf",
                                           "A session's change needs its "
                                           "X-CSRF-Token, from a page of this "
                                           "server.", NULL, 0);
        return 0;
    }

    /* operators and tenants do not meet */

    if ((ctx->credential.kind == MC_TOKEN_PLATFORM)
        != (ctx->route->scope == NGX_HTTP_MCHOST_SCOPE_PLATFORM))
    {
        *rc = ngx_http_mchost_problem(r, NGX_HTTP_FORBIDDEN,
                          ctx->route->scope == NGX_HTTP_MCHOST_SCOPE_PLATFORM
                          ? "This needs the key of a platform operator."
                          : "A platform operator's key is of no tenant.");
        return 0;
    }

    return ngx_http_mchost_within_limits(ctx, rc);
}
