/*
 * The objects of a server in Kubernetes: their names and owners, and every
 * field of theirs that the spec drives.
 */

#define SERVER_NS  "mchost-t"

#include "engine.h"
#include "manifest_case.h"
#include "secret.h"

#define UID     "aaaaaaaa-0000-4000-8000-000000000001"

static mc_manifest_owner_t  owner = { "mchost.io/v1alpha1", "MinecraftServer",
                                      "survival", UID };
static mc_manifest_t        m = { .a = &a, .server = &server,
                                  .demo_image = "localhost/mchost-demo:1",
                                  .owner = &owner };

/* A value of the pod template's spec. */
static mc_json_t *
pod(const char *path)
{
    return mc_json_at(mc_json_get(mc_manifest_pod_template(&m), "spec"), path);
}

static mc_json_t *
container(const char *path)
{
    return mc_json_at(pod("containers")->child, path);
}

static mc_json_t *
init(const char *path)
{
    const mc_json_t  *v = pod("initContainers");

    return v ? mc_json_at(v->child, path) : NULL;
}

/* A variable of a container. */
static const char *
env(const mc_json_t *list, const char *name)
{
    const mc_json_t  *v;

    for (v = list ? list->child : NULL; v; v = v->next) {
        if (strcmp(mc_json_str(mc_json_get(v, "name"), ""), name) == 0) {
            return mc_json_str(mc_json_get(v, "value"), "(reference)");
        }
    }
    return NULL;
}

static const char *
name_of(const char *server_name, mc_manifest_name_t what)
{
    static char  dst[MC_NAME_LEN + 1];

    server.name = (char *) server_name;
    mc_manifest_name(dst, &server, what);
    return dst;
}

static void
names(void)
{
    static const char  just[] = "a2345678901234567890123456789012345678901234"
                                "56789";
    static const char  more[] = "a2345678901234567890123456789012345678901234"
                                "567890";
    static const char  other[] = "a2345678901234567890123456789012345678901234"
                                 "567891";
    char               one[64], hash[65], want[64];

    spec("{\"software\":{\"type\":\"demo\"}}");
    is(name_of("survival", MC_NAME_SET), "mc-survival", "StatefulSet");
    is(name_of("survival", MC_NAME_POD), "mc-survival-0", "Pod");
    is(name_of("survival", MC_NAME_SERVICE), "mc-survival", "Service");
    is(name_of("survival", MC_NAME_SECRET), "mc-survival", "Secret");
    is(name_of("survival", MC_NAME_HEADLESS), "mc-survival-headless",
       "headless Service");
    is(name_of("survival", MC_NAME_CONFIG), "mc-survival-config", "ConfigMap");
    is(name_of("survival", MC_NAME_CLAIM), "mc-" ID, "claim");

    is_int(strlen(name_of(just, MC_NAME_SET)), 52, "49 characters fit");
    mc_sha256_hex(more, strlen(more), hash);
    snprintf(want, sizeof(want), "mc-%.36s-%.12s", more, hash);
    is(name_of(more, MC_NAME_SET), want, "50 do not: 36 and a hash");
    strcpy(one, name_of(more, MC_NAME_HEADLESS));
    ok(strcmp(one, name_of(other, MC_NAME_HEADLESS)) != 0,
       "of two that begin alike, two names");
    is_int(strlen(one), 61, "a DNS label still");
    ok(strcmp(name_of("x-headless", MC_NAME_SERVICE), "mc-x-headless") != 0,
       "no server takes the name of another's headless Service");
    ok(strcmp(name_of("x-0123456789ab", MC_NAME_SERVICE), "mc-x-0123456789ab")
       != 0, "nor that of one that was shortened");

    server.ns = "";
    is(name_of("survival", MC_NAME_POD), "mc-" ID, "elsewhere: by id");
    is(name_of("survival", MC_NAME_CONFIG), "mc-" ID "-config",
       "and the ConfigMap");
}

