/*
 * The Kubernetes objects: every field of them, for one server in full and for
 * the others where they differ.
 */

#define SERVER_NS  ""

#include "engine.h"
#include "manifest_case.h"


static mc_manifest_t  m = { .a = &a, .server = &server,
                            .demo_image = "localhost/mchost-demo:1" };

/* The only container of a pod template. */
static mc_json_t *
container(mc_json_t *template)
{
    return mc_json_at(template, "spec.containers")->child;
}

/* A variable's value, NULL when it is not there. */
static const char *
env(const char *name)
{
    const mc_json_t  *v = mc_json_get(container(mc_manifest_pod_template(&m)),
                                      "env");

    for (v = v->child; v; v = v->next) {
        if (strcmp(mc_json_str(mc_json_get(v, "name"), ""), name) == 0) {
            return mc_json_str(mc_json_get(v, "value"), "(reference)");
        }
    }
    return NULL;
}

static const char *
file(const char *name)
{
    return mc_json_str(mc_json_get(mc_json_get(mc_manifest_config_map(&m),
                                               "data"), name), NULL);
}

#define LABELS  "\"labels\":{\"app.kubernetes.io/name\":\"minecraft\","      \
    "\"app.kubernetes.io/instance\":\"survival\","                           \
    "\"app.kubernetes.io/managed-by\":\"mchost\","                           \
    "\"mchost.io/tenant\":\"" TENANT "\","                                   \
    "\"mchost.io/server-id\":\"" ID "\"}"

#define PAPER  "{\"software\":{\"type\":\"paper\",\"version\":\"1.20.4\","   \
    "\"build\":\"496\"},\"eula\":{\"accepted\":true},"                       \
    "\"restartToken\":\"t1\",\"properties\":{\"motd\":\"Hello\"},"           \
    "\"jvm\":{\"heapPercent\":70,\"flags\":\"Aikar\","                       \
    "\"extraArgs\":[\"-Da=b\",\"-Dc\"]},"                                    \
    "\"resources\":{\"cpu\":\"2\",\"memory\":\"3Gi\"},"                      \
    "\"storage\":{\"size\":\"5Gi\",\"storageClassName\":\"fast\"},"          \
    "\"shutdown\":{\"announceSeconds\":10,\"graceSeconds\":90},"             \
    "\"network\":{\"exposure\":\"LoadBalancer\","                            \
    "\"annotations\":{\"x/y\":\"z\"}}}"

