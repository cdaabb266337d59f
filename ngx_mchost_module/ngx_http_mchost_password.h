/*
 * Passwords (argon2id) on nginx's thread pool, and one-time codes (RFC 6238).
 */

#ifndef NGX_HTTP_MCHOST_PASSWORD_H
#define NGX_HTTP_MCHOST_PASSWORD_H

#include "ngx_http_mchost_request.h"

#define NGX_HTTP_MCHOST_PASSWORD_HASH  128      /* bytes, with a NUL */
#define NGX_HTTP_MCHOST_PASSWORD_MAX   4        /* hashes to check against */

/* The handler runs in the event loop; verified is the index of the hash that
 * the password fits, -1: none. hash: of the new password, when one was
 * given. */
typedef struct {
    ngx_int_t  verified;
    char       hash[NGX_HTTP_MCHOST_PASSWORD_HASH];
} ngx_http_mchost_password_result_t;

typedef ngx_int_t (*ngx_http_mchost_password_pt)(ngx_http_mchost_ctx_t *ctx,
    const ngx_http_mchost_password_result_t *result);

/* Checks password (NULL: nothing to check) against nhashes hashes; when it
 * fits one, or was not given, hashes fresh (or NULL). With no hash to check
 * against it takes as long as with one. Returns what a step returns: it waits,
 * or has answered that too many are waiting. */
ngx_int_t ngx_http_mchost_password(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t *password, const ngx_str_t *hashes, ngx_uint_t nhashes,
    const ngx_str_t *fresh, ngx_http_mchost_password_pt handler);

/* The request is gone. */
void ngx_http_mchost_password_detach(ngx_http_mchost_job_t *job);

/* A new secret, base32, NUL-terminated. */
#define NGX_HTTP_MCHOST_TOTP_SECRET  33
ngx_int_t ngx_http_mchost_totp_secret(char secret[NGX_HTTP_MCHOST_TOTP_SECRET]);

/* The step of time that the code of six digits is of: now, the one before or
 * the one after; 0 when it is of none of them. */
int64_t ngx_http_mchost_totp_step(const char *secret, const ngx_str_t *code);

#endif