static void
owners(void)
{
    static const char  want[] = "[{\"apiVersion\":\"mchost.io/v1alpha1\","
        "\"kind\":\"MinecraftServer\",\"name\":\"survival\",\"uid\":\"" UID
        "\",\"controller\":true,\"blockOwnerDeletion\":true}]";
    mc_json_t  *v[5];
    size_t      i;

    spec("{\"software\":{\"type\":\"demo\"}}");
    v[0] = mc_manifest_stateful_set(&m, 1);
    v[1] = mc_manifest_service(&m);
    v[2] = mc_manifest_headless_service(&m);
    v[3] = mc_manifest_config_map(&m);
    v[4] = mc_manifest_secret(&m, "password");
    for (i = 0; i < 5; i++) {
        is(write_json(mc_json_at(v[i], "metadata.ownerReferences")), want,
           "%s: its owner", mc_json_str(mc_json_get(v[i], "kind"), ""));
        is(mc_json_str(mc_json_at(v[i], "metadata.namespace"), ""),
           "mchost-t", "its namespace");
    }
    ok(mc_json_at(mc_manifest_claim(&m), "metadata.ownerReferences") == NULL,
       "the claim has none");
    ok(mc_json_at(mc_manifest_pod_template(&m), "metadata.ownerReferences")
       == NULL, "nor has the template");
    m.owner = NULL;
    ok(mc_json_at(mc_manifest_secret(&m, "password"),
                  "metadata.ownerReferences") == NULL, "no owner, none");
    m.owner = &owner;
}

static void
secret(void)
{
    mc_json_t  *v;
    char        longer[200];

    spec("{\"software\":{\"type\":\"demo\"}}");
    v = mc_manifest_secret(&m, "s3cret");
    is(mc_json_str(mc_json_get(v, "type"), ""), "Opaque", "Secret");
    is(write_json(mc_json_get(v, "data")),
       "{\"rcon-password\":\"czNjcmV0\"}", "the password in base64");
    ok(mc_manifest_secret(&m, "") == NULL, "never an empty password");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    ok(mc_manifest_secret(&m, longer) == NULL, "nor an endless one");
    ok(strstr(write_json(container("env")), "\"secretKeyRef\":"
              "{\"name\":\"mc-survival\",\"key\":\"rcon-password\"}"),
       "the container refers to it");
}

static void
set_and_services(void)
{
    mc_json_t  *v;

    spec("{\"software\":{\"type\":\"paper\"},\"storage\":{\"size\":\"7Gi\"}}");
    v = mc_json_get(mc_manifest_stateful_set(&m, 1), "spec");
    is(mc_json_str(mc_json_get(v, "serviceName"), ""), "mc-survival-headless",
       "StatefulSet: its Service");
    is(mc_json_str(mc_json_at(v, "updateStrategy.type"), ""), "OnDelete",
       "no restart of its own");
    is(mc_json_str(mc_json_get(v, "podManagementPolicy"), ""), "Parallel",
       "no waiting for a pod that never gets ready");
    ok(mc_json_get(v, "volumeClaimTemplates") == NULL, "no claim templates");
    is(mc_json_str(mc_json_at(pod("volumes")->child,
       "persistentVolumeClaim.claimName"), ""), "mc-" ID, "its claim");
    is(mc_json_str(mc_json_at(pod("volumes")->child->next, "configMap.name"),
       ""), "mc-survival-config", "its ConfigMap");
    is(mc_json_str(mc_json_at(mc_manifest_claim(&m),
       "spec.resources.requests.storage"), ""), "7Gi", "storage.size");
    ok(mc_json_at(mc_manifest_service(&m), "spec.externalTrafficPolicy")
       == NULL, "inside a cluster no traffic policy");
    spec("{\"software\":{\"type\":\"paper\"},"
         "\"network\":{\"exposure\":\"LoadBalancer\"}}");
    is(mc_json_str(mc_json_at(mc_manifest_service(&m),
       "spec.externalTrafficPolicy"), ""), "Local",
       "through a load balancer players keep their addresses");
}

