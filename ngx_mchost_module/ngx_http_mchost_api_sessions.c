/*
 * /sessions: logging in and out, and what sessions there are. A log-in takes
 * two segments with a thread's work between: whose address it is, and, with
 * the hash that the password fitted as the proof, the new session.
 */

#include "ngx_http_mchost_password.h"

#define NGX_HTTP_MCHOST_SESSION_AGE  "43200"        /* seconds */
#define NGX_HTTP_MCHOST_AGENT_MAX    200


/* Who logs in, between the two segments. */
struct ngx_http_mchost_login_s {
    ngx_uint_t  n;                      /* members of this address */
    ngx_str_t   id[NGX_HTTP_MCHOST_PASSWORD_MAX];
    ngx_str_t   hash[NGX_HTTP_MCHOST_PASSWORD_MAX];
    ngx_str_t   totp[NGX_HTTP_MCHOST_PASSWORD_MAX];
};


static ngx_int_t
ngx_http_mchost_login_refused(ngx_http_mchost_ctx_t *ctx, const char *type,
    const char *detail)
{
    return ngx_http_mchost_problem_type(ctx->request, NGX_HTTP_UNAUTHORIZED,
                                        type, detail, NULL, 0);
}


/* Tries of an address of mail, and of an address of the network. */

ngx_uint_t
ngx_http_mchost_login_limit(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t *email, ngx_int_t *rc)
{
    ngx_str_t   key, *address;
    ngx_uint_t  wait;

    static const ngx_http_mchost_rate_t  by_email = { 6, 10 };
    static const ngx_http_mchost_rate_t  by_address = { 60, 60 };

    address = &ctx->request->connection->addr_text;
    wait = ngx_http_mchost_limit_try(address->data, address->len,
                                     &by_address);

    if (wait == 0 && email) {
        key.data = ngx_pnalloc(ctx->request->pool, email->len);
        key.len = email->len;

        if (key.data == NULL) {
            *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            return 0;
        }

        ngx_strlow(key.data, email->data, email->len);
        wait = ngx_http_mchost_limit_try(key.data, key.len, &by_email);
    }

    if (wait == 0) {
        return 1;
    }

    ctx->verdict.retry = wait;
    *rc = ngx_http_mchost_problem(ctx->request, NGX_HTTP_TOO_MANY_REQUESTS,
                                  "Too many tries to log in.");
    return 0;
}


/* -- POST /sessions -- */

static ngx_int_t
ngx_http_mchost_set_cookie(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *token,
    const char *age)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(ctx->request->pool, token->len + 128);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "__Host-mchost=%V; Path=/; Secure; "
                            "HttpOnly; SameSite=Strict; Max-Age=%s", token,
                            age)
                - value.data;

    return ngx_http_mchost_header(ctx->request, "Set-Cookie", &value);
}


static ngx_int_t
ngx_http_mchost_logged_in(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    u_char     *p, csrf[NGX_HTTP_MCHOST_HASH_LEN];
    ngx_str_t   id, expires, member, text;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_login_refused(ctx, NULL,
                                             "The code was used before, or "
                                             "the password has changed.");
    }

    id = ngx_http_mchost_field(reply, 0);
    expires = ngx_http_mchost_field(reply, 1);
    member = ngx_http_mchost_field(reply, 2);

    if (ngx_http_mchost_csrf_token(&ctx->secret, csrf) != NGX_OK
        || ngx_http_mchost_set_cookie(ctx, &ctx->secret,
                                      NGX_HTTP_MCHOST_SESSION_AGE)
           != NGX_OK
        || ngx_http_mchost_location(ctx, "/sessions/%V", &id) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_pnalloc(ctx->request->pool, id.len + expires.len + member.len
                                        + sizeof(csrf) + 64);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    p = ngx_sprintf(p, "{\"id\":\"%V\",\"expiresAt\":%V,\"csrfToken\":\"%*s\","
                    "\"member\":%V}", &id, &expires, sizeof(csrf), csrf,
                    &member);
    text.len = p - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_CREATED, &text, NULL);
}


/* Begins a segment in which rows of the address show. */

static ngx_mchost_pg_segment_t *
ngx_http_mchost_login_segment(ngx_http_mchost_ctx_t *ctx)
{
    u_char                    timeout[NGX_INT64_LEN];
    ngx_str_t                 params[2];
    ngx_mchost_pg_conf_t     *conf;
    ngx_mchost_pg_segment_t  *seg;

    conf = ngx_mchost_pg_pool_conf(ctx->pool);

    params[0] = ngx_http_mchost_body_str(ctx, "email");
    params[1].data = timeout;
    params[1].len = ngx_sprintf(timeout, "%M", conf->query_timeout) - timeout;

    seg = ngx_http_mchost_open_segment(ctx);

    if (seg && ngx_mchost_pg_add(seg, MC_SQL_LOGIN_PRESENT, params) != NGX_OK)
    {
        ngx_mchost_pg_segment_free(seg);
        return NULL;
    }

    return seg;
}


