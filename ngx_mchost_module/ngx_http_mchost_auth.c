/*
 * API keys: "mch_" + 32 hexadecimal digits + "_" + 43 characters of base64url.
 * The database knows only the SHA-256 of the whole text.
 */

#include "ngx_http_mchost_module.h"
#include <openssl/evp.h>

#define NGX_HTTP_MCHOST_TOKEN_LEN  (4 + 32 + 1 + 43)


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


static ngx_uint_t
ngx_http_mchost_token_valid(const ngx_str_t *token)
{
    u_char      ch;
    ngx_uint_t  i;

    if (token->len != NGX_HTTP_MCHOST_TOKEN_LEN
        || ngx_strncmp(token->data, "mch_", 4) != 0
        || token->data[36] != '_')
    {
        return 0;
    }

    for (i = 4; i < 36; i++) {
        ch = token->data[i];

        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f'))) {
            return 0;
        }
    }

    for (i = 37; i < NGX_HTTP_MCHOST_TOKEN_LEN; i++) {
        ch = token->data[i];

        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
              || (ch >= 'A' && ch <= 'Z') || ch == '-' || ch == '_'))
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_mchost_token_hash(const ngx_str_t *token,
    u_char hash[NGX_HTTP_MCHOST_HASH_LEN])
{
    u_char  digest[EVP_MAX_MD_SIZE];

    if (!ngx_http_mchost_token_valid(token)) {
        return NGX_DECLINED;
    }

    if (EVP_Digest(token->data, token->len, digest, NULL, EVP_sha256(), NULL)
        != 1)
    {
        return NGX_DECLINED;
    }

    ngx_hex_dump(hash, digest, NGX_HTTP_MCHOST_HASH_LEN / 2);

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_auth_add(ngx_mchost_pg_segment_t *seg, const u_char *hash,
    const char *role)
{
    u_char                 timeout[NGX_INT64_LEN];
    ngx_str_t              params[2];
    ngx_mchost_pg_conf_t  *conf;

    conf = ngx_mchost_pg_pool_conf(ngx_mchost_pg_segment_pool(seg));

    params[0].data = (u_char *) hash;
    params[0].len = NGX_HTTP_MCHOST_HASH_LEN;
    params[1].data = timeout;
    params[1].len = ngx_sprintf(timeout, "%M", conf->query_timeout) - timeout;

    if (ngx_mchost_pg_add(seg, MC_SQL_PRESENT_KEY, params) != NGX_OK) {
        return NGX_ERROR;
    }

    params[0].data = (u_char *) role;
    params[0].len = ngx_strlen(role);

    return ngx_mchost_pg_add(seg, MC_SQL_AUTHENTICATE, params);
}


static void
ngx_http_mchost_auth_field(PGresult *res, int column, char *dst, size_t size)
{
    (void) ngx_cpystrn((u_char *) dst, (u_char *) PQgetvalue(res, 0, column),
                       size);
}


ngx_http_mchost_auth_e
ngx_http_mchost_auth_read(const ngx_mchost_pg_reply_t *reply,
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

    return PQgetvalue(res, 0, 5)[0] == 't' ? NGX_HTTP_MCHOST_AUTH_OK
                                           : NGX_HTTP_MCHOST_AUTH_FORBIDDEN;
}