static void
container_fields(void)
{
    spec("{\"software\":{\"type\":\"paper\",\"version\":\"1.20.4\"},"
         "\"resources\":{\"cpu\":\"2\",\"memory\":\"3Gi\","
         "\"cpuRequest\":\"500m\",\"memoryRequest\":\"2Gi\"},"
         "\"shutdown\":{\"announceSeconds\":5,\"graceSeconds\":45}}");
    is(write_json(container("startupProbe")),
       "{\"exec\":{\"command\":[\"mc-health\"]},\"periodSeconds\":5,"
       "\"timeoutSeconds\":5,\"failureThreshold\":17280}",
       "a start may take a day");
    is(write_json(container("readinessProbe")),
       "{\"exec\":{\"command\":[\"mc-health\"]},\"periodSeconds\":10,"
       "\"timeoutSeconds\":5,\"failureThreshold\":3}", "readiness probe");
    ok(container("livenessProbe") == NULL, "no liveness probe");
    is(write_json(container("lifecycle.preStop")),
       "{\"exec\":{\"command\":[\"sh\",\"-c\",\"timeout 20 rcon-cli save-all "
       "flush >/dev/null 2>&1 || :\"]}}", "saves before it ends");
    is_int(mc_json_int(pod("terminationGracePeriodSeconds"), 0), 80,
           "and has the time: to announce, to save, to end");
    is(write_json(container("resizePolicy")),
       "[{\"resourceName\":\"cpu\",\"restartPolicy\":\"NotRequired\"},"
       "{\"resourceName\":\"memory\",\"restartPolicy\":\"NotRequired\"}]",
       "CPU changes while it runs");
    is(write_json(container("resources")),
       "{\"limits\":{\"cpu\":\"2\",\"memory\":\"3Gi\"},"
       "\"requests\":{\"cpu\":\"500m\",\"memory\":\"2Gi\"}}", "resources");
    is(write_json(pod("automountServiceAccountToken")), "false", "no token");
    is(write_json(pod("securityContext")),
       "{\"runAsUser\":1000,\"runAsGroup\":1000,\"runAsNonRoot\":true,"
       "\"fsGroup\":1000,\"fsGroupChangePolicy\":\"OnRootMismatch\","
       "\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}", "not as root");
    ok(container("securityContext.readOnlyRootFilesystem") == NULL,
       "the itzg images write to themselves");
    is(mc_json_str(container("terminationMessagePolicy"), ""),
       "FallbackToLogsOnError", "its last words are kept");
    is(env(container("env"), "JVM_XX_OPTS"), "-XX:MaxRAMPercentage=75",
       "the heap is a share of the memory");

    spec("{\"software\":{\"type\":\"demo\"}}");
    is(write_json(container("securityContext.readOnlyRootFilesystem")),
       "true", "demo: a read-only root");
    ok(strstr(write_json(container("volumeMounts")),
       "{\"name\":\"tmp\",\"mountPath\":\"/tmp\"}"), "with a /tmp");
    ok(strstr(write_json(pod("volumes")),
       "{\"name\":\"tmp\",\"emptyDir\":{\"sizeLimit\":\"64Mi\"}}"),
       "of its own");
    spec("{\"software\":{\"type\":\"velocity\"}}");
    ok(container("lifecycle") == NULL, "a proxy has nothing to save");
}

static const char *
config(const char *name)
{
    return mc_json_str(mc_json_get(mc_json_get(mc_manifest_config_map(&m),
                                               "data"), name), NULL);
}

/* They change while the game runs: the template must not. */
static void
access_lists(void)
{
    const char  *template;

    spec("{\"software\":{\"type\":\"paper\",\"version\":\"1.20.4\"}}");
    template = write_json(mc_manifest_pod_template(&m));
    ok(strstr(template, "{\"name\":\"OPS\",\"valueFrom\":"
       "{\"configMapKeyRef\":{\"name\":\"mc-survival-config\","
       "\"key\":\"OPS\",\"optional\":true}}}"), "by reference");
    is(config("OPS"), NULL, "no operators, no variable");
    is(config("EXISTING_OPS_FILE"), "MERGE", "merged");
    spec("{\"software\":{\"type\":\"paper\",\"version\":\"1.20.4\"},"
         "\"access\":{\"operators\":[{\"name\":\"A\"},{\"name\":\"B\"}],"
         "\"allowList\":{\"enabled\":true,\"players\":[\"C\"]},"
         "\"bans\":{\"players\":[\"D\"],\"ips\":[\"192.0.2.1\"]}}}");
    is(config("OPS"), "A,B", "access.operators");
    is(config("WHITELIST"), "C", "access.allowList.players");
    is(config("ENABLE_WHITELIST"), "true", "access.allowList.enabled");
    is(config("RCON_CMDS_STARTUP"), "ban D\nban-ip 192.0.2.1\n",
       "access.bans");
    ok(strstr(config("server.properties"), "white-list=true\n"),
       "and the properties");
    is(write_json(mc_manifest_pod_template(&m)), template,
       "the template is the same");
    spec("{\"software\":{\"type\":\"velocity\"}}");
    is(config("EXISTING_OPS_FILE"), NULL, "a proxy has no such lists");
}

