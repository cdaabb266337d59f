/*
 * RFC 6455 framing. The parser collects a frame's header byte by byte, then
 * hands the payload out as it comes: data frames in pieces of the caller's
 * buffer, control frames (125 bytes at most) as a whole from its own.
 */

#include <string.h>
#include "mc_ws_frame.h"

#define WS_FIN     0x80
#define WS_RSV     0x70
#define WS_OPCODE  0x0f
#define WS_MASKED  0x80
#define WS_LENGTH  0x7f


void
mc_ws_parser_init(mc_ws_parser_t *p, size_t max_message)
{
    memset(p, 0, sizeof(*p));
    p->max_message = max_message;
}


static int
is_control(int opcode)
{
    return (opcode & 0x8) != 0;
}


static void
fail(mc_ws_parser_t *p, mc_ws_event_t *ev, unsigned code, const char *reason)
{
    p->failed = 1;
    memset(ev, 0, sizeof(*ev));
    ev->type = MC_WS_EV_ERROR;
    ev->code = code;
    ev->reason = reason;
}


/* What the first two bytes of a header say is wrong, or NULL. */
static const char *
header_fault(const mc_ws_parser_t *p)
{
    int  opcode = p->header[0] & WS_OPCODE;
    int  fin = p->header[0] & WS_FIN;
    int  len = p->header[1] & WS_LENGTH;

    if (p->header[0] & WS_RSV) {
        return "reserved bits are set";
    }

    switch (opcode) {
    case MC_WS_CONTINUATION:
        if (!p->message) {
            return "continuation without a message";
        }
        break;
    case MC_WS_TEXT:
    case MC_WS_BINARY:
        if (p->message) {
            return "new message within a fragmented one";
        }
        break;
    case MC_WS_CLOSE:
    case MC_WS_PING:
    case MC_WS_PONG:
        if (!fin) {
            return "fragmented control frame";
        }
        if (len > MC_WS_CONTROL_MAX) {
            return "control frame too long";
        }
        break;
    default:
        return "reserved opcode";
    }

    if (!(p->header[1] & WS_MASKED)) {
        return "frame is not masked";
    }
    return NULL;
}


/* Header bytes in all, once the first two are known. */
static size_t
header_need(const mc_ws_parser_t *p)
{
    switch (p->header[1] & WS_LENGTH) {
    case 126:
        return 2 + 2 + 4;
    case 127:
        return 2 + 8 + 4;
    default:
        return 2 + 4;
    }
}


static uint64_t
big_endian(const uint8_t *p, size_t n)
{
    uint64_t  v = 0;

    while (n--) {
        v = v << 8 | *p++;
    }
    return v;
}


/* The header is complete: 0, or -1 with an error event. */
static int
begin_payload(mc_ws_parser_t *p, mc_ws_event_t *ev)
{
    uint64_t  len = p->header[1] & WS_LENGTH;

    if (len == 126) {
        len = big_endian(p->header + 2, 2);
        if (len < 126) {
            fail(p, ev, MC_WS_PROTOCOL, "length is not minimal");
            return -1;
        }

    } else if (len == 127) {
        len = big_endian(p->header + 2, 8);
        if (len < 65536 || len >> 63) {
            fail(p, ev, MC_WS_PROTOCOL, "length is not minimal");
            return -1;
        }
    }

    p->opcode = p->header[0] & WS_OPCODE;
    p->fin = (p->header[0] & WS_FIN) != 0;
    memcpy(p->mask, p->header + p->have - 4, 4);
    p->mask_at = 0;
    p->have = 0;
    p->remaining = len;
    p->in_payload = 1;

    if (is_control(p->opcode)) {
        p->control_len = 0;
        return 0;
    }

    if (p->opcode != MC_WS_CONTINUATION) {
        p->message = p->opcode;
        p->message_len = 0;
        p->begun = 0;
        memset(&p->utf8, 0, sizeof(p->utf8));
    }

    if (len > p->max_message - p->message_len) {
        fail(p, ev, MC_WS_TOO_BIG, "message too big");
        return -1;
    }
    p->message_len += (size_t) len;
    return 0;
}


static void
unmask(mc_ws_parser_t *p, unsigned char *buf, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        buf[i] ^= p->mask[(p->mask_at + i) & 3];
    }
    p->mask_at = (uint8_t) ((p->mask_at + len) & 3);
}


int
mc_ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003)
        || (code >= 1007 && code <= 1014)
        || (code >= 3000 && code <= 4999);
}


/* A whole control frame is in p->control. */
static void
control_event(mc_ws_parser_t *p, mc_ws_event_t *ev)
{
    mc_ws_utf8_t  u;

    memset(ev, 0, sizeof(*ev));
    ev->type = MC_WS_EV_CONTROL;
    ev->opcode = p->opcode;
    ev->data = p->control;
    ev->len = p->control_len;

    if (p->opcode != MC_WS_CLOSE) {
        return;
    }

    if (p->control_len == 0) {
        ev->code = MC_WS_NO_STATUS;
        return;
    }
    if (p->control_len == 1) {
        fail(p, ev, MC_WS_PROTOCOL, "truncated close code");
        return;
    }

    ev->code = (unsigned) big_endian(p->control, 2);
    if (!mc_ws_close_code_valid(ev->code)) {
        fail(p, ev, MC_WS_PROTOCOL, "invalid close code");
        return;
    }

    memset(&u, 0, sizeof(u));
    if (mc_ws_utf8_feed(&u, p->control + 2, p->control_len - 2u) != 0
        || !mc_ws_utf8_complete(&u))
    {
        fail(p, ev, MC_WS_INVALID_DATA, "close reason is not UTF-8");
    }
}


