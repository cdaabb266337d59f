# Servers of the REST API as MinecraftServers: in their tenant's namespace, in
# line with their rows whoever edits them, and back when somebody deletes them.
# sanitized: only

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(kube => 1, reconciler => { ping_interval => '500ms' });
my $kube = $t->kube;
my $acme = $t->tenant('acme');
my $ns = $kube->prefix . $acme->{id};
my %quick = (resources => { cpu => '500m', memory => '384Mi', cpuRequest => '10m', memoryRequest => '64Mi' },
    shutdown => { announceSeconds => 0, graceSeconds => 20 });

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, timeout => 30, %o) }
sub mcsrv { return $kube->get(MinecraftServer => $_[0], ns => $ns) }
sub pod { return $kube->get(Pod => "mc-$_[0]-0", ns => $ns) }

sub is_state {
    my ($id, $state) = @_;

    my $d = api(GET => "/servers/$id")->json;
    return $d->{status}{state} eq $state && ($d->{status}{observedGeneration} // 0) == $d->{generation};
}

sub running { my ($id) = @_; wait_for { is_state($id, 'Running') } 'Running', 90 }

my $id = $t->server($acme, 'lobby', %quick)->{id};

subtest 'a row becomes a resource' => sub {
    running($id);
    my $s = mcsrv('lobby');

    is($kube->get(Namespace => $ns)->{metadata}{labels}{'mchost.io/tenant'}, $acme->{id}, 'in a namespace of its tenant');
    is($s->{metadata}{labels}{'mchost.io/server-id'}, $id, 'it carries its id');
    is($s->{metadata}{labels}{'mchost.io/spec-owner'}, 'db', 'says who owns its spec');
    is($s->{metadata}{annotations}{'mchost.io/db-generation'}, api(GET => "/servers/$id")->json->{generation}, 'and which generation it is');
    ok((grep { $_ eq 'mchost.io/world' } @{ $s->{metadata}{finalizers} }), 'it has the finalizer');
    ok((grep { $_->{manager} eq 'mchost-db' } @{ $s->{metadata}{managedFields} }), 'its fields have an owner of their own');
    wait_for { my $now = mcsrv('lobby'); $now->{status}{observedGeneration} == $now->{metadata}{generation} && $now->{status}{state} eq 'Running' }
        'the status of the resource', 30;
    is($kube->get(PersistentVolumeClaim => "mc-$id", ns => $ns)->{metadata}{ownerReferences}, undef, 'the world belongs to nobody');
    is($kube->get(StatefulSet => 'mc-lobby', ns => $ns)->{metadata}{ownerReferences}[0]{uid}, $s->{metadata}{uid}, 'the rest to the resource');
};

subtest 'it follows the row' => sub {
    my $r = api(PATCH => "/servers/$id", body => { spec => { displayName => 'Lobby' } });
    is($r->status, 200, 'changed over REST');
    wait_for { (mcsrv('lobby')->{spec}{displayName} // '') eq 'Lobby' } 'the change', 30;
    wait_for { mcsrv('lobby')->{metadata}{annotations}{'mchost.io/db-generation'} == $r->json->{generation} } 'its generation', 30;
    running($id);

    my $uid = pod('lobby')->{metadata}{uid};
    $kube->patch(MinecraftServer => 'lobby', { spec => { displayName => 'Mine', runPolicy => 'Stopped' } }, ns => $ns);
    wait_for { my $s = mcsrv('lobby'); $s->{spec}{displayName} eq 'Lobby' && $s->{spec}{runPolicy} eq 'Always' } 'put back', 30;
    wait_for { grep { $_->{reason} eq 'SpecOwnedByDatabase' } $kube->list('Event', ns => $ns) } 'an Event that says why', 30;
    $kube->patch(MinecraftServer => 'lobby', { spec => { displayName => 'Mine again' } }, ns => $ns);
    wait_for { grep { $_->{reason} eq 'SpecOwnedByDatabase' && ($_->{series}{count} // 0) >= 2 } $kube->list('Event', ns => $ns) } 'counted', 60;
    $kube->patch(MinecraftServer => 'lobby', { spec => { access => { allowList => { enabled => JSON::PP::true } } } }, ns => $ns);
    wait_for { !(mcsrv('lobby')->{spec}{access} && mcsrv('lobby')->{spec}{access}{allowList}{enabled}) } 'what was added is taken away', 30;
    $kube->patch(MinecraftServer => 'lobby', { metadata => { labels => { 'mchost.io/spec-owner' => undef } } }, ns => $ns);
    wait_for { (mcsrv('lobby')->{metadata}{labels}{'mchost.io/spec-owner'} // '') eq 'db' } 'the label again', 30;
    running($id);
    is(pod('lobby')->{metadata}{uid}, $uid, 'the game ran on');
};

subtest 'nothing is written at rest' => sub {
    my $before = $kube->writes('mchost-reconciler');
    plan skip_all => 'the cluster is not ours' unless $before;
    wait_for { sleep 12; my $now = $kube->writes('mchost-reconciler'); my $same = @$now == @$before; $before = $now; $same } 'rest', 90;
    my $end = time + 15;
    sleep 1 while time < $end;
    my $after = $kube->writes('mchost-reconciler');
    is(join("\n", @{$after}[ @$before .. $#$after ]), '', 'for a while');

    $kube->patch(MinecraftServer => 'lobby', { metadata => { labels => { 'mchost.io/spec-owner' => undef } } }, ns => $ns);
    ok(eval { wait_for { (mcsrv('lobby')->{metadata}{labels}{'mchost.io/spec-owner'} // '') eq 'db' } 'the label', 30 }, 'a label taken away at rest is seen');
};

subtest 'deleted by hand, it comes back' => sub {
    my $old = mcsrv('lobby')->{metadata}{uid};
    my $world = $kube->get(PersistentVolumeClaim => "mc-$id", ns => $ns)->{metadata}{uid};

    $kube->delete(MinecraftServer => 'lobby', ns => $ns);
    wait_for { my $s = mcsrv('lobby'); $s && $s->{metadata}{uid} ne $old } 'another resource', 90;
    running($id);
    is($kube->get(PersistentVolumeClaim => "mc-$id", ns => $ns)->{metadata}{uid}, $world, 'with the same world');
    is($kube->get(StatefulSet => 'mc-lobby', ns => $ns)->{metadata}{ownerReferences}[0]{uid}, mcsrv('lobby')->{metadata}{uid}, 'and owner');
};

subtest 'a stranger of that name' => sub {
    $kube->server('taken', %quick, ns => $ns, runPolicy => 'Stopped');
    my $other = $t->server($acme, 'taken', %quick)->{id};
    wait_for { my $c = $kube->condition(api(GET => "/servers/$other")->json, 'Degraded'); $c->{reason} eq 'NameConflict' } 'NameConflict', 60;
    ok(!mcsrv('taken')->{metadata}{labels}{'mchost.io/server-id'}, 'nothing was done to it');
    api(DELETE => "/servers/$other");
    wait_for { api(GET => "/servers/$other")->status == 404 } 'the row can go', 60;
    ok(mcsrv('taken'), 'without it');
};

subtest 'deleted over REST' => sub {
    is(api(DELETE => "/servers/$id")->status, 202, 'a tombstone');
    wait_for { api(GET => "/servers/$id")->status == 404 } 'the end', 90;
    ok(!mcsrv('lobby'), 'the resource is gone');
    ok(!$kube->get(@$_, ns => $ns), "$_->[0] $_->[1] is gone")
        for [ StatefulSet => 'mc-lobby' ], [ Service => 'mc-lobby' ], [ Service => 'mc-lobby-headless' ], [ ConfigMap => 'mc-lobby-config' ], [ Secret => 'mc-lobby' ];
    ok($kube->get(PersistentVolumeClaim => "mc-$id", ns => $ns), 'the world stays');

    my $gone = $t->server($acme, 'gone', %quick)->{id};
    running($gone);
    api(DELETE => "/servers/$gone?purge=true");
    wait_for { api(GET => "/servers/$gone")->status == 404 } 'the end', 90;
    wait_for { !$kube->get(PersistentVolumeClaim => "mc-$gone", ns => $ns) } 'the end of a world that was purged', 60;
    pass('but for one that was purged');
};

done_testing;
