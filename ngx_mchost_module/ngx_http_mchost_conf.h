/*
 * The directives, as ngx_http_mchost_module.c needs them.
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

#endif
