/*
 * Minecraft's wire formats, pure: bytes in, bytes out. Server list ping
 * (Java Edition 1.7 and later) and RCON.
 */

#ifndef MC_MINECRAFT_H
#define MC_MINECRAFT_H

#include <stddef.h>
#include <stdint.h>

/* -- varints: 7 bits a byte, least significant first, at most 5 bytes -- */

/* Bytes written (1..5). */
size_t mc_varint_write(uint8_t *dst, uint32_t v);
/* Bytes read, 0 when more are needed, -1 when it is no varint. */
int mc_varint_read(const uint8_t *src, size_t len, uint32_t *v);

/* -- status ping -- */

/* Handshake (next state 1) and status request in one buffer; bytes written,
 * or 0 when size is too small or host longer than 255 bytes. */
size_t mc_status_request(uint8_t *dst, size_t size, const char *host,
    uint16_t port, uint32_t protocol);

/* Finds the JSON text of a status response: 1 and *json, 0 when more bytes
 * are needed, -1 when it is no status response (or larger than 64 KB). */
int mc_status_response(const uint8_t *src, size_t len, const char **json,
    size_t *json_len);

/* -- RCON, little-endian -- */

#define MC_RCON_LOGIN     3
#define MC_RCON_COMMAND   2
#define MC_RCON_RESPONSE  0

/* The server closes on longer ones: it reads a packet in one piece. */
#define MC_RCON_BODY_MAX  1446

/* Bytes written, 0 when the body is too long or size too small. */
size_t mc_rcon_write(uint8_t *dst, size_t size, int32_t id, int32_t type,
    const char *body, size_t len);

typedef struct {
    int32_t      id;
    int32_t      type;
    const char  *body;          /* within src */
    size_t       len;
} mc_rcon_packet_t;

/* Bytes of one packet, 0 when more are needed, -1 when it is malformed or
 * larger than 1 MB. */
int mc_rcon_read(const uint8_t *src, size_t len, mc_rcon_packet_t *p);

#endif
