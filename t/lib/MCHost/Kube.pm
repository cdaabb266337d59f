package MCHost::Kube;

# A Kubernetes cluster for a test: the one that tools/run-tests started for
# all of them (MCHOST_KUBE_VAR), the one that KUBECONFIG names, or else one of
# its own. Requests go through `kubectl proxy` on a Unix socket.
#
#   my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0,
#       reconciler => { ping_interval => '1s' });
#   my $kube = $t->kube;                        # $kube->ns: a namespace of its own
#   $kube->apply({ apiVersion => …, kind => …, metadata => { name => 'lobby' }, … });
#   my $pod = $kube->get(Pod => 'mc-lobby-0');  # undef when there is none
#   $kube->patch(MinecraftServer => 'lobby', { spec => { … } });
#   $kube->kubectl(qw(get mcsrv -o wide));      # in that namespace; dies, or its output

use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp ();
use JSON::PP ();
use MCHost::Http;
use MCHost::Process;
use MCHost::Proxy;
use Time::HiRes qw(sleep time);

# kind => [ prefix of the path, plural, namespaced ]
my %kinds = (
    map({ ($_->[0] => [ $_->[1], $_->[2], $_->[3] // 1 ]) } (
        [ MinecraftServer => '/apis/mchost.io/v1alpha1', 'minecraftservers' ],
        [ StatefulSet => '/apis/apps/v1', 'statefulsets' ],
        [ Deployment => '/apis/apps/v1', 'deployments' ],
        [ Job => '/apis/batch/v1', 'jobs' ],
        [ NetworkPolicy => '/apis/networking.k8s.io/v1', 'networkpolicies' ],
        [ Event => '/apis/events.k8s.io/v1', 'events' ],
        [ Lease => '/apis/coordination.k8s.io/v1', 'leases' ],
        [ StorageClass => '/apis/storage.k8s.io/v1', 'storageclasses', 0 ],
        [ ClusterRole => '/apis/rbac.authorization.k8s.io/v1', 'clusterroles', 0 ],
        [ ClusterRoleBinding => '/apis/rbac.authorization.k8s.io/v1', 'clusterrolebindings', 0 ],
        [ Role => '/apis/rbac.authorization.k8s.io/v1', 'roles' ],
        [ RoleBinding => '/apis/rbac.authorization.k8s.io/v1', 'rolebindings' ],
        [ CustomResourceDefinition => '/apis/apiextensions.k8s.io/v1', 'customresourcedefinitions', 0 ],
        [ EndpointSlice => '/apis/discovery.k8s.io/v1', 'endpointslices' ])),
    map({ ($_->[0] => [ '/api/v1', $_->[1], $_->[2] // 1 ]) } (
        [ Pod => 'pods' ], [ Service => 'services' ], [ ConfigMap => 'configmaps' ], [ Secret => 'secrets' ],
        [ PersistentVolumeClaim => 'persistentvolumeclaims' ], [ ServiceAccount => 'serviceaccounts' ],
        [ ResourceQuota => 'resourcequotas' ], [ PersistentVolume => 'persistentvolumes', 0 ],
        [ Namespace => 'namespaces', 0 ], [ Node => 'nodes', 0 ])),
);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub new {
    my ($class, $root, $dir) = @_;

    my $self = bless { root => $root, dir => $dir, made => [] }, $class;
    $self->{kubectl} = "$root/build/kube/kubectl";
    $self->{run} = sprintf '%06x', int rand 2**24;
    $self->_cluster;
    $self->_proxy;
    $self->_prepare unless $ENV{MCHOST_KUBE_VAR};
    $self->{ns} = $self->namespace;
    return $self;
}

# -- the cluster --

sub _cluster {
    my ($self) = @_;

    if (my $var = $ENV{MCHOST_KUBE_VAR}) {
        @$self{qw(var kubeconfig)} = ($var, "$var/kube/kubeconfig");
        return;
    }

    if ($ENV{KUBECONFIG}) {
        ($self->{kubeconfig}, $self->{foreign}) = ($ENV{KUBECONFIG}, 1);
        chomp(my $found = qx(command -v kubectl)) if !-x $self->{kubectl};
        $self->{kubectl} = $found if $found;
        return;
    }

    $self->{var} = File::Temp::tempdir('mchk-XXXXXX', DIR => '/tmp');
    $self->{port} = _free_port();
    $self->{kubeconfig} = "$self->{var}/kube/kubeconfig";
    $self->{own} = 1;
    $self->tool('up');
}

sub _free_port {
    for (1 .. 200) {
        my $port = 12000 + 8 * int rand 1000;
        my @s = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + $_, Listen => 1) } 0 .. 7;
        return $port if 8 == grep { defined } @s;
    }

    die "no free ports for a cluster\n";
}

# t/kube/kube ARGS…
sub tool {
    my ($self, @args) = @_;

    my $out = "$self->{dir}/kube-tool.log";
    my $p = MCHost::Process->spawn(name => "kube $args[0]", cmd => [ "$self->{root}/t/kube/kube", @args ], log => $out, pdeath => 0,
        env => { VAR => $self->{var}, KUBE_SCRATCH => 1, $self->{port} ? (KUBE_PORT => $self->{port}) : () });
    my $status = $p->wait(1800);
    return if defined $status && $status == 0;
    open my $f, '<', $out or die "t/kube/kube @args fails\n";
    my @lines = <$f>;
    die "t/kube/kube @args fails:\n" . join '', @lines > 20 ? @lines[ -20 .. -1 ] : @lines;
}

# What every cluster needs once: the resource, and the demo image.
sub prepare {
    my ($class, $root, $dir) = @_;

    my $self = bless { root => $root, dir => $dir, made => [], kubectl => "$root/build/kube/kubectl" }, $class;
    $self->_cluster;
    $self->_proxy;
    $self->_prepare;
    $self->{proxy}->stop;
}

sub _prepare {
    my ($self) = @_;

    $self->kubectl(qw(apply --server-side --force-conflicts -f), "$self->{root}/conf/kubernetes/crd.yaml");
    # which fails as long as the new definition has no conditions at all
    $self->_works(qw(wait --for=condition=Established --timeout=60s crd/minecraftservers.mchost.io));
    remove_tree("$self->{dir}/kubectl-cache");          # from before there was one
    $self->_works(qw(get mcsrv -A));
    return if $self->{foreign};
    chomp(my $tar = qx("$self->{root}/images/demo/build" 2>>"$self->{dir}/kube-tool.log"));
    die "the demo image cannot be built\n" unless $tar && -f $tar;
    $self->tool(load => $tar);
}

# Until kubectl succeeds.
sub _works {
    my ($self, @args) = @_;

    for (my $end = time + 60; ($self->kubectl_try(@args))[0] ne '0'; sleep 0.2) {
        die "waited in vain for kubectl @args\n" if time > $end;
    }
}

sub _proxy {
    my ($self) = @_;

    my $socket = "$self->{dir}/kubectl.sock";
    $self->{proxy} = MCHost::Process->spawn(name => 'kubectl proxy', log => "$self->{dir}/kubectl-proxy.log",
        cmd => [ $self->{kubectl}, '--kubeconfig', $self->{kubeconfig}, 'proxy', "--unix-socket=$socket", '--reject-methods=^$', '--reject-paths=^$' ]);
    $self->{socket} = $socket;
    $self->until('kubectl proxy', 60, sub { $self->raw(GET => '/readyz')->status == 200 });
}

# Waits until the code gives something true, and returns that.
sub until {
    my ($self, $what, $seconds, $code) = @_;

    my $end = time + $seconds;

    while (1) {
        my $v = eval { $code->() };
        return $v if $v;
        die 'waited in vain for ' . $what . ($@ ? ": $@" : '') . "\n" if time > $end;
        sleep 0.05;
    }
}

sub kubeconfig { $_[0]{kubeconfig} }
sub ns         { $_[0]{ns} }
sub foreign    { $_[0]{foreign} }
sub image      { 'localhost/mchost-demo:latest' }

# The start of the names of tenants' namespaces, for this test alone.
sub prefix { "t$_[0]{run}-" }

# A further namespace; it goes with the test. Labels as a hash.
sub namespace {
    my ($self, %labels) = @_;

    my $name = "t$self->{run}" . ($self->{made}->@* ? '-' . $self->{made}->@* : '');
    push $self->{made}->@*, $name;
    $self->create({ apiVersion => 'v1', kind => 'Namespace', metadata => { name => $name, labels => \%labels } });
    # a pod is refused until its service account is there
    $self->until("the service account of $name", 60, sub { $self->get(ServiceAccount => 'default', ns => $name) });
    return $name;
}

# -- requests; options: ns (the test's own) --

# A request to any path: an MCHost::Response.
sub raw {
    my ($self, $method, $path, $body, $headers) = @_;

    return MCHost::Http::request($self->{socket}, $method, $path, $body, { Host => 'localhost', %{ $headers // {} } }, timeout => 60);
}

# The path of a kind, or of an object of it.
sub path {
    my ($self, $kind, $name, %o) = @_;

    my ($prefix, $plural, $namespaced) = @{ $kinds{$kind} // die "kind $kind is not known here\n" };
    my $ns = $namespaced ? exists $o{ns} ? $o{ns} : $self->{ns} : '';
    return $prefix . ($ns ? "/namespaces/$ns" : '') . "/$plural" . (defined $name ? "/$name" : '') . ($o{sub} ? "/$o{sub}" : '');
}

sub _good {
    my ($r, $what) = @_;

    $r->status =~ /^2/ or die "$what: " . $r->status . ' ' . ($r->json ? $r->json->{message} // '' : $r->body) . "\n";
    return $r->json;
}

# An object, or undef.
sub get {
    my ($self, $kind, $name, %o) = @_;

    my $r = $self->raw(GET => $self->path($kind, $name, %o));
    return $r->status == 404 ? undef : _good($r, "get $kind $name");
}

# The items; selector => labels, fields => fields; ns => '' for all.
sub list {
    my ($self, $kind, %o) = @_;

    my @q = map { my $v = $o{ $_->[0] }; defined $v ? "$_->[1]=" . _escape($v) : () } ([ selector => 'labelSelector' ], [ fields => 'fieldSelector' ]);
    return @{ _good($self->raw(GET => $self->path($kind, undef, %o) . (@q ? '?' . join '&', @q : '')), "list $kind")->{items} };
}

sub _escape { my ($s) = @_; $s =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge; return $s }

sub _ns_of { my ($o, %o) = @_; return exists $o{ns} ? %o : $o->{metadata}{namespace} ? (%o, ns => $o->{metadata}{namespace}) : %o }

# POST; the object as it is then. try => 1: the response instead, good or bad.
sub create {
    my ($self, $object, %o) = @_;

    my $r = $self->raw(POST => $self->path($object->{kind}, undef, _ns_of($object, %o)) . ($o{query} ? "?$o{query}" : ''), $object);
    return $o{try} ? $r : _good($r, "create $object->{kind} $object->{metadata}{name}");
}

# Server-side apply: manager ("test"), force (1), sub, try.
sub apply {
    my ($self, $object, %o) = @_;

    my $query = 'fieldManager=' . ($o{manager} // 'test') . '&force=' . ($o{force} // 1 ? 'true' : 'false') . ($o{query} ? "&$o{query}" : '');
    my $r = $self->raw(PATCH => $self->path($object->{kind}, $object->{metadata}{name}, _ns_of($object, %o)) . "?$query",
        $object, { 'Content-Type' => 'application/apply-patch+yaml' });
    return $o{try} ? $r : _good($r, "apply $object->{kind} $object->{metadata}{name}");
}

# A merge patch (a hash) or a JSON patch (an array); sub, try.
sub patch {
    my ($self, $kind, $name, $patch, %o) = @_;

    my $type = ref $patch eq 'ARRAY' ? 'application/json-patch+json' : 'application/merge-patch+json';
    my $r = $self->raw(PATCH => $self->path($kind, $name, %o), $patch, { 'Content-Type' => $type });
    return $o{try} ? $r : _good($r, "patch $kind $name");
}

# grace => seconds. Absent is fine.
sub delete {
    my ($self, $kind, $name, %o) = @_;

    my $r = $self->raw(DELETE => $self->path($kind, $name, %o) . (defined $o{grace} ? "?gracePeriodSeconds=$o{grace}" : ''));
    return $r->status == 404 ? undef : _good($r, "delete $kind $name");
}

# A MinecraftServer of the demo type, applied: spec fields.
sub server {
    my ($self, $name, %spec) = @_;

    my %o = map { $_ => delete $spec{$_} } grep { exists $spec{$_} } qw(ns annotations);
    return $self->apply({ apiVersion => 'mchost.io/v1alpha1', kind => 'MinecraftServer',
        metadata => { name => $name, $o{annotations} ? (annotations => $o{annotations}) : () },
        spec => { software => { type => 'demo', version => '1.20.4', imagePullPolicy => 'IfNotPresent' }, storage => { size => '1Gi' }, %spec } },
        exists $o{ns} ? (ns => $o{ns}) : ());
}

# The condition of an object, or one that says "none".
sub condition {
    my ($class, $object, $type) = @_;

    my ($c) = grep { $_->{type} eq $type } @{ ($object // {})->{status}{conditions} // [] };
    return $c // { status => 'none', reason => 'none', message => '' };
}

# -- kubectl --

# (exit status, output, errors); the test's namespace unless -n or -A is given.
sub kubectl_try {
    my ($self, @args) = @_;

    my ($out, $err) = map { "$self->{dir}/kubectl.$_" } qw(out err);
    unlink $out, $err;
    my @ns = !$self->{ns} || grep({ /^(-n|-A|--namespace|--all-namespaces)/ } @args) ? () : ('-n', $self->{ns});
    my $status = MCHost::Process->spawn(name => 'kubectl', cmd => [ $self->{kubectl}, "--cache-dir=$self->{dir}/kubectl-cache", '--kubeconfig', $self->{kubeconfig}, @ns, @args ],
        out => $out, log => $err)->wait(300);
    return (defined $status ? $status >> 8 : 'hangs', _slurp($out), _slurp($err));
}

sub kubectl {
    my ($self, @args) = @_;

    my ($status, $out, $err) = $self->kubectl_try(@args);
    die "kubectl @args: $err\n" if $status;
    return $out;
}

sub _slurp {
    my ($file) = @_;

    open my $f, '<', $file or return '';
    local $/;
    return readline($f) // '';
}

# -- who wrote what --

# The writes of a user agent so far: "verb resource/subresource namespace/name
# code" each. undef on a cluster that is not ours.
sub writes {
    my ($self, $agent) = @_;

    return undef if $self->{foreign};
    my @found;

    for my $file (sort(glob "$self->{var}/kube/log/audit-*.json"), "$self->{var}/kube/log/audit.json") {
        open my $f, '<', $file or next;

        while (my $line = readline $f) {
            next unless index($line, $agent) >= 0;
            my $e = eval { $json->decode($line) } or next;
            next unless ($e->{userAgent} // '') =~ /^\Q$agent\E/ && $e->{objectRef};
            my $o = $e->{objectRef};
            push @found, join ' ', $e->{verb}, $o->{resource} . ($o->{subresource} ? "/$o->{subresource}" : ''),
                ($o->{namespace} // '') . '/' . ($o->{name} // ''), $e->{responseStatus}{code} // 0;
        }
    }

    return \@found;
}

# -- the end --

# Worlds of tests are let go: volumes become empty and free again.
sub recycle {
    my ($self) = @_;

    return if $self->{foreign};

    for my $pv ($self->list('PersistentVolume')) {
        next unless ($pv->{status}{phase} // '') =~ /^(Released|Failed)$/ && ($pv->{spec}{local}{path} // '') =~ m{^\Q$self->{var}\E/kube/volumes/\d+$};
        remove_tree($pv->{spec}{local}{path}, { keep_root => 1 });
        $self->patch(PersistentVolume => $pv->{metadata}{name}, { spec => { claimRef => undef } }, try => 1);
    }
}

# Removes namespaces whatever holds them.
sub _remove {
    my ($self, @names) = @_;

    for my $ns (@names) {
        for my $s ($self->list('MinecraftServer', ns => $ns)) {
            $self->patch(MinecraftServer => $s->{metadata}{name}, { metadata => { finalizers => undef } }, ns => $ns, try => 1);
        }
        $self->delete(Namespace => $ns);
        $self->delete(Pod => $_->{metadata}{name}, ns => $ns, grace => 1) for $self->list('Pod', ns => $ns);
    }

    $self->until("the end of @names", 120, sub { !grep { defined $self->get(Namespace => $_) } @names });
}

sub close {
    my ($self) = @_;

    return if $self->{closed}++;

    if ($self->{own} && !$ENV{MCHOST_KEEP}) {
        $self->{proxy}->stop;
        $self->tool('down');
        remove_tree($self->{var});
        return;
    }

    my $prefix = $self->prefix;
    my @more = grep { /^\Q$prefix\E/ } map { $_->{metadata}{name} } $self->list('Namespace');
    my %seen;
    $self->_remove(grep { !$seen{$_}++ } $self->{made}->@*, @more) unless $ENV{MCHOST_KEEP};
    $self->recycle;
    $self->{proxy}->stop;
}

1;
