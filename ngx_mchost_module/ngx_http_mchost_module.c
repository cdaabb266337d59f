/*
 * mchost in nginx: the module, its variables, and the life of a worker.
 */

#include "ngx_http_mchost_conf.h"
#include "ngx_http_mchost_router.h"
#include "ngx_http_mchost_metrics.h"
#include <openssl/rand.h>
#include <sodium.h>


typedef enum {
    NGX_HTTP_MCHOST_VAR_TENANT,
    NGX_HTTP_MCHOST_VAR_KEY_ID,
    NGX_HTTP_MCHOST_VAR_ROLE,
    NGX_HTTP_MCHOST_VAR_ROUTE,
    NGX_HTTP_MCHOST_VAR_PG_TIME,
    NGX_HTTP_MCHOST_VAR_PG_QUEUE_TIME,
    NGX_HTTP_MCHOST_VAR_REQUEST_ID
} ngx_http_mchost_variable_e;


static ngx_int_t ngx_http_mchost_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_mchost_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_mchost_init_process(ngx_cycle_t *cycle);
static void ngx_http_mchost_exit_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_mchost_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


ngx_http_mchost_worker_t  *ngx_http_mchost_worker;


static ngx_http_variable_t  ngx_http_mchost_variables[] = {

    { ngx_string("mchost_tenant"), NULL, ngx_http_mchost_variable,
      NGX_HTTP_MCHOST_VAR_TENANT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mchost_key_id"), NULL, ngx_http_mchost_variable,
      NGX_HTTP_MCHOST_VAR_KEY_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mchost_role"), NULL, ngx_http_mchost_variable,
      NGX_HTTP_MCHOST_VAR_ROLE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mchost_route"), NULL, ngx_http_mchost_variable,
      NGX_HTTP_MCHOST_VAR_ROUTE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mchost_pg_time"), NULL, ngx_http_mchost_variable,
      NGX_HTTP_MCHOST_VAR_PG_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mchost_pg_queue_time"), NULL, ngx_http_mchost_variable,
      NGX_HTTP_MCHOST_VAR_PG_QUEUE_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mchost_request_id"), NULL, ngx_http_mchost_variable,
      NGX_HTTP_MCHOST_VAR_REQUEST_ID, 0, 0 },

      ngx_http_null_variable
};


