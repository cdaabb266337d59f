/*
 * Sets of servers: sorted arrays of keys, 16 bytes each, since most sockets
 * have none ("*"), one, or a few and look into them with every message.
 */

#include "ngx_http_mchost_session.h"


static int ngx_libc_cdecl
ngx_http_mchost_set_order(const void *a, const void *b)
{
    return ngx_mchost_key_cmp((const ngx_mchost_key_t *) a,
                              (const ngx_mchost_key_t *) b);
}


ngx_int_t
ngx_http_mchost_set_has(const ngx_http_mchost_set_t *set,
    const ngx_mchost_key_t *key)
{
    if (set->all) {
        return 1;
    }
    return set->n != 0
           && bsearch(key, set->keys, set->n, sizeof(ngx_mchost_key_t),
                      ngx_http_mchost_set_order)
              != NULL;
}


void
ngx_http_mchost_set_free(ngx_http_mchost_set_t *set)
{
    if (set->keys != NULL) {
        ngx_free(set->keys);
        set->keys = NULL;
    }
    set->n = 0;
    set->all = 0;
}


static void
ngx_http_mchost_set_sort(ngx_http_mchost_set_t *set)
{
    ngx_uint_t  i, n;

    ngx_qsort(set->keys, set->n, sizeof(ngx_mchost_key_t),
              ngx_http_mchost_set_order);

    for (i = 1, n = 1; i < set->n; i++) {
        if (ngx_mchost_key_cmp(&set->keys[i], &set->keys[n - 1]) != 0) {
            set->keys[n++] = set->keys[i];
        }
    }
    set->n = n;
}


ngx_int_t
ngx_http_mchost_set_add(ngx_http_mchost_set_t *set,
    const ngx_mchost_key_t *keys, ngx_uint_t n, ngx_log_t *log)
{
    ngx_mchost_key_t  *all;

    if (n == 0) {
        return NGX_OK;
    }

    all = ngx_alloc((set->n + n) * sizeof(ngx_mchost_key_t), log);
    if (all == NULL) {
        return NGX_ERROR;
    }

    if (set->keys != NULL) {
        ngx_memcpy(all, set->keys, set->n * sizeof(ngx_mchost_key_t));
        ngx_free(set->keys);
    }
    ngx_memcpy(all + set->n, keys, n * sizeof(ngx_mchost_key_t));
    set->keys = all;
    set->n += n;
    ngx_http_mchost_set_sort(set);
    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_set_merge(ngx_http_mchost_set_t *set,
    const ngx_http_mchost_set_t *more, ngx_log_t *log)
{
    if (more->all) {
        ngx_http_mchost_set_free(set);
        set->all = 1;
        return NGX_OK;
    }
    if (set->all) {
        return NGX_OK;
    }
    return ngx_http_mchost_set_add(set, more->keys, more->n, log);
}


void
ngx_http_mchost_set_subtract(ngx_http_mchost_set_t *set,
    const ngx_http_mchost_set_t *less)
{
    ngx_uint_t  i, n;

    if (less->all) {
        ngx_http_mchost_set_free(set);
        return;
    }

    for (i = 0, n = 0; i < set->n; i++) {
        if (!ngx_http_mchost_set_has(less, &set->keys[i])) {
            set->keys[n++] = set->keys[i];
        }
    }
    set->n = n;
    if (n == 0) {
        ngx_http_mchost_set_free(set);
    }
}