static ngx_int_t
ngx_http_mchost_login_session(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t proof[2], int64_t step)
{
    u_char                    number[NGX_INT64_LEN];
    ngx_str_t                 params[7];
    ngx_table_elt_t          *agent;
    ngx_mchost_pg_segment_t  *seg;

    if (ngx_http_mchost_new_token(ctx, MC_TOKEN_SESSION,
                                  &params[1])
        != NGX_OK
        || ngx_http_mchost_trail(ctx, &params[5]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    params[0] = ctx->id;
    params[2].data = number;
    params[2].len = ngx_sprintf(number, "%L", step) - number;
    params[3] = ctx->request->connection->addr_text;
    ngx_str_set(&params[4], "");

    agent = ctx->request->headers_in.user_agent;

    if (agent && mc_utf8_valid((char *) agent->value.data,
                               ngx_min(agent->value.len,
                                       NGX_HTTP_MCHOST_AGENT_MAX)))
    {
        params[4] = agent->value;
        params[4].len = ngx_min(params[4].len, NGX_HTTP_MCHOST_AGENT_MAX);
    }

    seg = ngx_http_mchost_login_segment(ctx);
    if (seg == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mchost_pg_add(seg, MC_SQL_LOGIN_PROVEN, proof) != NGX_OK) {
        ngx_mchost_pg_segment_free(seg);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_submit(ctx, seg, MC_SQL_SESSION_CREATE, params,
                                  ngx_http_mchost_logged_in);
}


static ngx_int_t
ngx_http_mchost_login_checked(ngx_http_mchost_ctx_t *ctx,
    const ngx_http_mchost_password_result_t *result)
{
    int64_t                   step;
    ngx_str_t                 proof[2], code;
    ngx_http_mchost_login_t  *login;

    login = ctx->login;

    if (result->verified < 0) {
        return ngx_http_mchost_login_refused(ctx, NULL,
                                             "Address or password is wrong.");
    }

    step = 0;

    if (login->totp[result->verified].len) {
        code = ngx_http_mchost_body_str(ctx, "code");

        if (code.data == NULL) {
            return ngx_http_mchost_login_refused(ctx, "second-factor",
                                                 "The code of the second "
                                                 "factor is missing.");
        }

        step = ngx_http_mchost_totp_step(
                        (char *) login->totp[result->verified].data, &code);

        if (step == 0) {
            return ngx_http_mchost_login_refused(ctx, "second-factor",
                                                 "The code is wrong.");
        }
    }

    proof[0] = login->id[result->verified];
    proof[1] = login->hash[result->verified];

    return ngx_http_mchost_login_session(ctx, proof, step);
}


static ngx_int_t
ngx_http_mchost_login_copy(ngx_http_mchost_ctx_t *ctx, PGresult *res, int row,
    int column, ngx_str_t *dst)
{
    dst->len = PQgetlength(res, row, column);
    dst->data = ngx_pnalloc(ctx->request->pool, dst->len + 1);

    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, PQgetvalue(res, row, column), dst->len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_mchost_login_found(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    int                       i;
    PGresult                 *res;
    ngx_str_t                 password;
    ngx_http_mchost_login_t  *login;

    res = reply->nresults > 1 ? reply->results[1] : NULL;
    login = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_mchost_login_t));

    if (res == NULL || login == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < PQntuples(res) && i < NGX_HTTP_MCHOST_PASSWORD_MAX; i++) {
        if (ngx_http_mchost_login_copy(ctx, res, i, 0, &login->id[i]) != NGX_OK
            || ngx_http_mchost_login_copy(ctx, res, i, 1, &login->hash[i])
               != NGX_OK
            || ngx_http_mchost_login_copy(ctx, res, i, 2, &login->totp[i])
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    login->n = i;
    ctx->login = login;

    password = ngx_http_mchost_body_str(ctx, "password");

    return ngx_http_mchost_password(ctx, &password, login->hash, login->n,
                                    NULL, ngx_http_mchost_login_checked);
}


ngx_int_t
ngx_http_mchost_session_login(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_str_t                 email, tenant;
    ngx_mchost_pg_segment_t  *seg;

    if (!ngx_http_mchost_body_check(ctx, "Login", &rc)) {
        return rc;
    }

    email = ngx_http_mchost_body_str(ctx, "email");
    tenant = ngx_http_mchost_body_str(ctx, "tenant");

    if (tenant.data == NULL) {
        ngx_str_set(&tenant, "");
    }

    if (!ngx_http_mchost_login_limit(ctx, &email, &rc)) {
        return rc;
    }

    seg = ngx_http_mchost_login_segment(ctx);
    if (seg == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_submit(ctx, seg, MC_SQL_LOGIN_FIND, &tenant,
                                  ngx_http_mchost_login_found);
}


/* -- GET /sessions, DELETE /sessions/{id} and /sessions/current -- */

ngx_int_t
ngx_http_mchost_session_list(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[2];

    ngx_http_mchost_page(ctx, params);

    return ngx_http_mchost_query(ctx, MC_SQL_SESSION_LIST, params,
                                 ngx_http_mchost_document_step);
}


static ngx_int_t
ngx_http_mchost_session_deleted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    static ngx_str_t  none = ngx_string("");

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                       "There is no such session.");
    }

    if (ctx->id.data == NULL
        && ngx_http_mchost_set_cookie(ctx, &none, "0") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                       NULL);
}


ngx_int_t
ngx_http_mchost_session_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    params[0] = ctx->id;

    if (params[0].data == NULL) {
        ngx_str_set(&params[0], "current");
    }

    if (ngx_http_mchost_trail(ctx, &params[1]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_SESSION_DELETE, params,
                                 ngx_http_mchost_session_deleted);
}
