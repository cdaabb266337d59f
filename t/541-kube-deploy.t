# The reconciler within the cluster, from its image and conf/kubernetes by one
# kubectl apply -k: its rights suffice and are no more than it needs.
# sanitized: no

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0);
my $kube = $t->kube;
my $dir = $t->dir;
my $root = root();

plan(skip_all => 'the image cannot be brought to a cluster that is not ours') if $kube->foreign;

# This cluster's API server listens on the machine's loopback alone, which
# pods reach with the machine's network.
my $admin = free_port();
my ($port) = slurp($kube->kubeconfig) =~ m{https://127\.0\.0\.1:(\d+)};
mkdir "$dir/overlay";
system('cp', '-r', "$root/conf/kubernetes", "$dir/overlay/base");
open my $f, '>', "$dir/overlay/kustomization.yaml" or die;
print $f <<"EOT";
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [base]
patches:
  - target: {kind: Namespace, name: mchost-system}
    patch: |
      - {op: remove, path: /metadata/labels/pod-security.kubernetes.io~1enforce}
  - target: {kind: ConfigMap, name: mchost-reconciler}
    patch: |
      - {op: replace, path: /data/MCHOST_ADMIN_LISTEN, value: "0.0.0.0:$admin"}
  - target: {kind: Deployment, name: mchost-reconciler}
    patch: |
      - {op: add, path: /spec/template/spec/hostNetwork, value: true}
      - {op: replace, path: /spec/template/spec/containers/0/ports/0/containerPort, value: $admin}
      - {op: add, path: /spec/template/spec/containers/0/env, value: [{name: KUBERNETES_SERVICE_HOST, value: 127.0.0.1}, {name: KUBERNETES_SERVICE_PORT, value: "$port"}]}
EOT
close $f;

sub settled { my ($name, $ok) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; ok($ok, $name) or diag tail(); return $ok }

sub tail {
    my $logs = ($kube->kubectl_try(qw(-n mchost-system logs deploy/mchost-reconciler --tail=30)))[1];
    return $logs . $kube->kubectl(qw(-n mchost-system get), 'events,pods') . $kube->kubectl('get', 'mcsrv,pods,events', '-o', 'wide');
}

subtest 'as it is printed' => sub {
    # admission judges the pods of the unchanged manifests as well
    my ($status, $out, $err) = $kube->kubectl_try(qw(kustomize), "$root/conf/kubernetes");
    is($status, 0, 'kustomize') or diag $err;
    like($out, qr/^kind: $_$/m, "has a $_") for qw(CustomResourceDefinition Namespace ServiceAccount ClusterRole ClusterRoleBinding Deployment);
    unlike($out, qr/resources:\s*\n?\s*-? *['"]?\*|verbs:\s*\n?\s*-? *['"]?\*/, 'and no right to everything');
};

subtest 'apply' => sub {
    chomp(my $tar = qx(images/reconciler/build 2>&1));
    ok(-f $tar, 'the image') or return diag $tar;
    $kube->tool(load => $tar);
    my ($status, $out, $err) = $kube->kubectl_try('apply', '-k', "$dir/overlay", '-n', 'mchost-system');
    is($status, 0, 'kubectl apply -k') or diag $err;
    settled('the Deployment is available', eval { wait_for { ($kube->get(Deployment => 'mchost-reconciler', ns => 'mchost-system')->{status}{availableReplicas} // 0) == 1 } 'it', 240 });
    my ($pod) = $kube->list('Pod', ns => 'mchost-system');
    my $c = $pod->{spec}{containers}[0];
    ok($c->{securityContext}{readOnlyRootFilesystem} && $pod->{spec}{securityContext}{runAsNonRoot}, 'neither root nor a file system to write to');
};

subtest 'a server' => sub {
    $kube->kubectl('apply', '-f', 'conf/examples/lobby.yaml');
    settled('becomes Ready', ($kube->kubectl_try(qw(wait --for=condition=Ready --timeout=240s mcsrv/lobby)))[0] eq '0');
    $kube->patch(MinecraftServer => 'lobby', { spec => { runPolicy => 'Stopped' } });
    settled('stops', ($kube->kubectl_try(qw(wait --for=jsonpath={.status.state}=Stopped --timeout=240s mcsrv/lobby)))[0] eq '0');
    settled('goes', ($kube->kubectl_try(qw(delete --timeout=240s mcsrv/lobby)))[0] eq '0');
    my @claims = $kube->list('PersistentVolumeClaim');
    is(scalar @claims, 1, 'its world stays');
    my $logs = ($kube->kubectl_try(qw(-n mchost-system logs deploy/mchost-reconciler)))[1];
    unlike($logs, qr/forbidden|Unauthorized/i, 'nothing was forbidden');
};

subtest 'rights' => sub {
    my $can = sub { ($kube->kubectl_try(qw(auth can-i --as=system:serviceaccount:mchost-system:mchost-reconciler), @_, '-A'))[1] =~ /^yes/ };
    ok($can->(split / /), "may $_") for 'patch statefulsets', 'create pods --subresource=exec', 'patch minecraftservers --subresource=status', 'get pods --subresource=log';
    ok(!$can->(split / /), "may not $_") for 'create pods', 'delete namespaces', 'create clusterrolebindings', 'get nodes --subresource=proxy', 'impersonate users',
        'create serviceaccounts --subresource=token', 'patch customresourcedefinitions', 'delete persistentvolumes', 'patch deployments';
    $can = sub { ($kube->kubectl_try(qw(auth can-i --as=system:serviceaccount:mchost-system:mchost-rcon), @_, '-A'))[1] =~ /^yes/ };
    ok(!$can->(split / /), "mchost-rcon may not $_") for 'get pods', 'get minecraftservers', 'get secrets';
};

$kube->kubectl(qw(delete --ignore-not-found deploy -n mchost-system mchost-reconciler));
$kube->kubectl('delete', '--ignore-not-found', 'clusterrole,clusterrolebinding', '-l', 'app.kubernetes.io/part-of=mchost');
$kube->kubectl(qw(delete --ignore-not-found ns mchost-system --timeout=120s));
done_testing;