/* n unmasked payload bytes of a data frame at buf; the frame ends with them
 * when p->remaining is 0. */
static void
data_event(mc_ws_parser_t *p, unsigned char *buf, size_t n, mc_ws_event_t *ev)
{
    int  last = p->remaining == 0 && p->fin;

    if (p->message == MC_WS_TEXT
        && (mc_ws_utf8_feed(&p->utf8, buf, n) != 0
            || (last && !mc_ws_utf8_complete(&p->utf8))))
    {
        fail(p, ev, MC_WS_INVALID_DATA, "text is not UTF-8");
        return;
    }

    memset(ev, 0, sizeof(*ev));
    ev->type = MC_WS_EV_DATA;
    ev->opcode = p->message;
    ev->data = buf;
    ev->len = n;
    ev->first = !p->begun;
    ev->last = last;
    p->begun = 1;

    if (last) {
        p->message = 0;
    }
}


/* Collects header bytes: 1 when the header is complete, 0 when input ran out,
 * -1 with an error event. */
static int
collect_header(mc_ws_parser_t *p, const unsigned char *buf, size_t len,
    size_t *used, mc_ws_event_t *ev)
{
    const char  *fault;

    while (*used < len) {
        p->header[p->have++] = buf[(*used)++];

        if (p->have == 2) {
            fault = header_fault(p);
            if (fault != NULL) {
                fail(p, ev, MC_WS_PROTOCOL, fault);
                return -1;
            }
        }
        if (p->have > 2 && p->have == header_need(p)) {
            return begin_payload(p, ev) == 0 ? 1 : -1;
        }
    }
    return 0;
}


size_t
mc_ws_parse(mc_ws_parser_t *p, unsigned char *buf, size_t len,
    mc_ws_event_t *ev)
{
    size_t  used = 0, n;
    int     rc;

    if (p->failed) {
        fail(p, ev, MC_WS_PROTOCOL, "connection has failed");
        return len;
    }

    for ( ;; ) {
        if (!p->in_payload) {
            rc = collect_header(p, buf, len, &used, ev);
            if (rc == -1) {
                return len;
            }
            if (rc == 0) {
                break;
            }
        }

        n = len - used;
        if (n > p->remaining) {
            n = (size_t) p->remaining;
        }
        unmask(p, buf + used, n);
        p->remaining -= n;
        used += n;
        if (p->remaining == 0) {
            p->in_payload = 0;
        }

        if (is_control(p->opcode)) {
            memcpy(p->control + p->control_len, buf + used - n, n);
            p->control_len = (uint8_t) (p->control_len + n);
            if (p->in_payload) {
                break;
            }
            control_event(p, ev);
            return ev->type == MC_WS_EV_ERROR ? len : used;
        }

        if (n > 0 || (!p->in_payload && p->fin)) {
            data_event(p, buf + used - n, n, ev);
            return ev->type == MC_WS_EV_ERROR ? len : used;
        }
        if (p->in_payload) {
            break;
        }
        /* an empty fragment: on to the next frame */
    }

    memset(ev, 0, sizeof(*ev));
    ev->type = MC_WS_EV_MORE;
    return used;
}


size_t
mc_ws_header_len(uint64_t len)
{
    return len < 126 ? 2 : len < 65536 ? 4 : 10;
}


size_t
mc_ws_header(unsigned char dst[MC_WS_HEADER_MAX], int opcode, uint64_t len)
{
    size_t  i, n = mc_ws_header_len(len);

    dst[0] = (unsigned char) (WS_FIN | opcode);
    if (n == 2) {
        dst[1] = (unsigned char) len;
        return 2;
    }

    dst[1] = n == 4 ? 126 : 127;
    for (i = n - 1; i >= 2; i--) {
        dst[i] = (unsigned char) (len & 0xff);
        len >>= 8;
    }
    return n;
}


size_t
mc_ws_frame_len(const unsigned char *p)
{
    switch (p[1] & WS_LENGTH) {
    case 126:
        return 4 + (size_t) big_endian(p + 2, 2);
    case 127:
        return 10 + (size_t) big_endian(p + 2, 8);
    default:
        return 2 + (size_t) (p[1] & WS_LENGTH);
    }
}


/* The lead byte of a sequence; -1 when it cannot begin one. RFC 3629 section
 * 4: the second byte's range excludes overlong forms and surrogates. */
static int
utf8_lead(mc_ws_utf8_t *u, unsigned char c)
{
    u->low = 0x80;
    u->high = 0xbf;

    if (c >= 0xc2 && c <= 0xdf) {
        u->need = 1;

    } else if (c >= 0xe0 && c <= 0xef) {
        u->need = 2;
        if (c == 0xe0) {
            u->low = 0xa0;
        } else if (c == 0xed) {
            u->high = 0x9f;
        }

    } else if (c >= 0xf0 && c <= 0xf4) {
        u->need = 3;
        if (c == 0xf0) {
            u->low = 0x90;
        } else if (c == 0xf4) {
            u->high = 0x8f;
        }

    } else {
        return -1;
    }
    return 0;
}


int
mc_ws_utf8_feed(mc_ws_utf8_t *u, const unsigned char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (u->need > 0) {
            if (p[i] < u->low || p[i] > u->high) {
                return -1;
            }
            u->need--;
            u->low = 0x80;
            u->high = 0xbf;

        } else if (p[i] >= 0x80 && utf8_lead(u, p[i]) != 0) {
            return -1;
        }
    }
    return 0;
}


int
mc_ws_utf8_complete(const mc_ws_utf8_t *u)
{
    return u->need == 0;
}