#define SUM512  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SUM     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* The list for addons.sh of one add-on. */
static const char *
addon(const char *software, const char *entry)
{
    char  text[1024];

    snprintf(text, sizeof(text), "{\"software\":{%s},"
             "\"properties\":{\"levelName\":\"w1\"},\"addons\":[{%s}]}",
             software, entry);
    spec(text);
    return env(init("env"), "ADDONS");
}

#define URL  "\"source\":{\"url\":\"https://x.y/$a?b\"}"
#define API  "modrinth\thttps://api.modrinth.com/v2/project/"
#define MODRINTH(source)  "\"source\":{\"modrinth\":{" source "}}"

static void
addons(void)
{
    is(addon("\"type\":\"paper\"", "\"name\":\"a\",\"kind\":\"Plugin\","
             "\"sha512\":\"" SUM512 "\"," URL),
       "plugins\ta.jar\tsha512:" SUM SUM "\turl\thttps://x.y/$$a?b\n",
       "a plugin by its address");
    is(addon("\"type\":\"fabric\"", "\"name\":\"b.jar\",\"kind\":\"Mod\","
             "\"sha256\":\"" SUM "\"," URL),
       "mods\tb.jar\tsha256:" SUM "\turl\thttps://x.y/$$a?b\n", "a mod");
    is(addon("\"type\":\"paper\"", "\"name\":\"c\",\"kind\":\"Datapack\","
             "\"sha256\":\"" SUM "\"," URL),
       "w1/datapacks\tc.zip\tsha256:" SUM "\turl\thttps://x.y/$$a?b\n",
       "a datapack, into the world");
    is(addon("\"type\":\"paper\",\"version\":\"1.20.4\"",
             "\"name\":\"d\",\"kind\":\"Plugin\"," MODRINTH("\"project\":\"x`$("
             "y)\",\"version\":\"1.0+2\"")),
       "plugins\td.jar\t-\t" API "x%60%24%28y%29/version/1.0%2B2\n",
       "a version of a project at Modrinth");
    is(addon("\"type\":\"purpur\",\"version\":\"1.20.4\"",
             "\"name\":\"d\",\"kind\":\"Plugin\","
             MODRINTH("\"project\":\"p\"")),
       "plugins\td.jar\t-\t" API "p/version?loaders=%5B%22purpur%22%2C%22paper"
       "%22%2C%22spigot%22%2C%22bukkit%22%5D&game_versions=%5B%221.20.4%22%5D"
       "\n", "the latest that fits");
    is(addon("\"type\":\"velocity\",\"version\":\"3.4.0\"",
             "\"name\":\"d\",\"kind\":\"Plugin\","
             MODRINTH("\"project\":\"p\"")),
       "plugins\td.jar\t-\t" API "p/version?loaders=%5B%22velocity%22%5D\n",
       "of a proxy");
    is(env(init("env"), "DATA"), "/server", "into its own directory");
    is(addon("\"type\":\"vanilla\"", "\"name\":\"d\",\"kind\":\"Datapack\","
             MODRINTH("\"project\":\"p\"")),
       "w1/datapacks\td.zip\t-\t" API "p/version?loaders=%5B%22datapack%22%5D"
       "\n", "a datapack");
    ok(env(container("env"), "MODRINTH_PROJECTS") == NULL,
       "the image is not asked as well");
}

