/*
 * Objects of Kubernetes, read by a streaming parser.
 */

#include "kube_object.h"
#include "tap.h"

#define SERVER  "0192aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"
#define OWNER   "11111111-2222-4333-8444-555555555555"

static mc_kube_object_t *
read_text(const char *text)
{
    return mc_kube_object_read(text, strlen(text));
}

static void
meta(void)
{
    static const char  text[] =
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{"
        "\"name\":\"mc-lobby\",\"namespace\":\"mchost-acme\",\"uid\":\"" OWNER
        "\",\"resourceVersion\":\"123456789012345678901\",\"generation\":7,"
        "\"deletionTimestamp\":\"2026-11-24T04:06:40Z\",\"labels\":{"
        "\"app.kubernetes.io/managed-by\":\"mchost\",\"mchost.io/server-id\":\""
        SERVER "\",\"mchost.io/tenant\":\"" OWNER "\"},\"annotations\":{"
        "\"mchost.io/applied-hash\":\"abc\",\"mchost.io/restart-token\":\"r\"},"
        "\"ownerReferences\":[{\"uid\":\"" SERVER "\"},{\"controller\":true,"
        "\"uid\":\"" OWNER "\"},{\"uid\":\"" SERVER "\",\"controller\":false}],"
        "\"managedFields\":[{\"fieldsV1\":{\"f:metadata\":{\"name\":1}}}]},"
        "\"spec\":{\"replicas\":1,\"template\":{\"metadata\":{\"name\":\"no\","
        "\"annotations\":{\"mchost.io/applied-hash\":\"def\"}}}},"
        "\"status\":{\"replicas\":2}}";
    mc_kube_object_t  *o = read_text(text), *m;

    ok(o != NULL, "read");
    is(o->meta.name, "mc-lobby", "name");
    is(o->meta.ns, "mchost-acme", "namespace");
    is(o->meta.uid, OWNER, "uid");
    is(o->meta.version, "123456789012345678901", "a version of any length");
    is_int(o->meta.generation, 7, "generation");
    ok(o->meta.deleting, "deleting");
    ok(o->meta.ours, "ours");
    is(o->meta.server_id, SERVER, "server");
    is(o->meta.tenant_id, OWNER, "tenant");
    is(o->meta.owner_uid, OWNER, "the owner is the controller");
    is(o->meta.applied_hash, "abc", "applied hash");
    is(o->meta.restart, "r", "restart token");
    is_int(o->set.replicas, 1, "replicas");
    is_int(o->set.current, 2, "current replicas");
    is(o->set.template_hash, "def", "the template's hash");
    is(o->pod.phase, "", "what is absent is empty");

    m = mc_kube_object_meta(text, sizeof(text) - 20);
    ok(m != NULL, "metadata of a text that is cut behind it");
    is(m->meta.name, "mc-lobby", "is the same");
    is(m->meta.owner_uid, OWNER, "with its lists");
    is_int(m->set.replicas, 0, "and nothing else");
    mc_kube_object_free(o);
    mc_kube_object_free(m);
}

static void
pods(void)
{
    mc_kube_object_t  *o = read_text("{\"metadata\":{\"name\":\"p\"},"
        "\"spec\":{\"nodeName\":\"n1\"},\"status\":{\"phase\":\"Running\","
        "\"podIP\":\"10.0.0.1\",\"hostIP\":\"10.1.0.1\",\"conditions\":["
        "{\"status\":\"True\",\"type\":\"Ready\"},"
        "{\"type\":\"PodScheduled\",\"status\":\"False\","
        "\"message\":\"0/1 nodes\"},{\"type\":\"PodResizePending\","
        "\"status\":\"True\",\"reason\":\"Deferred\",\"message\":\"full\"}],"
        "\"initContainerStatuses\":[{\"name\":\"ok\",\"state\":{\"terminated\":"
        "{\"exitCode\":0,\"reason\":\"Completed\"}}},{\"name\":\"addons\","
        "\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\","
        "\"message\":\"back-off\"}},\"lastState\":{\"terminated\":{"
        "\"exitCode\":1,\"message\":\"checksum\"}}}],"
        "\"containerStatuses\":[{\"name\":\"other\",\"restartCount\":9},"
        "{\"restartCount\":2,\"started\":true,\"state\":{\"running\":{"
        "\"startedAt\":\"2026-11-24T04:06:40Z\"}},\"lastState\":{"
        "\"terminated\":{\"exitCode\":137,\"reason\":\"OOMKilled\","
        "\"finishedAt\":\"2026-11-24T04:06:39Z\"}},\"resources\":{\"limits\":{"
        "\"cpu\":\"500m\"}},\"name\":\"server\"},{\"name\":\"last\","
        "\"restartCount\":8}]}}");

    ok(o != NULL, "a pod");
    is(o->pod.phase, "Running", "phase");
    is(o->pod.ip, "10.0.0.1", "address");
    is(o->pod.host_ip, "10.1.0.1", "address of the node");
    is(o->pod.node, "n1", "node");
    ok(o->pod.ready && !o->pod.scheduled, "conditions");
    is(o->pod.unscheduled_message, "0/1 nodes", "why not");
    is(o->pod.resize_reason, "Deferred", "a resize that waits");
    is(o->pod.resize_message, "full", "for what");
    ok(o->pod.running && o->pod.started, "runs");
    is_int(o->pod.started_ms, 1795493200000, "since");
    is_int(o->pod.restarts, 2, "restarts of the game's container");
    ok(o->pod.terminated && o->pod.oom_killed, "had died");
    is_int(o->pod.exit_code, 137, "with");
    is_int(o->pod.finished_ms, 1795493199000, "at");
    is(o->pod.cpu_limit, "500m", "CPU in force");
    is(o->pod.init_name, "addons", "an init container that fails");
    is(o->pod.init_reason, "CrashLoopBackOff", "how");
    is(o->pod.init_message, "checksum", "and why");
    mc_kube_object_free(o);
}

static void
others(void)
{
    mc_kube_object_t  *o = read_text("{\"metadata\":{\"name\":\"c\"},"
        "\"spec\":{\"storageClassName\":\"std\",\"resources\":{\"requests\":{"
        "\"storage\":\"2Gi\"}}},\"status\":{\"phase\":\"Bound\",\"capacity\":{"
        "\"storage\":\"1Gi\"},\"conditions\":[{\"type\":"
        "\"FileSystemResizePending\",\"status\":\"True\",\"message\":\"m\"}]}}");

    is(o->claim.phase, "Bound", "a claim's phase");
    is(o->claim.size, "2Gi", "size");
    is(o->claim.capacity, "1Gi", "capacity");
    is(o->claim.storage_class, "std", "class");
    is(o->claim.resize_reason, "FileSystemResizePending", "resize");
    is(o->claim.resize_message, "m", "its message");
    mc_kube_object_free(o);

    o = read_text("{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":"
        "\"NodePort\",\"clusterIP\":\"10.96.0.9\",\"ports\":[{\"name\":\"x\","
        "\"nodePort\":1},{\"nodePort\":30000,\"name\":\"minecraft\"}]},"
        "\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"1.2.3.4\"},"
        "{\"hostname\":\"h\"}]}}}");
    is(o->service.type, "NodePort", "a service's type");
    is(o->service.cluster_ip, "10.96.0.9", "address");
    is_int(o->service.node_port, 30000, "port");
    is(o->service.ingress, "1.2.3.4", "the first ingress");
    mc_kube_object_free(o);
}

static void
bad(void)
{
    static const char *const  texts[] = {
        "", "[]", "1", "null", "{", "{}", "{\"metadata\":{}}",
        "{\"metadata\":{\"name\":\"\"}}", "{\"metadata\":{\"name\":7}}",
        "{\"metadata\":[{\"name\":\"x\"}]}", "{\"metadata\":{\"name\":\"x\"}",
        "{\"metadata\":{\"name\":\"x\"}}}", "{\"metadata\":{\"name\":\"\xff\"}}",
        "[{\"metadata\":{\"name\":\"x\"}}]", "{\"metadata>name\":\"x\"}"
    };
    mc_kube_object_t  *o;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        o = read_text(texts[i]);
        ok(o == NULL, "no object: %s", i == 12 ? "not UTF-8" : texts[i]);
        mc_kube_object_free(o);
    }
    o = read_text("{\"metadata\":{\"name\":\"x\",\"uid\":\"a text that is much "
                  "longer than any uid can be in this world\",\"labels\":null,"
                  "\"generation\":\"7\",\"deletionTimestamp\":null},"
                  "\"status\":[],\"spec\":7}");
    ok(o != NULL, "members of other types");
    is(o->meta.uid, "", "a uid too long is none");
    is_int(o->meta.generation, 0, "text is no number");
    ok(!o->meta.deleting, "null is absent");
    mc_kube_object_free(o);
}

int
main(void)
{
    meta();
    pods();
    others();
    bad();
    return done_testing();
}
