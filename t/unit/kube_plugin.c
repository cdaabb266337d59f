/*
 * Credential plugins: programs of a line of shell.
 */

#include "arena.h"
#include "kube_plugin.h"
#include "tap.h"

#define V1  "client.authentication.k8s.io/v1"

static uv_loop_t  loop;
static unsigned   called;
static char       token[64], error[1024];
static bool       good;

static void
on_done(void *data, const mc_kube_credential_t *cred, const char *why)
{
    (void) data;
    called++;
    good = cred != NULL;
    snprintf(token, sizeof(token), "%s", cred && cred->token ? cred->token
                                                             : "");
    snprintf(error, sizeof(error), "%s", why);
}

static mc_kube_plugin_t *
start(const char *shell, unsigned timeout_ms)
{
    static const char            *argv[4], *env[] = { "WORD=wort", NULL };
    static mc_kubeconfig_exec_t   exec = {
        .api_version = V1, .install_hint = "", .argv = argv, .env = env
    };
    static mc_kubeconfig_t        cfg = {
        .server = "https://h", .exec = &exec
    };

    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = shell;
    called = 0;
    return mc_kube_plugin_run(&loop, &cfg, NULL, timeout_ms, on_done, NULL,
                              error, sizeof(error));
}

static void
run(const char *shell, unsigned timeout_ms)
{
    ok(start(shell, timeout_ms) && called == 0, "sh -c '%.60s'", shell);
    uv_run(&loop, UV_RUN_DEFAULT);
    is_int(called, 1, "called once");
}

static void
runs(void)
{
    run("printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\","
        "\"status\":{\"token\":\"%s\"}}' $WORD", 20000);
    ok(good, "a token: %s", error);
    is(token, "wort", "with its environment");
    run("echo no >&2; echo ticket >&2; exit 7", 20000);
    ok(!good && strstr(error, "code 7: ticket"), "it fails: %s", error);
    run("kill -9 $$", 20000);
    ok(!good && strstr(error, "signal 9"), "it is killed: %s", error);
    run("sleep 100 & sleep 100", 100);
    ok(!good && strstr(error, "longer than"), "it hangs, and its child with "
       "it: %s", error);
    run("yes", 20000);
    ok(!good && strstr(error, "more than"), "it talks too much: %s", error);
    run("yes no | head -c 100000 >&2; exit 1", 20000);
    ok(!good && strstr(error, "code 1"), "it complains too much: %.100s",
       error);
    mc_kube_plugin_cancel(start("sleep 100", 100000));
    uv_run(&loop, UV_RUN_DEFAULT);
    is_int(called, 0, "cancelled: nothing is called");
}

static void
prints(const char *status, bool wanted)
{
    char                   text[512], why[256] = "";
    mc_arena_t            *arena = mc_arena_create();
    mc_kube_credential_t   cred;

    snprintf(text, sizeof(text), "{\"kind\":\"ExecCredential\",\"apiVersion\":"
             "\"" V1 "\",\"status\":%s}", status);
    is_int(mc_kube_plugin_parse(arena, V1, text, strlen(text), &cred, why,
                                sizeof(why)) == 0, wanted, "%s %s", status,
           why);
    ok(wanted || why[0], "a sentence");
    mc_arena_destroy(arena);
}

int
main(void)
{
    uv_loop_init(&loop);
    runs();
    prints("{\"token\":\"t\"}", true);
    prints("{\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}", true);
    prints("{\"token\":\"t\",\"expirationTimestamp\":\"2030-01-02T03:04:05Z\"}",
           true);
    prints("{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}", false);
    prints("{\"clientCertificateData\":\"c\"}", false);
    prints("{\"token\":\"a\\nb\"}", false);
    prints("{}", false);
    prints("null", false);
    prints("{\"token\":", false);
    is_int(uv_loop_close(&loop), 0, "nothing is left open");
    return done_testing();
}
