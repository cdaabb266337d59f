/*
 * The reconciler's settings.
 */

#include <unistd.h>
#include "config.h"
#include "log.h"
#include "tap.h"

static char         file[] = "/tmp/mchost-config-XXXXXX";
static char         err[512];
static mc_config_t  conf;
static char        *nothing[] = { NULL };


static int
load(const char *text, char **environment)
{
    FILE  *f = fopen(file, "w");

    fputs(text, f);
    fclose(f);
    mc_config_free(&conf);
    err[0] = '\0';
    return mc_config_load(&conf, file, environment, err, sizeof(err));
}


static void
test_defaults(void)
{
    is_int(mc_config_load(&conf, NULL, nothing, err, sizeof(err)), 0, "no file");
    is(conf.redis_prefix, "mchost:", "redis_prefix");
    is(conf.admin_host, "127.0.0.1", "admin_listen's address");
    is_int(conf.admin_port, 9465, "admin_listen's port");
    is_int(conf.game_port_first, 25565, "game_ports' first");
    is_int(conf.game_port_last, 25664, "game_ports' last");
    is_int(conf.poll_ms, 2000, "poll_interval");
    is_int(conf.resync_ms, 300000, "resync_interval");
    is_int(conf.workers, 16, "workers");
    is_int(conf.log_level, MC_LOG_INFO, "log_level");
}


static void
test_file(void)
{
    is_int(load("# a comment\n"
                "database_url host=/run/x dbname=mchost user=u password=p;\n"
                "\n"
                "  redis_url   unix:/run/redis.sock;   # another\n"
                "redis_password \"se;c\\\"ret # \\\\\";\n"
                "game_ports 30000-30010; poll_interval 250ms;\n"
                "admin_listen [::1]:9;\nlog_level debug;\n"
                "game_address '0.0.0.0';", nothing), 0, "a file");
    is(err, "", "without an error");
    is(conf.database_url, "host=/run/x dbname=mchost user=u password=p",
       "a value with spaces");
    is(conf.redis_url, "unix:/run/redis.sock", "a value and a comment");
    is(conf.redis_password, "se;c\"ret # \\", "a quoted value");
    is_int(conf.game_port_first, 30000, "a range's begin");
    is_int(conf.game_port_last, 30010, "a range's end");
    is_int(conf.poll_ms, 250, "two settings on a line");
    is(conf.admin_host, "::1", "an IPv6 address");
    is_int(conf.admin_port, 9, "and its port");
    is_int(conf.log_level, MC_LOG_DEBUG, "a level");
    is(conf.game_address, "0.0.0.0", "single quotes");

    is_int(load("admin_listen off;", nothing), 0, "off");
    is_int(conf.admin_port, 0, "is no port");
}


static void
test_environment(void)
{
    char  *env[] = { "PATH=/bin", "MCHOST_WORKERS=3", "MCHOST_REDIS_PASSWORD=a=b",
                     "MCHOST_NGINX_THING=1", NULL };
    char  *bad[] = { "MCHOST_WORKERS=many", NULL };

    is_int(load("workers 5;\nlog_lines 500;\n", env), 0, "file and environment");
    is_int(conf.workers, 3, "the environment wins");
    is_int(conf.log_lines, 500, "the file stays where it says nothing");
    is(conf.redis_password, "a=b", "a value with =");
    is_int(load("", bad), -1, "a wrong value in the environment");
    ok(strstr(err, "MCHOST_") != NULL && strstr(err, "workers") != NULL, "%s", err);
}


static void
test_kubernetes(void)
{
    char  *env[] = { "KUBECONFIG=/a:/b", "HOME=/nowhere", NULL };
    char  *home[] = { "HOME=/nowhere", NULL };

    is_int(load("engine kubernetes; database_url \"\"; redis_url \"\";", env), 0,
           "neither database nor Redis");
    ok(mc_config_on_kubernetes(&conf), "on Kubernetes");
    is(conf.database_url, "", "no database");
    is(conf.kubeconfig, "/a:/b", "the environment's KUBECONFIG");
    is(conf.kube_namespace, "", "all namespaces");
    is(conf.kube_namespace_prefix, "mchost-", "kube_namespace_prefix");
    is_int(conf.kube_qps, 50, "kube_qps");
    is_int(conf.kube_burst, 100, "kube_burst");

    is_int(load("engine kubernetes; kubeconfig /c; kube_namespace games;", env), 0,
           "a kubeconfig");
    is(conf.kubeconfig, "/c", "the setting wins");
    is(conf.kube_namespace, "games", "kube_namespace");
    is_int(load("engine kubernetes;", home), 0, "no kubeconfig anywhere");
    is(conf.kubeconfig, "", "is in the cluster");

    is_int(load("database_url \"\";", nothing), -1, "Podman needs a database");
    ok(strstr(err, "database_url") != NULL, "%s", err);
    is_int(load("redis_url \"\";", nothing), -1, "and Redis");
    ok(strstr(err, "redis_url") != NULL, "%s", err);
    is_int(load("", env), 0, "without Kubernetes");
    is(conf.kubeconfig, "", "no kubeconfig is looked for");
}


static void
test_errors(void)
{
    static const struct { const char *text; int line; const char *says; }  cases[] = {
        { "wrokers 5;\n", 1, "unknown setting \"wrokers\"" },
        { "\n\nworkers five;\n", 3, "workers" },
        { "workers 0;", 1, "workers" },
        { "workers 99999;", 1, "workers" },
        { "workers 5\nlog_lines 500;", 1, "\";\"" },
        { "# x\nworkers;\n", 2, "name value;" },
        { "log_level loud;", 1, "debug, info, warn or error" },
        { "poll_interval 2parsecs;", 1, "not a time" },
        { "poll_interval 1ms;", 1, "limits" },
        { "game_ports 200-100;", 1, "range of ports" },
        { "game_ports 0-70000;", 1, "range of ports" },
        { "redis_url tcp://x;", 1, "unix:/path" },
        { "engine docker;", 1, "podman or kubernetes" },
        { "kube_namespace Games;", 1, "as namespaces are named" },
        { "kube_namespace games-;", 1, "as namespaces are named" },
        { "kube_namespace_prefix a.b;", 1, "as namespaces are named" },
        { "kube_namespace_prefix a123456789b123456789c12345678;", 1,
          "as namespaces are named" },
        { "kube_qps 0;", 1, "kube_qps" },
        { "admin_listen 9465;", 1, "off" },
        { "redis_password \"abc;\n", 1, "quote" },
        { "secret_file \"\";", 1, "must not be empty" },
    };
    char  where[128];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(load(cases[i].text, nothing), -1, "refused: case %zu", i);
        snprintf(where, sizeof(where), "%s:%d: ", file, cases[i].line);
        ok(strncmp(err, where, strlen(where)) == 0
           && strstr(err, cases[i].says) != NULL, "%s", err);
    }

    mc_config_free(&conf);
    is_int(mc_config_load(&conf, "/no/such/file", nothing, err, sizeof(err)), -1,
           "a file that is not there");
    ok(strstr(err, "/no/such/file: No such file") != NULL, "%s", err);
}


int
main(void)
{
    close(mkstemp(file));
    test_defaults();
    test_file();
    test_environment();
    test_kubernetes();
    test_errors();
    mc_config_free(&conf);
    unlink(file);
    return done_testing();
}
