/*
 * mchost_cors: which other origins' pages may call the API. They come with a
 * key; cookies never cross origins here.
 */

#include "ngx_http_mchost_request.h"
#include "ngx_http_mchost_conf.h"


/* mchost_cors off | * | ORIGIN … */

char *
ngx_http_mchost_cors_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mchost_loc_conf_t *mlcf = conf;

    u_char      *p;
    ngx_str_t   *value, *origin;
    ngx_uint_t   i;

    if (mlcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        mlcf->origins = NULL;
        return NGX_CONF_OK;
    }

    mlcf->origins = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                     sizeof(ngx_str_t));
    if (mlcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        p = (u_char *) ngx_strstr(value[i].data, "://");

        if (ngx_strcmp(value[i].data, "*") != 0
            && (p == NULL || p[3] == '\0' || ngx_strchr(p + 3, '/') != NULL))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid origin \"%V\": it is of the form "
                               "https://host[:port]", &value[i]);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(mlcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


void
ngx_http_mchost_cors_merge(ngx_http_mchost_loc_conf_t *prev,
    ngx_http_mchost_loc_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
}


ngx_uint_t
ngx_http_mchost_cors_allows(ngx_http_request_t *r, const ngx_str_t *origin)
{
    ngx_str_t                   *o;
    ngx_uint_t                   i;
    ngx_http_mchost_loc_conf_t  *mlcf;

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mchost_module);

    if (mlcf->origins == NULL) {
        return 0;
    }

    o = mlcf->origins->elts;

    for (i = 0; i < mlcf->origins->nelts; i++) {
        if ((o[i].len == 1 && o[i].data[0] == '*')
            || (o[i].len == origin->len
                && ngx_strncasecmp(o[i].data, origin->data, o[i].len) == 0))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_mchost_cors_header(ngx_http_request_t *r, const char *name,
    const char *text)
{
    ngx_str_t  value;

    value.data = (u_char *) text;
    value.len = ngx_strlen(text);

    return ngx_http_mchost_header(r, name, &value);
}


ngx_int_t
ngx_http_mchost_cors_headers(ngx_http_request_t *r)
{
    ngx_table_elt_t             *origin;
    ngx_http_mchost_loc_conf_t  *mlcf;

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mchost_module);

    if (mlcf->origins == NULL || mlcf->kind != NGX_HTTP_MCHOST_API) {
        return NGX_OK;
    }

    if (ngx_http_mchost_cors_header(r, "Vary", "Origin") != NGX_OK) {
        return NGX_ERROR;
    }

    origin = ngx_http_mchost_header_in(r, "Origin", sizeof("Origin") - 1);

    if (origin == NULL || !ngx_http_mchost_cors_allows(r, &origin->value)) {
        return NGX_OK;
    }

    if (ngx_http_mchost_header(r, "Access-Control-Allow-Origin",
                               &origin->value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_mchost_cors_header(r, "Access-Control-Expose-Headers",
                                       "ETag, Location, RateLimit, "
                                       "RateLimit-Policy, Retry-After, "
                                       "X-Request-Id");
}


ngx_int_t
ngx_http_mchost_cors_preflight(ngx_http_request_t *r, const ngx_str_t *allow)
{
    ngx_str_t         methods;
    ngx_table_elt_t  *origin;

    origin = ngx_http_mchost_header_in(r, "Origin", sizeof("Origin") - 1);

    if (origin == NULL || !ngx_http_mchost_cors_allows(r, &origin->value)) {
        return NGX_OK;
    }

    methods = *allow;

    if (ngx_http_mchost_header(r, "Access-Control-Allow-Methods", &methods)
        != NGX_OK
        || ngx_http_mchost_cors_header(r, "Access-Control-Allow-Headers",
                                       "Authorization, Content-Type, "
                                       "Idempotency-Key, If-Match, "
                                       "If-None-Match, X-Request-Id")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_mchost_cors_header(r, "Access-Control-Max-Age", "600");
}
