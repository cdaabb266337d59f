/* common/mc_envelope.c. */

#include "mc_envelope.h"
#include "tap.h"

#define SERVER  "01920000-0000-7000-8000-000000000001"

static void
test_round_trip(void)
{
    static const char  text[] = "1 " SERVER " 1700000000000-3 "
                                "2026-11-24T08:00:00.000Z {\"line\":\"a b\"}";
    mc_envelope_t      env;
    char               buf[256];
    size_t             len = sizeof(text) - 1;

    is_int(mc_envelope_decode(&env, text, len), 0, "decodes");
    ok(memcmp(env.server, SERVER, 36) == 0, "... the server");
    ok(env.seq_len == 15 && memcmp(env.seq, "1700000000000-3", 15) == 0,
       "... the sequence");
    ok(env.time_len == 24 && memcmp(env.time, "2026-11-24T08", 13) == 0,
       "... the time");
    ok(env.data_len == 14 && memcmp(env.data, "{\"line\":\"a b\"}", 14) == 0,
       "... the data with its spaces");
    is_int(mc_envelope_encode(buf, sizeof(buf), &env), len, "encodes");
    is(buf, text, "... the same");
    is_int(mc_envelope_encode(buf, len, &env), len, "measures: too small");
    is_int(mc_envelope_encode(NULL, 0, &env), len, "measures: nothing");
    is_int(mc_envelope_encode(buf, len + 1, &env), len, "just fits");
    is(buf, text, "... whole");
}

static void
refuses(const char *text)
{
    mc_envelope_t  env;
    size_t         len = strlen(text);
    char          *exact = malloc(len ? len : 1);

    memcpy(exact, text, len);
    is_int(mc_envelope_decode(&env, exact, len), -1, "refuses \"%s\"", text);
    free(exact);
}

static void
test_refused(void)
{
    static const char  good[] = "1 " SERVER " 1-1 t {}";
    mc_envelope_t      env;
    size_t             i;
    int                refused = 1;

    is_int(mc_envelope_decode(&env, good, sizeof(good) - 1), 0, "a short one");
    for (i = 0; i < sizeof(good) - 3; i++) {
        refused &= (mc_envelope_decode(&env, good, i) == -1);
    }
    ok(refused, "... cut off anywhere is none");

    refuses("");
    refuses("1");
    refuses("2 " SERVER " 1-1 t {}");
    refuses("11 " SERVER " 1-1 t {}");
    refuses(" 1 " SERVER " 1-1 t {}");
    refuses("1  " SERVER " 1-1 t {}");
    refuses("1 01920000 1-1 t {}");
    refuses("1 " SERVER "0 1-1 t {}");
    refuses("1 " SERVER "  t {}");
    refuses("1 " SERVER " x t {}");
    refuses("1 " SERVER " 1-1  {}");
    refuses("1 " SERVER " 1-1 t ");
    refuses("1 " SERVER " 99999999999999999999999 t {}");
    refuses("1 " SERVER " 1-1 ttttttttttttttttttttttttttttttttttttttttttttt {}");
}

static void
order(const char *a, const char *b, int wanted)
{
    int  r = mc_seq_cmp(a, strlen(a), b, strlen(b));

    ok((wanted < 0) == (r < 0) && (wanted > 0) == (r > 0), "\"%s\" %s \"%s\"",
       a, wanted < 0 ? "<" : wanted > 0 ? ">" : "=", b);
    r = mc_seq_cmp(b, strlen(b), a, strlen(a));
    ok((wanted > 0) == (r < 0) && (wanted < 0) == (r > 0), "... and reversed");
}

static void
test_order(void)
{
    order("1-1", "1-1", 0);
    order("1-1", "1-2", -1);
    order("1-10", "1-9", 1);
    order("9-0", "10-0", -1);
    order("5", "5-0", 0);
    order("5", "5-1", -1);
    order("0010-0", "10", 0);
    order("18446744073709551615-18446744073709551615",
          "18446744073709551615-18446744073709551614", 1);
    order("", "0", -1);
    order("x", "0-0", -1);
    order("1-", "0", -1);
    order("-1", "0", -1);
    order("1-1-1", "0", -1);
    order("18446744073709551616", "0", -1);
    order("1 ", "0", -1);
    order("", "x", 0);
}

int
main(void)
{
    test_round_trip();
    test_refused();
    test_order();
    return done_testing();
}
