/*
 * The WebSocket codec against the cases of Autobahn's suite, sections 1 to 7,
 * as far as they concern framing. Every input is fed whole and in pieces of
 * several sizes: what comes out must be the same.
 */

#include "mc_ws_frame.h"
#include "tap.h"

static unsigned char  input[400000];
static size_t         input_len;


/* Appends a masked frame; bits are FIN and RSV ("0x80" is a final frame). */
static void
frame_raw(int first, const void *payload, size_t len, size_t announced, int masked)
{
    static const unsigned char   mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    const unsigned char         *p = payload;
    unsigned char               *out = input + input_len;
    size_t                       i;

    *out++ = (unsigned char) first;
    if (announced < 126) {
        *out++ = (unsigned char) ((masked ? 0x80 : 0) | announced);
    } else if (announced < 65536) {
        *out++ = (unsigned char) ((masked ? 0x80 : 0) | 126);
        *out++ = (unsigned char) (announced >> 8);
        *out++ = (unsigned char) announced;
    } else {
        *out++ = (unsigned char) ((masked ? 0x80 : 0) | 127);
        for (i = 0; i < 8; i++) {
            *out++ = (unsigned char) (announced >> (56 - 8 * i));
        }
    }
    if (masked) {
        memcpy(out, mask, 4);
        out += 4;
    }
    for (i = 0; i < len; i++) {
        *out++ = masked ? p[i] ^ mask[i & 3] : p[i];
    }
    input_len = (size_t) (out - input);
}

static void
begin(void)
{
    input_len = 0;
}

static void
frame(int first, const char *payload)
{
    frame_raw(first, payload, strlen(payload), strlen(payload), 1);
}

static void
bytes(const void *p, size_t len)
{
    memcpy(input + input_len, p, len);
    input_len += len;
}

/* Adds to the transcript, which is cut when it is full. */
static void
note(char *log, size_t size, const char *format, ...)
{
    size_t   len = strlen(log);
    va_list  args;

    va_start(args, format);
    vsnprintf(log + len, size - len, format, args);
    va_end(args);
}

/* What comes out, as text: "text(5:hello) ping(x) error(1002)". Of a message
 * its length and, when short, its bytes. */
static void
transcript(char *log, size_t size, size_t chunk, size_t max)
{
    static unsigned char  copy[sizeof(input)], message[sizeof(input)];
    mc_ws_parser_t        p;
    mc_ws_event_t         ev;
    size_t                at = 0, n, used, len = 0;

    memcpy(copy, input, input_len);
    mc_ws_parser_init(&p, max);
    log[0] = '\0';

    while (at < input_len) {
        n = input_len - at < chunk ? input_len - at : chunk;
        while (n > 0) {
            used = mc_ws_parse(&p, copy + at, n, &ev);
            at += used;
            n -= used;

            if (ev.type == MC_WS_EV_ERROR) {
                note(log, size, "error(%u) ", ev.code);
                return;
            }
            if (ev.type == MC_WS_EV_CONTROL && ev.opcode == MC_WS_CLOSE) {
                note(log, size, "close(%u) ", ev.code);
            } else if (ev.type == MC_WS_EV_CONTROL) {
                note(log, size, "%s(%.*s) ", ev.opcode == MC_WS_PING ? "ping" : "pong",
                     (int) ev.len, (char *) ev.data);
            } else if (ev.type == MC_WS_EV_DATA) {
                if (ev.first) {
                    len = 0;
                }
                memcpy(message + len, ev.data, ev.len);
                len += ev.len;
                if (ev.last) {
                    note(log, size, "%s(%zu:%.*s) ", ev.opcode == MC_WS_TEXT ? "text" : "binary",
                         len, len < 40 ? (int) len : 0, (char *) message);
                }
            }
        }
    }
}

