/* What a request names: tokens, paths and cursors. */

#include "mc_envelope.h"
#include "mc_path.h"
#include "mc_token.h"
#include "tap.h"

static const char  good[] = "mch_0123456789abcdef0123456789abcdef_"
                            "AZaz09-_AZaz09-_AZaz09-_AZaz09-_AZaz09-_xyz";

static int
kind_with(size_t at, char c)
{
    char  s[sizeof(good)];

    memcpy(s, good, sizeof(s));
    s[at] = c;
    return mc_token_kind(s, MC_TOKEN_LEN);
}

static void
test_token(void)
{
    int  kind;

    ok(strlen(good) == MC_TOKEN_LEN, "its length");
    ok(mc_token_kind(good, MC_TOKEN_LEN) == MC_TOKEN_KEY, "a key");
    for (kind = 0; kind < MC_TOKEN_KINDS; kind++) {
        ok(kind_with(2, mc_token_prefix(kind)[2]) == kind, "kind %d", kind);
    }
    ok(mc_token_kind(good, MC_TOKEN_LEN - 1) == -1, "too short");
    ok(mc_token_kind(good, 0) == -1, "nothing");
    ok(kind_with(0, 'M') == -1, "another prefix");
    ok(kind_with(2, 'x') == -1, "no such kind");
    ok(kind_with(3, '-') == -1, "no _ before the id");
    ok(kind_with(MC_TOKEN_ID_POS, 'A') == -1, "the id in upper case");
    ok(kind_with(MC_TOKEN_SECRET_POS - 1, '-') == -1, "no _ behind it");
    ok(kind_with(MC_TOKEN_SECRET_POS, '+') == -1, "base64 of another kind");
    ok(kind_with(MC_TOKEN_LEN - 1, '\0') == -1, "NUL at the end");
    ok(kind_with(MC_TOKEN_ID_POS + 5, '\0') == -1, "NUL in the id");
}

static int
match(const char *pattern, const char *path, mc_path_name_t names[2])
{
    return mc_path_match(pattern, path, strlen(path), names, 2);
}

static void
test_path(void)
{
    mc_path_name_t  n[2];

    ok(match("me", "me", n) == 0, "no names");
    ok(match("me", "mex", n) == -1 && match("me", "m", n) == -1
       && match("me", "", n) == -1 && match("", "me", n) == -1, "others");
    ok(match("", "", n) == 0, "nothing is nothing");
    ok(match("servers/{id}", "servers/a b", n) == 1 && n[0].len == 3
       && memcmp(n[0].data, "a b", 3) == 0, "a name");
    ok(match("servers/{id}", "servers/", n) == -1, "is not empty");
    ok(match("servers/{id}", "servers/a/", n) == -1, "and is one segment");
    ok(match("a/{x}/b/{y}", "a/1/b/22", n) == 2 && n[0].len == 1
       && n[1].len == 2 && *n[1].data == '2', "two names");
    ok(match("{x}/{y}/{z}", "1/2/3", n) == -1, "three are too many");
    ok(mc_path_match("me", "meat", 2, n, 2) == 0, "no byte too far");
}

static int
seq(const char *s)
{
    return mc_seq_valid(s, strlen(s));
}

static void
test_seq(void)
{
    ok(seq("1700000000000-0") && seq("0-0"), "stream ids");
    ok(seq("18446744073709551615-18446744073709551615"), "the largest");
    ok(!seq("18446744073709551616-0"), "more than 64 bits");
    ok(!seq("") && !seq("-") && !seq("1") && !seq("1-") && !seq("-1"),
       "no halves");
    ok(!seq("1-1-1") && !seq("1-x") && !seq(" 1-1") && !seq("+1-1"),
       "nothing else");
    ok(!mc_seq_valid("1-1\0", 4), "no NUL");
}

int
main(void)
{
    test_token();
    test_path();
    test_seq();
    return done_testing();
}
