/*
 * What the cluster says is wrong, in words; names and ids of resources.
 */

#include "engine_kube_private.h"
#include "pool.h"
#include "tap.h"

static pool_t      pool = { .left = -1 };
static mc_alloc_t  a = { pool_alloc, &pool };


static mc_engine_error_t
answer(mc_kube_result_t result, const char *message)
{
    mc_engine_error_t  err;
    mc_kube_reply_t    r = { .result = result, .reason = "", .field = "",
                             .message = message, .body = "" };

    kube_reply_error(&err, &r);
    return err;
}


static void
answers(void)
{
    mc_engine_error_t  err;

    err = answer(MC_KUBE_FORBIDDEN, "statefulsets.apps \"mc-lobby\" is "
                 "forbidden: User \"system:serviceaccount:mchost:reconciler\" "
                 "cannot patch resource \"statefulsets\" in API group \"apps\" "
                 "in the namespace \"games\"");
    is(err.reason, "Forbidden", "a missing right has a reason");
    ok(strstr(err.message, "verb \"patch\"")
       && strstr(err.message, "resource \"statefulsets\"")
       && strstr(err.message, "API group \"apps\"")
       && strstr(err.message, "namespace games"),
       "and is named: %s", err.message);
    ok(!err.retry, "and is not asked for all the time");

    err = answer(MC_KUBE_FORBIDDEN, "pods \"mc-a-0\" is forbidden: exceeded "
                 "quota: small, requested: memory=1Gi, used: 0, limited: 512Mi");
    is(err.reason, "QuotaExceeded", "a quota");
    ok(strstr(err.message, "small, requested: memory=1Gi"), "and which");

    err = answer(MC_KUBE_FORBIDDEN, "configmaps \"x\" is forbidden: unable to "
                 "create new content in namespace games because it is being "
                 "terminated");
    is(err.reason, "NamespaceTerminating", "a namespace that ends");
    ok(err.retry, "which will not take long");

    err = answer(MC_KUBE_FORBIDDEN, "violates PodSecurity \"restricted\"");
    is(err.reason, "Forbidden", "an admission plugin");
    ok(strstr(err.message, "PodSecurity"), "in its own words");

    err = answer(MC_KUBE_INVALID, "spec.x: Invalid value");
    is(err.reason, "Invalid", "an object that is not valid");
    ok(!err.retry, "stays so");
    err = answer(MC_KUBE_CONFLICT, "the object has been modified");
    is(err.reason, "Conflict", "a conflict");
    ok(err.retry, "is decided anew");
    err = answer(MC_KUBE_UNAVAILABLE, "connection refused");
    is(err.reason, "EngineUnavailable", "no answer");
    ok(err.retry, "is waited out");
    err = answer(MC_KUBE_THROTTLED, "too many requests");
    is(err.reason, "EngineBusy", "too many requests");
}


/* -- pods -- */

static mc_kube_pod_t
pod(void)
{
    char           *none = (char *) "";
    mc_kube_pod_t   p = {
        .phase = (char *) "Pending", .ip = none, .host_ip = none,
        .node = none, .scheduled = true, .unscheduled_message = none,
        .reason = none, .message = none, .waiting_reason = none,
        .waiting_message = none, .init_name = none, .init_reason = none,
        .init_message = none, .cpu_limit = none, .resize_reason = none,
        .resize_message = none
    };

    return p;
}


static mc_observed_t
trouble(const mc_kube_pod_t *p)
{
    mc_observed_t    obs = { 0 };
    mc_json_error_t  err;
    const char      *spec = "{\"resources\":{\"memory\":\"768Mi\"}}";
    mc_server_t      s = { .spec = mc_json_parse(&a, spec, strlen(spec), &err) };

    kube_pod_trouble(&obs, p, &s);
    return obs;
}


