/*
 * The tree: look-ups, new values, changes.
 */

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mc_json_private.h"

/* -- look-ups -- */

static mc_json_t *
get_n(const mc_json_t *v, const char *key, size_t len)
{
    mc_json_t  *c;

    if (v == NULL || v->type != MC_JSON_OBJECT) {
        return NULL;
    }
    for (c = v->child; c; c = c->next) {
        if (c->key_len == len && memcmp(c->key, key, len) == 0) {
            return c;
        }
    }
    return NULL;
}

mc_json_t *
mc_json_get(const mc_json_t *v, const char *key)
{
    return get_n(v, key, strlen(key));
}

mc_json_t *
mc_json_at(const mc_json_t *v, const char *path)
{
    mc_json_t  *found;
    size_t      len;

    for ( ;; ) {
        len = strcspn(path, ".");
        found = get_n(v, path, len);
        if (found == NULL || path[len] == '\0') {
            return found;
        }
        path += len + 1;
        v = found;
    }
}

const char *
mc_json_str(const mc_json_t *v, const char *def)
{
    return v && v->type == MC_JSON_STRING ? v->str : def;
}

int64_t
mc_json_int(const mc_json_t *v, int64_t def)
{
    int64_t  n;

    return mc_json_is_int(v, &n) ? n : def;
}

int
mc_json_bool(const mc_json_t *v, int def)
{
    if (v && v->type == MC_JSON_TRUE) {
        return 1;
    }
    return v && v->type == MC_JSON_FALSE ? 0 : def;
}

int
mc_json_is_int(const mc_json_t *v, int64_t *out)
{
    double      d;
    long long   n;

    if (v == NULL || v->type != MC_JSON_NUMBER) {
        return 0;
    }

    if (v->str[strspn(v->str, "-0123456789")] == '\0') {
        errno = 0;
        n = strtoll(v->str, NULL, 10);
        if (errno) {
            return 0;
        }
        *out = n;
        return 1;
    }

    /* 1.0 and 2e3 are whole numbers too; up to 2^53 a double is exact */
    d = strtod(v->str, NULL);
    if (d != floor(d) || fabs(d) > 9007199254740992.0) {
        return 0;
    }
    *out = (int64_t) d;
    return 1;
}

/* -- new values -- */

mc_json_t *
mc_json_new(const mc_alloc_t *a, mc_json_type_t type)
{
    mc_json_t  *v = a->alloc(a->pool, sizeof(mc_json_t));

    if (v) {
        memset(v, 0, sizeof(mc_json_t));
        v->type = type;
    }
    return v;
}

