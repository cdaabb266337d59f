/*
 * Requests, sockets and uses of keys, counted in the mchost_zone by all
 * workers. Without a zone nothing is limited.
 */

#ifndef NGX_HTTP_MCHOST_LIMIT_H
#define NGX_HTTP_MCHOST_LIMIT_H

#include "ngx_http_mchost_module.h"

/* In a zone that is new; NULL when it is too small. */
ngx_http_mchost_limits_t *ngx_http_mchost_limits_create(
    ngx_slab_pool_t *shpool);

/* A worker begins. */
void ngx_http_mchost_limits_start(ngx_http_mchost_limits_t *limits);

/* What a check has found: of the limit that is nearest to its end. */
typedef struct {
    const char  *name;
    ngx_uint_t   limit;                 /* 0: there is none */
    ngx_uint_t   window;                /* seconds */
    ngx_int_t    remaining;
    ngx_uint_t   reset;                 /* seconds until it is full */
    ngx_uint_t   retry;                 /* seconds; not 0: refused */
    unsigned     stale:1;               /* the tenant's own is to be read */
} ngx_http_mchost_verdict_t;

/* Takes a request off the limits of a key (rates[0]) and of its tenant. */
void ngx_http_mchost_limit_check(const ngx_http_mchost_credential_t *cred,
    const ngx_http_mchost_rate_t rates[2], ngx_http_mchost_verdict_t *v);

/* The database knows the key. 1 when its use is to be written down. */
ngx_uint_t ngx_http_mchost_limit_seen(
    const ngx_http_mchost_credential_t *cred,
    const ngx_http_mchost_identity_t *id);

/* Takes one off the limit of anything: seconds to wait, 0 when it may be. */
ngx_uint_t ngx_http_mchost_limit_try(const u_char *what, size_t len,
    const ngx_http_mchost_rate_t *rate);

/* A socket opens; NGX_BUSY: the tenant has as many as it may. */
ngx_int_t ngx_http_mchost_limit_socket(const ngx_http_mchost_identity_t *id);
void ngx_http_mchost_limit_socket_closed(const char *tenant);

#endif
