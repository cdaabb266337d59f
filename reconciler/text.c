#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "text.h"


void
mc_text_add(mc_text_t *t, const char *s, size_t len)
{
    size_t   size = t->size ? t->size : 256;
    char    *p;

    if (t->failed) {
        return;
    }
    while (size < t->len + len + 1) {
        size *= 2;
    }
    if (size != t->size) {
        p = t->a->alloc(t->a->pool, size);
        if (p == NULL) {
            t->failed = true;
            return;
        }
        if (t->len) {
            memcpy(p, t->p, t->len);
        }
        t->p = p;
        t->size = size;
    }
    if (len) {
        memcpy(t->p + t->len, s, len);
    }
    t->len += len;
    t->p[t->len] = '\0';
}

void
mc_text_puts(mc_text_t *t, const char *s)
{
    mc_text_add(t, s, strlen(s));
}

void
mc_text_printf(mc_text_t *t, const char *fmt, ...)
{
    va_list  args;
    char     buf[1024];
    int      n;

    va_start(args, fmt);
    n = vsnprintf(buf, sizeof(buf), fmt, args);
    va_end(args);
    if (n < 0 || (size_t) n >= sizeof(buf)) {
        t->failed = true;
        return;
    }
    mc_text_add(t, buf, (size_t) n);
}

const char *
mc_text_end(mc_text_t *t)
{
    if (t->failed) {
        return NULL;
    }
    return t->p ? t->p : "";
}
