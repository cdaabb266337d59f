/*
 * Where one object ends and the next begins.
 */

#include "kube_watch.h"
#include "tap.h"

static char      seen[8192];
static unsigned  stop_after;

static int
on_event(void *data, mc_kube_event_t type, const char *object, size_t len)
{
    size_t  n = strlen(seen);

    (void) data;
    snprintf(seen + n, sizeof(seen) - n, "%d %.*s|", (int) type, (int) len,
             object);
    return stop_after && --stop_after == 0 ? -1 : 0;
}

static mc_kube_watch_result_t
feed(const char *text, size_t size)
{
    mc_kube_watch_t          w = { .event = on_event };
    mc_kube_watch_result_t   rc = MC_KUBE_WATCH_OK;
    size_t                   len = strlen(text), at, n;

    seen[0] = '\0';
    for (at = 0; at < len && rc == MC_KUBE_WATCH_OK; at += n) {
        n = len - at < size ? len - at : size;
        rc = mc_kube_watch_feed(&w, text + at, n);
    }
    mc_kube_watch_reset(&w);
    return rc;
}

static void
lines(void)
{
    static const char  text[] =
        "{\"type\":\"ADDED\",\"object\":{\"a\":\"}\\\"{\"}}\n"
        "{\"object\":{\"b\":[1,{\"c\":\"\xe2\x82\xac\xf0\x9f\xa6\x80\"}]},"
        "\"type\":\"MODIFIED\"}\r\n\n  \n"
        "{ \"type\" : \"DELETED\" , \"object\" : { } , \"x\" : null }\n"
        "{\"type\":\"BOOKMARK\",\"object\":{}}\n"
        "{\"type\":\"ERROR\",\"object\":{}}\n{\"type\":\"ADDED\",\"obj";
    static const char  wanted[] = "0 {\"a\":\"}\\\"{\"}|1 {\"b\":[1,{\"c\":\""
        "\xe2\x82\xac\xf0\x9f\xa6\x80\"}]}|2 { }|3 {}|4 {}|";

    for (size_t size = 1; size < sizeof(text); size++) {
        if (feed(text, size) != MC_KUBE_WATCH_OK || strcmp(seen, wanted) != 0) {
            is(seen, wanted, "in pieces of %zu bytes", size);
            return;
        }
    }
    ok(1, "events, cut anywhere");
    stop_after = 2;
    is_int(feed(text, 1000), MC_KUBE_WATCH_STOPPED, "enough");
    ok(strncmp(seen, wanted, strlen(seen)) == 0 && strchr(seen, '1') != NULL,
       "after the second");
}

static void
bad(void)
{
    static const char *const  texts[] = {
        "x\n", "{}\n", "[]\n", "{\"type\":\"ADDED\"}\n", "{\"object\":{}}\n",
        "{\"type\":\"OTHER\",\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":[]}\n",
        "{\"type\":\"ADDED\",\"object\":{}\n",
        "{\"type\":\"ADDED\",\"object\":{}} x\n",
        "{\"type\":\"ADDED\" \"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"a\":\"\\\n", "\"\\\n", "{\"\n",
        "{\"type\n", "{\"type\":\n", "{\"type\":}\n"
    };
    mc_kube_watch_t  w = { .event = on_event };
    char            *big = malloc(MC_KUBE_LINE_MAX + 1);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        is_int(feed(texts[i], 1000), MC_KUBE_WATCH_BROKEN, "no event: %.*s",
               (int) strlen(texts[i]) - 1, texts[i]);
    }
    memset(big, ' ', MC_KUBE_LINE_MAX + 1);
    is_int(mc_kube_watch_feed(&w, big, MC_KUBE_LINE_MAX), MC_KUBE_WATCH_OK,
           "a line of 4 MB");
    is_int(mc_kube_watch_feed(&w, big, 1), MC_KUBE_WATCH_TOO_LONG,
           "and not a byte more");
    mc_kube_watch_reset(&w);
    free(big);
}

static void
list(void)
{
    static const char  text[] = "{\"items\":[{\"a\":[]}, 2 ,\"]\"],\"n\":[]}";
    mc_kube_cursor_t   c = { .p = text, .end = text + sizeof(text) - 1 }, in;
    mc_kube_span_t     key, v;

    is_int(mc_kube_next_key(&c, &key), 1, "a key");
    ok(mc_kube_span_is(key, "items"), "items");
    in = (mc_kube_cursor_t) { c.p, c.end, false };
    ok(mc_kube_next_element(&in, &v) == 1 && mc_kube_span_is(v, "{\"a\":[]}"),
       "an object");
    ok(mc_kube_next_element(&in, &v) == 1 && mc_kube_span_is(v, "2"),
       "a number");
    ok(mc_kube_next_element(&in, &v) == 1 && mc_kube_span_is(v, "\"]\""),
       "a string");
    is_int(mc_kube_next_element(&in, &v), 0, "the end of the list");
    c.p = in.p;
    ok(mc_kube_next_member(&c, &key, &v) == 1 && mc_kube_span_is(v, "[]"),
       "the member after it");
    is_int(mc_kube_next_member(&c, &key, &v), 0, "the end");
}

int
main(void)
{
    lines();
    bad();
    list();
    return done_testing();
}
