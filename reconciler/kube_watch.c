#include <stdlib.h>
#include <string.h>
#include "kube_watch.h"

#define LINE_KEPT  (256 * 1024)         /* of the buffer, after a long line */


/* -- JSON, skimmed -- */

static void
skip_space(mc_kube_cursor_t *c)
{
    while (c->p < c->end
           && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r'
               || *c->p == '\t'))
    {
        c->p++;
    }
}


static bool
take(mc_kube_cursor_t *c, char wanted)
{
    skip_space(c);
    if (c->p == c->end || *c->p != wanted) {
        return false;
    }
    c->p++;
    return true;
}


/* Behind the string whose opening quote is at p; NULL when it has no end. */
static const char *
string_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\\' && ++p == end) {
            return NULL;
        }
    }
    return NULL;
}


/* Behind the container that opens at p. */
static const char *
container_end(const char *p, const char *end)
{
    size_t  depth = 0;

    while (p < end) {
        switch (*p) {

        case '"':
            p = string_end(p, end);
            if (p == NULL) {
                return NULL;
            }
            continue;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            if (--depth == 0) {
                return p + 1;
            }
            break;

        default:
            break;
        }
        p++;
    }
    return NULL;
}


static bool
take_value(mc_kube_cursor_t *c, mc_kube_span_t *value)
{
    const char  *p, *end;

    skip_space(c);
    if (c->p == c->end) {
        return false;
    }
    p = end = c->p;
    if (*p == '"') {
        end = string_end(p, c->end);

    } else if (*p == '{' || *p == '[') {
        end = container_end(p, c->end);
        if (end && end[-1] != (*p == '{' ? '}' : ']')) {
            return false;
        }

    } else {
        while (end < c->end && strchr(",}] \n\r\t", *end) == NULL) {
            end++;
        }
    }
    if (end == NULL || end == p) {
        return false;
    }
    value->p = p;
    value->len = (size_t) (end - p);
    c->p = end;
    return true;
}


/* To the next thing in a container. 1, 0 at its end, -1. */
static int
advance(mc_kube_cursor_t *c, char open, char close)
{
    if (!c->begun) {
        if (!take(c, open)) {
            return -1;
        }
        c->begun = true;
        return take(c, close) ? 0 : 1;
    }
    if (take(c, close)) {
        return 0;
    }
    return take(c, ',') ? 1 : -1;
}


int
mc_kube_next_key(mc_kube_cursor_t *c, mc_kube_span_t *key)
{
    int  rc = advance(c, '{', '}');

    if (rc != 1) {
        return rc;
    }
    skip_space(c);
    if (c->p == c->end || *c->p != '"' || !take_value(c, key)) {
        return -1;
    }
    key->p++;
    key->len -= 2;
    if (!take(c, ':')) {
        return -1;
    }
    skip_space(c);
    return c->p < c->end ? 1 : -1;
}


int
mc_kube_value(mc_kube_cursor_t *c, mc_kube_span_t *value)
{
    return take_value(c, value) ? 1 : -1;
}


int
mc_kube_next_member(mc_kube_cursor_t *c, mc_kube_span_t *key,
    mc_kube_span_t *value)
{
    int  rc = mc_kube_next_key(c, key);

    return rc == 1 ? mc_kube_value(c, value) : rc;
}


int
mc_kube_next_element(mc_kube_cursor_t *c, mc_kube_span_t *value)
{
    int  rc = advance(c, '[', ']');

    if (rc != 1) {
        return rc;
    }
    return take_value(c, value) ? 1 : -1;
}


bool
mc_kube_span_is(mc_kube_span_t span, const char *s)
{
    return span.len == strlen(s) && memcmp(span.p, s, span.len) == 0;
}


/* -- a watch -- */

static int
event_type(mc_kube_span_t type, mc_kube_event_t *out)
{
    static const char *const  names[] = {
        "\"ADDED\"", "\"MODIFIED\"", "\"DELETED\"", "\"BOOKMARK\"",
        "\"ERROR\""
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mc_kube_span_is(type, names[i])) {
            *out = (mc_kube_event_t) i;
            return 0;
        }
    }
    return -1;
}


static mc_kube_watch_result_t
end_line(mc_kube_watch_t *w, const char *p, size_t len)
{
    mc_kube_cursor_t  c = { .p = p, .end = p + len };
    mc_kube_span_t    key, value, type = { "", 0 }, object = { "", 0 };
    mc_kube_event_t   event;
    int               rc;

    skip_space(&c);
    if (c.p == c.end) {
        return MC_KUBE_WATCH_OK;
    }
    while ((rc = mc_kube_next_member(&c, &key, &value)) == 1) {
        if (mc_kube_span_is(key, "type")) {
            type = value;
        } else if (mc_kube_span_is(key, "object")) {
            object = value;
        }
    }
    skip_space(&c);
    if (rc != 0 || c.p != c.end || object.len == 0 || *object.p != '{'
        || event_type(type, &event) != 0)
    {
        return MC_KUBE_WATCH_BROKEN;
    }
    return w->event(w->data, event, object.p, object.len) == 0
           ? MC_KUBE_WATCH_OK : MC_KUBE_WATCH_STOPPED;
}


static mc_kube_watch_result_t
keep(mc_kube_watch_t *w, const char *p, size_t len)
{
    size_t   size = w->size ? w->size : 4096;
    char    *line;

    if (len > MC_KUBE_LINE_MAX - w->len) {
        return MC_KUBE_WATCH_TOO_LONG;
    }
    while (size < w->len + len) {
        size *= 2;
    }
    if (size != w->size) {
        line = realloc(w->line, size);
        if (line == NULL) {
            return MC_KUBE_WATCH_NO_MEMORY;
        }
        w->line = line;
        w->size = size;
    }
    memcpy(w->line + w->len, p, len);
    w->len += len;
    return MC_KUBE_WATCH_OK;
}


/* A line that came in one piece is read where it is. */
mc_kube_watch_result_t
mc_kube_watch_feed(mc_kube_watch_t *w, const char *p, size_t len)
{
    const char              *nl;
    size_t                   n;
    mc_kube_watch_result_t   rc;

    while (len) {
        nl = memchr(p, '\n', len);
        n = nl ? (size_t) (nl - p) : len;
        if (nl == NULL || w->len) {
            rc = keep(w, p, n);
            if (rc != MC_KUBE_WATCH_OK) {
                return rc;
            }
        }
        if (nl == NULL) {
            return MC_KUBE_WATCH_OK;
        }
        if (w->len) {
            rc = end_line(w, w->line, w->len);
            if (w->size > LINE_KEPT) {
                mc_kube_watch_reset(w);
            }
            w->len = 0;
        } else {
            rc = end_line(w, p, n);
        }
        if (rc != MC_KUBE_WATCH_OK) {
            return rc;
        }
        p += n + 1;
        len -= n + 1;
    }
    return MC_KUBE_WATCH_OK;
}


void
mc_kube_watch_reset(mc_kube_watch_t *w)
{
    free(w->line);
    w->line = NULL;
    w->len = w->size = 0;
}