static void
pod_template(void)
{
    mc_json_t   *t, *c;
    char         hash[65], text[256];

    spec(PAPER);
    t = mc_manifest_pod_template(&m);
    mc_engine_desired_hash(&server, hash);
    snprintf(text, sizeof(text), "{\"mchost.io/applied-hash\":\"%s\","
             "\"mchost.io/restart-token\":\"t1\"}", hash);
    is(write_json(mc_json_get(mc_json_get(t, "metadata"), "annotations")),
       text, "annotations");
    ok(strstr(write_json(mc_json_get(t, "metadata")), LABELS), "labels");
    c = container(t);
    is(write_json(mc_json_get(c, "name")), "\"server\"", "container");
    is(write_json(mc_json_get(c, "image")),
       "\"docker.io/itzg/minecraft-server:java17\"", "image by version");
    is(write_json(mc_json_get(c, "imagePullPolicy")), "\"IfNotPresent\"",
       "pull policy");
    is(write_json(mc_json_get(c, "env")),
       "[{\"name\":\"TYPE\",\"value\":\"PAPER\"},"
       "{\"name\":\"PAPER_BUILD\",\"value\":\"496\"},"
       "{\"name\":\"VERSION\",\"value\":\"1.20.4\"},"
       "{\"name\":\"EULA\",\"value\":\"TRUE\"},"
       "{\"name\":\"ENABLE_RCON\",\"value\":\"true\"},"
       "{\"name\":\"RCON_PORT\",\"value\":\"25575\"},"
       "{\"name\":\"RCON_PASSWORD\",\"valueFrom\":{\"secretKeyRef\":"
       "{\"name\":\"mc-" ID "\",\"key\":\"rcon-password\"}}},"
       "{\"name\":\"MEMORY\",\"value\":\"\"},"
       "{\"name\":\"JVM_XX_OPTS\",\"value\":\"-XX:MaxRAMPercentage=70\"},"
       "{\"name\":\"USE_AIKAR_FLAGS\",\"value\":\"true\"},"
       "{\"name\":\"JVM_OPTS\",\"value\":\"-Da=b -Dc\"},"
       "{\"name\":\"COPY_CONFIG_DEST\",\"value\":\"/data\"},"
       "{\"name\":\"SYNC_SKIP_NEWER_IN_DESTINATION\",\"value\":\"false\"},"
       "{\"name\":\"REPLACE_ENV_DURING_SYNC\",\"value\":\"false\"},"
       "{\"name\":\"SKIP_CHOWN_DATA\",\"value\":\"true\"},"
       "{\"name\":\"MOTD\",\"value\":\"Hello\"},"
       "{\"name\":\"STOP_DURATION\",\"value\":\"90\"},"
       "{\"name\":\"EXISTING_OPS_FILE\",\"value\":\"MERGE\"},"
       "{\"name\":\"EXISTING_WHITELIST_FILE\",\"value\":\"MERGE\"}]",
       "environment");
    is(write_json(mc_json_get(c, "ports")),
       "[{\"name\":\"minecraft\",\"containerPort\":25565,\"protocol\":\"TCP\"},"
       "{\"name\":\"rcon\",\"containerPort\":25575,\"protocol\":\"TCP\"}]",
       "ports");
    is(write_json(mc_json_get(c, "resources")),
       "{\"limits\":{\"cpu\":\"2\",\"memory\":\"3Gi\"},"
       "\"requests\":{\"cpu\":\"10m\",\"memory\":\"3Gi\"}}", "resources");
    is(write_json(mc_json_get(c, "securityContext")),
       "{\"capabilities\":{\"drop\":[\"ALL\"]},"
       "\"allowPrivilegeEscalation\":false}", "security of the container");
    is(write_json(mc_json_get(c, "volumeMounts")),
       "[{\"name\":\"data\",\"mountPath\":\"/data\"},"
       "{\"name\":\"config\",\"mountPath\":\"/config/server.properties\","
       "\"subPath\":\"server.properties\",\"readOnly\":true}]", "mounts");
    ok(mc_json_get(c, "command") == NULL && mc_json_get(c, "args") == NULL,
       "the image's own command");
}

static void
pod_spec(void)
{
    mc_json_t  *s;

    spec(PAPER);
    s = mc_json_get(mc_manifest_pod_template(&m), "spec");
    mc_json_remove(s, "containers");
    is(write_json(s),
       "{\"automountServiceAccountToken\":false,\"enableServiceLinks\":false,"
       "\"terminationGracePeriodSeconds\":130,"
       "\"securityContext\":{\"runAsUser\":1000,\"runAsGroup\":1000,"
       "\"runAsNonRoot\":true,\"fsGroup\":1000,"
       "\"fsGroupChangePolicy\":\"OnRootMismatch\","
       "\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},"
       "\"volumes\":[{\"name\":\"data\",\"persistentVolumeClaim\":"
       "{\"claimName\":\"mc-" ID "\"}},{\"name\":\"config\",\"configMap\":"
       "{\"name\":\"mc-" ID "-config\"}}]}", "the rest of the pod");
}

