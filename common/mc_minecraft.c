#include <string.h>
#include "mc_minecraft.h"

#define MC_HOST_MAX             255
#define MC_STATUS_MAX           65536
#define MC_RCON_MAX             1048576
#define MC_RCON_HEADER          12      /* length, id, type */
#define MC_RCON_OVERHEAD        10      /* id, type, two NULs: in length */

#define MC_NEXT_STATE_STATUS    1
#define MC_PACKET_HANDSHAKE     0
#define MC_PACKET_STATUS        0

size_t
mc_varint_write(uint8_t *dst, uint32_t v)
{
    size_t  n = 0;

    while (v > 0x7f) {
        dst[n++] = (uint8_t) (v | 0x80);
        v >>= 7;
    }
    dst[n++] = (uint8_t) v;
    return n;
}

int
mc_varint_read(const uint8_t *src, size_t len, uint32_t *v)
{
    uint32_t  value = 0;
    size_t    i;

    for (i = 0; i < 5; i++) {
        if (i == len) {
            return 0;
        }
        if (i == 4 && src[i] > 0x0f) {
            return -1;                  /* more than 32 bits */
        }
        value |= (uint32_t) (src[i] & 0x7f) << (7 * i);
        if (src[i] < 0x80) {
            *v = value;
            return (int) i + 1;
        }
    }
    return -1;
}

size_t
mc_status_request(uint8_t *dst, size_t size, const char *host, uint16_t port,
    uint32_t protocol)
{
    static const uint8_t  status_request[] = { 1, MC_PACKET_STATUS };
    uint8_t               body[5 + 5 + 5 + MC_HOST_MAX + 2 + 1];
    uint8_t               head[5];
    size_t                host_len = strlen(host), n = 0, head_len;

    if (host_len > MC_HOST_MAX) {
        return 0;
    }

    n += mc_varint_write(body + n, MC_PACKET_HANDSHAKE);
    n += mc_varint_write(body + n, protocol);
    n += mc_varint_write(body + n, (uint32_t) host_len);
    memcpy(body + n, host, host_len);
    n += host_len;
    body[n++] = (uint8_t) (port >> 8);
    body[n++] = (uint8_t) port;
    n += mc_varint_write(body + n, MC_NEXT_STATE_STATUS);
    head_len = mc_varint_write(head, (uint32_t) n);

    if (head_len + n + sizeof(status_request) > size) {
        return 0;
    }
    memcpy(dst, head, head_len);
    memcpy(dst + head_len, body, n);
    memcpy(dst + head_len + n, status_request, sizeof(status_request));
    return head_len + n + sizeof(status_request);
}

int
mc_status_response(const uint8_t *src, size_t len, const char **json,
    size_t *json_len)
{
    uint32_t  packet_len, id, text_len;
    size_t    pos, end;
    int       n;

    n = mc_varint_read(src, len, &packet_len);
    if (n <= 0) {
        return n;
    }
    if (packet_len < 2 || packet_len > MC_STATUS_MAX) {
        return -1;
    }
    pos = (size_t) n;
    end = pos + packet_len;

    /* The id is told as soon as it is here: another packet will not become a
     * status response by waiting for the rest. */
    n = mc_varint_read(src + pos, (len < end ? len : end) - pos, &id);
    if (n <= 0) {
        return len < end ? n : -1;
    }
    if (id != MC_PACKET_STATUS) {
        return -1;
    }
    if (len < end) {
        return 0;
    }
    pos += (size_t) n;

    n = mc_varint_read(src + pos, end - pos, &text_len);
    if (n <= 0 || text_len != end - pos - (size_t) n) {
        return -1;
    }
    *json = (const char *) src + pos + n;
    *json_len = text_len;
    return 1;
}

static void
put_le32(uint8_t *dst, uint32_t v)
{
    dst[0] = (uint8_t) v;
    dst[1] = (uint8_t) (v >> 8);
    dst[2] = (uint8_t) (v >> 16);
    dst[3] = (uint8_t) (v >> 24);
}

static uint32_t
get_le32(const uint8_t *src)
{
    return (uint32_t) src[0] | (uint32_t) src[1] << 8
           | (uint32_t) src[2] << 16 | (uint32_t) src[3] << 24;
}

size_t
mc_rcon_write(uint8_t *dst, size_t size, int32_t id, int32_t type,
    const char *body, size_t len)
{
    if (len > MC_RCON_BODY_MAX || MC_RCON_HEADER + len + 2 > size) {
        return 0;
    }
    put_le32(dst, (uint32_t) (MC_RCON_OVERHEAD + len));
    put_le32(dst + 4, (uint32_t) id);
    put_le32(dst + 8, (uint32_t) type);
    if (len > 0) {
        memcpy(dst + MC_RCON_HEADER, body, len);
    }
    dst[MC_RCON_HEADER + len] = 0;
    dst[MC_RCON_HEADER + len + 1] = 0;
    return MC_RCON_HEADER + len + 2;
}

int
mc_rcon_read(const uint8_t *src, size_t len, mc_rcon_packet_t *p)
{
    uint32_t  length;

    if (len < 4) {
        return 0;
    }
    length = get_le32(src);
    if (length < MC_RCON_OVERHEAD || length > MC_RCON_MAX) {
        return -1;
    }
    if (len - 4 < length) {
        return 0;
    }
    if (src[4 + length - 1] != 0 || src[4 + length - 2] != 0) {
        return -1;
    }
    p->id = (int32_t) get_le32(src + 4);
    p->type = (int32_t) get_le32(src + 8);
    p->body = (const char *) src + MC_RCON_HEADER;
    p->len = length - MC_RCON_OVERHEAD;
    return (int) (4 + length);
}
