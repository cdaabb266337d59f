/*
 * JSON in and out, bounded on every side. The parser (yajl underneath) builds
 * a small tree in memory that the caller's allocator owns; it refuses what
 * RFC 8259 leaves open and a database cannot keep: duplicate keys, NUL,
 * lone surrogates, broken or overlong UTF-8, numbers that are not finite,
 * more than MC_JSON_DEPTH levels. Numbers of more than 64 characters and
 * texts of more than 262144 values are refused as well.
 */

#ifndef MC_JSON_H
#define MC_JSON_H

#include <stddef.h>
#include <stdint.h>

#define MC_JSON_DEPTH  32

/* Gives memory for the life of a tree; NULL when there is none. Nothing is
 * given back one by one: the pool goes as a whole. */
typedef struct {
    void  *(*alloc)(void *pool, size_t size);
    void   *pool;
} mc_alloc_t;

typedef enum {
    MC_JSON_NULL, MC_JSON_FALSE, MC_JSON_TRUE, MC_JSON_NUMBER,
    MC_JSON_STRING, MC_JSON_ARRAY, MC_JSON_OBJECT
} mc_json_type_t;

typedef struct mc_json_s  mc_json_t;

struct mc_json_s {
    mc_json_type_t   type;
    const char      *key;       /* within an object, else NULL */
    size_t           key_len;
    const char      *str;       /* text of a string (decoded, NUL-terminated) */
    size_t           len;       /* or of a number, as it was written */
    mc_json_t       *child;     /* first member or element */
    mc_json_t       *next;      /* next sibling */
    mc_json_t       *last;      /* last child; makes appending O(1) */
    unsigned         n;         /* children */
};

typedef struct {
    size_t  offset;             /* byte of the input where it went wrong */
    char    message[160];
} mc_json_error_t;

/* NULL and *err when the text is not acceptable; the whole text must be one
 * value. */
mc_json_t *mc_json_parse(const mc_alloc_t *a, const char *text, size_t len,
    mc_json_error_t *err);

/* Look-ups return NULL when there is no such member, or v is no object. */
mc_json_t *mc_json_get(const mc_json_t *v, const char *key);
/* Path of member names, "properties.maxPlayers". */
mc_json_t *mc_json_at(const mc_json_t *v, const char *path);

/* The value, or def when v is NULL or of another type. */
const char *mc_json_str(const mc_json_t *v, const char *def);
int64_t mc_json_int(const mc_json_t *v, int64_t def);
int mc_json_bool(const mc_json_t *v, int def);
/* 1 when v is a number with no fraction that fits *out, else 0. */
int mc_json_is_int(const mc_json_t *v, int64_t *out);

/* New values; NULL when memory is out. Strings are copied. */
mc_json_t *mc_json_object(const mc_alloc_t *a);
mc_json_t *mc_json_array(const mc_alloc_t *a);
mc_json_t *mc_json_string(const mc_alloc_t *a, const char *s, size_t len);
mc_json_t *mc_json_number(const mc_alloc_t *a, int64_t n);
mc_json_t *mc_json_boolean(const mc_alloc_t *a, int b);
mc_json_t *mc_json_null(const mc_alloc_t *a);
mc_json_t *mc_json_copy(const mc_alloc_t *a, const mc_json_t *v);

/* Sets (replaces or appends) a member, appends an element, removes a member.
 * The value becomes part of the tree. -1 when memory is out or v is NULL, so
 * that constructors can be nested; else 0. */
int mc_json_set(const mc_alloc_t *a, mc_json_t *obj, const char *key,
    mc_json_t *v);
int mc_json_add(mc_json_t *arr, mc_json_t *v);
void mc_json_remove(mc_json_t *obj, const char *key);

/* 1 when both are the same value: members in whatever order, numbers as they
 * are written. */
int mc_json_equal(const mc_json_t *a, const mc_json_t *b);

/* JSON merge patch, RFC 7396: patch applied to target, which is changed.
 * Returns the result, NULL when memory is out. */
mc_json_t *mc_json_merge_patch(const mc_alloc_t *a, mc_json_t *target,
    const mc_json_t *patch);

/* Compact text, in the tree's order. Returns the length as snprintf() does;
 * with size 0 it only measures. */
size_t mc_json_write(char *buf, size_t size, const mc_json_t *v);

/* Writes s as the inside of a JSON string (no quotes), escaped; invalid UTF-8
 * becomes U+FFFD. As snprintf(). */
size_t mc_json_escape(char *buf, size_t size, const char *s, size_t len);

/* 1 when s is UTF-8 by RFC 3629 (no overlong forms, no surrogates). */
int mc_utf8_valid(const char *s, size_t len);

#endif
