/*
 * The directives of http {}, and the module's configuration.
 */

#include "ngx_http_mchost_conf.h"
#include "ngx_http_mchost_metrics.h"

/* The context of what is within mchost_postgres {}: a bit that no context of
 * nginx uses. */
#define NGX_HTTP_MCHOST_POSTGRES_CONF  0x00800000


/* A pool, with what its configuration alone needs. Pools may be named in a
 * location before they are defined, as upstreams may. */
typedef struct {
    ngx_mchost_pg_conf_t  pg;
    u_char               *file;         /* where it was named first */
    ngx_uint_t            line;
    unsigned              defined:1;
} ngx_http_mchost_pool_conf_t;


static char *ngx_http_mchost_postgres(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mchost_queue(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mchost_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mchost_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_conf_num_bounds_t  ngx_http_mchost_connections_bounds = {
    ngx_conf_check_num_bounds, 1, 128
};

static ngx_conf_num_bounds_t  ngx_http_mchost_pipeline_bounds = {
    ngx_conf_check_num_bounds, 1, 256
};


ngx_command_t  ngx_http_mchost_commands[] = {

    { ngx_string("mchost_postgres"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_mchost_postgres,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("conninfo"),
      NGX_HTTP_MCHOST_POSTGRES_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_mchost_pool_conf_t, pg.conninfo),
      NULL },

    { ngx_string("connections"),
      NGX_HTTP_MCHOST_POSTGRES_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_mchost_pool_conf_t, pg.connections),
      &ngx_http_mchost_connections_bounds },

    { ngx_string("pipeline"),
      NGX_HTTP_MCHOST_POSTGRES_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_mchost_pool_conf_t, pg.pipeline),
      &ngx_http_mchost_pipeline_bounds },

    { ngx_string("queue"),
      NGX_HTTP_MCHOST_POSTGRES_CONF|NGX_CONF_TAKE12,
      ngx_http_mchost_queue,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("query_timeout"),
      NGX_HTTP_MCHOST_POSTGRES_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_mchost_pool_conf_t, pg.query_timeout),
      NULL },

    { ngx_string("connect_timeout"),
      NGX_HTTP_MCHOST_POSTGRES_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_mchost_pool_conf_t, pg.connect_timeout),
      NULL },

    { ngx_string("mchost_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_mchost_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mchost_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_mchost_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mchost_rate_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_mchost_rate_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mchost_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_mchost_cors_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mchost_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_mchost_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mchost_websocket"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_mchost_websocket,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mchost_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_mchost_plain,
      NGX_HTTP_LOC_CONF_OFFSET,
      NGX_HTTP_MCHOST_HEALTH,
      NULL },

    { ngx_string("mchost_ready"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_mchost_plain,
      NGX_HTTP_LOC_CONF_OFFSET,
      NGX_HTTP_MCHOST_READY,
      NULL },

    { ngx_string("mchost_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_mchost_plain,
      NGX_HTTP_LOC_CONF_OFFSET,
      NGX_HTTP_MCHOST_METRICS,
      NULL },

      ngx_null_command
};


/* -- making and merging -- */

void *
ngx_http_mchost_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_mchost_main_conf_t  *mmcf;

    mmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mchost_main_conf_t));
    if (mmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mmcf->pools, cf->pool, 4,
                       sizeof(ngx_http_mchost_pool_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return mmcf;
}


void *
ngx_http_mchost_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_mchost_loc_conf_t  *mlcf;

    mlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mchost_loc_conf_t));
    if (mlcf == NULL) {
        return NULL;
    }

    mlcf->pool = NGX_CONF_UNSET;
    mlcf->platform = NGX_CONF_UNSET;
    mlcf->origins = NGX_CONF_UNSET_PTR;
    mlcf->rates[0].rate = NGX_CONF_UNSET_UINT;
    mlcf->rates[1].rate = NGX_CONF_UNSET_UINT;

    return mlcf;
}


/*
 * A body of at most this size is wanted in one buffer; nginx's default would
 * put most of them into a file.
 */

