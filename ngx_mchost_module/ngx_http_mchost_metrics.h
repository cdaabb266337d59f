/*
 * What is counted, in shared memory when there is an mchost_zone.
 */

#ifndef NGX_HTTP_MCHOST_METRICS_H
#define NGX_HTTP_MCHOST_METRICS_H

#include "ngx_http_mchost_module.h"

/* Bytes that a zone has to have. */
size_t ngx_http_mchost_metrics_zone_min(void);
ngx_int_t ngx_http_mchost_metrics_zone_init(ngx_shm_zone_t *zone, void *data);

/* Begins counting in a worker (the zone's memory, or the worker's own) and
 * ends it. */
ngx_int_t ngx_http_mchost_metrics_start(ngx_http_mchost_worker_t *worker,
    ngx_http_mchost_main_conf_t *mmcf);
void ngx_http_mchost_metrics_stop(ngx_http_mchost_worker_t *worker);

/* Writes "sockets" and "pools" as members of a JSON object. */
u_char *ngx_http_mchost_metrics_stats(u_char *p, u_char *last);

/* The log phase: counts a request of one of our locations. */
ngx_int_t ngx_http_mchost_metrics_log(ngx_http_request_t *r);

#endif
