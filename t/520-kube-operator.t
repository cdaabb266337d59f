# A MinecraftServer alone, with no database and no Redis: what is made of it,
# that it stays so whoever meddles with it, what the status says when something
# is wrong, and that a reconciler killed at any moment goes on where it was.
# sanitized: only

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0, reconciler => { ping_interval => '500ms' });
my $kube = $t->kube;
my $n = 0;
my %quick = (
    resources => { cpu => '500m', memory => '384Mi', cpuRequest => '10m', memoryRequest => '64Mi' },
    shutdown => { announceSeconds => 0, graceSeconds => 20 }, eula => { accepted => JSON::PP::true });

sub server { my ($name, %spec) = @_; return $kube->server($name, %quick, %spec) }
sub mcsrv { return $kube->get(MinecraftServer => $_[0]) }
sub state_of { return (mcsrv($_[0]) // {})->{status}{state} // '' }
sub pod { return $kube->get(Pod => "mc-$_[0]-0") }
sub change { my ($name, $spec) = @_; return $kube->patch(MinecraftServer => $name, { spec => $spec }) }

sub is_state {
    my ($name, $state) = @_;

    my $s = mcsrv($name);
    return $s && ($s->{status}{state} // '') eq $state && ($s->{status}{observedGeneration} // 0) == $s->{metadata}{generation};
}

sub running { my ($name) = @_; wait_for { is_state($name, 'Running') } "$name runs", 90 }

sub degraded { return $kube->condition(mcsrv($_[0]), 'Degraded') }

# Waits until the condition Degraded is true for this reason.
sub trouble {
    my ($name, $reason, $seconds) = @_;

    wait_for { my $c = degraded($name); $c->{status} eq 'True' && $c->{reason} eq $reason } "$name: $reason", $seconds // 60;
    return degraded($name)->{message};
}

sub remove {
    my ($name) = @_;

    $kube->delete(MinecraftServer => $name);
    wait_for { !mcsrv($name) } "the end of $name", 90;
}

# kind => name of everything that a server has.
sub children {
    my ($name) = @_;

    return ([ StatefulSet => "mc-$name" ], [ Service => "mc-$name" ], [ Service => "mc-$name-headless" ], [ ConfigMap => "mc-$name-config" ],
        [ Secret => "mc-$name" ]);
}

sub claim_of { my ($name) = @_; return mcsrv($name)->{status}{storage}{claimName} }

subtest 'what is made of it' => sub {
    server('lobby');
    running('lobby');
    my $s = mcsrv('lobby');
    my $uid = $s->{metadata}{uid};

    ok((grep { $_ eq 'mchost.io/world' } @{ $s->{metadata}{finalizers} }), 'it has the finalizer');
    my %ids;

    for my $c (children('lobby')) {
        my $o = $kube->get(@$c);
        my ($owner) = @{ $o->{metadata}{ownerReferences} // [] };
        ok($o, "$c->[0] $c->[1]");
        is($owner->{uid}, $uid, '… belongs to it');
        ok($owner->{controller} && $owner->{blockOwnerDeletion} && $owner->{kind} eq 'MinecraftServer', '… as its controller');
        is($o->{metadata}{labels}{'app.kubernetes.io/managed-by'}, 'mchost', '… says who made it');
        like($o->{metadata}{annotations}{'mchost.io/applied-hash'}, qr/^[0-9a-f]{64}$/, '… and from what');
        $ids{ $o->{metadata}{labels}{'mchost.io/server-id'} // '' } = 1;
        my ($m) = grep { $_->{manager} eq 'mchost-reconciler' && $_->{operation} eq 'Apply' } @{ $o->{metadata}{managedFields} };
        ok($m, '… by apply');
    }

    is(scalar keys %ids, 1, 'all carry the same id of a server');
    my $claim = $kube->get(PersistentVolumeClaim => claim_of('lobby'));
    is($claim->{metadata}{name}, 'mc-' . (keys %ids)[0], 'the claim is called after the id');
    ok(!$claim->{metadata}{ownerReferences}, 'and belongs to nobody');
    ok($kube->get(NetworkPolicy => 'mchost'), 'the namespace has a policy');

    my $set = $kube->get(StatefulSet => 'mc-lobby');
    is($set->{spec}{replicas}, 1, 'one replica');
    is($set->{spec}{updateStrategy}{type}, 'OnDelete', 'which is restarted by us alone');
    ok(!$set->{spec}{volumeClaimTemplates}, 'no claim templates');
    is($kube->condition($s, 'Ready')->{status}, 'True', 'it is Ready');
    is($kube->condition($s, 'StorageReady')->{status}, 'True', 'and so is its volume');
    is($s->{status}{address}{host}, $kube->get(Service => 'mc-lobby')->{spec}{clusterIP}, 'the address is the service\'s');
    is($s->{status}{address}{port}, 25565, 'with its port');
    is($s->{status}{version}, '1.20.4', 'the version is what the game answers');
    my ($status) = grep { ($_->{subresource} // '') eq 'status' } @{ $s->{metadata}{managedFields} };
    is($status->{manager}, 'mchost-status', 'the status has a manager of its own');
    wait_for { grep { $_->{regarding}{uid} eq $uid && $_->{reason} eq 'Running' } $kube->list('Event') } 'an Event that it runs', 30;
};

subtest 'whoever meddles with it' => sub {
    my $uid = pod('lobby')->{metadata}{uid};
    my %drift = (
        'a service is deleted' => [ sub { $kube->delete(Service => 'mc-lobby') }, sub { $kube->get(Service => 'mc-lobby') } ],
        'a file is changed' => [ sub { $kube->patch(ConfigMap => 'mc-lobby-config', { data => { 'server.properties' => 'motd=x' } }) },
            sub { $kube->get(ConfigMap => 'mc-lobby-config')->{data}{'server.properties'} =~ /A Minecraft Server/ } ],
        'a ConfigMap is deleted' => [ sub { $kube->delete(ConfigMap => 'mc-lobby-config') }, sub { $kube->get(ConfigMap => 'mc-lobby-config') } ],
        'the password is changed' => [ sub { $kube->patch(Secret => 'mc-lobby', { data => { 'rcon-password' => 'eA==' } }) },
            sub { $kube->get(Secret => 'mc-lobby')->{data}{'rcon-password'} ne 'eA==' } ],
        'a label is taken away' => [ sub { $kube->patch(StatefulSet => 'mc-lobby', { metadata => { labels => { 'mchost.io/tenant' => undef } } }) },
            sub { $kube->get(StatefulSet => 'mc-lobby')->{metadata}{labels}{'mchost.io/tenant'} } ],
        'another manager takes the image' => [ sub {
            $kube->apply({ apiVersion => 'apps/v1', kind => 'StatefulSet', metadata => { name => 'mc-lobby' },
                spec => { template => { spec => { containers => [ { name => 'server', image => 'other:1' } ] } } } });
            }, sub { $kube->get(StatefulSet => 'mc-lobby')->{spec}{template}{spec}{containers}[0]{image} ne 'other:1' } ],
        'a second pod is wanted' => [ sub { $kube->patch(StatefulSet => 'mc-lobby', { spec => { replicas => 2 } }) },
            sub { $kube->get(StatefulSet => 'mc-lobby')->{spec}{replicas} == 1 && !$kube->get(Pod => 'mc-lobby-1') } ],
        'the policy is deleted' => [ sub { $kube->delete(NetworkPolicy => 'mchost') }, sub { $kube->get(NetworkPolicy => 'mchost') } ],
        'the status is overwritten' => [ sub { $kube->patch(MinecraftServer => 'lobby', { status => { state => 'Failed', message => 'x' } }, sub => 'status') },
            sub { state_of('lobby') eq 'Running' } ],
        'the finalizer is taken away' => [ sub { $kube->patch(MinecraftServer => 'lobby', { metadata => { finalizers => undef } }) },
            sub { mcsrv('lobby')->{metadata}{finalizers} } ]);

    for my $what (sort keys %drift) {
        $drift{$what}[0]->();
        wait_for { $drift{$what}[1]->() } "$what: put right", 30;
        pass("$what, and it is put right");
    }

    is(pod('lobby')->{metadata}{uid}, $uid, 'the pod ran on all the time');
    is(pod('lobby')->{status}{containerStatuses}[0]{restartCount}, 0, 'and so did the game');

    $kube->patch(Service => 'mc-lobby', { metadata => { annotations => { 'example.com/note' => 'mine' } } });
    $kube->delete(ConfigMap => 'mc-lobby-config');
    wait_for { $kube->get(ConfigMap => 'mc-lobby-config') } 'the ConfigMap', 30;
    is($kube->get(Service => 'mc-lobby')->{metadata}{annotations}{'example.com/note'}, 'mine', 'what others add is theirs');

    $kube->patch(StatefulSet => 'mc-lobby', { spec => { replicas => 0 } });
    wait_for { my $p = pod('lobby'); $p && $p->{metadata}{uid} ne $uid } 'another pod after somebody stopped it', 90;
    running('lobby');
    pass('a server that somebody stopped runs again');

    $kube->delete(StatefulSet => 'mc-lobby');
    wait_for { my ($set, $p) = ($kube->get(StatefulSet => 'mc-lobby'), pod('lobby'));
        $set && $p && $p->{metadata}{ownerReferences}[0]{uid} eq $set->{metadata}{uid} && !$p->{metadata}{deletionTimestamp} } 'a set and its pod', 90;
    wait_for { my $id = (pod('lobby') // {})->{status}{containerStatuses}[0]; $id && $id->{started} && is_state('lobby', 'Running') } 'Running', 90;
    pass('and one whose set was deleted');
};

subtest 'what drives what' => sub {
    my $uid = pod('lobby')->{metadata}{uid};

    change(lobby => { resources => { cpu => '600m' } });
    wait_for { (pod('lobby')->{spec}{containers}[0]{resources}{limits}{cpu} // '') eq '600m' } 'more CPU', 30;
    is($kube->get(StatefulSet => 'mc-lobby')->{spec}{template}{spec}{containers}[0]{resources}{limits}{cpu}, '600m', 'for the next pod as well');
    change(lobby => { network => { exposure => 'NodePort', annotations => { 'example.com/a' => 'b' } } });
    wait_for { $kube->get(Service => 'mc-lobby')->{spec}{type} eq 'NodePort' } 'a node port', 30;
    my $port = $kube->get(Service => 'mc-lobby')->{spec}{ports}[0]{nodePort};
    wait_for { (mcsrv('lobby')->{status}{address}{port} // 0) == $port } 'its address', 30;
    is($kube->get(Service => 'mc-lobby')->{metadata}{annotations}{'example.com/a'}, 'b', 'annotations of the service');
    is(pod('lobby')->{metadata}{uid}, $uid, 'all that without a new pod');
    change(lobby => { network => { exposure => 'Router', annotations => undef } });
    wait_for { $kube->get(Service => 'mc-lobby')->{spec}{type} eq 'ClusterIP' } 'behind the router again', 30;
    ok(!($kube->get(Service => 'mc-lobby')->{metadata}{annotations}{'example.com/a'}), 'what is not wanted any more goes');

    change(lobby => { properties => { motd => 'Other' } });
    wait_for { my $p = pod('lobby'); $p && $p->{metadata}{uid} ne $uid } 'a new pod for the rest, as nobody plays', 90;
    running('lobby');
    like($kube->get(ConfigMap => 'mc-lobby-config')->{data}{'server.properties'}, qr/^motd=Other$/m, 'with the new file');

    change(lobby => { runPolicy => 'Stopped' });
    wait_for { is_state('lobby', 'Stopped') } 'stopped', 60;
    is($kube->get(StatefulSet => 'mc-lobby')->{spec}{replicas}, 0, 'stopped: no replica');
    ok(!pod('lobby'), 'no pod');
    ok($kube->get(Service => 'mc-lobby'), 'but its service');
    change(lobby => { runPolicy => 'Always' });
    running('lobby');
};

subtest 'nothing changes, nothing is written' => sub {
    my $before = $kube->writes('mchost-reconciler');
    plan skip_all => 'the cluster is not ours' unless $before;
    # repeated Events are counted every 10 seconds
    wait_for { sleep 15; my $now = $kube->writes('mchost-reconciler'); my $same = @$now == @$before; $before = $now; $same } 'rest', 90;
    my $end = time + 60;
    sleep 1 while time < $end;
    my $after = $kube->writes('mchost-reconciler');
    is(join("\n", @{$after}[ @$before .. $#$after ]), '', 'in a minute');
};

subtest 'paused' => sub {
    $kube->patch(MinecraftServer => 'lobby', { metadata => { annotations => { 'mchost.io/paused' => 'true' } } });
    wait_for { $kube->condition(mcsrv('lobby'), 'Paused')->{status} eq 'True' } 'Paused', 30;
    my $file = $kube->patch(ConfigMap => 'mc-lobby-config', { data => { 'server.properties' => 'mine' } });
    change(lobby => { runPolicy => 'Stopped' });
    wait_for { mcsrv('lobby')->{status}{observedGeneration} == mcsrv('lobby')->{metadata}{generation} } 'seen', 30;
    is($kube->get(ConfigMap => 'mc-lobby-config')->{data}{'server.properties'}, 'mine', 'nothing is put right');
    ok(pod('lobby'), 'nothing is stopped');
    $kube->patch(MinecraftServer => 'lobby', { metadata => { annotations => { 'mchost.io/paused' => undef } } });
    wait_for { is_state('lobby', 'Stopped') } 'and on it goes', 60;
    change(lobby => { runPolicy => 'Always' });
    running('lobby');
    like($kube->get(ConfigMap => 'mc-lobby-config')->{data}{'server.properties'}, qr/^motd=/m, 'with everything put right');
};

subtest 'deleted, and the two keys to a world' => sub {
    my $claim = claim_of('lobby');
    my $world = $kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid};

    $kube->patch(MinecraftServer => 'lobby', { metadata => { annotations => { 'mchost.io/paused' => 'true' } } });
    remove('lobby');
    pass('a paused server can be deleted');
    ok(!$kube->get(@$_), "$_->[0] $_->[1] is gone") for children('lobby');
    wait_for { !pod('lobby') } 'the pod is gone', 60;
    is($kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid}, $world, 'the world stays');

    server('lobby');
    running('lobby');
    is($kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid}, $world, 'and is found again');
    is(claim_of('lobby'), $claim, 'by the same server');

    change(lobby => { storage => { retention => 'Delete' } });
    remove('lobby');
    is($kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid}, $world, 'the policy alone does not destroy it');

    server('lobby', storage => { size => '1Gi', retention => 'Delete' }, annotations => { 'mchost.io/purge-world' => 'lobby' });
    running('lobby');
    remove('lobby');
    wait_for { !$kube->get(PersistentVolumeClaim => $claim) } 'the end of the world', 60;
    pass('both together do');
};

subtest 'a stranger\'s name' => sub {
    $kube->create({ apiVersion => 'v1', kind => 'ConfigMap', metadata => { name => 'mc-taken-config' }, data => { a => 'b' } });
    server('taken');
    like(trouble('taken', 'NameConflict'), qr/ConfigMap "mc-taken-config"/, 'the condition names it');
    my $o = $kube->get(ConfigMap => 'mc-taken-config');
    ok(!$o->{metadata}{labels} && !$o->{metadata}{ownerReferences} && $o->{data}{a} eq 'b', 'nothing was done to it');
    $kube->delete(ConfigMap => 'mc-taken-config');
    change(taken => { displayName => 'Taken' });
    running('taken');
    remove('taken');
    pass('without it the server runs');
};

subtest 'what is wrong, in words' => sub {
    server('image', software => { type => 'demo', version => '1.20.4', image => 'localhost/none:1', imagePullPolicy => 'Never' });
    like(trouble('image', 'ImageMissing'), qr{localhost/none:1}, 'an image that is not there');
    wait_for { state_of('image') eq 'Failed' } 'Failed', 30;
    change(image => { software => { image => undef, imagePullPolicy => 'IfNotPresent' } });
    running('image');
    pass('with another one it runs');

    change(image => { resources => { cpu => '500', cpuRequest => '400' } });
    like(trouble('image', 'ResizePending'), qr/CPU/, 'more CPU than the node has, while it runs');
    change(image => { resources => { cpu => '500m', cpuRequest => '10m' } });
    wait_for { pod('image')->{spec}{containers}[0]{resources}{limits}{cpu} eq '500m' } 'less again', 30;
    wait_for { degraded('image')->{status} eq 'False' } 'no trouble', 30;
    pass('is taken back');

    change(image => { storage => { size => '2Gi' } });
    like(trouble('image', 'CannotGrow'), qr/2Gi/, 'a volume that cannot grow');
    remove('image');

    server('big', resources => { cpu => '500', memory => '384Mi', cpuRequest => '400', memoryRequest => '64Mi' });
    like(trouble('big', 'Unschedulable'), qr/Insufficient cpu/, 'more CPU than any node has, before it does');
    remove('big');

    $kube->create({ apiVersion => 'v1', kind => 'ResourceQuota', metadata => { name => 'small' }, spec => { hard => { 'requests.memory' => '1Mi' } } });
    wait_for { $kube->get(ResourceQuota => 'small')->{status}{hard} } 'the quota', 30;
    server('poor');
    like(trouble('poor', 'QuotaExceeded'), qr/small/, 'a quota names itself');
    $kube->delete(ResourceQuota => 'small');
    running('poor');
    pass('without it the server runs');
    remove('poor');

    server('class', storage => { size => '1Gi', storageClassName => 'none-such' });
    wait_for { my $c = $kube->condition(mcsrv('class'), 'StorageReady'); $c->{status} eq 'False' && $c->{message} =~ /none-such/ }
        'a claim that gets no volume', 60;
    pass('a claim that gets no volume names its class');
    remove('class');
};

subtest 'killed at any moment' => sub {
    my %moments = (
        create => { wait => sub { running($_[0]) }, do => sub { server($_[0]) } },
        edit => { wait => sub { running($_[0]); pod($_[0])->{metadata}{annotations}{'mchost.io/restart-token'} eq 'again' or die "no new pod\n" },
            do => sub { change($_[0], { restartToken => 'again', properties => { motd => 'Edited' } }) } },
        stop => { wait => sub { my ($name) = @_; wait_for { is_state($name, 'Stopped') } "$name stops", 90 },
            do => sub { change($_[0], { runPolicy => 'Stopped' }) } },
        delete => { wait => sub { my ($name) = @_; wait_for { !mcsrv($name) } "$name ends", 90 },
            do => sub { $kube->delete(MinecraftServer => $_[0]) } });

    for my $k (1 .. 4) {
        my $name = 'k' . ++$n;

        for my $what (qw(create edit stop delete)) {
            my $m = $moments{$what};
            $m->{do}->($name);
            select undef, undef, undef, 0.03 * $k * $k;
            $t->recon->kill9;
            $t->recon->start;
            $m->{wait}->($name);
            pass("$what, killed at moment $k");
        }

        ok(!$kube->get(@$_), "$_->[0] $_->[1] is gone") for children($name);
    }
};

subtest 'a namespace that ends' => sub {
    my $ns = $kube->ns;

    server('last');
    running('last');
    $kube->delete(Namespace => $ns);
    wait_for { !$kube->get(Namespace => $ns) } 'the namespace ends with the server in it', 120;
    pass('the finalizer does not hold it up');
};

done_testing;
