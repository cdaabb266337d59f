#include "mc_uuid.h"

static const char  digits[] = "0123456789abcdef";

void
mc_uuid7(char dst[MC_UUID_LEN + 1], uint64_t ms, const uint8_t random[10])
{
    uint8_t  bytes[16];
    int      i;

    /* 48 bits of time, most significant first, so that ids sort by age */
    for (i = 0; i < 6; i++) {
        bytes[i] = (uint8_t) (ms >> (40 - 8 * i));
    }
    for (i = 0; i < 10; i++) {
        bytes[6 + i] = random[i];
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x70;        /* version 7 */
    bytes[8] = (bytes[8] & 0x3f) | 0x80;        /* variant 10 */

    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *dst++ = '-';
        }
        *dst++ = digits[bytes[i] >> 4];
        *dst++ = digits[bytes[i] & 0x0f];
    }
    *dst = '\0';
}

static int
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')
           || (c >= 'A' && c <= 'F');
}

int
mc_uuid_valid(const char *s, size_t len)
{
    size_t  i;

    if (len != MC_UUID_LEN) {
        return 0;
    }
    for (i = 0; i < len; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s[i] != '-') {
                return 0;
            }
        } else if (!is_hex(s[i])) {
            return 0;
        }
    }
    return 1;
}
