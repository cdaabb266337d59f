/*
 * Text to tree. yajl knows the grammar; what it leaves open is checked here:
 * UTF-8 and \u escapes before it sees the text, depth, duplicates and
 * numbers as it tells them.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>
#include "mc_json_private.h"
#include "mc_utf8.h"

typedef struct {
    const mc_alloc_t  *a;
    mc_json_error_t   *err;
    yajl_handle        yajl;
    const char        *key;                 /* of the value to come */
    size_t             key_len;
    mc_json_t         *root;
    mc_json_t         *open[MC_JSON_DEPTH]; /* containers around it */
    unsigned           depth;
    unsigned           values;
    jmp_buf            no_memory;
} parser_t;

/* -- memory for yajl --
 *
 * yajl does not expect that malloc() fails, so failure leaves it by longjmp().
 * Nothing is lost then: all that it holds is the pool's. */

typedef struct {
    size_t  size;
    size_t  unused;         /* keeps what follows aligned */
} block_t;

static void *
yajl_get(void *ctx, size_t size)
{
    parser_t  *p = ctx;
    block_t   *b = NULL;

    if (size <= SIZE_MAX - sizeof(block_t)) {
        b = p->a->alloc(p->a->pool, sizeof(block_t) + size);
    }
    if (b == NULL) {
        longjmp(p->no_memory, 1);
    }
    b->size = size;
    return b + 1;
}

static void *
yajl_resize(void *ctx, void *old, size_t size)
{
    size_t  had = old ? ((block_t *) old - 1)->size : 0;
    void   *new;

    if (had >= size && old) {
        return old;
    }
    new = yajl_get(ctx, size);
    if (had > 0) {
        memcpy(new, old, had);
    }
    return new;
}

static void
yajl_release(void *ctx, void *old)
{
    (void) ctx;
    (void) old;
}

/* -- errors -- */

__attribute__((format(printf, 3, 4)))
static int
fail(mc_json_error_t *err, size_t offset, const char *format, ...)
{
    va_list  args;

    err->offset = offset;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return 0;
}

static size_t
offset_now(const parser_t *p)
{
    return yajl_get_bytes_consumed(p->yajl);
}

static int
fail_memory(const parser_t *p)
{
    return fail(p->err, offset_now(p), "out of memory");
}

/* -- before yajl -- */

static int
check_utf8(const char *text, size_t len, mc_json_error_t *err)
{
    size_t  i, n;

    for (i = 0; i < len; i += n) {
        n = mc_utf8_char(text + i, len - i);
        if (n == 0) {
            return fail(err, i, "the text is not UTF-8");
        }
    }
    return 1;
}

/* The number after "\u" at s, or -1 when there are no four digits. */
static long
unicode_escape(const char *s, size_t len)
{
    long      code = 0;
    size_t    i;
    unsigned  digit;

    if (len < 6 || s[0] != '\\' || s[1] != 'u') {
        return -1;
    }
    for (i = 2; i < 6; i++) {
        if (s[i] >= '0' && s[i] <= '9') {
            digit = (unsigned) (s[i] - '0');
        } else if ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'f') {
            digit = (unsigned) ((s[i] | 0x20) - 'a' + 10);
        } else {
            return -1;
        }
        code = code << 4 | digit;
    }
    return code;
}

/* Checks the escape at s, a backslash within a string, and sets *n to its
 * length. yajl refuses those that are no escapes at all. */
static int
check_escape(const char *s, size_t len, size_t offset, size_t *n,
    mc_json_error_t *err)
{
    long  code = unicode_escape(s, len), low;

    *n = code < 0 ? 2 : 6;
    if (code == 0) {
        return fail(err, offset, "\\u0000 is not allowed");
    }
    if (code >= 0xdc00 && code <= 0xdfff) {
        return fail(err, offset, "a low surrogate without a high one");
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        low = unicode_escape(s + 6, len - 6);
        if (low < 0xdc00 || low > 0xdfff) {
            return fail(err, offset, "a high surrogate without a low one");
        }
        *n = 12;
    }
    return 1;
}

static int
check_escapes(const char *text, size_t len, mc_json_error_t *err)
{
    size_t  i, n;
    int     in_string = 0;

    for (i = 0; i < len; i += n) {
        n = 1;
        if (text[i] == '"') {
            in_string = !in_string;
        } else if (text[i] == '\\' && in_string) {
            if (!check_escape(text + i, len - i, i, &n, err)) {
                return 0;
            }
        }
    }
    return 1;
}

/* -- what yajl tells; 0 stops it -- */

/* Puts a value in its place. */
static int
place(parser_t *p, mc_json_t *v)
{
    mc_json_t  *parent = p->depth ? p->open[p->depth - 1] : NULL;

    if (v == NULL) {
        return fail_memory(p);
    }
    if (++p->values > MC_JSON_VALUES) {
        return fail(p->err, offset_now(p), "more than %d values",
                    MC_JSON_VALUES);
    }
    if (parent == NULL) {
        p->root = v;
        return 1;
    }
    if (parent->type == MC_JSON_OBJECT) {
        v->key = p->key;
        v->key_len = p->key_len;
        p->key = NULL;
    }
    mc_json_append(parent, v);
    return 1;
}