static void
objects(void)
{
    mc_json_t  *v;

    spec(PAPER);
    v = mc_manifest_stateful_set(&m, 1);
    ok(mc_json_at(v, "spec.template.spec.containers") != NULL,
       "StatefulSet: has the template");
    mc_json_remove(mc_json_get(v, "spec"), "template");
    is(write_json(v),
       "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":"
       "{\"name\":\"mc-" ID "\"," LABELS "},\"spec\":{\"replicas\":1,"
       "\"serviceName\":\"mc-" ID "-headless\","
       "\"podManagementPolicy\":\"Parallel\","
       "\"updateStrategy\":{\"type\":\"OnDelete\"},"
       "\"revisionHistoryLimit\":1,\"selector\":{\"matchLabels\":"
       "{\"mchost.io/server-id\":\"" ID "\"}}}}", "StatefulSet");
    is_int(mc_json_int(mc_json_at(mc_manifest_stateful_set(&m, 0),
                                  "spec.replicas"), -1), 0, "asleep");
    is(write_json(mc_manifest_claim(&m)),
       "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"metadata\":"
       "{\"name\":\"mc-" ID "\"," LABELS "},\"spec\":{"
       "\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":"
       "{\"storage\":\"5Gi\"}},\"storageClassName\":\"fast\"}}",
       "claim, without an owner");
    is(write_json(mc_manifest_service(&m)),
       "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":"
       "{\"name\":\"mc-" ID "\"," LABELS ",\"annotations\":{\"x/y\":\"z\"}},"
       "\"spec\":{\"type\":\"LoadBalancer\","
       "\"externalTrafficPolicy\":\"Local\",\"selector\":"
       "{\"mchost.io/server-id\":\"" ID "\"},\"ports\":[{"
       "\"name\":\"minecraft\",\"port\":25565,\"targetPort\":\"minecraft\","
       "\"protocol\":\"TCP\"}]}}", "Service");
    is(write_json(mc_manifest_headless_service(&m)),
       "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":"
       "{\"name\":\"mc-" ID "-headless\"," LABELS "},"
       "\"spec\":{\"clusterIP\":\"None\",\"publishNotReadyAddresses\":true,"
       "\"selector\":{\"mchost.io/server-id\":\"" ID "\"},\"ports\":[{"
       "\"name\":\"minecraft\",\"port\":25565,\"targetPort\":\"minecraft\","
       "\"protocol\":\"TCP\"},{\"name\":\"rcon\",\"port\":25575,"
       "\"targetPort\":\"rcon\",\"protocol\":\"TCP\"}]}}", "headless Service");
    v = mc_manifest_config_map(&m);
    ok(strstr(mc_json_str(mc_json_get(mc_json_get(v, "data"),
       "server.properties"), ""), "motd=Hello\n"), "ConfigMap: properties");
    is_int(mc_json_get(v, "data")->n, 1, "and nothing else when lists merge");
    mc_json_remove(v, "data");
    is(write_json(v), "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
       "\"metadata\":{\"name\":\"mc-" ID "-config\"," LABELS "}}",
       "ConfigMap: its own name");
}

static void
exposures(void)
{
    static const char *const  want[][2] = {
        { "Router", "ClusterIP" }, { "ClusterIP", "ClusterIP" },
        { "NodePort", "NodePort" }, { "LoadBalancer", "LoadBalancer" }
    };
    char                      text[160];
    size_t                    i;

    for (i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "{\"software\":{\"type\":\"demo\"},"
                 "\"network\":{\"exposure\":\"%s\"}}", want[i][0]);
        spec(text);
        is(mc_json_str(mc_json_at(mc_manifest_service(&m), "spec.type"), ""),
           want[i][1], "exposure %s", want[i][0]);
    }
}