static void
pods(void)
{
    mc_kube_pod_t  p = pod();
    mc_observed_t  obs;

    p.waiting_reason = (char *) "ContainerCreating";
    is(trouble(&p).trouble.reason, "", "a pod that is being made: no trouble");

    p.waiting_reason = (char *) "ImagePullBackOff";
    p.waiting_message = (char *) "Back-off pulling image \"nobody/nothing\"";
    obs = trouble(&p);
    is(obs.trouble.reason, "ImagePullFailed", "an image that is not there");
    ok(strstr(obs.trouble.message, "nobody/nothing"), "is named");

    p.waiting_reason = (char *) "ErrImageNeverPull";
    is(trouble(&p).trouble.reason, "ImageMissing", "one that must be loaded");
    p.waiting_reason = (char *) "InvalidImageName";
    is(trouble(&p).trouble.reason, "InvalidImageName", "one that is no name");

    p = pod();
    p.scheduled = false;
    p.unscheduled_message = (char *) "0/1 nodes are available: 1 Insufficient "
                                     "memory.";
    obs = trouble(&p);
    is(obs.trouble.reason, "Unschedulable", "no node");
    ok(strstr(obs.trouble.message, "1 Insufficient memory"), "and why");

    p = pod();
    p.waiting_reason = (char *) "CrashLoopBackOff";
    p.terminated = true;
    p.exit_code = 3;
    p.restarts = 4;
    obs = trouble(&p);
    is(obs.trouble.reason, "CrashLoopBackOff", "one that ends at once");
    ok(strstr(obs.trouble.message, "exit code 3"), "with its exit code");

    p.exit_code = 137;
    p.oom_killed = true;
    obs = trouble(&p);
    is(obs.trouble.reason, "OOMKilled", "one that needs more memory");
    ok(strstr(obs.trouble.message, "768Mi"), "than it has");
    p.running = true;
    p.waiting_reason = (char *) "";
    is(trouble(&p).trouble.reason, "", "and runs again");

    p = pod();
    p.init_name = (char *) MC_ADDONS_CONTAINER;
    p.init_reason = (char *) "Error";
    p.init_message = (char *) "checksum of plugin x is wrong";
    obs = trouble(&p);
    is(obs.trouble.reason, "AddonsFailed", "an add-on that cannot be had");
    ok(strstr(obs.trouble.message, "checksum of plugin x"), "and which");

    p = pod();
    p.phase = (char *) "Failed";
    p.reason = (char *) "Evicted";
    p.message = (char *) "The node was low on resource: memory.";
    obs = trouble(&p);
    is(obs.trouble.reason, "Evicted", "one that its node threw out");

    p = pod();
    p.running = true;
    p.resize_reason = (char *) "Infeasible";
    p.resize_message = (char *) "Node didn't have enough capacity: cpu";
    is(trouble(&p).trouble.reason, "ResizePending", "more CPU than the node has");
}


static void
claims(void)
{
    char             *none = (char *) "";
    mc_kube_object_t  obj = { .claim = { .phase = (char *) "Pending",
        .storage_class = (char *) "fast", .size = none, .capacity = none,
        .resize_reason = none, .resize_message = none } };
    kube_value_t      v = { .obj = &obj };
    mc_observed_t     obs = { 0 };

    kube_claim_trouble(&obs, &v, false);
    is(obs.storage_trouble.reason, "", "a claim that no pod waits for yet");
    kube_claim_trouble(&obs, &v, true);
    is(obs.storage_trouble.reason, "VolumePending", "a claim without a volume");
    ok(strstr(obs.storage_trouble.message, "\"fast\""), "names the class");

    memset(&obs, 0, sizeof(obs));
    obj.claim.phase = (char *) "Bound";
    kube_claim_trouble(&obs, &v, true);
    is(obs.storage_trouble.reason, "", "a bound one is no trouble");

    strcpy(v.refused, "the world's volume cannot grow to 2Gi: no");
    kube_claim_trouble(&obs, &v, true);
    is(obs.storage_trouble.reason, "CannotGrow", "one that cannot grow");
}


