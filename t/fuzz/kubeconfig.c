/* A kubeconfig: accepted, or refused with a sentence. */

#include "fuzz.h"
#include "kubeconfig.h"

/* What is accepted can be used: a server over TLS, and nothing by halves. */
static void
check(const mc_kubeconfig_t *c)
{
    MUST(c->server && strncmp(c->server, "https://", 8) == 0);
    MUST(c->host && strrchr(c->host, ':') && c->host[0] != ':');
    MUST(c->path && (c->path[0] == '\0' || c->path[0] == '/'));
    MUST(c->ns && c->ns[0]);
    MUST((c->cert || c->cert_file) == (c->key || c->key_file));
    MUST(c->token == NULL || strpbrk(c->token, "\r\n") == NULL);
    if (c->exec) {
        MUST(c->exec->argv && c->exec->argv[0] && c->exec->env);
        for (const char **e = c->exec->env; *e; e++) {
            MUST(strchr(*e, '='));
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char              err[256] = "";
    char             *text = exact(data, size);
    mc_kubeconfig_t  *c = mc_kubeconfig_parse("/k/config", text, size, "", err,
                                              sizeof(err));

    if (c) {
        check(c);
    } else {
        MUST(err[0] && strlen(err) < sizeof(err));
    }
    mc_kubeconfig_free(c);
    free(text);
    return 0;
}
