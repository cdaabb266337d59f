/* Any text into the parser; what it accepts must survive being written, read
 * again and copied. The first byte may let memory run out. */

#include "../unit/pool.h"
#include "fuzz.h"

static char *
write_whole(const mc_json_t *v, size_t *len)
{
    char  *text;

    *len = mc_json_write(NULL, 0, v);
    text = malloc(*len + 1);
    MUST(text != NULL);
    MUST(mc_json_write(text, *len + 1, v) == *len && text[*len] == '\0');
    return text;
}

static void
check_tree(const mc_json_t *v, int depth)
{
    const mc_json_t  *c, *last = NULL;
    unsigned          n = 0;
    int64_t           i;

    MUST(depth <= MC_JSON_DEPTH);
    for (c = v->child; c; c = c->next) {
        MUST((c->key != NULL) == (v->type == MC_JSON_OBJECT));
        MUST(c->key == NULL || mc_json_get(v, c->key) == c);
        MUST(c->key == NULL || mc_utf8_valid(c->key, c->key_len));
        check_tree(c, depth + 1);
        last = c;
        n++;
    }
    MUST(n == v->n && v->last == last);
    if (v->type == MC_JSON_STRING) {
        MUST(strlen(v->str) == v->len && mc_utf8_valid(v->str, v->len));
    }
    (void) mc_json_is_int(v, &i);
}

static void
check_accepted(const mc_alloc_t *a, mc_json_t *v)
{
    mc_json_error_t  err;
    size_t           len, again_len;
    char            *text, *again;
    mc_json_t       *w;

    check_tree(v, 0);
    text = write_whole(v, &len);
    w = mc_json_parse(a, text, len, &err);
    MUST(w != NULL);
    again = write_whole(w, &again_len);
    MUST(len == again_len && memcmp(text, again, len) == 0);
    free(again);

    again = write_whole(mc_json_copy(a, v), &again_len);
    MUST(len == again_len && memcmp(text, again, len) == 0);
    free(again);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    POOL(a);
    mc_json_error_t  err;
    mc_json_t       *v;
    char            *text, escaped[64];

    if (size == 0) {
        return 0;
    }
    text = exact(data + 1, size - 1);
    a_pool.left = data[0] < 128 ? -1 : data[0] - 128;
    v = mc_json_parse(&a, text, size - 1, &err);
    a_pool.left = -1;
    if (v) {
        check_accepted(&a, v);
    } else {
        MUST(err.offset <= size - 1);
        MUST(memchr(err.message, '\0', sizeof(err.message)) != NULL);
    }
    (void) mc_json_escape(escaped, sizeof(escaped), text, size - 1);
    MUST(memchr(escaped, '\0', sizeof(escaped)) != NULL);
    free(text);
    pool_free(&a_pool);
    return 0;
}