static void
types(void)
{
    static const struct {
        const char  *type, *env, *build;
    } table[] = {
        { "vanilla", "VANILLA", NULL }, { "paper", "PAPER", "PAPER_BUILD" },
        { "purpur", "PURPUR", "PURPUR_BUILD" },
        { "folia", "FOLIA", "FOLIA_BUILD" },
        { "fabric", "FABRIC", "FABRIC_LOADER_VERSION" },
        { "forge", "FORGE", "FORGE_VERSION" },
        { "neoforge", "NEOFORGE", "NEOFORGE_VERSION" },
        { "quilt", "QUILT", "QUILT_LOADER_VERSION" }
    };
    char                      text[200];
    size_t                    i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        snprintf(text, sizeof(text), "{\"software\":{\"type\":\"%s\","
                 "\"version\":\"1.21.4\",\"build\":\"7\"}}", table[i].type);
        spec(text);
        is(env("TYPE"), table[i].env, "%s: TYPE", table[i].type);
        is(env("VERSION"), "1.21.4", "%s: VERSION", table[i].type);
        if (table[i].build) {
            is(env(table[i].build), "7", "%s: %s", table[i].type,
               table[i].build);
        }
        is(env("EULA"), NULL, "%s: no EULA that nobody accepted",
           table[i].type);
    }
}

static void
images(void)
{
    static const char *const  want[][2] = {
        { "1.8.8", "java8" }, { "1.16.5", "java8" }, { "1.17", "java17" },
        { "1.20.4", "java17" }, { "1.20.5", "java21" },
        { "1.21.11", "java21" }, { "26.1", "java25" }, { "", "latest" },
        { "LATEST", "latest" }
    };
    char                      text[128], buf[128];
    size_t                    i;

    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        snprintf(text, sizeof(text), "{\"software\":{\"type\":\"vanilla\","
                 "\"version\":\"%s\"}}", want[i][0]);
        spec(text);
        snprintf(text, sizeof(text), "docker.io/itzg/minecraft-server:%s",
                 want[i][1]);
        is(mc_manifest_image(&m, buf), text, "image of \"%s\"", want[i][0]);
    }
    is(env("VERSION"), "LATEST", "a version is always named");
    spec("{\"software\":{\"type\":\"paper\",\"image\":\"r.io/x:1\","
         "\"imagePullPolicy\":\"Always\"}}");
    is(mc_manifest_image(&m, buf), "r.io/x:1", "an image of the spec");
    is(mc_json_str(mc_json_get(container(mc_manifest_pod_template(&m)),
       "imagePullPolicy"), ""), "Always", "and its pull policy");
}

static void
demo(void)
{
    mc_json_t  *c;

    spec("{\"software\":{\"type\":\"demo\"},\"eula\":{\"accepted\":true}}");
    c = container(mc_manifest_pod_template(&m));
    is(mc_json_str(mc_json_get(c, "image"), ""), "localhost/mchost-demo:1",
       "demo: its image");
    is(mc_json_str(mc_json_get(c, "imagePullPolicy"), ""), "Never",
       "which is never pulled");
    is(write_json(mc_json_get(c, "env")),
       "[{\"name\":\"VERSION\",\"value\":\"1.20.4\"},"
       "{\"name\":\"ENABLE_RCON\",\"value\":\"true\"},"
       "{\"name\":\"RCON_PORT\",\"value\":\"25575\"},"
       "{\"name\":\"RCON_PASSWORD\",\"valueFrom\":{\"secretKeyRef\":"
       "{\"name\":\"mc-" ID "\",\"key\":\"rcon-password\"}}},"
       "{\"name\":\"EXISTING_OPS_FILE\",\"value\":\"MERGE\"},"
       "{\"name\":\"EXISTING_WHITELIST_FILE\",\"value\":\"MERGE\"}]",
       "its environment, without a EULA");
    is(write_json(mc_json_get(c, "resources")),
       "{\"limits\":{\"cpu\":\"1\",\"memory\":\"2Gi\"},"
       "\"requests\":{\"cpu\":\"10m\",\"memory\":\"2Gi\"}}",
       "resources by default");
}

