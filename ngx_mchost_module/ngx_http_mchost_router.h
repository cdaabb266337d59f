/*
 * (method, path) -> route.
 */

#ifndef NGX_HTTP_MCHOST_ROUTER_H
#define NGX_HTTP_MCHOST_ROUTER_H

#include "ngx_http_mchost_request.h"

#define NGX_HTTP_MCHOST_PATH_NAMES  2   /* {names} in a path, at most */

typedef enum {
    NGX_HTTP_MCHOST_BODY_NONE,          /* discarded */
    NGX_HTTP_MCHOST_BODY_JSON,
    NGX_HTTP_MCHOST_BODY_MERGE_PATCH
} ngx_http_mchost_body_e;

struct ngx_http_mchost_route_s {
    ngx_uint_t                 method;      /* NGX_HTTP_GET: and HEAD */
    const char                *pattern;     /* below the prefix, no slash */
    const char                *name;        /* $mchost_route, in metrics */
    ngx_http_mchost_scope_e    scope;       /* what it needs */
    ngx_http_mchost_body_e     body;
    const char                *args;        /* known ones, by spaces */
    const char                *action;      /* of …/actions/{action} */
    ngx_http_mchost_begin_pt   begin;
};

extern const ngx_http_mchost_route_t  ngx_http_mchost_routes[];

/* Finds the route of a path below the prefix and stores its {names}. NULL when
 * no route has this method: then *allowed has the methods that there are for
 * the path, 0 when there is no such path. */
const ngx_http_mchost_route_t *ngx_http_mchost_route(
    ngx_http_mchost_ctx_t *ctx, const ngx_str_t *path, ngx_uint_t method,
    ngx_uint_t *allowed);

/* Index of a route for the metrics. */
ngx_uint_t ngx_http_mchost_route_index(const ngx_http_mchost_route_t *route);
ngx_uint_t ngx_http_mchost_routes_n(void);

/* The value of an Allow header, on pool; data is NULL when memory is out. */
ngx_str_t ngx_http_mchost_allow(ngx_pool_t *pool, ngx_uint_t allowed);

#endif