static void
events(void)
{
    static const char  list[] =
        "{\"items\":[{\"type\":\"Warning\",\"reason\":\"FailedCreate\","
        "\"note\":\"old\",\"deprecatedLastTimestamp\":\"2026-11-24T07:00:00Z\"},"
        "{\"type\":\"Warning\",\"reason\":\"FailedCreate\",\"note\":"
        "\"create Pod mc-a-0 in StatefulSet mc-a failed error: pods \\\"mc-a-0"
        "\\\" is forbidden: exceeded quota: small, requested: memory=1Gi\","
        "\"deprecatedLastTimestamp\":\"2026-11-24T08:00:00Z\"},"
        "{\"type\":\"Normal\",\"reason\":\"SuccessfulCreate\",\"note\":\"x\","
        "\"deprecatedLastTimestamp\":\"2026-11-24T09:00:00Z\"}]}";
    char           reason[48], message[400];
    mc_observed_t  obs = { 0 };

    ok(kube_events_tell(&a, list, strlen(list), reason, sizeof(reason),
                        message, sizeof(message)), "a list of Events tells");
    is(reason, "FailedCreate", "its newest warning");
    ok(strstr(message, "exceeded quota"), "not the older one");
    kube_event_trouble(&obs, reason, message);
    is(obs.trouble.reason, "QuotaExceeded", "which is understood");
    ok(strstr(obs.trouble.message, "memory=1Gi"), "%s", obs.trouble.message);
    ok(!kube_events_tell(&a, "{\"items\":[]}", 12, reason, sizeof(reason),
                         message, sizeof(message)), "an empty one does not");
    ok(!kube_events_tell(&a, "nonsense", 8, reason, sizeof(reason), message,
                         sizeof(message)), "nor does nonsense");
}


static void
ids(void)
{
    char  one[MC_UUID_LEN + 1], two[MC_UUID_LEN + 1];

    mc_kube_resource_id("games", "lobby", one);
    mc_kube_resource_id("games", "lobby", two);
    ok(mc_uuid_valid(one, strlen(one)), "a resource's id is a UUID: %s", one);
    ok(one[14] == '8' && strchr("89ab", one[19]), "of version 8");
    is(one, two, "the same when it is applied again");
    mc_kube_resource_id("games", "lobby2", two);
    ok(strcmp(one, two) != 0, "another one for another name");
    mc_kube_resource_id("games2", "lobby", two);
    ok(strcmp(one, two) != 0, "and in another namespace");
    mc_kube_resource_id("games", "", two);
    ok(strcmp(one, two) != 0 && mc_uuid_valid(two, strlen(two)),
       "its namespace's is another one");
}


/* -- drift -- */

static mc_json_t *
json(const char *text)
{
    mc_json_error_t  err;

    return mc_json_parse(&a, text, strlen(text), &err);
}


static void
drift(void)
{
    mc_json_t         *wanted = json("{\"apiVersion\":\"apps/v1\",\"kind\":"
        "\"StatefulSet\",\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":"
        "{\"replicas\":1,\"template\":{\"spec\":{\"containers\":[{\"name\":"
        "\"server\",\"image\":\"x\"}]}}}}");
    static const char  same[] = "{\"metadata\":{\"labels\":{\"a\":\"b\",\"c\":"
        "\"d\"}},\"spec\":{\"replicas\":0,\"template\":{\"spec\":{\"containers\":"
        "[{\"name\":\"server\",\"image\":\"x\",\"tty\":false}]}}},\"status\":{}}";
    static const char  other[] = "{\"metadata\":{\"labels\":{\"a\":\"b\"}},"
        "\"spec\":{\"replicas\":1,\"template\":{\"spec\":{\"containers\":"
        "[{\"name\":\"server\",\"image\":\"y\"}]}}}}";
    static const char  two[] = "{\"metadata\":{\"labels\":{\"a\":\"b\"}},"
        "\"spec\":{\"replicas\":2,\"template\":{\"spec\":{\"containers\":"
        "[{\"name\":\"server\",\"image\":\"x\"}]}}}}";
    char               where[80];

    is_int(kube_verify(&a, same, strlen(same), wanted, where, sizeof(where)),
           KUBE_AS_WANTED, "a stopped set with things of others is as wanted");
    is_int(kube_verify(&a, other, strlen(other), wanted, where, sizeof(where)),
           KUBE_DRIFTED, "another image is not");
    ok(strstr(where, "image"), "and is named: %s", where);
    is_int(kube_verify(&a, two, strlen(two), wanted, where, sizeof(where)),
           KUBE_DRIFTED, "nor are two pods on one world");
    is_int(kube_verify(&a, "{", 1, wanted, where, sizeof(where)),
           KUBE_UNVERIFIED, "nothing is known of what cannot be read");
}


int
main(void)
{
    answers();
    pods();
    claims();
    events();
    ids();
    drift();
    return done_testing();
}