static void
check_max(const char *name, const char *wanted, size_t max)
{
    static const size_t  chunks[] = { sizeof(input), 1, 2, 3, 5, 7, 64, 1000 };
    char                 log[4096], bad[4096] = "";
    size_t               i, failed = 0;

    for (i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        transcript(log, sizeof(log), chunks[i], max);
        if (strcmp(log, wanted) != 0) {
            failed = chunks[i];
            strcpy(bad, log);
        }
    }
    is(failed ? bad : wanted, wanted, "%s", name);
    if (failed) {
        diag("in pieces of %zu", failed);
    }
}

static void
check(const char *name, const char *wanted)
{
    check_max(name, wanted, 300000);
}


static void
test_lengths(void)
{
    static const size_t  len[] = { 0, 1, 125, 126, 127, 128, 65535, 65536, 131072 };
    static char          text[131072];
    char                 wanted[64], name[64];
    size_t               i;

    memset(text, '*', sizeof(text));
    for (i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
        begin();
        frame_raw(0x81, text, len[i], len[i], 1);
        frame_raw(0x82, text, len[i], len[i], 1);
        snprintf(wanted, sizeof(wanted), "text(%zu:%.*s) binary(%zu:%.*s) ", len[i],
                 len[i] < 40 ? (int) len[i] : 0, text, len[i], len[i] < 40 ? (int) len[i] : 0, text);
        snprintf(name, sizeof(name), "1.1, 1.2: %zu bytes", len[i]);
        check(name, wanted);
    }

    begin();
    bytes("\x81\xfe\x00\x05\0\0\0\0hello", 13);
    check("16 bits for a length of 5", "error(1002) ");
    begin();
    bytes("\x81\xff\0\0\0\0\0\0\0\x05\0\0\0\0hello", 19);
    check("64 bits for a length of 5", "error(1002) ");
    begin();
    bytes("\x81\xff\x80\0\0\0\0\1\0\0\0\0\0\0", 14);
    check("a length of 2^63 and more", "error(1002) ");
}


static void
test_control(void)
{
    char  big[127];
    int   i;

    memset(big, 'p', 126);
    big[126] = '\0';

    begin();
    frame(0x89, "");
    frame(0x89, "Hello");
    frame(0x8a, "unasked");
    check("2.1, 2.2, 2.7: ping, pong", "ping() ping(Hello) pong(unasked) ");

    begin();
    for (i = 0; i < 3; i++) {
        frame(0x89, (char[2]) { (char) ('a' + i), 0 });
    }
    check("2.10: pings in one write", "ping(a) ping(b) ping(c) ");

    begin();
    frame_raw(0x89, big, 125, 125, 1);
    transcript(big, sizeof(big), 1, 100);
    ok(strncmp(big, "ping(ppp", 8) == 0, "2.4: 125 bytes, which no message limit concerns");

    begin();
    frame(0x89, "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
                "1234567890123456789012345678901234567890123456");
    check("2.5: 126 bytes", "error(1002) ");

    begin();
    frame(0x09, "x");
    check("5.1: fragmented ping", "error(1002) ");
    begin();
    frame(0x0a, "x");
    check("5.2: fragmented pong", "error(1002) ");
}


static void
test_reserved(void)
{
    static const int  opcodes[] = { 3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf };
    char              name[64];
    size_t            i;
    int               rsv;

    for (rsv = 1; rsv < 8; rsv++) {
        begin();
        frame(0x81, "good");
        frame(0x81 | rsv << 4, "bad");
        frame(0x89, "");
        snprintf(name, sizeof(name), "3: RSV %d", rsv);
        check(name, "text(4:good) error(1002) ");
    }
    for (i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        begin();
        frame(0x81, "good");
        frame(0x80 | opcodes[i], "");
        snprintf(name, sizeof(name), "4: opcode %d", opcodes[i]);
        check(name, "text(4:good) error(1002) ");
    }

    begin();
    frame_raw(0x81, "x", 1, 1, 0);
    check("5.1 of the RFC: not masked", "error(1002) ");
}


