/*
 * /members: the people of a tenant, and their invitations.
 */

#include "ngx_http_mchost_router.h"
#include "ngx_http_mchost_password.h"


static ngx_int_t
ngx_http_mchost_no_member(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                   "There is no such member.");
}


ngx_int_t
ngx_http_mchost_member_list(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[2];

    ngx_http_mchost_page(ctx, params);

    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_LIST, params,
                                 ngx_http_mchost_document_step);
}


ngx_int_t
ngx_http_mchost_member_get(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_GET, &ctx->id,
                                 ngx_http_mchost_document_step);
}


/* -- POST /members -- */

static ngx_int_t
ngx_http_mchost_member_role_above(ngx_http_mchost_ctx_t *ctx)
{
    ngx_http_mchost_fault_t  fault;

    ngx_sprintf((u_char *) fault.pointer, "/role%Z");
    fault.code = "above_own";
    fault.message = "must not be above your own role";

    return ngx_http_mchost_problem_faults(ctx->request, 422,
                                          "The document is not valid.",
                                          &fault, 1);
}


static ngx_int_t
ngx_http_mchost_member_invited(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  document;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_member_role_above(ctx);
    }

    if (ngx_http_mchost_location(ctx, "/members/%V", &ctx->id) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    document = ngx_http_mchost_field(reply, 0);

    return ngx_http_mchost_reply_with(ctx, NGX_HTTP_CREATED, &document,
                                      "invitation", &ctx->secret);
}


ngx_int_t
ngx_http_mchost_member_invite(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  params[7];

    if (!ngx_http_mchost_body_check(ctx, "MemberCreate", &rc)) {
        return rc;
    }

    if (ngx_http_mchost_new_token(ctx, MC_TOKEN_INVITE,
                                  &params[4])
        != NGX_OK
        || ngx_http_mchost_trail(ctx, &params[5]) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    params[0] = ctx->id;
    params[1] = ngx_http_mchost_body_str(ctx, "email");
    params[2] = ngx_http_mchost_body_str(ctx, "name");
    params[3] = ngx_http_mchost_body_str(ctx, "role");

    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_INVITE, params,
                                 ngx_http_mchost_member_invited);
}


/* -- PATCH and DELETE /members/{id} -- */

static ngx_int_t
ngx_http_mchost_member_changed(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_member(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_FORBIDDEN,
                                       "The member's role, or the wanted "
                                       "one, is above yours.");
    }

    if (ctx->route->method == NGX_HTTP_DELETE) {
        return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                           NULL);
    }

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 1, -1);
}


ngx_int_t
ngx_http_mchost_member_update(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  params[5];

    if (!ngx_http_mchost_body_check(ctx, "MemberUpdate", &rc)) {
        return rc;
    }

    params[0] = ctx->id;
    params[1] = ngx_http_mchost_body_str(ctx, "role");
    params[2] = ngx_http_mchost_body_str(ctx, "name");

    if (ngx_http_mchost_trail(ctx, &params[3]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_UPDATE, params,
                                 ngx_http_mchost_member_changed);
}


ngx_int_t
ngx_http_mchost_member_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    params[0] = ctx->id;

    if (ngx_http_mchost_trail(ctx, &params[1]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_MEMBER_DELETE, params,
                                 ngx_http_mchost_member_changed);
}


/* -- POST /members/accept: whoever has the invitation -- */

static ngx_int_t
ngx_http_mchost_accepted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_UNAUTHORIZED,
                                       "The invitation is not known, or was "
                                       "used, or has expired.");
    }

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 0, -1);
}


static ngx_int_t
ngx_http_mchost_accept_hashed(ngx_http_mchost_ctx_t *ctx,
    const ngx_http_mchost_password_result_t *result)
{
    ngx_str_t                 params[4];
    ngx_mchost_pg_segment_t  *seg;

    params[0].data = (u_char *) result->hash;
    params[0].len = ngx_strlen(result->hash);
    params[1] = ngx_http_mchost_body_str(ctx, "name");

    seg = ngx_http_mchost_open_segment(ctx);

    if (seg == NULL || ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_mchost_present_add(seg, ctx->credential.hash) != NGX_OK
        || ngx_mchost_pg_add(seg, MC_SQL_INVITE_PROVEN, NULL) != NGX_OK)
    {
        ngx_mchost_pg_segment_free(seg);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_submit(ctx, seg, MC_SQL_INVITE_ACCEPT, params,
                                  ngx_http_mchost_accepted);
}


ngx_int_t
ngx_http_mchost_member_accept(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  token, password;

    if (!ngx_http_mchost_body_check(ctx, "InvitationAccept", &rc)
        || !ngx_http_mchost_login_limit(ctx, NULL, &rc))
    {
        return rc;
    }

    token = ngx_http_mchost_body_str(ctx, "token");
    password = ngx_http_mchost_body_str(ctx, "password");

    if (ngx_http_mchost_token_hash(&token, MC_TOKEN_INVITE,
                                   ctx->credential.hash)
        != NGX_OK)
    {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_UNAUTHORIZED,
                                       "The invitation is not known, or was "
                                       "used, or has expired.");
    }

    return ngx_http_mchost_password(ctx, NULL, NULL, 0, &password,
                                    ngx_http_mchost_accept_hashed);
}
