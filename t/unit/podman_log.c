/*
 * Podman's log frames, and the places of lines within their second; what
 * Podman's words mean.
 */

#include "clock.h"
#include "engine_podman_private.h"
#include "podman_log.h"
#include "tap.h"

static podman_log_t  parser;
static char          seen[65536];
static char          stream[65536];
static size_t        stream_len;

static void
on_line(void *data, const char *time, const char *name, const char *line,
    size_t len)
{
    size_t  n = strlen(seen);

    (void) data;
    snprintf(seen + n, sizeof(seen) - n, "%s %s %.*s|", time, name,
             (int) len, line);
}

static void
frame(int fd, const char *text)
{
    size_t   n = strlen(text);
    uint8_t  head[8] = { (uint8_t) fd, 0, 0, 0, (uint8_t) (n >> 24),
                         (uint8_t) (n >> 16), (uint8_t) (n >> 8),
                         (uint8_t) n };

    memcpy(stream + stream_len, head, 8);
    memcpy(stream + stream_len + 8, text, n);
    stream_len += 8 + n;
}

static const char *
begin(const char *created, const char *since)
{
    static char  ask[32];
    int64_t      ns = mc_time_parse_ns(created);

    parser.emit = on_line;
    podman_log_begin(&parser, ns, since, ask);
    seen[0] = '\0';
    return ask;
}

#define CREATED  "2026-11-24T04:06:40.5Z"

static void
lines(void)
{
    size_t  i;

    stream_len = 0;
    frame(1, "2026-11-24T04:06:40Z first\n");
    frame(1, "2026-11-24T04:06:41Z one\n");
    frame(2, "2026-11-24T04:06:41Z err\r\n");
    frame(1, "2026-11-24T04:06:41Z par");
    frame(2, "2026-11-24T04:06:41Z between\n");
    frame(1, "2026-11-24T04:06:42Z tial\n");
    frame(1, "2026-11-24T04:06:42Z \n");
    is(begin(CREATED, ""), "", "all lines are asked for");
    is_int(podman_log_feed(&parser, stream, stream_len), 0, "frames");
    is(seen,
       "2026-11-24T04:06:40.500000001Z stdout first|"
       "2026-11-24T04:06:41.000000001Z stdout one|"
       "2026-11-24T04:06:41.000000002Z stderr err|"
       "2026-11-24T04:06:41.000000003Z stderr between|"
       "2026-11-24T04:06:42.000000001Z stdout partial|"
       "2026-11-24T04:06:42.000000002Z stdout |", "lines and their places");

    for (i = 1; i < 12; i++) {
        char    whole[65536];
        size_t  at, n;

        strcpy(whole, seen);
        begin(CREATED, "");
        for (at = 0; at < stream_len; at += n) {
            n = stream_len - at < i ? stream_len - at : i;
            podman_log_feed(&parser, stream + at, n);
        }
        is(seen, whole, "the same in pieces of %zu bytes", i);
    }
}

static void
resume(void)
{
    stream_len = 0;
    frame(1, "2026-11-24T04:06:41Z one\n");
    frame(1, "2026-11-24T04:06:41Z two\n");
    frame(1, "2026-11-24T04:06:41Z three\n");
    frame(1, "2026-11-24T04:06:42Z four\n");
    is(begin(CREATED, "2026-11-24T04:06:41.000000002Z"),
       "1795493200.999999999", "asks for the second of the last line known");
    podman_log_feed(&parser, stream, stream_len);
    is(seen, "2026-11-24T04:06:41.000000003Z stdout three|"
       "2026-11-24T04:06:42.000000001Z stdout four|",
       "lines that are known are skipped, the others keep their places");

    stream_len = 0;
    frame(1, "2026-11-24T04:06:40Z a\n");
    frame(1, "2026-11-24T04:06:40Z b\n");
    begin(CREATED, "2026-11-24T04:06:40.500000001Z");
    podman_log_feed(&parser, stream, stream_len);
    is(seen, "2026-11-24T04:06:40.500000002Z stdout b|",
       "within the second of the creation");
    is(begin(CREATED, "2026-11-24T04:06:40.300000007Z"), "",
       "lines of a container before this one say nothing");
    podman_log_feed(&parser, stream, stream_len);
    is(seen, "2026-11-24T04:06:40.500000001Z stdout a|"
       "2026-11-24T04:06:40.500000002Z stdout b|", "all of them are new");
}

