/*
 * The directives of a location, each of which is its content handler.
 */

#include "ngx_http_mchost_conf.h"


static char *
ngx_http_mchost_location(ngx_conf_t *cf, ngx_http_mchost_loc_conf_t *mlcf,
    ngx_http_mchost_kind_e kind, ngx_http_handler_pt handler, ngx_str_t *pool)
{
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_mchost_main_conf_t  *mmcf;

    if (mlcf->kind == kind) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (mlcf->kind != NGX_HTTP_MCHOST_NONE || clcf->handler) {
        return "is not allowed beside another handler of the location";
    }

    mlcf->kind = kind;
    clcf->handler = handler;

    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mchost_module);
    mmcf->used = 1;

    if (pool) {
        mlcf->pool = ngx_http_mchost_pool(cf, pool);

        if (mlcf->pool == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_mchost_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_loc_conf_t *mlcf = conf;

    ngx_str_t                 *value, platform;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex) {
        return "is not allowed in a location of a regular expression: "
               "the API needs a prefix";
    }
#endif

    if (clcf->exact_match || clcf->named || clcf->noname) {
        return "is allowed only in a prefix location";
    }

    mlcf->prefix = clcf->name;

    while (mlcf->prefix.len
           && mlcf->prefix.data[mlcf->prefix.len - 1] == '/')
    {
        mlcf->prefix.len--;
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "platform=", 9) != 0
            || value[2].len == 9)
        {
            return ngx_http_mchost_invalid(cf, &value[2]);
        }

        platform.data = value[2].data + 9;
        platform.len = value[2].len - 9;

        mlcf->platform = ngx_http_mchost_pool(cf, &platform);

        if (mlcf->platform == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_mchost_location(cf, mlcf, NGX_HTTP_MCHOST_API,
                                    ngx_http_mchost_api_handler, &value[1]);
}


char *
ngx_http_mchost_websocket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_loc_conf_t *mlcf = conf;

    ssize_t      size;
    size_t      *to;
    ngx_int_t    rc;
    ngx_str_t   *value, s;
    ngx_uint_t   i, skip;

    mlcf->ws_ping = 30000;
    mlcf->ws_max_message = 64 * 1024;
    mlcf->ws_queue = 1024 * 1024;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        rc = ngx_http_mchost_msec(&value[i], "ping=", &mlcf->ws_ping);

        if (rc == NGX_OK) {
            continue;
        }

        if (ngx_strncmp(value[i].data, "max_message=", 12) == 0) {
            to = &mlcf->ws_max_message;
            skip = 12;

        } else if (ngx_strncmp(value[i].data, "queue=", 6) == 0) {
            to = &mlcf->ws_queue;
            skip = 6;

        } else {
            return ngx_http_mchost_invalid(cf, &value[i]);
        }

        s.data = value[i].data + skip;
        s.len = value[i].len - skip;

        size = ngx_parse_size(&s);

        if (size == NGX_ERROR || size < 1024) {
            return ngx_http_mchost_invalid(cf, &value[i]);
        }

        *to = (size_t) size;
    }

    return ngx_http_mchost_location(cf, mlcf, NGX_HTTP_MCHOST_WEBSOCKET,
                                    ngx_http_mchost_websocket_handler,
                                    &value[1]);
}


/* -- mchost_rate_limit -- */

static ngx_int_t
ngx_http_mchost_rate(const ngx_str_t *value, ngx_http_mchost_rate_t *rate)
{
    size_t      len;
    ngx_int_t   n;
    ngx_uint_t  scale;

    len = value->len;
    scale = 1;

    if (len > 3 && ngx_strncmp(value->data + len - 3, "r/s", 3) == 0) {
        scale = 60;

    } else if (len <= 3 || ngx_strncmp(value->data + len - 3, "r/m", 3) != 0) {
        return NGX_ERROR;
    }

    n = ngx_atoi(value->data, len - 3);

    if (n <= 0 || n > 10000000) {
        return NGX_ERROR;
    }

    rate->rate = n * scale;
    rate->burst = ngx_max(rate->rate / 6, 1);   /* of ten seconds */

    return NGX_OK;
}


/* mchost_rate_limit key|tenant RATE [burst=N], or off. */

char *
ngx_http_mchost_rate_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_loc_conf_t *mlcf = conf;

    ngx_int_t                     n;
    ngx_str_t                    *value;
    ngx_http_mchost_rate_t       *rate;
    ngx_http_mchost_main_conf_t  *mmcf;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") != 0) {
            return ngx_http_mchost_invalid(cf, &value[1]);
        }

        if (mlcf->rates[0].rate != NGX_CONF_UNSET_UINT
            || mlcf->rates[1].rate != NGX_CONF_UNSET_UINT)
        {
            return "is duplicate";
        }

        mlcf->rates[0].rate = 0;
        mlcf->rates[1].rate = 0;

        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "key") == 0) {
        rate = &mlcf->rates[0];

    } else if (ngx_strcmp(value[1].data, "tenant") == 0) {
        rate = &mlcf->rates[1];

    } else {
        return ngx_http_mchost_invalid(cf, &value[1]);
    }

    if (rate->rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_http_mchost_rate(&value[2], rate) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid rate \"%V\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 4) {
        n = ngx_strncmp(value[3].data, "burst=", 6) == 0
            ? ngx_atoi(value[3].data + 6, value[3].len - 6) : NGX_ERROR;

        if (n <= 0 || n > 10000000) {
            return ngx_http_mchost_invalid(cf, &value[3]);
        }

        rate->burst = n;
    }

    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mchost_module);
    mmcf->limited = 1;

    return NGX_CONF_OK;
}


void
ngx_http_mchost_rate_merge(ngx_http_mchost_loc_conf_t *prev,
    ngx_http_mchost_loc_conf_t *conf)
{
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        if (conf->rates[i].rate == NGX_CONF_UNSET_UINT) {
            conf->rates[i] = prev->rates[i];
        }

        if (conf->rates[i].rate == NGX_CONF_UNSET_UINT) {
            conf->rates[i].rate = 0;
        }
    }
}


/* mchost_health, mchost_ready and mchost_metrics; cmd->offset tells which. */

char *
ngx_http_mchost_plain(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t            *value;
    ngx_http_handler_pt   handler;

    switch (cmd->offset) {

    case NGX_HTTP_MCHOST_HEALTH:
        handler = ngx_http_mchost_health_handler;
        break;

    case NGX_HTTP_MCHOST_READY:
        handler = ngx_http_mchost_ready_handler;
        break;

    default:
        handler = ngx_http_mchost_metrics_handler;
        break;
    }

    value = cf->args->elts;

    return ngx_http_mchost_location(cf, conf,
                                    (ngx_http_mchost_kind_e) cmd->offset,
                                    handler,
                                    cf->args->nelts > 1 ? &value[1] : NULL);
}
