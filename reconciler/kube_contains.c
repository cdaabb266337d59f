/*
 * Whether an object still says what was applied.
 */

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kube_object.h"
#include "mc_json.h"
#include "mc_quantity.h"

/* The path of the difference; also the path so far, on the way down. */
typedef struct {
    char  text[512];
} path_t;

static bool contains(const mc_json_t *there, const mc_json_t *wanted,
    const char *key, path_t *path);


/* Appends to the path and returns where it was, to be cut there again. */
__attribute__((format(printf, 2, 3)))
static size_t
path_add(path_t *path, const char *format, ...)
{
    size_t   len = strlen(path->text);
    va_list  args;

    va_start(args, format);
    vsnprintf(path->text + len, sizeof(path->text) - len, format, args);
    va_end(args);
    return len;
}


static bool
is_quantity(const char *key)
{
    static const char *const  keys[] = {
        "cpu", "memory", "storage", "ephemeral-storage", "sizeLimit"
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return strncmp(key, "hugepages-", 10) == 0;
}


/* The API server cuts a quantity that is too large for it: two of these are
 * one, or what is applied would differ for ever. */
static bool
same_quantity(const mc_json_t *a, const mc_json_t *b)
{
    int64_t  n = mc_quantity_milli(a->str), m = mc_quantity_milli(b->str);

    return n == m && (n >= 0 || (isdigit((unsigned char) a->str[0])
                                 && isdigit((unsigned char) b->str[0])));
}


static bool
same_scalar(const mc_json_t *there, const mc_json_t *wanted, const char *key)
{
    bool  text = there->type == MC_JSON_STRING
                 || there->type == MC_JSON_NUMBER;

    if (text && is_quantity(key)
        && (wanted->type == MC_JSON_STRING || wanted->type == MC_JSON_NUMBER)
        && same_quantity(there, wanted))
    {
        return true;
    }
    if (there->type != wanted->type) {
        return false;
    }
    if (there->type == MC_JSON_NUMBER) {
        return strcmp(there->str, wanted->str) == 0
               || fabs(strtod(there->str, NULL) - strtod(wanted->str, NULL))
                  < 1e-9;
    }
    return !text || (there->len == wanted->len
                     && memcmp(there->str, wanted->str, there->len) == 0);
}


static bool
scalar_equal(const mc_json_t *a, const mc_json_t *b)
{
    return a && b && a->type < MC_JSON_ARRAY && same_scalar(a, b, "");
}


/* -- lists -- */

static const mc_json_t *
find_element(const mc_json_t *list, const char *merge, const mc_json_t *value)
{
    for (const mc_json_t *e = list->child; e; e = e->next) {
        if (scalar_equal(mc_json_get(e, merge), value)) {
            return e;
        }
    }
    return NULL;
}


/* Whether every element has such a member, each with another value. */
static bool
merges_by(const mc_json_t *list, const char *merge)
{
    const mc_json_t  *value;

    for (const mc_json_t *e = list->child; e; e = e->next) {
        value = mc_json_get(e, merge);
        if (value == NULL || value->type >= MC_JSON_ARRAY
            || find_element(list, merge, value) != e)
        {
            return false;
        }
    }
    return true;
}


static const char *
merge_key(const mc_json_t *list)
{
    static const char *const  keys[] = {
        "name", "containerPort", "mountPath", "port", "type", "uid", "key",
        "ip"
    };

    for (size_t i = 0; list->child && i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (merges_by(list, keys[i])) {
            return keys[i];
        }
    }
    return NULL;
}


static bool
contains_merged(const mc_json_t *there, const mc_json_t *wanted,
    const char *merge, path_t *path)
{
    const mc_json_t  *value;
    size_t            len;

    for (const mc_json_t *e = wanted->child; e; e = e->next) {
        value = mc_json_get(e, merge);
        len = path_add(path, "[%s=%s]", merge,
                       value->str ? value->str : "");
        if (!contains(find_element(there, merge, value), e, "", path)) {
            return false;
        }
        path->text[len] = '\0';
    }
    return true;
}


/* A set of words, which others have added theirs to. */
static bool
contains_words(const mc_json_t *there, const mc_json_t *wanted)
{
    const mc_json_t  *t, *w;

    for (w = wanted->child; w; w = w->next) {
        for (t = there->child; t && !scalar_equal(t, w); t = t->next) {
            /* void */
        }
        if (t == NULL) {
            return false;
        }
    }
    return true;
}


static bool
contains_list(const mc_json_t *there, const mc_json_t *wanted,
    const char *key, path_t *path)
{
    const char       *merge = merge_key(wanted);
    const mc_json_t  *t = there->child;
    size_t            len;
    unsigned          i = 0;

    if (merge) {
        return contains_merged(there, wanted, merge, path);
    }
    if (strcmp(key, "finalizers") == 0) {
        return contains_words(there, wanted);
    }
    if (there->n != wanted->n) {
        return false;
    }
    for (const mc_json_t *w = wanted->child; w; w = w->next, t = t->next) {
        len = path_add(path, "[%u]", i++);
        if (!contains(t, w, "", path)) {
            return false;
        }
        path->text[len] = '\0';
    }
    return true;
}


/* -- all -- */

static bool
contains_object(const mc_json_t *there, const mc_json_t *wanted, path_t *path)
{
    size_t  len;

    for (const mc_json_t *w = wanted->child; w; w = w->next) {
        len = path_add(path, "%s%s", *path->text ? "." : "", w->key);
        if (!contains(mc_json_get(there, w->key), w, w->key, path)) {
            return false;
        }
        path->text[len] = '\0';
    }
    return true;
}


/* The API drops what is empty, false or zero where it sees no use in it. What
 * means something else when it is absent has a default, and so is there. */
static bool
is_nothing(const mc_json_t *v)
{
    switch (v->type) {
    case MC_JSON_NULL:
    case MC_JSON_FALSE:
        return true;
    case MC_JSON_STRING:
        return v->len == 0;
    case MC_JSON_NUMBER:
        return strtod(v->str, NULL) == 0;
    case MC_JSON_ARRAY:
    case MC_JSON_OBJECT:
        return v->child == NULL;
    case MC_JSON_TRUE:
        break;
    }
    return false;
}


static bool
contains(const mc_json_t *there, const mc_json_t *wanted, const char *key,
    path_t *path)
{
    if (there == NULL || there->type == MC_JSON_NULL) {
        return is_nothing(wanted);
    }
    if (wanted->type == MC_JSON_NULL) {
        return is_nothing(there);
    }
    if (wanted->type < MC_JSON_ARRAY) {
        return there->type < MC_JSON_ARRAY && same_scalar(there, wanted, key);
    }
    if (there->type != wanted->type) {
        return false;
    }
    return wanted->type == MC_JSON_OBJECT
           ? contains_object(there, wanted, path)
           : contains_list(there, wanted, key, path);
}


bool
mc_kube_contains(const mc_json_t *there, const mc_json_t *wanted, char *where,
    size_t size)
{
    path_t  path = { "" };
    bool    yes = contains(there, wanted, "", &path);

    snprintf(where, size, "%s", path.text);
    return yes;
}