char *
ngx_http_mchost_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_mchost_loc_conf_t *conf = child;

    size_t                      max;
    ngx_http_core_loc_conf_t   *clcf;

    ngx_http_mchost_rate_merge(parent, conf);
    ngx_http_mchost_cors_merge(parent, conf);

    if (conf->kind != NGX_HTTP_MCHOST_API) {
        return NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    max = NGX_HTTP_MCHOST_BODY_MAX;

    if (clcf->client_max_body_size
        && clcf->client_max_body_size < (off_t) max)
    {
        max = (size_t) clcf->client_max_body_size;
    }

    if (clcf->client_body_buffer_size < max) {
        clcf->client_body_buffer_size = max;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_mchost_conf_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


static void
ngx_http_mchost_schema_cleanup(void *data)
{
    mc_schema_free(data);
}


static mc_schema_t *
ngx_http_mchost_schema(ngx_conf_t *cf, const char *json, size_t len)
{
    char                 err[256];
    mc_alloc_t           alloc;
    mc_schema_t         *schema;
    ngx_pool_cleanup_t  *cln;

    alloc.alloc = ngx_http_mchost_conf_alloc;
    alloc.pool = cf->pool;

    schema = mc_schema_compile(&alloc, json, len, err, sizeof(err));
    if (schema == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "the API's schema: %s", err);
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        mc_schema_free(schema);
        return NULL;
    }

    cln->handler = ngx_http_mchost_schema_cleanup;
    cln->data = schema;

    return schema;
}


char *
ngx_http_mchost_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_mchost_main_conf_t *mmcf = conf;

    ngx_uint_t                     i;
    ngx_http_mchost_pool_conf_t  **pools;

    pools = mmcf->pools.elts;

    for (i = 0; i < mmcf->pools.nelts; i++) {
        if (!pools[i]->defined) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown mchost_postgres \"%V\" in %s:%ui",
                          &pools[i]->pg.name, pools[i]->file, pools[i]->line);
            return NGX_CONF_ERROR;
        }
    }

    if (mmcf->limited && mmcf->zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"mchost_rate_limit\" needs a \"mchost_zone\"");
        return NGX_CONF_ERROR;
    }

    if (!mmcf->used) {
        return NGX_CONF_OK;
    }

    mmcf->threads = ngx_thread_pool_add(cf, NULL);
    if (mmcf->threads == NULL
        || ngx_http_mchost_openapi_make(cf, &mmcf->openapi) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mmcf->schema = ngx_http_mchost_schema(cf, mc_schema_json,
                                          mc_schema_json_len);
    mmcf->bodies = ngx_http_mchost_schema(cf, mc_api_schema_json,
                                          mc_api_schema_json_len);

    if (mmcf->schema == NULL || mmcf->bodies == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* -- mchost_postgres -- */

ngx_int_t
ngx_http_mchost_pool(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                     i;
    ngx_http_mchost_main_conf_t   *mmcf;
    ngx_http_mchost_pool_conf_t   *pool, **pools;

    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mchost_module);

    pools = mmcf->pools.elts;

    for (i = 0; i < mmcf->pools.nelts; i++) {
        if (pools[i]->pg.name.len == name->len
            && ngx_strncmp(pools[i]->pg.name.data, name->data, name->len) == 0)
        {
            return i;
        }
    }

    if (i == NGX_HTTP_MCHOST_POOLS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "more than %ui mchost_postgres",
                           (ngx_uint_t) NGX_HTTP_MCHOST_POOLS);
        return NGX_ERROR;
    }

    pool = ngx_pcalloc(cf->pool, sizeof(ngx_http_mchost_pool_conf_t));
    pools = ngx_array_push(&mmcf->pools);

    if (pool == NULL || pools == NULL) {
        return NGX_ERROR;
    }

    *pools = pool;

    pool->pg.name = *name;
    pool->pg.connections = NGX_CONF_UNSET_UINT;
    pool->pg.pipeline = NGX_CONF_UNSET_UINT;
    pool->pg.queue = NGX_CONF_UNSET_UINT;
    pool->pg.queue_timeout = NGX_CONF_UNSET_MSEC;
    pool->pg.query_timeout = NGX_CONF_UNSET_MSEC;
    pool->pg.connect_timeout = NGX_CONF_UNSET_MSEC;

    pool->file = cf->conf_file->file.name.data;
    pool->line = cf->conf_file->line;

    return i;
}