static void
velocity_and_custom(void)
{
    mc_json_t  *c;

    spec("{\"software\":{\"type\":\"velocity\",\"version\":\"3.4.0\","
         "\"build\":\"500\"}}");
    c = container(mc_manifest_pod_template(&m));
    is(mc_json_str(mc_json_get(c, "image"), ""),
       "docker.io/itzg/mc-proxy:latest", "velocity: the proxy's image");
    is(env("TYPE"), "VELOCITY", "TYPE");
    is(env("VELOCITY_VERSION"), "3.4.0", "its version");
    is(env("VELOCITY_BUILD_ID"), "500", "its build");
    is(env("EULA"), NULL, "no EULA");
    is_int(mc_json_int(mc_json_get(mc_json_get(c, "ports")->child,
       "containerPort"), 0), 25577, "its port");
    is(write_json(mc_json_get(c, "volumeMounts")),
       "[{\"name\":\"data\",\"mountPath\":\"/server\"}]", "its directory");
    is(file("server.properties"), NULL, "no server.properties");

    spec("{\"software\":{\"type\":\"custom\",\"image\":\"r.io/own:1\"},"
         "\"eula\":{\"accepted\":true}}");
    is(env("TYPE"), NULL, "custom: the image's own TYPE");
    is(env("EULA"), "TRUE", "EULA");
    is(env("COPY_CONFIG_DEST"), "/data", "the contract of the itzg images");
}

#define ACCESS(mode, online)                                                 \
    "{\"software\":{\"type\":\"paper\",\"version\":\"1.20.4\"},"             \
    "\"properties\":{\"onlineMode\":" online "},"                            \
    "\"access\":{\"mode\":\"" mode "\",\"operators\":[{\"name\":\"Steve\","  \
    "\"level\":3,\"bypassesPlayerLimit\":true}],"                            \
    "\"allowList\":{\"enabled\":true,\"players\":[\"Alex\"]},"               \
    "\"bans\":{\"players\":[\"Bad\"],\"ips\":[\"192.0.2.9\"]}}}"

static void
access_lists(void)
{
    spec(ACCESS("Merge", "true"));
    is(env("OPS"), "Steve", "Merge: operators by environment");
    is(env("EXISTING_OPS_FILE"), "MERGE", "merged");
    is(env("WHITELIST"), "Alex", "the allow list as well");
    is(env("EXISTING_WHITELIST_FILE"), "MERGE", "merged");
    is(env("ENABLE_WHITELIST"), "true", "on");
    is(env("ENFORCE_WHITELIST"), "true", "enforced");
    is(env("RCON_CMDS_STARTUP"), "ban Bad\nban-ip 192.0.2.9\n",
       "bans by command");
    is(file("ops.json"), NULL, "no file replaces what is there");

    spec(ACCESS("Exact", "true"));
    is(env("EXISTING_OPS_FILE"), "SYNCHRONIZE", "Exact: names unknown to us");
    is(env("OPS"), "Steve", "are looked up by the image");
    is(file("ops.json"), NULL, "no file without UUIDs");
    is(env("RCON_CMDS_STARTUP"), "ban Bad\n", "bans of names by command");
    is(file("banned-ips.json"),
       "[{\"ip\":\"192.0.2.9\",\"created\":\"1970-01-01 00:00:00 +0000\","
       "\"source\":\"mchost\",\"expires\":\"forever\","
       "\"reason\":\"Banned by an operator.\"}]", "bans of addresses by file");

    spec(ACCESS("Exact", "false"));
    is(env("EXISTING_OPS_FILE"), "SKIP", "Exact, offline: by file");
    is(env("OPS"), NULL, "not by environment");
    is(env("RCON_CMDS_STARTUP"), NULL, "nor by command");
    is(file("ops.json"),
       "[{\"uuid\":\"5627dd98-e6be-3c21-b8a8-e92344183641\","
       "\"name\":\"Steve\",\"level\":3,\"bypassesPlayerLimit\":true}]",
       "operators with the UUID that vanilla gives");
    is(file("whitelist.json"),
       "[{\"uuid\":\"36532b5e-c442-3dbb-a24c-c7e55d0f979a\","
       "\"name\":\"Alex\"}]", "allow list");
    ok(strstr(file("banned-players.json"), "\"name\":\"Bad\",\"created\""),
       "bans");
    is_int(mc_json_get(container(mc_manifest_pod_template(&m)),
       "volumeMounts")->n, 6, "every file is mounted");
}

