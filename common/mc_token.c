#include <string.h>
#include "mc_token.h"

static const char  *prefixes[MC_TOKEN_KINDS] = {
    "mch_", "mcs_", "mcp_", "mci_", "mct_"
};

static const char  hex[] = "0123456789abcdef";
static const char  base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789-_";

static int
all_of(const char *s, size_t len, const char *set, size_t n)
{
    while (len && memchr(set, *s, n)) {
        s++;
        len--;
    }
    return len == 0;
}

const char *
mc_token_prefix(mc_token_e kind)
{
    return prefixes[kind];
}

int
mc_token_kind(const char *s, size_t len)
{
    int  kind;

    if (len != MC_TOKEN_LEN || s[MC_TOKEN_SECRET_POS - 1] != '_'
        || !all_of(s + MC_TOKEN_ID_POS, MC_TOKEN_ID_LEN, hex, sizeof(hex) - 1)
        || !all_of(s + MC_TOKEN_SECRET_POS, MC_TOKEN_LEN - MC_TOKEN_SECRET_POS,
                   base64url, sizeof(base64url) - 1))
    {
        return -1;
    }
    for (kind = 0; kind < MC_TOKEN_KINDS; kind++) {
        if (memcmp(s, prefixes[kind], MC_TOKEN_ID_POS) == 0) {
            return kind;
        }
    }
    return -1;
}