static ngx_http_module_t  ngx_http_mchost_module_ctx = {
    ngx_http_mchost_preconfiguration,      /* preconfiguration */
    ngx_http_mchost_postconfiguration,     /* postconfiguration */

    ngx_http_mchost_create_main_conf,      /* create main configuration */
    ngx_http_mchost_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_mchost_create_loc_conf,       /* create location configuration */
    ngx_http_mchost_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_mchost_module = {
    NGX_MODULE_V1,
    &ngx_http_mchost_module_ctx,           /* module context */
    ngx_http_mchost_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_mchost_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_mchost_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_mchost_preconfiguration(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_mchost_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mchost_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt          *h;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_mchost_main_conf_t  *mmcf;

    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mchost_module);

    if (!mmcf->used) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_mchost_metrics_log;

    ngx_http_mchost_filter_init();

    return NGX_OK;
}


/* -- a worker's life -- */

static ngx_int_t
ngx_http_mchost_start_pools(ngx_http_mchost_worker_t *worker,
    ngx_http_mchost_main_conf_t *mmcf)
{
    ngx_uint_t              i;
    ngx_mchost_pg_conf_t  **confs;

    worker->pools = ngx_pcalloc(worker->cycle->pool,
                                (mmcf->pools.nelts + 1) * sizeof(void *));
    if (worker->pools == NULL) {
        return NGX_ERROR;
    }

    confs = mmcf->pools.elts;

    for (i = 0; i < mmcf->pools.nelts; i++) {
        worker->pools[i] = ngx_mchost_pg_pool_create(confs[i], worker->cycle);

        if (worker->pools[i] == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Runs in helper processes too, which have no business with databases. */

static ngx_int_t
ngx_http_mchost_init_process(ngx_cycle_t *cycle)
{
    ngx_http_mchost_worker_t     *worker;
    ngx_http_mchost_main_conf_t  *mmcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_mchost_module);

    if (mmcf == NULL || !mmcf->used) {
        return NGX_OK;
    }

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_http_mchost_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->cycle = cycle;

    if (ngx_http_mchost_metrics_start(worker, mmcf) != NGX_OK
        || ngx_http_mchost_start_pools(worker, mmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (sodium_init() < 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "sodium_init() failed");
        return NGX_ERROR;
    }

    ngx_http_mchost_worker = worker;

    if (mmcf->redis) {
        worker->redis = ngx_mchost_redis_create(mmcf->redis, cycle);
        if (worker->redis == NULL) {
            return NGX_ERROR;
        }

        worker->hub = ngx_mchost_hub_create(worker->redis, cycle);
        if (worker->hub == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_mchost_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                 i;
    ngx_http_mchost_worker_t  *worker;

    worker = ngx_http_mchost_worker;

    if (worker == NULL) {
        return;
    }

    ngx_http_mchost_metrics_stop(worker);

    if (worker->hub) {
        ngx_mchost_hub_destroy(worker->hub);
        worker->hub = NULL;
    }

    if (worker->redis) {
        ngx_mchost_redis_destroy(worker->redis);
        worker->redis = NULL;
    }

    for (i = 0; worker->pools[i]; i++) {
        ngx_mchost_pg_pool_destroy(worker->pools[i]);
    }

    ngx_http_mchost_worker = NULL;
}


/* -- variables -- */

static ngx_int_t
ngx_http_mchost_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, const char *text, size_t len)
{
    if (len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, len);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(v->data, text, len);

    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* Times as nginx writes them: seconds with milliseconds. */

static ngx_int_t
ngx_http_mchost_variable_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_mchost_ctx_t *ctx, ngx_msec_t ms)
{
    u_char  text[NGX_TIME_T_LEN + 4];
    size_t  len;

    if (!ctx->asked) {
        v->not_found = 1;
        return NGX_OK;
    }

    len = ngx_sprintf(text, "%T.%03M", (time_t) (ms / 1000), ms % 1000) - text;

    return ngx_http_mchost_variable_text(r, v, (char *) text, len);
}


static ngx_int_t
ngx_http_mchost_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    const char             *text;
    ngx_str_t              *id;
    ngx_http_mchost_ctx_t  *ctx;

    if (data == NGX_HTTP_MCHOST_VAR_REQUEST_ID) {
        id = ngx_http_mchost_request_id(r);

        return id ? ngx_http_mchost_variable_text(r, v, (char *) id->data,
                                                  id->len)
                  : NGX_ERROR;
    }

    ctx = ngx_http_mchost_ctx_find(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {

    case NGX_HTTP_MCHOST_VAR_PG_TIME:
        return ngx_http_mchost_variable_time(r, v, ctx, ctx->pg_time);

    case NGX_HTTP_MCHOST_VAR_PG_QUEUE_TIME:
        return ngx_http_mchost_variable_time(r, v, ctx, ctx->pg_queue_time);

    case NGX_HTTP_MCHOST_VAR_TENANT:
        text = ctx->identity.tenant;
        break;

    case NGX_HTTP_MCHOST_VAR_KEY_ID:
        text = ctx->identity.key_id;
        break;

    case NGX_HTTP_MCHOST_VAR_ROLE:
        text = ctx->identity.role;
        break;

    default:
        text = ctx->route ? ctx->route->name : "";
        break;
    }

    return ngx_http_mchost_variable_text(r, v, text, ngx_strlen(text));
}


/* -- ids -- */

void
ngx_http_mchost_uuid7(char dst[37])
{
    uint8_t      entropy[10];
    ngx_uint_t   i;
    ngx_time_t  *tp;

    if (RAND_bytes(entropy, sizeof(entropy)) != 1) {
        for (i = 0; i < sizeof(entropy); i++) {
            entropy[i] = (uint8_t) ngx_random();
        }
    }

    tp = ngx_timeofday();

    mc_uuid7(dst, (uint64_t) tp->sec * 1000 + tp->msec, entropy);
}
