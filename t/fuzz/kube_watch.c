/* A watch's bytes, whole and cut by the first byte's measure: the same events;
 * and the same text as a list, which must come to an end. */

#include "fuzz.h"
#include "kube_watch.h"

typedef struct {
    uint64_t  hash;
    unsigned  n;
} seen_t;

static int
on_event(void *data, mc_kube_event_t type, const char *object, size_t len)
{
    seen_t  *s = data;

    MUST(len >= 2 && object[0] == '{' && object[len - 1] == '}');
    s->n++;
    s->hash = s->hash * 31 + (uint64_t) type;
    for (size_t i = 0; i < len; i++) {
        s->hash = s->hash * 31 + (uint8_t) object[i];
    }
    return 0;
}

static mc_kube_watch_result_t
feed(const char *text, size_t size, size_t piece, seen_t *seen)
{
    mc_kube_watch_t          w = { .event = on_event, .data = seen };
    mc_kube_watch_result_t   rc = MC_KUBE_WATCH_OK;

    for (size_t at = 0, n; at < size && rc == MC_KUBE_WATCH_OK; at += n) {
        n = size - at < piece ? size - at : piece;
        rc = mc_kube_watch_feed(&w, text + at, n);
    }
    mc_kube_watch_reset(&w);
    return rc;
}

static void
walk(const char *text, size_t size)
{
    mc_kube_cursor_t  c = { .p = text, .end = text + size }, items;
    mc_kube_span_t    key, value;
    size_t            n = 0;

    while (mc_kube_next_key(&c, &key) == 1) {
        MUST(n++ <= size);
        items = (mc_kube_cursor_t) { c.p, c.end, false };
        while (mc_kube_next_element(&items, &value) == 1) {
            MUST(value.len > 0 && value.p + value.len <= text + size);
            MUST(n++ <= size);
        }
        if (mc_kube_value(&c, &value) != 1) {
            break;
        }
        MUST(c.p <= c.end);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    seen_t   whole = { 0, 0 }, cut = { 0, 0 };
    char    *text;

    if (size == 0) {
        return 0;
    }
    text = exact(data + 1, size - 1);
    MUST(feed(text, size - 1, size, &whole)
         == feed(text, size - 1, data[0] % 64 + 1u, &cut));
    MUST(whole.hash == cut.hash && whole.n == cut.n);
    walk(text, size - 1);
    free(text);
    return 0;
}
