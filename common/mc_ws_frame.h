/*
 * WebSocket framing, RFC 6455 section 5, for the server's side: an
 * incremental parser of what clients send and a writer of frame headers.
 * It does no I/O, keeps no payload and allocates nothing.
 */

#ifndef MC_WS_FRAME_H
#define MC_WS_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum {
    MC_WS_CONTINUATION = 0x0,
    MC_WS_TEXT         = 0x1,
    MC_WS_BINARY       = 0x2,
    MC_WS_CLOSE        = 0x8,
    MC_WS_PING         = 0x9,
    MC_WS_PONG         = 0xa
};

/* Close codes, RFC 6455 section 7.4.1; 4000 and above are mchost's own. */
enum {
    MC_WS_NORMAL       = 1000,
    MC_WS_GOING_AWAY   = 1001,
    MC_WS_PROTOCOL     = 1002,
    MC_WS_UNSUPPORTED  = 1003,
    MC_WS_NO_STATUS    = 1005,  /* never on the wire */
    MC_WS_INVALID_DATA = 1007,
    MC_WS_POLICY       = 1008,
    MC_WS_TOO_BIG      = 1009,
    MC_WS_INTERNAL     = 1011,
    MC_WS_TRY_LATER    = 1013,
    MC_WS_UNAUTHORIZED = 4401,
    MC_WS_FORBIDDEN    = 4403,
    MC_WS_AUTH_TIMEOUT = 4408
};

#define MC_WS_CONTROL_MAX  125
#define MC_WS_HEADER_MAX   10   /* of an unmasked frame */

typedef enum {
    MC_WS_EV_MORE,              /* all input is used up */
    MC_WS_EV_DATA,              /* a piece of a text or binary message */
    MC_WS_EV_CONTROL,           /* a whole ping, pong or close frame */
    MC_WS_EV_ERROR              /* fail the connection with .code */
} mc_ws_event_type_t;

typedef struct {
    mc_ws_event_type_t  type;
    int                 opcode; /* of the message, or of the control frame */
    unsigned char      *data;   /* unmasked; in the input, or for control */
    size_t              len;    /* frames in the parser: use it before the */
                                /* next call */
    int                 first;  /* DATA: begins the message */
    int                 last;   /* DATA: ends the message */
    unsigned            code;   /* ERROR: the close code to send; CLOSE: the */
                                /* peer's, or MC_WS_NO_STATUS */
    const char         *reason; /* ERROR: a few words for a person */
} mc_ws_event_t;

/* Incremental UTF-8 validation, RFC 3629. Zeroed memory is the start. */
typedef struct {
    uint8_t  need;              /* continuation bytes still to come */
    uint8_t  low, high;         /* what the next one may be */
} mc_ws_utf8_t;

typedef struct {
    size_t         max_message; /* payload bytes of a message at most */
    size_t         message_len; /* of the message so far, announced frames */
                                /* included */
    uint64_t       remaining;   /* payload bytes of this frame to come */
    uint8_t        header[14];
    uint8_t        have;        /* header bytes collected */
    uint8_t        mask_at;     /* index of the next mask byte */
    uint8_t        mask[4];
    uint8_t        opcode;      /* of this frame */
    uint8_t        message;     /* opcode of the open message, or 0 */
    unsigned       in_payload:1;
    unsigned       fin:1;
    unsigned       begun:1;     /* a DATA event of the message was given */
    unsigned       failed:1;
    mc_ws_utf8_t   utf8;
    uint8_t        control_len;
    uint8_t        control[MC_WS_CONTROL_MAX];
} mc_ws_parser_t;

void mc_ws_parser_init(mc_ws_parser_t *p, size_t max_message);

/* Reads from buf (which is unmasked in place) and reports one event; returns
 * the bytes used up. Call again with the rest until the event is
 * MC_WS_EV_MORE. After MC_WS_EV_ERROR every call reports an error and uses
 * all input. A message longer than max_message is refused when its frame is
 * announced, before any of the excess is read. */
size_t mc_ws_parse(mc_ws_parser_t *p, unsigned char *buf, size_t len,
    mc_ws_event_t *ev);

/* Writes the header of an unmasked final frame; returns its length, 2..10. */
size_t mc_ws_header(unsigned char dst[MC_WS_HEADER_MAX], int opcode,
    uint64_t len);
size_t mc_ws_header_len(uint64_t len);

/* Bytes of the unmasked frame at p, header included: how a queue of whole
 * frames, as mc_ws_header() made them, is walked. */
size_t mc_ws_frame_len(const unsigned char *p);

/* 1 when an endpoint may send this code in a Close frame. */
int mc_ws_close_code_valid(unsigned code);

/* Feeds bytes; -1 when they cannot be UTF-8. At the end of the text the state
 * must be complete. */
int mc_ws_utf8_feed(mc_ws_utf8_t *u, const unsigned char *p, size_t len);
int mc_ws_utf8_complete(const mc_ws_utf8_t *u);

#endif