static int
on_null(void *ctx)
{
    parser_t  *p = ctx;

    return place(p, mc_json_null(p->a));
}

static int
on_boolean(void *ctx, int b)
{
    parser_t  *p = ctx;

    return place(p, mc_json_boolean(p->a, b));
}

static int
on_number(void *ctx, const char *s, size_t len)
{
    parser_t   *p = ctx;
    mc_json_t  *v;

    if (len > MC_JSON_NUMBER_MAX) {
        return fail(p->err, offset_now(p), "a number of more than %d digits",
                    MC_JSON_NUMBER_MAX);
    }
    v = mc_json_string(p->a, s, len);
    if (v == NULL) {
        return fail_memory(p);
    }
    v->type = MC_JSON_NUMBER;
    if (!isfinite(strtod(v->str, NULL))) {
        return fail(p->err, offset_now(p), "a number out of range");
    }
    return place(p, v);
}

static int
on_string(void *ctx, const unsigned char *s, size_t len)
{
    parser_t  *p = ctx;

    return place(p, mc_json_string(p->a, (const char *) s, len));
}

static int
on_key(void *ctx, const unsigned char *s, size_t len)
{
    parser_t  *p = ctx;

    p->key = mc_json_strdup(p->a, (const char *) s, len);
    p->key_len = len;
    return p->key ? 1 : fail_memory(p);
}

static int
open_container(parser_t *p, mc_json_type_t type)
{
    mc_json_t  *v;

    if (p->depth == MC_JSON_DEPTH) {
        return fail(p->err, offset_now(p), "nested more than %d levels deep",
                    MC_JSON_DEPTH);
    }
    v = mc_json_new(p->a, type);
    if (!place(p, v)) {
        return 0;
    }
    p->open[p->depth++] = v;
    return 1;
}

static int
on_start_map(void *ctx)
{
    return open_container(ctx, MC_JSON_OBJECT);
}

static int
on_start_array(void *ctx)
{
    return open_container(ctx, MC_JSON_ARRAY);
}

/* Sorting keeps a text of a hundred thousand keys from taking seconds. */
static int
on_end_map(void *ctx)
{
    parser_t          *p = ctx;
    const mc_json_t   *obj = p->open[--p->depth];
    const mc_json_t  **sorted;
    unsigned           i;

    if (obj->n < 2) {
        return 1;
    }
    sorted = mc_json_sorted(p->a, obj);
    if (sorted == NULL) {
        return fail_memory(p);
    }
    for (i = 1; i < obj->n; i++) {
        if (mc_json_key_cmp(sorted[i - 1]->key, sorted[i - 1]->key_len,
                            sorted[i]->key, sorted[i]->key_len) == 0)
        {
            return fail(p->err, offset_now(p), "the key \"%.64s\" is there "
                        "twice", sorted[i]->key);
        }
    }
    return 1;
}

static int
on_end_array(void *ctx)
{
    parser_t  *p = ctx;

    p->depth--;
    return 1;
}

static const yajl_callbacks  callbacks = {
    on_null, on_boolean, NULL, NULL, on_number, on_string,
    on_start_map, on_key, on_end_map, on_start_array, on_end_array
};

/* yajl's words, without "parse error: " before and the newline behind. */
static void
fail_syntax(parser_t *p, size_t len)
{
    unsigned char  *words;
    const char     *s;
    size_t          offset = offset_now(p);

    words = yajl_get_error(p->yajl, 0, NULL, 0);
    s = (const char *) words;
    s = strncmp(s, "parse error: ", 13) == 0 ? s + 13 : s;
    s = strncmp(s, "lexical error: ", 15) == 0 ? s + 15 : s;
    fail(p->err, offset < len ? offset : len, "%.*s",
         (int) strcspn(s, "\n"), s);
    yajl_free_error(p->yajl, words);
}

static mc_json_t *
parse(parser_t *p, const char *text, size_t len)
{
    yajl_alloc_funcs  funcs = { yajl_get, yajl_resize, yajl_release, p };
    yajl_status       status;

    p->yajl = yajl_alloc(&callbacks, &funcs, p);
    status = yajl_parse(p->yajl, (const unsigned char *) text, len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(p->yajl);
    }
    if (status == yajl_status_client_canceled) {
        return NULL;
    }
    if (status != yajl_status_ok) {
        fail_syntax(p, len);
        return NULL;
    }
    return p->root;
}

mc_json_t *
mc_json_parse(const mc_alloc_t *a, const char *text, size_t len,
    mc_json_error_t *err)
{
    parser_t  p;

    if (!check_utf8(text, len, err) || !check_escapes(text, len, err)) {
        return NULL;
    }

    memset(&p, 0, sizeof(p));
    p.a = a;
    p.err = err;
    if (setjmp(p.no_memory)) {
        fail(err, 0, "out of memory");
        return NULL;
    }
    return parse(&p, text, len);
}
