/*
 * The directives: what their files share with each other and with
 * ngx_http_mchost_module.c.
 */

#ifndef NGX_HTTP_MCHOST_CONF_H
#define NGX_HTTP_MCHOST_CONF_H

#include "ngx_http_mchost_module.h"

extern ngx_command_t  ngx_http_mchost_commands[];

void *ngx_http_mchost_create_main_conf(ngx_conf_t *cf);
void *ngx_http_mchost_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_mchost_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/* What can be checked only when all of http {} was read. */
char *ngx_http_mchost_init_main_conf(ngx_conf_t *cf, void *conf);

/* The index of the pool of this name, which may be defined later on, or
 * NGX_ERROR. */
ngx_int_t ngx_http_mchost_pool(ngx_conf_t *cf, ngx_str_t *name);

/* Reads NAME=VALUE as a time above zero; NGX_DECLINED when it has another
 * name, NGX_ERROR when it is no time. */
ngx_int_t ngx_http_mchost_msec(ngx_str_t *arg, const char *name,
    ngx_msec_t *msec);

/* Says "invalid parameter" and returns NGX_CONF_ERROR. */
char *ngx_http_mchost_invalid(ngx_conf_t *cf, ngx_str_t *arg);

/* -- ngx_http_mchost_conf_loc.c -- */

char *ngx_http_mchost_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_mchost_websocket(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
/* mchost_rate_limit, and its inheritance. */
char *ngx_http_mchost_rate_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_mchost_rate_merge(ngx_http_mchost_loc_conf_t *prev,
    ngx_http_mchost_loc_conf_t *conf);

/* The text of /openapi.json, NUL-terminated. */
ngx_int_t ngx_http_mchost_openapi_make(ngx_conf_t *cf, ngx_str_t *text);

/* mchost_cors, and its inheritance. */
char *ngx_http_mchost_cors_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_mchost_cors_merge(ngx_http_mchost_loc_conf_t *prev,
    ngx_http_mchost_loc_conf_t *conf);

char *ngx_http_mchost_plain(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

#endif
