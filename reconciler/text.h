/*
 * Text that grows, in memory of the caller's allocator. Running out of memory
 * is remembered and shown at the end, so that writers need not look.
 */

#ifndef MC_TEXT_H
#define MC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include "mc_json.h"

typedef struct {
    const mc_alloc_t  *a;
    char              *p;           /* NUL-terminated once anything is in it */
    size_t             len, size;
    bool               failed;
} mc_text_t;

/* Begins with mc_text_t t = { .a = &allocator }. */
void mc_text_add(mc_text_t *t, const char *s, size_t len);
void mc_text_puts(mc_text_t *t, const char *s);
void mc_text_printf(mc_text_t *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The text, "" when nothing was written, or NULL when memory ran out. */
const char *mc_text_end(mc_text_t *t);

#endif
