/* common/mc_minecraft.c, against bytes captured from real programs. */

#include "mc_minecraft.h"
#include "tap.h"

/* Hexadecimal to bytes in memory of exactly that size. */
static uint8_t *
bytes(const char *hex, size_t *len)
{
    uint8_t   *b = malloc(strlen(hex) / 2 + 1);
    unsigned   v;

    *len = 0;
    for ( ; *hex; hex += 2) {
        if (*hex == ' ') {
            hex--;
            continue;
        }
        sscanf(hex, "%2x", &v);
        b[(*len)++] = (uint8_t) v;
    }
    return realloc(b, *len ? *len : 1);
}

static int
same(const uint8_t *got, size_t n, const char *hex)
{
    size_t    len;
    uint8_t  *wanted = bytes(hex, &len);
    int       equal = (n == len && memcmp(got, wanted, len) == 0);

    free(wanted);
    return equal;
}

static void
varint(uint32_t v, const char *hex)
{
    uint8_t   buf[5];
    size_t    n = mc_varint_write(buf, v), i;
    uint32_t  back = ~v;

    ok(same(buf, n, hex), "%u is %s", v, hex);
    ok(mc_varint_read(buf, n, &back) == (int) n && back == v, "... and back");
    for (i = 0; i < n; i++) {
        if (mc_varint_read(buf, i, &back) != 0) {
            break;
        }
    }
    is_int(i, n, "... and needs every byte");
}

static void
test_varint(void)
{
    uint32_t  v;

    varint(0, "00");
    varint(1, "01");
    varint(127, "7f");
    varint(128, "8001");
    varint(255, "ff01");
    varint(765, "fd05");
    varint(25565, "ddc701");
    varint(2097151, "ffff7f");
    varint(0x7fffffff, "ffffffff07");
    varint(0xffffffff, "ffffffff0f");       /* -1 */
    varint(0x80000000, "8080808008");

    is_int(mc_varint_read((const uint8_t *) "\x80\x80\x80\x80\x80\x01", 6, &v),
           -1, "six bytes are no varint");
    is_int(mc_varint_read((const uint8_t *) "\xff\xff\xff\xff\x1f", 5, &v),
           -1, "33 bits are no varint");
    is_int(mc_varint_read((const uint8_t *) "\x80\x80\x80\x80\x80", 5, &v),
           -1, "five bytes without an end are none");
    ok(mc_varint_read((const uint8_t *) "\x81\x00", 2, &v) == 2 && v == 1,
       "a longer form than needed is read");
}

static void
test_status_request(void)
{
    uint8_t  buf[600];
    char     host[300];
    size_t   n;

    /* what minecraft-protocol's ping sends */
    n = mc_status_request(buf, sizeof(buf), "127.0.0.1", 25821, 765);
    ok(same(buf, n, "1000fd05093132372e302e302e3164dd01 0100"),
       "handshake and request of 1.20.4");
    n = mc_status_request(buf, sizeof(buf), "play.example.com", 25565, 47);
    ok(same(buf, n, "16002f10706c61792e6578616d706c652e636f6d63dd01 0100"),
       "... of 1.8.8");
    n = mc_status_request(buf, sizeof(buf), "x", 1, 0xffffffff);
    ok(same(buf, n, "0b00ffffffff0f0178000101 0100"), "protocol -1");

    n = mc_status_request(buf, 19, "127.0.0.1", 25821, 765);
    is_int(n, 19, "just fits");
    is_int(mc_status_request(buf, 18, "127.0.0.1", 25821, 765), 0, "too small");

    memset(host, 'h', sizeof(host));
    host[255] = '\0';
    ok(mc_status_request(buf, sizeof(buf), host, 1, 1) > 255,
       "a host of 255 bytes");
    host[255] = 'h';
    host[256] = '\0';
    is_int(mc_status_request(buf, sizeof(buf), host, 1, 1), 0,
           "a host of 256 bytes is refused");
}

static void
response(const char *hex, int wanted, const char *json)
{
    size_t       len, json_len = 0;
    uint8_t     *b = bytes(hex, &len);
    const char  *text = NULL;
    int          r = mc_status_response(b, len, &text, &json_len);

    is_int(r, wanted, "a response of %zu bytes: %s", len, hex);
    if (r == 1 && json) {
        ok(json_len == strlen(json) && memcmp(text, json, json_len) == 0,
           "... %s", json);
    }
    free(b);
}