static void
addons_and_rules(void)
{
    spec("{\"software\":{\"type\":\"fabric\",\"version\":\"1.21.9\"},"
         "\"addons\":[{\"name\":\"a\",\"kind\":\"Mod\",\"source\":"
         "{\"modrinth\":{\"project\":\"lithium\",\"version\":\"0.1\"}}},"
         "{\"name\":\"b\",\"kind\":\"Datapack\",\"source\":"
         "{\"modrinth\":{\"project\":\"terralith\"}}}],"
         "\"network\":{\"proxyProtocol\":\"V2\"},"
         "\"jvm\":{\"flags\":\"MeowIce\"}}");
    is(env("MODRINTH_PROJECTS"), "lithium:0.1\ndatapack:terralith",
       "projects of Modrinth");
    ok(env("RCON_CMDS_STARTUP")
       && strstr(env("RCON_CMDS_STARTUP"), "gamerule pvp true\n"),
       "properties that became game rules");
    is(env("USES_PROXY_PROTOCOL"), "true", "PROXY protocol");
    is(env("USE_MEOWICE_FLAGS"), "true", "flags");
    is(env("USE_AIKAR_FLAGS"), NULL, "and only those");
    is(env("JVM_OPTS"), NULL, "no further arguments");
}

static void
references(void)
{
    mc_json_t  *v;

    spec("{\"software\":{\"type\":\"paper\"},\"properties\":{\"motd\":"
         "\"$(RCON_PASSWORD) $$ %RCON_PASSWORD% 5% $\"}}");
    is(env("MOTD"), "$$(RCON_PASSWORD) $$$$ \xef\xbc\x85RCON_PASSWORD% 5% $$",
       "text of a tenant refers to no other variable");
    v = mc_json_get(container(mc_manifest_podman_pod(&m, "127.0.0.1", 1)),
                    "env");
    ok(strstr(write_json(v), "\"$(RCON_PASSWORD) $$ \xef\xbc\x85RCON_PASSWORD%"
              " 5% $\""), "Podman takes it as it is");
}

static void
podman(void)
{
    mc_json_t  *v, *c;

    spec(PAPER);
    v = mc_manifest_podman_pod(&m, "127.0.0.1", 25570);
    is(mc_json_str(mc_json_get(v, "kind"), ""), "Pod", "Podman: a Pod");
    is(mc_json_str(mc_json_at(v, "metadata.name"), ""), "mc-" ID, "named");
    is(mc_json_str(mc_json_at(v, "spec.restartPolicy"), ""), "Never",
       "never restarted by itself");
    c = container(v);
    is(write_json(mc_json_get(c, "ports")),
       "[{\"name\":\"minecraft\",\"containerPort\":25565,\"hostPort\":25570,"
       "\"hostIP\":\"127.0.0.1\",\"protocol\":\"TCP\"}]",
       "only the game's port is published");
    is(write_json(mc_json_get(c, "volumeMounts")),
       "[{\"name\":\"data\",\"mountPath\":\"/data\"},"
       "{\"name\":\"config\",\"mountPath\":\"/config\",\"readOnly\":true}]",
       "the ConfigMap is mounted as a whole");
    is(mc_json_str(mc_json_get(c, "imagePullPolicy"), ""), "Never",
       "the engine pulls");
    ok(mc_json_get(c, "startupProbe") == NULL
       && mc_json_get(c, "readinessProbe") == NULL, "no probes");
    is(write_json(mc_json_get(c, "env")),
       write_json(mc_json_get(container(mc_manifest_pod_template(&m)),
                              "env")), "the same environment");
}

static bool
same_hash(const char *one, const char *two)
{
    char  h1[65], h2[65];

    spec(one);
    mc_engine_desired_hash(&server, h1);
    spec(two);
    mc_engine_desired_hash(&server, h2);
    return strcmp(h1, h2) == 0;
}

