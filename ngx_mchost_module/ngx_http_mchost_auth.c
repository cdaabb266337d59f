/*
 * Who asks, and what they may do: the tokens of API keys, of sessions and of
 * the platform's operators; scopes, and the least role that each needs. The
 * database knows only the SHA-256 of the whole text of a token.
 */

#include "ngx_http_mchost_module.h"
#include <openssl/evp.h>
#include <openssl/rand.h>


/* The one table of scopes: a role has every scope from its line up, a key may
 * have fewer, a route needs one. */

static const struct {
    const char  *name;
    const char  *role;          /* the least one */
} ngx_http_mchost_scopes[] = {
    { "", "viewer" },
    { "servers:read", "viewer" },
    { "servers:power", "operator" },
    { "console", "operator" },
    { "players", "operator" },
    { "backups", "operator" },
    { "messages", "operator" },
    { "servers:write", "admin" },
    { "audit:read", "admin" },
    { "keys", "admin" },
    { "members", "admin" },
    { "", "" },                 /* an operator of the platform */
    { "", "" }                  /* nobody */
};

const char *
ngx_http_mchost_scope_name(ngx_http_mchost_scope_e scope)
{
    return ngx_http_mchost_scopes[scope].name;
}


ngx_int_t
ngx_http_mchost_bearer(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_str_t  value;

    if (r->headers_in.authorization == NULL) {
        return NGX_DECLINED;
    }

    value = r->headers_in.authorization->value;

    if (value.len < sizeof("Bearer ") - 1
        || ngx_strncasecmp(value.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1)
           != 0)
    {
        return NGX_DECLINED;
    }

    value.data += sizeof("Bearer ") - 1;
    value.len -= sizeof("Bearer ") - 1;

    while (value.len && value.data[0] == ' ') {
        value.data++;
        value.len--;
    }

    if (value.len == 0) {
        return NGX_DECLINED;
    }

    *token = value;

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_sha256_hex(const u_char *data, size_t len,
    u_char hash[NGX_HTTP_MCHOST_HASH_LEN])
{
    u_char  digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1) {
        return NGX_ERROR;
    }

    ngx_hex_dump(hash, digest, NGX_HTTP_MCHOST_HASH_LEN / 2);

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_credential(const ngx_str_t *token,
    ngx_http_mchost_credential_t *cred)
{
    int  kind;

    kind = mc_token_kind((char *) token->data, token->len);

    if (kind < 0 || kind > MC_TOKEN_PLATFORM
        || ngx_http_mchost_sha256_hex(token->data, token->len, cred->hash)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    cred->kind = kind;

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_token_hash(const ngx_str_t *token,
    mc_token_e kind, u_char hash[NGX_HTTP_MCHOST_HASH_LEN])
{
    if (mc_token_kind((char *) token->data, token->len) != (int) kind) {
        return NGX_DECLINED;
    }

    return ngx_http_mchost_sha256_hex(token->data, token->len, hash);
}


ngx_int_t
ngx_http_mchost_token_make(mc_token_e kind, const char *id,
    u_char token[MC_TOKEN_LEN + 1],
    u_char hash[NGX_HTTP_MCHOST_HASH_LEN])
{
    u_char     *p, secret[32];
    ngx_str_t   raw, text;

    if (RAND_bytes(secret, sizeof(secret)) != 1) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(token, mc_token_prefix(kind), MC_TOKEN_ID_POS);

    for ( /* void */ ; *id; id++) {
        if (*id != '-') {
            *p++ = (u_char) *id;
        }
    }

    *p++ = '_';

    raw.data = secret;
    raw.len = sizeof(secret);
    text.data = p;

    ngx_encode_base64url(&text, &raw);
    ngx_explicit_memzero(secret, sizeof(secret));

    token[MC_TOKEN_LEN] = '\0';

    return ngx_http_mchost_sha256_hex(token, MC_TOKEN_LEN, hash);
}


ngx_int_t
ngx_http_mchost_present_add(ngx_mchost_pg_segment_t *seg, const u_char *hash)
{
    u_char                 timeout[NGX_INT64_LEN];
    ngx_str_t              params[2];
    ngx_mchost_pg_conf_t  *conf;

    conf = ngx_mchost_pg_pool_conf(ngx_mchost_pg_segment_pool(seg));

    params[0].data = (u_char *) hash;
    params[0].len = NGX_HTTP_MCHOST_HASH_LEN;
    params[1].data = timeout;
    params[1].len = ngx_sprintf(timeout, "%M", conf->query_timeout) - timeout;

    return ngx_mchost_pg_add(seg, MC_SQL_PRESENT_KEY, params);
}


ngx_int_t
ngx_http_mchost_auth_add(ngx_mchost_pg_segment_t *seg,
    const ngx_http_mchost_credential_t *cred, ngx_http_mchost_scope_e scope,
    ngx_http_mchost_gate_e gate)
{
    ngx_str_t    params[2];
    const char  *role;

    static const ngx_uint_t  statements[] = {
        MC_SQL_AUTHENTICATE, MC_SQL_AUTHENTICATE_SESSION,
        MC_SQL_AUTHENTICATE_PLATFORM
    };

    if (ngx_http_mchost_present_add(seg, cred->hash) != NGX_OK) {
        return NGX_ERROR;
    }

    role = ngx_http_mchost_scopes[scope].role;

    params[0].data = (u_char *) role;
    params[0].len = ngx_strlen(role);
    params[1].data = (u_char *) ngx_http_mchost_scopes[scope].name;
    params[1].len = ngx_strlen(params[1].data);

    if (ngx_mchost_pg_add(seg, statements[cred->kind], params) != NGX_OK) {
        return NGX_ERROR;
    }

    if (gate == NGX_HTTP_MCHOST_GATE_NONE) {
        return NGX_OK;
    }

    if (gate == NGX_HTTP_MCHOST_GATE_WRITE) {
        ngx_str_set(&params[0], "true");

    } else {
        ngx_str_set(&params[0], "false");
    }

    return ngx_mchost_pg_add(seg, MC_SQL_TENANT_GATE, params);
}


static void
ngx_http_mchost_auth_field(PGresult *res, int column, char *dst, size_t size)
{
    (void) ngx_cpystrn((u_char *) dst, (u_char *) PQgetvalue(res, 0, column),
                       size);
}


static ngx_int_t
ngx_http_mchost_auth_number(PGresult *res, int column)
{
    return ngx_atoi((u_char *) PQgetvalue(res, 0, column),
                    PQgetlength(res, 0, column));
}


/* What the gate says, when it was asked. Its result is taken out of the row:
 * behind the authentication comes what the request is about. */

static ngx_uint_t
ngx_http_mchost_auth_gate(ngx_mchost_pg_reply_t *reply,
    ngx_http_mchost_identity_t *id)
{
    PGresult  *res;

    res = reply->nresults > 2 ? reply->results[2] : NULL;

    if (res == NULL || PQntuples(res) != 1 || PQnfields(res) != 5
        || ngx_strcmp(PQfname(res, 0), "suspended") != 0)
    {
        return 0;
    }

    id->gated = 1;
    id->requests = ngx_http_mchost_auth_number(res, 1);
    id->sockets = ngx_http_mchost_auth_number(res, 2);
    ngx_http_mchost_auth_field(res, 3, id->reason, sizeof(id->reason));

    reply->results++;
    reply->nresults--;

    /* a writer has lost the tenant */

    return PQgetvalue(res, 0, 0)[0] == 't' && PQgetlength(res, 0, 4) == 0;
}


ngx_http_mchost_auth_e
ngx_http_mchost_auth_read(ngx_mchost_pg_reply_t *reply,
    ngx_http_mchost_identity_t *id)
{
    PGresult  *res;

    ngx_memzero(id, sizeof(ngx_http_mchost_identity_t));

    res = reply->nresults > 1 ? reply->results[1] : NULL;

    if (res == NULL || PQntuples(res) != 1 || PQnfields(res) < 6) {
        return NGX_HTTP_MCHOST_AUTH_UNKNOWN;
    }

    ngx_http_mchost_auth_field(res, 0, id->tenant, sizeof(id->tenant));
    ngx_http_mchost_auth_field(res, 1, id->key_id, sizeof(id->key_id));
    ngx_http_mchost_auth_field(res, 2, id->role, sizeof(id->role));
    ngx_http_mchost_auth_field(res, 4, id->expires_at,
                               sizeof(id->expires_at));

    if (PQgetvalue(res, 0, 5)[0] != 't') {
        return NGX_HTTP_MCHOST_AUTH_FORBIDDEN;
    }

    return ngx_http_mchost_auth_gate(reply, id)
           ? NGX_HTTP_MCHOST_AUTH_SUSPENDED : NGX_HTTP_MCHOST_AUTH_OK;
}


PGresult *
ngx_http_mchost_result(const ngx_mchost_pg_reply_t *reply)
{
    return reply->nresults > 2 ? reply->results[2] : NULL;
}