static char *
ngx_http_mchost_postgres(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_main_conf_t *mmcf = conf;

    char                          *rv;
    void                         **pools;
    u_char                         err[512];
    ngx_int_t                      n;
    ngx_str_t                     *value;
    ngx_conf_t                     pcf;
    ngx_http_conf_ctx_t            ctx, *http_ctx;
    ngx_http_mchost_pool_conf_t   *pool;

    value = cf->args->elts;

    n = ngx_http_mchost_pool(cf, &value[1]);
    if (n == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    pool = ((ngx_http_mchost_pool_conf_t **) mmcf->pools.elts)[n];

    if (pool->defined) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate mchost_postgres \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    pool->defined = 1;

    /* the block's directives find the pool where a server's would find the
     * server's configuration */

    http_ctx = cf->ctx;
    pools = ngx_pcalloc(cf->pool, sizeof(void *) * ngx_http_max_module);
    if (pools == NULL) {
        return NGX_CONF_ERROR;
    }

    pools[ngx_http_mchost_module.ctx_index] = pool;

    ctx.main_conf = http_ctx->main_conf;
    ctx.srv_conf = pools;
    ctx.loc_conf = pools;

    pcf = *cf;
    cf->ctx = &ctx;
    cf->cmd_type = NGX_HTTP_MCHOST_POSTGRES_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = pcf;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (pool->pg.conninfo.data == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"conninfo\" in mchost_postgres \"%V\"",
                           &pool->pg.name);
        return NGX_CONF_ERROR;
    }

    if (ngx_mchost_pg_conf_resolve(&pool->pg, cf->pool, err, sizeof(err))
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid conninfo in mchost_postgres \"%V\": %s",
                           &pool->pg.name, err);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_uint_value(pool->pg.connections, 4);
    ngx_conf_init_uint_value(pool->pg.pipeline, 8);
    ngx_conf_init_uint_value(pool->pg.queue, 1024);
    ngx_conf_init_msec_value(pool->pg.queue_timeout, 2000);
    ngx_conf_init_msec_value(pool->pg.query_timeout, 5000);
    ngx_conf_init_msec_value(pool->pg.connect_timeout, 5000);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_mchost_msec(ngx_str_t *arg, const char *name, ngx_msec_t *msec)
{
    size_t     len;
    ngx_int_t  n;
    ngx_str_t  s;

    len = ngx_strlen(name);

    if (arg->len <= len || ngx_strncmp(arg->data, name, len) != 0) {
        return NGX_DECLINED;
    }

    s.data = arg->data + len;
    s.len = arg->len - len;

    n = ngx_parse_time(&s, 0);
    if (n == NGX_ERROR || n == 0) {
        return NGX_ERROR;
    }

    *msec = (ngx_msec_t) n;

    return NGX_OK;
}


char *
ngx_http_mchost_invalid(ngx_conf_t *cf, ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", arg);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_mchost_queue(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_pool_conf_t *pool = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (pool->pg.queue != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);
    if (n == NGX_ERROR) {
        return "invalid number";
    }

    pool->pg.queue = n;

    if (cf->args->nelts == 3
        && ngx_http_mchost_msec(&value[2], "timeout=",
                                &pool->pg.queue_timeout)
           != NGX_OK)
    {
        return ngx_http_mchost_invalid(cf, &value[2]);
    }

    return NGX_CONF_OK;
}


/* -- mchost_redis -- */

static ngx_int_t
ngx_http_mchost_redis_address(ngx_conf_t *cf, ngx_str_t *value,
    ngx_mchost_redis_conf_t *rcf)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = *value;
    u.default_port = 6379;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in mchost_redis \"%V\"",
                           u.err ? u.err : "error", value);
        return NGX_ERROR;
    }

    if (u.uri.len || u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address in mchost_redis \"%V\"", value);
        return NGX_ERROR;
    }

    /* a name is an address from here on: nothing resolves at run time */

    rcf->address = u.addrs[0].name;

    return NGX_OK;
}


static char *
ngx_http_mchost_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_main_conf_t *mmcf = conf;

    ngx_int_t                 rc, n;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_mchost_redis_conf_t  *rcf;

    if (mmcf->redis) {
        return "is duplicate";
    }

    rcf = ngx_pcalloc(cf->pool, sizeof(ngx_mchost_redis_conf_t));
    if (rcf == NULL) {
        return NGX_CONF_ERROR;
    }

    mmcf->redis = rcf;

    ngx_str_set(&rcf->prefix, "mchost:");
    rcf->timeout = 2000;
    rcf->pending = 1024;

    value = cf->args->elts;

    if (ngx_http_mchost_redis_address(cf, &value[1], rcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "prefix=", 7) == 0) {
            rcf->prefix.data = value[i].data + 7;
            rcf->prefix.len = value[i].len - 7;
            continue;
        }

        if (ngx_strncmp(value[i].data, "user=", 5) == 0 && value[i].len > 5) {
            rcf->user.data = value[i].data + 5;
            rcf->user.len = value[i].len - 5;
            continue;
        }

        if (ngx_strncmp(value[i].data, "password=", 9) == 0) {

            if (value[i].len == 9) {
                return "has an empty password";
            }

            rcf->password.data = value[i].data + 9;
            rcf->password.len = value[i].len - 9;
            continue;
        }

        if (ngx_strncmp(value[i].data, "pending=", 8) == 0) {
            n = ngx_atoi(value[i].data + 8, value[i].len - 8);
            if (n == NGX_ERROR || n == 0) {
                return ngx_http_mchost_invalid(cf, &value[i]);
            }

            rcf->pending = n;
            continue;
        }

        rc = ngx_http_mchost_msec(&value[i], "timeout=", &rcf->timeout);

        if (rc != NGX_OK) {
            return ngx_http_mchost_invalid(cf, &value[i]);
        }
    }

    if (rcf->user.len && rcf->password.len == 0) {
        return "has a user without a password";
    }

    return NGX_CONF_OK;
}


/* -- mchost_zone -- */

static char *
ngx_http_mchost_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_main_conf_t *mmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (mmcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid zone size \"%V\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)
        || (size_t) size < ngx_http_mchost_metrics_zone_min())
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "zone \"%V\" is too small",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mmcf->zone = ngx_shared_memory_add(cf, &value[1], size,
                                       &ngx_http_mchost_module);
    if (mmcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mmcf->zone->init = ngx_http_mchost_metrics_zone_init;

    return NGX_CONF_OK;
}
