/* common/mc_uuid.c. */

#include "mc_uuid.h"
#include "tap.h"

static void
test_made(void)
{
    static const uint8_t  ones[10] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff };
    static const uint8_t  zeros[10] = { 0 };
    char                  a[MC_UUID_LEN + 1], b[MC_UUID_LEN + 1];

    /* RFC 9562, appendix A.6 */
    static const uint8_t  example[10] = { 0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c,
                                          0x0c, 0x07, 0x39, 0x8f };

    mc_uuid7(a, 0x017f22e279b0, example);
    is(a, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "the RFC's example");

    mc_uuid7(a, 0, zeros);
    is(a, "00000000-0000-7000-8000-000000000000", "all zeros");
    mc_uuid7(b, 0xffffffffffff, ones);
    is(b, "ffffffff-ffff-7fff-bfff-ffffffffffff", "all ones");
    ok(mc_uuid_valid(a, 36) && mc_uuid_valid(b, 36), "both are valid");

    mc_uuid7(a, 1700000000000, ones);
    mc_uuid7(b, 1700000000001, zeros);
    ok(strcmp(a, b) < 0, "a later one sorts behind");
}

static void
test_valid(void)
{
    static const char  good[] = "017F22e2-79b0-7cc3-98c4-dc0c0c07398F";
    char               s[40];
    int                i, refused = 1;

    ok(mc_uuid_valid(good, 36), "either case");
    ok(!mc_uuid_valid(good, 35), "too short");
    ok(!mc_uuid_valid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f0", 37),
       "too long");
    ok(!mc_uuid_valid("", 0), "empty");
    ok(!mc_uuid_valid("{17f22e2-79b0-7cc3-98c4-dc0c0c07398}", 36), "braces");
    ok(!mc_uuid_valid("017f22e279b07cc398c4dc0c0c07398f----", 36),
       "dashes elsewhere");
    for (i = 0; i < 36; i++) {
        memcpy(s, good, 37);
        s[i] = (s[i] == '-') ? '0' : 'g';
        refused &= !mc_uuid_valid(s, 36);
        s[i] = '\0';
        refused &= !mc_uuid_valid(s, 36);
    }
    ok(refused, "one wrong character anywhere");
}

int
main(void)
{
    test_made();
    test_valid();
    return done_testing();
}
