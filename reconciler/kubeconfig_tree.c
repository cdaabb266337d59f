/*
 * The YAML tree of a kubeconfig: members, their texts, and what is wrong with
 * them.
 */

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "kubeconfig_private.h"


/* -- faults -- */

/* The first fault is the one that is told. */
__attribute__((format(printf, 3, 4)))
void
kc_fault(kc_load_t *l, const yaml_node_t *at, const char *fmt, ...)
{
    va_list  args;
    int      n = 0;

    if (l->failed) {
        return;
    }
    l->failed = true;
    if (l->f && at) {
        n = snprintf(l->err, l->errlen, "%s:%zu: ", l->f->name,
                     at->start_mark.line + 1);
    } else if (l->f) {
        n = snprintf(l->err, l->errlen, "%s: ", l->f->name);
    }
    if (n >= 0 && (size_t) n < l->errlen) {
        va_start(args, fmt);
        vsnprintf(l->err + n, l->errlen - (size_t) n, fmt, args);
        va_end(args);
    }
}

char *
kc_keep(kc_load_t *l, const char *s, size_t len)
{
    char  *p = mc_arena_alloc(l->c->arena, len + 1);

    if (p == NULL) {
        kc_fault(l, NULL, "memory is out");
        return NULL;
    }
    memcpy(p, s, len);
    return p;
}


/* -- the tree -- */

yaml_node_t *
kc_node(kc_load_t *l, int id)
{
    return yaml_document_get_node(&l->f->doc, id);
}

bool
kc_is_text(const yaml_node_t *n, const char *s)
{
    return n && n->type == YAML_SCALAR_NODE
           && n->data.scalar.length == strlen(s)
           && memcmp(n->data.scalar.value, s, strlen(s)) == 0;
}

static bool
is_null(const yaml_node_t *n)
{
    return n == NULL
           || (n->type == YAML_SCALAR_NODE
               && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
               && (n->data.scalar.length == 0 || kc_is_text(n, "null")
                   || kc_is_text(n, "~")));
}

yaml_node_t *
kc_member(kc_load_t *l, const yaml_node_t *map, const char *key)
{
    yaml_node_pair_t  *p;
    yaml_node_t       *v;

    if (map == NULL || map->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++)
    {
        if (kc_is_text(kc_node(l, p->key), key)) {
            v = kc_node(l, p->value);
            return is_null(v) ? NULL : v;
        }
    }
    return NULL;
}

/* Its text; NULL: none, empty, or a fault. */
const char *
kc_text_of(kc_load_t *l, const yaml_node_t *v, const char *what)
{
    const char  *s;

    if (v == NULL) {
        return NULL;
    }
    if (v->type != YAML_SCALAR_NODE) {
        kc_fault(l, v, "%s is no string", what);
        return NULL;
    }
    s = (const char *) v->data.scalar.value;
    if (memchr(s, '\0', v->data.scalar.length)) {
        kc_fault(l, v, "%s contains a NUL byte", what);
        return NULL;
    }
    return v->data.scalar.length ? kc_keep(l, s, v->data.scalar.length) : NULL;
}

const char *
kc_text(kc_load_t *l, const yaml_node_t *map, const char *key)
{
    return kc_text_of(l, kc_member(l, map, key), key);
}

bool
kc_truth(kc_load_t *l, const yaml_node_t *map, const char *key)
{
    const yaml_node_t  *v = kc_member(l, map, key);

    if (v == NULL || kc_is_text(v, "false")) {
        return false;
    }
    if (!kc_is_text(v, "true")) {
        kc_fault(l, v, "%s is neither true nor false", key);
    }
    return true;
}

/* Relative paths are meant from where their file is. */
const char *
kc_path(kc_load_t *l, const yaml_node_t *map, const char *key)
{
    const char  *s = kc_text(l, map, key), *slash = strrchr(l->f->name, '/');
    size_t       dir = slash ? (size_t) (slash - l->f->name) + 1 : 0;
    char        *p;

    if (s == NULL || s[0] == '/' || dir == 0) {
        return s;
    }
    p = mc_arena_alloc(l->c->arena, dir + strlen(s) + 1);
    if (p == NULL) {
        kc_fault(l, NULL, "memory is out");
        return NULL;
    }
    memcpy(p, l->f->name, dir);
    strcpy(p + dir, s);
    return p;
}

/* The bytes of a …-data member, which are PEM in base64. */
const char *
kc_pem(kc_load_t *l, const yaml_node_t *map, const char *key)
{
    const yaml_node_t  *v = kc_member(l, map, key);
    const char         *s = kc_text_of(l, v, key);
    EVP_ENCODE_CTX     *ctx = s ? EVP_ENCODE_CTX_new() : NULL;
    unsigned char      *out;
    size_t              len;
    int                 n = 0, last = 0, rc = -1;

    if (ctx == NULL) {
        return NULL;
    }
    len = strlen(s);
    out = mc_arena_alloc(l->c->arena, len + 4);
    if (out) {
        EVP_DecodeInit(ctx);
        rc = EVP_DecodeUpdate(ctx, out, &n, (const unsigned char *) s,
                              (int) len);
        if (rc >= 0) {
            rc = EVP_DecodeFinal(ctx, out + n, &last);
        }
    }
    EVP_ENCODE_CTX_free(ctx);
    if (rc < 0 || n + last == 0) {
        kc_fault(l, v, "%s is no base64", key);
        return NULL;
    }
    out[n + last] = '\0';
    if (strlen((char *) out) != (size_t) (n + last)
        || strstr((char *) out, "-----BEGIN ") == NULL)
    {
        kc_fault(l, v, "%s is no PEM in base64", key);
        return NULL;
    }
    return (char *) out;
}
