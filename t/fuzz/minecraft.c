/* Bytes from a game server, as status response and as RCON. */

#include "fuzz.h"
#include "mc_minecraft.h"

static void
check_varint(const uint8_t *src, size_t size)
{
    uint8_t   buf[5];
    uint32_t  v, w;
    int       n = mc_varint_read(src, size, &v);

    MUST(n >= -1 && n <= 5 && (n <= 0 || (size_t) n <= size));
    if (n > 0) {
        MUST(mc_varint_read(buf, mc_varint_write(buf, v), &w) <= n && v == w);
    }
}

static void
check_status(const uint8_t *src, size_t size)
{
    const char  *json;
    size_t       len;
    int          n = mc_status_response(src, size, &json, &len);

    if (n == 1) {
        MUST((const uint8_t *) json >= src + 3
             && (const uint8_t *) json + len <= src + size);
        MUST(mc_status_response(src, size - 1, &json, &len) != 1
             || size > len + 3);
    }
}

/* Packet by packet, as a reader does. */
static void
check_rcon(const uint8_t *src, size_t size)
{
    mc_rcon_packet_t  p;
    uint8_t           buf[1500];
    size_t            n;
    int               r;

    while ((r = mc_rcon_read(src, size, &p)) > 0) {
        MUST((size_t) r <= size && (size_t) r == p.len + 14);
        if (p.len <= MC_RCON_BODY_MAX) {
            n = mc_rcon_write(buf, sizeof(buf), p.id, p.type, p.body, p.len);
            MUST(n == (size_t) r && memcmp(buf, src, n) == 0);
        }
        src += r;
        size -= (size_t) r;
    }
}

static void
check_request(const uint8_t *src, size_t size)
{
    char      host[400];
    uint8_t   buf[600];
    uint32_t  len;
    size_t    n = size < sizeof(host) - 1 ? size : sizeof(host) - 1;

    memcpy(host, src, n);
    host[n] = '\0';
    n = mc_status_request(buf, sizeof(buf), host, (uint16_t) size, 765);
    MUST((n == 0) == (strlen(host) > 255));
    if (n > 0) {
        int  head = mc_varint_read(buf, n, &len);

        MUST(head > 0 && (size_t) head + len + 2 == n);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t  *copy = exact(data, size);

    check_varint(copy, size);
    check_status(copy, size);
    check_rcon(copy, size);
    check_request(copy, size);
    free(copy);
    return 0;
}