static void
test_fragments(void)
{
    begin();
    frame(0x01, "fragment1");
    frame(0x80, "fragment2");
    check("5.3: two fragments", "text(18:fragment1fragment2) ");

    begin();
    frame(0x01, "fragment1");
    frame(0x89, "ping");
    frame(0x80, "fragment2");
    check("5.6: a ping between", "ping(ping) text(18:fragment1fragment2) ");

    begin();
    frame(0x80, "x");
    check("5.9: continuation of nothing", "error(1002) ");
    begin();
    frame(0x00, "x");
    check("5.12: the same, not final", "error(1002) ");
    begin();
    frame(0x81, "whole");
    frame(0x80, "x");
    check("5.15: after a whole message", "text(5:whole) error(1002) ");

    begin();
    frame(0x01, "fragment1");
    frame(0x81, "fragment2");
    check("5.18: text within a message", "error(1002) ");
    begin();
    frame(0x01, "fragment1");
    frame(0x02, "fragment2");
    check("binary within a message", "error(1002) ");

    begin();
    frame(0x01, "f1");
    frame(0x00, "f2");
    frame(0x89, "p1");
    frame(0x00, "f3");
    frame(0x00, "f4");
    frame(0x89, "p2");
    frame(0x80, "f5");
    check("5.19: five fragments, two pings", "ping(p1) ping(p2) text(10:f1f2f3f4f5) ");

    begin();
    frame(0x01, "");
    frame(0x00, "");
    frame(0x80, "");
    check("6.1.2: three empty fragments", "text(0:) ");
    begin();
    frame(0x01, "");
    frame(0x00, "middle");
    frame(0x80, "");
    check("6.1.3: empty, text, empty", "text(6:middle) ");

    begin();
    frame(0x02, "\xff");
    frame(0x80, "\xfe");
    frame(0x81, "text");
    check("binary need not be UTF-8", "binary(2:\xff\xfe) text(4:text) ");
}


static void
test_utf8(void)
{
    static const char  *good[] = {
        "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd",
        "\xf0\x9f\x98\x80"
    };
    static const char  *bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe1\x80",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xf0\x9f\x98", "ok\xf4\x90\x80\x80ok",
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80""edited"
    };
    char    wanted[128], name[64];
    size_t  i, n;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        begin();
        frame(0x81, good[i]);
        snprintf(wanted, sizeof(wanted), "text(%zu:%s) ", strlen(good[i]), good[i]);
        snprintf(name, sizeof(name), "6: valid %zu", i);
        check(name, wanted);

        /* every character cut into fragments of a byte, 6.2.3 */
        begin();
        for (n = 0; n < strlen(good[i]); n++) {
            frame_raw(n == 0 ? 0x01 : 0x00, good[i] + n, 1, 1, 1);
        }
        frame(0x80, "");
        snprintf(name, sizeof(name), "6.2.3: valid %zu in fragments", i);
        check(name, wanted);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin();
        frame(0x81, bad[i]);
        snprintf(name, sizeof(name), "6.3: invalid %zu", i);
        check(name, "error(1007) ");
    }

    begin();
    frame(0x01, "\xf4\x90");
    check("6.4: at the first impossible byte", "error(1007) ");
    begin();
    frame_raw(0x81, "\xff", 1, 100, 1);
    check("6.4.3: before the frame is there", "error(1007) ");
    begin();
    frame(0x01, "\xce");
    frame(0x89, "\xff");
    frame(0x80, "\xba");
    check("a ping's bytes do not matter", "ping(\xff) text(2:\xce\xba) ");
    begin();
    frame(0x81, "\xce\xba");
    frame(0x81, "a");
    check("a new message begins anew", "text(2:\xce\xba) text(1:a) ");
}


static void
close_frame(unsigned code, const char *reason)
{
    char  payload[130];

    payload[0] = (char) (code >> 8);
    payload[1] = (char) code;
    strcpy(payload + 2, reason);
    frame_raw(0x88, payload, 2 + strlen(reason), 2 + strlen(reason), 1);
}