static void
addons_container(void)
{
    spec("{\"software\":{\"type\":\"paper\",\"version\":\"1.20.4\"}}");
    is(mc_json_str(init("name"), ""), "addons",
       "without add-ons: those of before have to go");
    is(env(init("env"), "ADDONS"), "", "an empty list");
    is(mc_json_str(init("image"), ""),
       "docker.io/itzg/minecraft-server:java17", "in the server's own image");
    is_int(init("command")->n, 3, "a program that is the same for all");
    ok(strcmp(init("command")->child->str, "sh") == 0
       && strstr(init("command")->last->str, "$ADDONS"), "a script");
    ok(strstr(init("command")->last->str, "$$") == NULL,
       "in which Kubernetes changes nothing");
    is(write_json(init("volumeMounts")),
       "[{\"name\":\"data\",\"mountPath\":\"/data\"}]", "with the world");
    is(write_json(init("securityContext")),
       "{\"capabilities\":{\"drop\":[\"ALL\"]},"
       "\"allowPrivilegeEscalation\":false,\"readOnlyRootFilesystem\":true}",
       "and nothing else");
    ok(strstr(write_json(init("env")), "secret") == NULL, "no secret");
    spec("{\"software\":{\"type\":\"custom\",\"image\":\"x/y:1\"}}");
    ok(pod("initContainers") == NULL, "custom: an image without a shell runs");
    spec("{\"software\":{\"type\":\"custom\",\"image\":\"x/y:1\"},"
         "\"addons\":[]}");
    ok(pod("initContainers") != NULL, "until add-ons are spoken of");
}

static void
policy(void)
{
    mc_manifest_policy_t  p = { "mchost-t", TENANT, "mchost-system",
                                "203.0.113.7" };
    mc_json_t            *v = mc_manifest_network_policy(&a, &p);
    const char           *text = write_json(v);

    is(write_json(mc_json_get(v, "metadata")),
       "{\"name\":\"mchost\",\"namespace\":\"mchost-t\",\"labels\":"
       "{\"app.kubernetes.io/name\":\"minecraft\","
       "\"app.kubernetes.io/managed-by\":\"mchost\","
       "\"mchost.io/tenant\":\"" TENANT "\"}}", "NetworkPolicy");
    is(write_json(mc_json_at(v, "spec.podSelector")),
       "{\"matchLabels\":{\"app.kubernetes.io/name\":\"minecraft\","
       "\"app.kubernetes.io/managed-by\":\"mchost\"}}", "of servers only");
    is(write_json(mc_json_at(v, "spec.ingress")),
       "[{\"ports\":[{\"port\":25565,\"protocol\":\"TCP\"},"
       "{\"port\":25577,\"protocol\":\"TCP\"}]},"
       "{\"from\":[{\"namespaceSelector\":{\"matchLabels\":"
       "{\"kubernetes.io/metadata.name\":\"mchost-system\"}}}],"
       "\"ports\":[{\"port\":25575,\"protocol\":\"TCP\"}]}]",
       "the game for all, RCON for the reconciler");
    ok(strstr(text, "[{\"ports\":[{\"port\":53,\"protocol\":\"UDP\"},"
              "{\"port\":53,\"protocol\":\"TCP\"}]}"), "out: name servers");
    ok(strstr(text, "\"169.254.0.0/16\"") && strstr(text, "\"10.0.0.0/8\"")
       && strstr(text, "\"fc00::/7\""), "no addresses of the inside");
    ok(strstr(text, "\"203.0.113.7/32\"") && !strstr(text, "7/128"),
       "nor the API server");
    p.api_address = "2001:db8::1";
    text = write_json(mc_manifest_network_policy(&a, &p));
    ok(strstr(text, "\"2001:db8::1/128\"") && !strstr(text, "1/32"),
       "in its family");
    p.api_address = "api.example.com";
    p.reconciler_ns = "";
    v = mc_manifest_network_policy(&a, &p);
    ok(!strstr(write_json(v), "example"), "a name is no address");
    is_int(mc_json_at(v, "spec.ingress")->n, 1,
           "a reconciler outside of the cluster: RCON from no pod");
}

