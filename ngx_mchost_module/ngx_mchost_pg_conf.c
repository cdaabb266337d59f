/*
 * The conninfo of a pool, prepared for connections that must not block: names
 * are resolved while the configuration is read.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_mchost_pg.h"

#define NGX_MCHOST_PG_KEYWORDS   64
#define NGX_MCHOST_PG_ADDRESSES  16


/* Settings of ours, where the conninfo says nothing else. */
static const struct {
    const char  *keyword;
    const char  *value;
} ngx_mchost_pg_defaults[] = {
    { "client_encoding", "UTF8" },
    { "gssencmode", "disable" },
    { "fallback_application_name", "mchost" },
    { "options", "-c TimeZone=UTC" },       /* times in documents are UTC */
    { NULL, NULL }
};


/* libpq's three lists, comma-separated, being written. */
typedef struct {
    u_char       host[1024];
    u_char       hostaddr[1024];
    u_char       port[256];
    u_char      *host_last, *hostaddr_last, *port_last;
    ngx_uint_t   n;
} ngx_mchost_pg_hosts_t;


static ngx_int_t
ngx_mchost_pg_hosts_add(ngx_mchost_pg_hosts_t *h, ngx_str_t *host,
    ngx_str_t *addr, ngx_str_t *port)
{
    const char  *comma;

    if (h->n == NGX_MCHOST_PG_ADDRESSES) {
        return NGX_ERROR;
    }

    comma = h->n ? "," : "";

    h->host_last = ngx_slprintf(h->host_last, h->host + sizeof(h->host) - 1,
                                "%s%V", comma, host);
    h->hostaddr_last = ngx_slprintf(h->hostaddr_last,
                                    h->hostaddr + sizeof(h->hostaddr) - 1,
                                    "%s%V", comma, addr);
    h->port_last = ngx_slprintf(h->port_last, h->port + sizeof(h->port) - 1,
                                "%s%V", comma, port);

    *h->host_last = '\0';
    *h->hostaddr_last = '\0';
    *h->port_last = '\0';

    h->n++;

    return NGX_OK;
}


static ngx_int_t
ngx_mchost_pg_hosts_resolve(ngx_mchost_pg_hosts_t *h, ngx_str_t *host,
    ngx_str_t *port, ngx_pool_t *pool, u_char *err, size_t errlen)
{
    u_char      text[NGX_SOCKADDR_STRLEN];
    ngx_url_t   u;
    ngx_str_t   addr;
    ngx_uint_t  i;

    ngx_str_null(&addr);

    if (host->len == 0 || host->data[0] == '/' || host->data[0] == '@') {
        return ngx_mchost_pg_hosts_add(h, host, &addr, port);
    }

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.host = *host;

    if (ngx_inet_resolve_host(pool, &u) != NGX_OK) {
        ngx_snprintf(err, errlen, "%s \"%V\"%Z",
                     u.err ? u.err : "cannot resolve", host);
        return NGX_ERROR;
    }

    addr.data = text;

    for (i = 0; i < u.naddrs; i++) {
        addr.len = ngx_sock_ntop(u.addrs[i].sockaddr, u.addrs[i].socklen, text,
                                 NGX_SOCKADDR_STRLEN, 0);

        if (ngx_mchost_pg_hosts_add(h, host, &addr, port) != NGX_OK) {
            break;              /* more addresses than anybody needs */
        }
    }

    return NGX_OK;
}


/* Cuts the next element off a comma-separated list. */

static ngx_str_t
ngx_mchost_pg_list_next(u_char **p)
{
    u_char     *last;
    ngx_str_t   s;

    last = (u_char *) ngx_strchr(*p, ',');

    s.data = *p;
    s.len = last ? (size_t) (last - *p) : ngx_strlen(*p);

    *p += s.len + (last ? 1 : 0);

    return s;
}


static ngx_uint_t
ngx_mchost_pg_list_count(const char *list)
{
    ngx_uint_t  n;

    for (n = 1; *list; list++) {
        if (*list == ',') {
            n++;
        }
    }

    return n;
}