char *
mc_json_strdup(const mc_alloc_t *a, const char *s, size_t len)
{
    char  *copy;

    if (len == SIZE_MAX) {
        return NULL;
    }
    copy = a->alloc(a->pool, len + 1);
    if (copy) {
        if (len > 0) {
            memcpy(copy, s, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

static mc_json_t *
new_text(const mc_alloc_t *a, mc_json_type_t type, const char *s, size_t len)
{
    mc_json_t  *v = mc_json_new(a, type);

    if (v == NULL) {
        return NULL;
    }
    v->str = mc_json_strdup(a, s, len);
    v->len = len;
    return v->str ? v : NULL;
}

mc_json_t *
mc_json_object(const mc_alloc_t *a)
{
    return mc_json_new(a, MC_JSON_OBJECT);
}

mc_json_t *
mc_json_array(const mc_alloc_t *a)
{
    return mc_json_new(a, MC_JSON_ARRAY);
}

mc_json_t *
mc_json_string(const mc_alloc_t *a, const char *s, size_t len)
{
    return new_text(a, MC_JSON_STRING, s, len);
}

mc_json_t *
mc_json_number(const mc_alloc_t *a, int64_t n)
{
    char  text[24];
    int   len = snprintf(text, sizeof(text), "%lld", (long long) n);

    return new_text(a, MC_JSON_NUMBER, text, (size_t) len);
}

mc_json_t *
mc_json_boolean(const mc_alloc_t *a, int b)
{
    return mc_json_new(a, b ? MC_JSON_TRUE : MC_JSON_FALSE);
}

mc_json_t *
mc_json_null(const mc_alloc_t *a)
{
    return mc_json_new(a, MC_JSON_NULL);
}

/* The key is the place's, not the value's: the copy has none. */
mc_json_t *
mc_json_copy(const mc_alloc_t *a, const mc_json_t *v)
{
    mc_json_t        *copy, *child;
    const mc_json_t  *c;

    if (v == NULL) {
        return NULL;
    }
    if (v->type == MC_JSON_STRING || v->type == MC_JSON_NUMBER) {
        return new_text(a, v->type, v->str, v->len);
    }

    copy = mc_json_new(a, v->type);
    for (c = v->child; copy && c; c = c->next) {
        child = mc_json_copy(a, c);
        if (child == NULL) {
            return NULL;
        }
        if (c->key) {
            child->key = mc_json_strdup(a, c->key, c->key_len);
            child->key_len = c->key_len;
            if (child->key == NULL) {
                return NULL;
            }
        }
        mc_json_append(copy, child);
    }
    return copy;
}

/* -- changes -- */

void
mc_json_append(mc_json_t *parent, mc_json_t *v)
{
    v->next = NULL;
    if (parent->last) {
        parent->last->next = v;
    } else {
        parent->child = v;
    }
    parent->last = v;
    parent->n++;
}

int
mc_json_add(mc_json_t *arr, mc_json_t *v)
{
    if (arr == NULL || v == NULL) {
        return -1;
    }
    v->key = NULL;
    v->key_len = 0;
    mc_json_append(arr, v);
    return 0;
}

/* Puts v in the place of old, which is a child of parent. */
static void
replace(mc_json_t *parent, mc_json_t *old, mc_json_t *v)
{
    mc_json_t  **link = &parent->child;

    if (old == v) {
        return;
    }
    while (*link != old) {
        link = &(*link)->next;
    }
    v->key = old->key;
    v->key_len = old->key_len;
    v->next = old->next;
    *link = v;
    if (parent->last == old) {
        parent->last = v;
    }
}

int
mc_json_set(const mc_alloc_t *a, mc_json_t *obj, const char *key, mc_json_t *v)
{
    mc_json_t  *old;
    size_t      len;

    if (obj == NULL || v == NULL) {
        return -1;
    }
    old = mc_json_get(obj, key);
    if (old) {
        replace(obj, old, v);
        return 0;
    }
    len = strlen(key);
    v->key = mc_json_strdup(a, key, len);
    v->key_len = len;
    if (v->key == NULL) {
        return -1;
    }
    mc_json_append(obj, v);
    return 0;
}

void
mc_json_remove(mc_json_t *obj, const char *key)
{
    mc_json_t   *found = mc_json_get(obj, key), *before = NULL;
    mc_json_t  **link;

    if (found == NULL) {
        return;
    }
    for (link = &obj->child; *link != found; link = &(*link)->next) {
        before = *link;
    }
    *link = found->next;
    if (obj->last == found) {
        obj->last = before;
    }
    obj->n--;
}

/* -- order of keys -- */

int
mc_json_key_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
    if (alen != blen) {
        return alen < blen ? -1 : 1;
    }
    return memcmp(a, b, alen);
}

static void
sift_down(const mc_json_t **v, size_t i, size_t n)
{
    const mc_json_t  *top = v[i];
    size_t            child;

    while ((child = 2 * i + 1) < n) {
        if (child + 1 < n
            && mc_json_key_cmp(v[child]->key, v[child]->key_len,
                               v[child + 1]->key, v[child + 1]->key_len) < 0)
        {
            child++;
        }
        if (mc_json_key_cmp(top->key, top->key_len, v[child]->key,
                            v[child]->key_len) >= 0)
        {
            break;
        }
        v[i] = v[child];
        i = child;
    }
    v[i] = top;
}

/* A heap sort: no text makes it slow, and it takes no memory of its own. */
const mc_json_t **
mc_json_sorted(const mc_alloc_t *a, const mc_json_t *obj)
{
    const mc_json_t  **v, *c;
    size_t             i, n = 0;

    v = a->alloc(a->pool, (obj->n ? obj->n : 1) * sizeof(*v));
    if (v == NULL) {
        return NULL;
    }
    for (c = obj->child; c; c = c->next) {
        v[n++] = c;
    }
    for (i = n / 2; i-- > 0; ) {
        sift_down(v, i, n);
    }
    for (i = n; i-- > 1; ) {
        c = v[0];
        v[0] = v[i];
        v[i] = c;
        sift_down(v, 0, i);
    }
    return v;
}

int
mc_json_equal(const mc_json_t *a, const mc_json_t *b)
{
    const mc_json_t  *m, *o;

    if (a->type != b->type || a->n != b->n) {
        return 0;
    }
    if (a->type == MC_JSON_STRING || a->type == MC_JSON_NUMBER) {
        return a->len == b->len && memcmp(a->str, b->str, a->len) == 0;
    }
    for (m = a->child, o = b->child; m; m = m->next, o = o->next) {
        const mc_json_t  *other = m->key ? mc_json_get(b, m->key) : o;

        if (other == NULL || !mc_json_equal(m, other)) {
            return 0;
        }
    }
    return 1;
}