static void
test_status_response(void)
{
    uint8_t      big[70000];
    const char  *json;
    size_t       json_len, n;

    response("04 00 02 7b7d", 1, "{}");
    response("04 00 02 7b7d ffff", 1, "{}");
    response("02 00 00", 1, "");
    response("", 0, NULL);
    response("04", 0, NULL);
    response("04 00", 0, NULL);
    response("04 00 02 7b", 0, NULL);
    response("84", 0, NULL);
    response("04 01 02 7b7d", -1, NULL);    /* another packet */
    response("04 01", -1, NULL);            /* ... told early */
    response("04 00 01 7b7d", -1, NULL);    /* text shorter than packet */
    response("04 00 03 7b7d", -1, NULL);    /* text longer than packet */
    response("00", -1, NULL);
    response("01 00", -1, NULL);
    response("02 80 80 00", -1, NULL);      /* id beyond the packet */
    response("02 00 80 00", -1, NULL);      /* length beyond the packet */
    response("ffffffff0f", -1, NULL);
    response("81 80 04", -1, NULL);         /* 65537 bytes */
    response("ff 00 09 00 6c", -1, NULL);   /* a legacy answer */
    response("48545450", -1, NULL);         /* "HTTP" */

    memset(big, ' ', sizeof(big));
    n = mc_varint_write(big, 40003);        /* id, 3 bytes of length, text */
    big[n++] = 0;
    n += mc_varint_write(big + n, 39999);
    ok(mc_status_response(big, n + 39999, &json, &json_len) == 1
       && json_len == 39999, "40 KB of text");
    is_int(mc_status_response(big, n + 39998, &json, &json_len), 0,
           "... but for the last byte");
    mc_varint_write(big + n - 3, 39998);
    is_int(mc_status_response(big, n + 39999, &json, &json_len), -1,
           "... with lengths that disagree by one");
}

static void
test_rcon_write(void)
{
    uint8_t  buf[2048];
    char     body[MC_RCON_BODY_MAX + 1];
    size_t   n;

    n = mc_rcon_write(buf, sizeof(buf), 0, MC_RCON_LOGIN, "s3cret", 6);
    ok(same(buf, n, "10000000 00000000 03000000 733363726574 0000"),
       "the login that rcon-client sends");
    n = mc_rcon_write(buf, sizeof(buf), 1, MC_RCON_COMMAND, "list", 4);
    ok(same(buf, n, "0e000000 01000000 02000000 6c697374 0000"),
       "the command that rcon-client sends");
    n = mc_rcon_write(buf, sizeof(buf), -1, MC_RCON_RESPONSE, NULL, 0);
    ok(same(buf, n, "0a000000 ffffffff 00000000 0000"), "an empty body");

    memset(body, 'x', sizeof(body));
    is_int(mc_rcon_write(buf, sizeof(buf), 1, 2, body, MC_RCON_BODY_MAX),
           1460, "the longest body makes 1460 bytes");
    is_int(mc_rcon_write(buf, sizeof(buf), 1, 2, body, sizeof(body)), 0,
           "one byte more is refused");
    is_int(mc_rcon_write(buf, 17, 1, 2, "list", 4), 0, "too small");
    is_int(mc_rcon_write(buf, 18, 1, 2, "list", 4), 18, "just fits");
}

static void
rcon(const char *hex, int wanted, int32_t id, int32_t type, const char *body)
{
    size_t            len;
    uint8_t          *b = bytes(hex, &len);
    mc_rcon_packet_t  p;
    int               r = mc_rcon_read(b, len, &p);

    is_int(r, wanted, "a packet: %s", hex);
    if (r > 0) {
        ok(p.id == id && p.type == type && p.len == strlen(body)
           && memcmp(p.body, body, p.len) == 0, "... %d %d \"%s\"", id, type,
           body);
    }
    free(b);
}

static void
test_rcon_read(void)
{
    rcon("0a000000 00000000 02000000 0000", 14, 0, 2, "");
    rcon("0a000000 ffffffff 02000000 0000", 14, -1, 2, "");
    rcon("0e000000 01000000 00000000 6c697374 0000 0a00", 18, 1, 0, "list");
    rcon("", 0, 0, 0, "");
    rcon("0a0000", 0, 0, 0, "");
    rcon("0a000000", 0, 0, 0, "");
    rcon("0a000000 00000000 02000000 00", 0, 0, 0, "");
    rcon("09000000 00000000 02000000 00", -1, 0, 0, "");
    rcon("00000000", -1, 0, 0, "");
    rcon("ffffffff", -1, 0, 0, "");
    rcon("01001000", -1, 0, 0, "");                     /* 1 MB and one */
    rcon("0a000000 00000000 02000000 0001", -1, 0, 0, "");
    rcon("0a000000 00000000 02000000 0100", -1, 0, 0, "");
}

int
main(void)
{
    test_varint();
    test_status_request();
    test_status_response();
    test_rcon_write();
    test_rcon_read();
    return done_testing();
}