static ngx_int_t
ngx_mchost_pg_hosts(ngx_mchost_pg_hosts_t *h, char *host, char *port,
    ngx_pool_t *pool, u_char *err, size_t errlen)
{
    u_char      *hosts, *ports;
    ngx_str_t    one, name;
    ngx_uint_t   i, n, nports;

    ngx_memzero(h, sizeof(ngx_mchost_pg_hosts_t));
    h->host_last = h->host;
    h->hostaddr_last = h->hostaddr;
    h->port_last = h->port;

    n = ngx_mchost_pg_list_count(host);
    nports = ngx_mchost_pg_list_count(port);

    if (nports != 1 && nports != n) {
        ngx_snprintf(err, errlen, "%ui ports for %ui hosts%Z", nports, n);
        return NGX_ERROR;
    }

    hosts = (u_char *) host;
    ports = (u_char *) port;
    one = ngx_mchost_pg_list_next(&ports);

    for (i = 0; i < n; i++) {

        if (i && nports > 1) {
            one = ngx_mchost_pg_list_next(&ports);
        }

        name = ngx_mchost_pg_list_next(&hosts);

        if (ngx_mchost_pg_hosts_resolve(h, &name, &one, pool, err, errlen)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static const char *
ngx_mchost_pg_option(PQconninfoOption *options, const char *keyword)
{
    for ( /* void */ ; options->keyword; options++) {
        if (ngx_strcmp(options->keyword, keyword) == 0) {
            return options->val;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_mchost_pg_conf_set(ngx_mchost_pg_conf_t *conf, ngx_pool_t *pool,
    const char *keyword, const char *value)
{
    ngx_uint_t  n;
    ngx_str_t   k, v;

    for (n = 0; conf->keywords[n]; n++) {
        if (ngx_strcmp(conf->keywords[n], keyword) == 0) {
            break;
        }
    }

    if (n == NGX_MCHOST_PG_KEYWORDS) {
        return NGX_ERROR;
    }

    k.data = (u_char *) keyword;
    k.len = ngx_strlen(keyword) + 1;
    v.data = (u_char *) value;
    v.len = ngx_strlen(value) + 1;

    conf->keywords[n] = (const char *) ngx_pstrdup(pool, &k);
    conf->values[n] = (const char *) ngx_pstrdup(pool, &v);

    return (conf->keywords[n] && conf->values[n]) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_mchost_pg_conf_options(ngx_mchost_pg_conf_t *conf,
    PQconninfoOption *options, ngx_pool_t *pool, u_char *err, size_t errlen)
{
    const char             *host, *port;
    ngx_uint_t              i;
    PQconninfoOption       *o;
    ngx_mchost_pg_hosts_t   h;

    if (ngx_mchost_pg_option(options, "service")) {
        ngx_snprintf(err, errlen, "\"service\" is not supported%Z");
        return NGX_ERROR;
    }

    for (o = options; o->keyword; o++) {
        if (o->val && ngx_mchost_pg_conf_set(conf, pool, o->keyword, o->val)
                      != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (i = 0; ngx_mchost_pg_defaults[i].keyword; i++) {
        if (ngx_mchost_pg_option(options, ngx_mchost_pg_defaults[i].keyword)
            == NULL
            && ngx_mchost_pg_conf_set(conf, pool,
                                      ngx_mchost_pg_defaults[i].keyword,
                                      ngx_mchost_pg_defaults[i].value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    host = ngx_mchost_pg_option(options, "host");
    port = ngx_mchost_pg_option(options, "port");

    if (host == NULL || ngx_mchost_pg_option(options, "hostaddr")) {
        return NGX_OK;
    }

    if (ngx_mchost_pg_hosts(&h, (char *) host, (char *) (port ? port : ""),
                            pool, err, errlen)
        != NGX_OK
        || ngx_mchost_pg_conf_set(conf, pool, "host", (char *) h.host)
           != NGX_OK
        || ngx_mchost_pg_conf_set(conf, pool, "hostaddr", (char *) h.hostaddr)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mchost_pg_conf_set(conf, pool, "port", (char *) h.port);
}


ngx_int_t
ngx_mchost_pg_conf_resolve(ngx_mchost_pg_conf_t *conf, ngx_pool_t *pool,
    u_char *err, size_t errlen)
{
    char              *text, *message;
    ngx_int_t          rc;
    PQconninfoOption  *options;

    ngx_snprintf(err, errlen, "out of memory%Z");

    conf->keywords = ngx_pcalloc(pool, (NGX_MCHOST_PG_KEYWORDS + 1)
                                       * sizeof(char *));
    conf->values = ngx_pcalloc(pool, (NGX_MCHOST_PG_KEYWORDS + 1)
                                     * sizeof(char *));
    text = ngx_pnalloc(pool, conf->conninfo.len + 1);

    if (conf->keywords == NULL || conf->values == NULL || text == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn((u_char *) text, conf->conninfo.data,
                       conf->conninfo.len + 1);

    message = NULL;
    options = PQconninfoParse(text, &message);

    if (options == NULL) {
        if (message) {
            ngx_snprintf(err, errlen, "%*s%Z",
                         ngx_strlen(message) - 1, message);
            PQfreemem(message);
        }

        return NGX_ERROR;
    }

    rc = ngx_mchost_pg_conf_options(conf, options, pool, err, errlen);

    PQconninfoFree(options);

    return rc;
}
