/*
 * /me: a member's own password and second factor.
 */

#include "ngx_http_mchost_router.h"
#include "ngx_http_mchost_password.h"


static ngx_int_t
ngx_http_mchost_members_only(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_FORBIDDEN,
                                   "Only a member who has logged in has "
                                   "that.");
}


static ngx_int_t
ngx_http_mchost_wrong(ngx_http_mchost_ctx_t *ctx, const char *pointer,
    const char *message)
{
    ngx_http_mchost_fault_t  fault;

    ngx_sprintf((u_char *) fault.pointer, "%s%Z", pointer);
    fault.code = "wrong";
    fault.message = message;

    return ngx_http_mchost_problem_faults(ctx->request, 422, message, &fault,
                                          1);
}


static ngx_int_t
ngx_http_mchost_me_done(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "It was changed meanwhile, or the code "
                                       "was used before.");
    }

    return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                       NULL);
}


/* -- POST /me/password -- */

static ngx_int_t
ngx_http_mchost_me_hashed(ngx_http_mchost_ctx_t *ctx,
    const ngx_http_mchost_password_result_t *result)
{
    ngx_str_t  params[4];

    if (result->verified < 0) {
        return ngx_http_mchost_wrong(ctx, "/current", "the password is wrong");
    }

    params[0] = ctx->secret;
    params[1].data = (u_char *) result->hash;
    params[1].len = ngx_strlen(result->hash);

    if (ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_PASSWORD, params,
                                 ngx_http_mchost_me_done);
}


static ngx_int_t
ngx_http_mchost_me_secrets(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  hash, current, fresh;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_members_only(ctx);
    }

    /* kept: that the change comes in the place of this very hash */

    hash = ngx_http_mchost_field(reply, 1);
    ctx->secret.len = hash.len;
    ctx->secret.data = ngx_pstrdup(ctx->request->pool, &hash);

    if (ctx->secret.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    current = ngx_http_mchost_body_str(ctx, "current");
    fresh = ngx_http_mchost_body_str(ctx, "password");

    return ngx_http_mchost_password(ctx, &current, &ctx->secret, 1, &fresh,
                                    ngx_http_mchost_me_hashed);
}


ngx_int_t
ngx_http_mchost_me_password(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ngx_http_mchost_body_check(ctx, "PasswordChange", &rc)) {
        return rc;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_SECRETS, NULL,
                                 ngx_http_mchost_me_secrets);
}


/* -- POST /me/totp: a secret, to be confirmed with a code -- */

static ngx_int_t
ngx_http_mchost_totp_begun(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    u_char     *p;
    size_t      n;
    ngx_str_t   email, text;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "There is a second factor already, or "
                                       "no member has logged in.");
    }

    email = ngx_http_mchost_field(reply, 0);

    /* an address may have any character in it but spaces */

    p = ngx_pnalloc(ctx->request->pool, 3 * email.len + 256);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    p = ngx_sprintf(p, "{\"secret\":\"%V\",\"uri\":\"otpauth://totp/mchost:",
                    &ctx->secret);

    n = ngx_escape_uri(NULL, email.data, email.len,
                       NGX_ESCAPE_URI_COMPONENT);
    p = n ? (u_char *) ngx_escape_uri(p, email.data, email.len,
                                      NGX_ESCAPE_URI_COMPONENT)
          : ngx_cpymem(p, email.data, email.len);

    p = ngx_sprintf(p, "?secret=%V&issuer=mchost\"}", &ctx->secret);
    text.len = p - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_OK, &text, NULL);
}


ngx_int_t
ngx_http_mchost_totp_begin(ngx_http_mchost_ctx_t *ctx)
{
    ctx->secret.len = NGX_HTTP_MCHOST_TOTP_SECRET - 1;
    ctx->secret.data = ngx_pnalloc(ctx->request->pool,
                                   NGX_HTTP_MCHOST_TOTP_SECRET);

    if (ctx->secret.data == NULL
        || ngx_http_mchost_totp_secret((char *) ctx->secret.data) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_TOTP_BEGIN, &ctx->secret,
                                 ngx_http_mchost_totp_begun);
}


/* -- POST /me/totp/{enable,disable}, with a code -- */

static ngx_int_t
ngx_http_mchost_totp_secrets(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    u_char      number[NGX_INT64_LEN];
    int64_t     step;
    ngx_str_t   code, params[4];

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_members_only(ctx);
    }

    code = ngx_http_mchost_body_str(ctx, "code");
    step = ngx_http_mchost_totp_step(
                  (char *) ngx_http_mchost_field(reply, 2).data, &code);

    if (step == 0) {
        return ngx_http_mchost_wrong(ctx, "/code", "the code is wrong");
    }

    if (ctx->route->action[0] == 'e') {
        ngx_str_set(&params[0], "true");

    } else {
        ngx_str_set(&params[0], "false");
    }

    params[1].data = number;
    params[1].len = ngx_sprintf(number, "%L", step) - number;

    if (ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_TOTP_SET, params,
                                 ngx_http_mchost_me_done);
}


ngx_int_t
ngx_http_mchost_totp_set(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ngx_http_mchost_body_check(ctx, "TotpCode", &rc)
        || !ngx_http_mchost_login_limit(ctx, NULL, &rc))
    {
        return rc;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_SECRETS, NULL,
                                 ngx_http_mchost_totp_secrets);
}