static void
hashes(void)
{
    static const char  base[] = "{\"software\":{\"type\":\"demo\","
                                "\"version\":\"1\"}}";
    static const struct {
        const char  *member;
        bool         same;
    } table[] = {
        { "\"displayName\":\"x\"", true }, { "\"runPolicy\":\"Stopped\"", true },
        { "\"restartToken\":\"x\"", true },
        { "\"storage\":{\"size\":\"9Gi\"}", true },
        { "\"shutdown\":{\"graceSeconds\":5}", true },
        { "\"network\":{\"hostnames\":[\"a.b\"]}", true },
        { "\"eula\":{\"acceptedBy\":\"x\"}", true },
        { "\"eula\":{\"accepted\":true}", false },
        { "\"properties\":{\"motd\":\"x\"}", false },
        { "\"access\":{\"mode\":\"Exact\"}", false },
        { "\"access\":{\"mode\":\"Merge\"}", true },
        { "\"access\":{\"allowList\":{\"players\":[\"A\"]}}", true },
        { "\"access\":{\"bans\":{\"players\":[\"A\"]}}", true },
        { "\"access\":{\"operators\":[{\"name\":\"A\"}]}", true },
        { "\"access\":{\"operators\":[{\"name\":\"A\",\"level\":2}]}",
          false },
        { "\"properties\":{\"difficulty\":\"hard\"}", true },
        { "\"properties\":{\"gameMode\":\"creative\"}", true },
        { "\"resources\":{\"cpu\":\"3\"}", false },
        { "\"jvm\":{\"heapPercent\":50}", false },
        { "\"resources\":{\"memory\":\"1Gi\"}", false },
        { "\"addons\":[]", false },
        { "\"network\":{\"proxyProtocol\":\"V2\"}", false }
    };
    char                      text[256], hash[65];
    size_t                    i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        snprintf(text, sizeof(text), "{\"software\":{\"type\":\"demo\","
                 "\"version\":\"1\"},%s}", table[i].member);
        ok(same_hash(base, text) == table[i].same, "hash %s with %s",
           table[i].same ? "stays" : "changes", table[i].member);
    }
    ok(same_hash(base, "{\"software\":{\"version\":\"1\",\"type\":\"demo\"}}"),
       "the order of members does not count");
    ok(!same_hash("{\"jvm\":{\"a\":\"b\",\"c\":\"d\"}}",
                  "{\"jvm\":{\"a\":\"b1:c1:d\"}}"),
       "no text can pass for another");
    spec(base);
    mc_engine_desired_hash(&server, hash);
    is_int(strlen(hash), 63, "it fits an annotation of Podman's");
}

static void
no_memory(void)
{
    const mc_json_t  *v = NULL;
    long              n;

    spec(ACCESS("Exact", "false"));
    for (n = 0; n < 5000 && v == NULL; n++) {
        pool.left = n;
        v = mc_manifest_stateful_set(&m, 1);
    }
    ok(n > 100 && v, "StatefulSet: %ld times out of memory is NULL", n - 1);
    for (n = 0, v = NULL; n < 5000 && v == NULL; n++) {
        pool.left = n;
        v = mc_manifest_podman_pod(&m, "127.0.0.1", 1);
    }
    ok(n > 100 && v, "Pod: %ld times out of memory is NULL", n - 1);
    for (n = 0, v = NULL; n < 5000 && v == NULL; n++) {
        pool.left = n;
        v = mc_manifest_config_map(&m);
    }
    ok(n > 20 && v, "ConfigMap: %ld times out of memory is NULL", n - 1);
    pool.left = -1;
}

int
main(void)
{
    pod_template();
    pod_spec();
    objects();
    exposures();
    types();
    images();
    demo();
    velocity_and_custom();
    access_lists();
    addons_and_rules();
    references();
    podman();
    hashes();
    no_memory();
    pool_free(&pool);
    return done_testing();
}