static void
test_close(void)
{
    static const unsigned  valid[] = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                                       3000, 3999, 4000, 4401, 4999 };
    static const unsigned  invalid[] = { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 };
    char                   wanted[64], name[64];
    size_t                 i;

    begin();
    frame(0x88, "");
    check("7.3.1: no code", "close(1005) ");
    begin();
    frame(0x88, "x");
    check("7.3.2: half a code", "error(1002) ");
    begin();
    close_frame(1000, "");
    check("7.3.3: a code", "close(1000) ");
    begin();
    close_frame(1000, "Hello World!");
    check("7.3.4: and a reason", "close(1000) ");
    begin();
    close_frame(1000, "\xce\xba\xed\xa0\x80");
    check("7.5.1: a reason that is not UTF-8", "error(1007) ");
    begin();
    close_frame(1000, "\xce");
    check("a reason that is cut off", "error(1007) ");
    begin();
    frame(0x01, "part");
    close_frame(1000, "");
    check("7.1.4: within a message", "close(1000) ");

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        begin();
        close_frame(valid[i], "");
        snprintf(wanted, sizeof(wanted), "close(%u) ", valid[i]);
        snprintf(name, sizeof(name), "7.7: %u", valid[i]);
        check(name, wanted);
    }
    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        begin();
        close_frame(invalid[i], "");
        snprintf(name, sizeof(name), "7.9: %u", invalid[i]);
        check(name, "error(1002) ");
    }
}


static void
test_limit(void)
{
    mc_ws_parser_t  p;
    mc_ws_event_t   ev;

    begin();
    frame(0x81, "12345678");
    frame(0x81, "123456789");
    check_max("a message of the limit, and one more", "text(8:12345678) error(1009) ", 8);
    begin();
    frame(0x01, "1234");
    frame(0x00, "5678");
    frame(0x80, "9");
    check_max("in fragments", "error(1009) ", 8);
    begin();
    frame(0x01, "1234");
    frame(0x80, "5678");
    frame(0x81, "1234");
    check_max("each message begins at nothing", "text(8:12345678) text(4:1234) ", 8);
    begin();
    frame_raw(0x81, "", 0, (size_t) 1 << 40, 1);
    check_max("a terabyte, before any of it", "error(1009) ", 8);

    begin();
    frame(0x83, "");
    mc_ws_parser_init(&p, 8);
    mc_ws_parse(&p, input, input_len, &ev);
    begin();
    frame(0x81, "late");
    is_int(mc_ws_parse(&p, input, input_len, &ev), input_len, "after an error all input is used");
    is_int(ev.type, MC_WS_EV_ERROR, "and is an error");
    is_int(mc_ws_parse(&p, input, 0, &ev), 0, "nothing is nothing");
}


static void
test_writer(void)
{
    static const uint64_t  len[] = { 0, 125, 126, 65535, 65536, (uint64_t) 1 << 40 };
    static const size_t    head[] = { 2, 2, 4, 4, 10, 10 };
    unsigned char          buf[MC_WS_HEADER_MAX];
    size_t                 i, n;

    for (i = 0; i < 6; i++) {
        n = mc_ws_header(buf, MC_WS_TEXT, len[i]);
        is_int(n, head[i], "header of %llu bytes", (unsigned long long) len[i]);
        is_int(mc_ws_header_len(len[i]), head[i], "its length");
        is_int(mc_ws_frame_len(buf), head[i] + len[i], "the frame's");
        is_int(buf[0], 0x81, "final, text");
    }
    mc_ws_header(buf, MC_WS_CLOSE, 2);
    ok(memcmp(buf, "\x88\x02", 2) == 0, "a close frame");
}


int
main(void)
{
    test_lengths();
    test_control();
    test_reserved();
    test_fragments();
    test_utf8();
    test_close();
    test_limit();
    test_writer();
    return done_testing();
}
