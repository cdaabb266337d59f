/* Whatever a client sends, whole or byte by byte, the same comes out; text is
 * UTF-8, and no message is longer than allowed. */

#include "fuzz.h"
#include "mc_json.h"
#include "mc_ws_frame.h"

#define LIMIT  256

typedef struct {
    uint64_t  hash;             /* of all events, in order */
    unsigned  failed;           /* close code of the error, or 0 */
    size_t    bytes;            /* of the open message */
    char      text[LIMIT];
} seen_t;

static void
hash(seen_t *s, const void *p, size_t n)
{
    const uint8_t  *b = p;

    while (n--) {
        s->hash = (s->hash ^ *b++) * 0x100000001b3u;
    }
}

static void
see(seen_t *s, const mc_ws_event_t *ev)
{
    switch (ev->type) {
    case MC_WS_EV_MORE:
        break;
    case MC_WS_EV_ERROR:
        MUST(mc_ws_close_code_valid(ev->code) && ev->reason != NULL);
        s->failed = ev->code;
        break;
    case MC_WS_EV_CONTROL:
        MUST(ev->len <= MC_WS_CONTROL_MAX);
        hash(s, &ev->opcode, sizeof(ev->opcode));
        hash(s, ev->data, ev->len);
        break;
    case MC_WS_EV_DATA:
        if (ev->first) {
            s->bytes = 0;
        }
        MUST(s->bytes + ev->len <= LIMIT);
        memcpy(s->text + s->bytes, ev->data, ev->len);
        s->bytes += ev->len;
        if (ev->last) {
            MUST(ev->opcode != MC_WS_TEXT || mc_utf8_valid(s->text, s->bytes));
            hash(s, &ev->opcode, sizeof(ev->opcode));
            hash(s, s->text, s->bytes);
        }
        break;
    }
}

static void
run(seen_t *s, const uint8_t *data, size_t size, size_t piece)
{
    mc_ws_parser_t   p;
    mc_ws_event_t    ev;
    unsigned char   *buf;
    size_t           at, n, used;

    memset(s, 0, sizeof(*s));
    mc_ws_parser_init(&p, LIMIT);

    for (at = 0; at < size && !s->failed; at += n) {
        n = size - at < piece ? size - at : piece;
        buf = exact(data + at, n);
        for (used = 0; used < n && !s->failed; ) {
            used += mc_ws_parse(&p, buf + used, n - used, &ev);
            MUST(used <= n);
            see(s, &ev);
        }
        free(buf);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static seen_t  whole, bytes;

    run(&whole, data, size, size ? size : 1);
    run(&bytes, data, size, 1);
    MUST(whole.failed == bytes.failed);
    MUST(whole.hash == bytes.hash);
    return 0;
}