static void
bad(void)
{
    char  text[20000];

    memset(text, 'x', sizeof(text));
    memcpy(text, "2026-11-24T04:06:41Z ", 21);
    strcpy(text + sizeof(text) - 2, "\n");
    stream_len = 0;
    frame(1, text);
    frame(1, "2026-11-24T04:06:41Z next\n");
    begin(CREATED, "");
    podman_log_feed(&parser, stream, stream_len);
    ok(strstr(seen, "xxx|2026-11-24T04:06:41.000000002Z stdout next|"),
       "a long line is cut, the next one whole");
    is_int(strchr(seen, '|') - strchr(seen, 'x'), PODMAN_LINE_MAX,
           "to 8 KB");

    stream_len = 0;
    frame(1, "2026-11-24T04:06:41Z \xff\xfe\n");
    frame(1, "nonsense\n");
    frame(1, "");
    frame(1, "2026-11-24T04:06:41Z x\n");
    begin(CREATED, "");
    is_int(podman_log_feed(&parser, stream, stream_len), 0,
           "broken text, no text, no time");
    ok(strstr(seen, "\xff\xfe|") && strstr(seen, " x|"), "bytes are kept");

    begin(CREATED, "");
    is_int(podman_log_feed(&parser, "\3\0\0\0\0\0\0\1x", 9), -1,
           "no such stream");
    begin(CREATED, "");
    is_int(podman_log_feed(&parser, "{\"message\":1}", 13), -1, "no frame");
    begin(CREATED, "");
    is_int(podman_log_feed(&parser, "\1\0\0\0\377\377\377\377", 8), -1,
           "a frame beyond all measure");
}

static void
errors(void)
{
    static const struct {
        const char  *text, *reason;
        bool         retry;
    } table[] = {
        { "playing YAML file: localhost/nope:1: image not known",
          "ImageMissing", false },
        { "starting container x: cannot listen on the TCP port: listen tcp4 "
          "127.0.0.1:25562: bind: address already in use", "PortInUse", true },
        { "creating file: no space left on device", "DiskFull", true },
        { "initializing source docker://itzg/minecraft-server:java21: pinging "
          "container registry", "ImagePullFailed", true },
        { "cannot set env RCON_PASSWORD: no secret with name or id \"mc-2\": "
          "no such secret", "SecretMissing", true },
        { "adding pod to state: name \"mc-1\" is in use: pod already exists",
          "AlreadyExists", true },
        { "runc create failed: OCI runtime attempted to invoke", "StartFailed",
          true },
        { "something new", "EngineError", true }
    };
    mc_engine_error_t         err;
    mc_http_reply_t           r = { .error = "Couldn't connect", .body = "" };
    size_t                    i;
    char                      long_text[1000];

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        podman_text_error(&err, table[i].text);
        is(err.reason, table[i].reason, "%s", table[i].reason);
        ok(err.retry == table[i].retry, "%s", err.retry ? "again" : "never");
    }
    podman_reply_error(&err, &r);
    is(err.reason, "EngineUnavailable", "no answer");
    ok(err.retry, "again");
    r.status = 500;
    r.body = "{\"cause\":\"x\",\"message\":\"a disk: no space left on device\"}";
    r.len = strlen(r.body);
    podman_reply_error(&err, &r);
    is(err.reason, "DiskFull", "an answer with a message");
    r.body = "<html>";
    r.len = 6;
    podman_reply_error(&err, &r);
    is(err.message, "Podman answers with status 500", "one without");
    memset(long_text, '\xc3', sizeof(long_text));
    for (i = 1; i < sizeof(long_text); i += 2) {
        long_text[i] = '\xa4';
    }
    long_text[sizeof(long_text) - 1] = '\0';
    podman_text_error(&err, long_text);
    ok(mc_utf8_valid(err.message, strlen(err.message)), "cut as text");
}

int
main(void)
{
    lines();
    resume();
    bad();
    errors();
    return done_testing();
}
