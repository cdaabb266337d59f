/*
 * JSON as text.
 */

#include <string.h>
#include "mc_json.h"
#include "mc_utf8.h"

typedef struct {
    char    *buf;
    size_t   size;
    size_t   len;       /* what there is to write, not what was written */
} writer_t;

static void
put(writer_t *w, const char *s, size_t len)
{
    size_t  room;

    if (w->len < w->size) {
        room = w->size - w->len;
        memcpy(w->buf + w->len, s, len < room ? len : room);
    }
    w->len += len;
}

static void
put_char(writer_t *w, char c)
{
    if (w->len < w->size) {
        w->buf[w->len] = c;
    }
    w->len++;
}

static size_t
finish(writer_t *w)
{
    if (w->size > 0) {
        w->buf[w->len < w->size ? w->len : w->size - 1] = '\0';
    }
    return w->len;
}

static void
put_escape(writer_t *w, unsigned char c)
{
    static const char  hex[] = "0123456789abcdef";
    static const char  named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char        *found = strchr(named, c);

    put_char(w, '\\');
    if (found && c) {
        put_char(w, letters[found - named]);
        return;
    }
    put(w, "u00", 3);
    put_char(w, hex[c >> 4]);
    put_char(w, hex[c & 0x0f]);
}

/* Runs of plain characters go in one piece: nearly all of them are. */
static void
put_escaped(writer_t *w, const char *s, size_t len)
{
    size_t         i, n, start = 0;
    unsigned char  c;

    for (i = 0; i < len; i += n) {
        c = (unsigned char) s[i];
        n = 1;
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            continue;
        }
        if (c >= 0x80) {
            n = mc_utf8_char(s + i, len - i);
            if (n > 0) {
                continue;
            }
            n = 1;
        }
        put(w, s + start, i - start);
        start = i + 1;
        if (c >= 0x80) {
            put(w, "\xef\xbf\xbd", 3);          /* U+FFFD */
        } else {
            put_escape(w, c);
        }
    }
    put(w, s + start, len - start);
}

static void
put_string(writer_t *w, const char *s, size_t len)
{
    put_char(w, '"');
    put_escaped(w, s, len);
    put_char(w, '"');
}

static void
put_value(writer_t *w, const mc_json_t *v)
{
    const mc_json_t  *c;

    switch (v->type) {
    case MC_JSON_NULL:
        put(w, "null", 4);
        return;
    case MC_JSON_FALSE:
        put(w, "false", 5);
        return;
    case MC_JSON_TRUE:
        put(w, "true", 4);
        return;
    case MC_JSON_NUMBER:
        put(w, v->str, v->len);
        return;
    case MC_JSON_STRING:
        put_string(w, v->str, v->len);
        return;
    case MC_JSON_ARRAY:
    case MC_JSON_OBJECT:
        break;
    }

    put_char(w, v->type == MC_JSON_ARRAY ? '[' : '{');
    for (c = v->child; c; c = c->next) {
        if (c != v->child) {
            put_char(w, ',');
        }
        if (v->type == MC_JSON_OBJECT) {
            put_string(w, c->key, c->key_len);
            put_char(w, ':');
        }
        put_value(w, c);
    }
    put_char(w, v->type == MC_JSON_ARRAY ? ']' : '}');
}

size_t
mc_json_write(char *buf, size_t size, const mc_json_t *v)
{
    writer_t  w = { buf, size, 0 };

    if (v) {
        put_value(&w, v);
    } else {
        put(&w, "null", 4);
    }
    return finish(&w);
}

size_t
mc_json_escape(char *buf, size_t size, const char *s, size_t len)
{
    writer_t  w = { buf, size, 0 };

    put_escaped(&w, s, len);
    return finish(&w);
}
