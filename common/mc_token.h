/*
 * Secrets that open the API, as text: "mch_" (a key; "mcs_" a session, …), 32
 * hexadecimal digits in lower case that name it, "_" and 43 characters of
 * base64url, 256 random bits.
 */

#ifndef MC_TOKEN_H
#define MC_TOKEN_H

#include <stddef.h>

#define MC_TOKEN_ID_POS      4
#define MC_TOKEN_ID_LEN      32
#define MC_TOKEN_SECRET_POS  (MC_TOKEN_ID_POS + MC_TOKEN_ID_LEN + 1)
#define MC_TOKEN_LEN         (MC_TOKEN_SECRET_POS + 43)

/* What a token opens; the database knows which are alive. */
typedef enum {
    MC_TOKEN_KEY,               /* mch_: the API key of a tenant */
    MC_TOKEN_SESSION,           /* mcs_ */
    MC_TOKEN_PLATFORM,          /* mcp_: an operator of the platform */
    MC_TOKEN_INVITE,            /* mci_; no credential, */
    MC_TOKEN_TICKET,            /* mct_; nor this */
    MC_TOKEN_KINDS
} mc_token_e;

/* The four characters that a kind begins with. */
const char *mc_token_prefix(mc_token_e kind);

/* The kind of a token whose form is right, else -1. */
int mc_token_kind(const char *s, size_t len);

#endif