static void
seal(void)
{
    char         one[65], two[65];
    mc_json_t   *v;
    const char  *annotation = "metadata.annotations";

    spec("{\"software\":{\"type\":\"demo\"}}");
    v = mc_manifest_service(&m);
    is_int(mc_manifest_seal(&a, v, one), 0, "sealed");
    is(mc_json_str(mc_json_get(mc_json_at(v, annotation),
       MC_ANNOTATION_HASH), ""), one, "the hash is an annotation");
    is_int(strlen(one), 64, "in full");
    is_int(mc_manifest_seal(&a, v, two), 0, "sealed again");
    is(two, one, "the same");
    v = mc_manifest_service(&m);
    mc_manifest_seal(&a, v, two);
    is(two, one, "made again, the same");
    mc_json_set(&a, mc_json_get(v, "metadata"), "x", mc_json_number(&a, 1));
    mc_manifest_seal(&a, v, two);
    ok(strcmp(one, two) != 0, "of another object another");
    is_int(mc_manifest_seal(&a, json("{}"), NULL), -1, "what is no object");
}

static void
hashes(void)
{
    static const char  once[] = "software={4:type4:demo};properties=null;"
        "access=null;jvm=null;resources=null;addons=null;eula.accepted=null;"
        "network.proxyProtocol=null;";
    char               one[65], two[65], old[65];

    spec("{\"software\":{\"type\":\"demo\"},\"resources\":{\"cpu\":\"1\","
         "\"cpuRequest\":\"1\",\"memory\":\"1Gi\"}}");
    mc_engine_desired_hash(&server, one);
    spec("{\"software\":{\"type\":\"demo\"},\"resources\":{\"cpu\":\"2\","
         "\"memory\":\"1Gi\"}}");
    mc_engine_desired_hash(&server, two);
    is(two, one, "CPU needs no new pod");
    spec("{\"software\":{\"type\":\"demo\"},\"resources\":{\"cpu\":\"2\","
         "\"memory\":\"2Gi\"}}");
    mc_engine_desired_hash(&server, two);
    ok(strcmp(one, two) != 0, "memory does");
    is(mc_json_str(mc_json_get(mc_json_at(mc_manifest_pod_template(&m),
       "metadata.annotations"), MC_ANNOTATION_HASH), ""), two,
       "the template has it");

    /* {"software":{"type":"demo"}} as it was once */
    mc_sha256_hex(once, sizeof(once) - 1, old);
    old[63] = '\0';
    spec("{\"software\":{\"type\":\"demo\"}}");
    mc_engine_desired_hash_for(&server, old, one);
    is(one, old, "a pod of earlier is as wanted");
    mc_engine_desired_hash_for(&server, "another", one);
    mc_engine_desired_hash(&server, two);
    is(one, two, "others are compared as they are now");
}

static void
no_memory(void)
{
    mc_manifest_policy_t  p = { "n", TENANT, "r", "192.0.2.1" };
    const mc_json_t      *v = NULL;
    long                  n;

    for (n = 0; n < 5000 && v == NULL; n++) {
        pool.left = n;
        v = mc_manifest_network_policy(&a, &p);
    }
    ok(n > 100 && v, "NetworkPolicy: %ld times out of memory is NULL", n - 1);
    pool.left = -1;
    spec("{\"software\":{\"type\":\"paper\"},\"addons\":[{\"name\":\"a\","
         "\"kind\":\"Plugin\",\"source\":{\"url\":\"https://x/y\"}}]}");
    for (n = 0, v = NULL; n < 5000 && v == NULL; n++) {
        pool.left = n;
        v = mc_manifest_stateful_set(&m, 1);
    }
    pool.left = -1;
    ok(n > 100 && v, "StatefulSet: %ld times out of memory is NULL", n - 1);
    for (n = 0; n < 100; n++) {
        mc_json_t  *o = mc_manifest_secret(&m, "x");

        pool.left = n;
        if (mc_manifest_seal(&a, o, NULL) == 0) {
            break;
        }
        pool.left = -1;
    }
    pool.left = -1;
    ok(n > 3 && n < 100, "the seal as well");
}

int
main(void)
{
    names();
    owners();
    secret();
    set_and_services();
    container_fields();
    access_lists();
    addons();
    addons_container();
    policy();
    seal();
    hashes();
    no_memory();
    pool_free(&pool);
    return done_testing();
}
